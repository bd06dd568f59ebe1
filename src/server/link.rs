//! The link to other servers from the flags: its brokers, and what room and talk share with it.

use super::options::ServeOptions;
use super::tcp_service;
use crate::config::link::{
    ELSEWHERE, LINK, NAME_TIMEOUT, NAMES, PROOF, STORED_LINES, TALK, UPLINK,
};
use crate::reactor::uplink::{MakeLink, OnFailure, Uplink};
use crate::services::link::exchange::{Exchange, Topic};
use crate::services::link::names::Names;
use crate::services::link::{Link, Subjects};
use crate::services::room::elsewhere::MembersElsewhere;
use crate::services::room::linked::LinkedRoom;
use crate::services::room::stored_lines::StoredLines;
use crate::services::roster::Roster;
use crate::services::roster::elsewhere::{CLIENTS, ClientsElsewhere, LINES};
use crate::session::loop_metrics::Sampled;
use crate::setup::error::StartError;
use crate::setup::password;
use crate::store::part_name;
use crate::wire::nats::url::NatsUrl;
use crate::wire::text::{hex, reason};
use std::cell::RefCell;
use std::net::{SocketAddr, ToSocketAddrs};
use std::rc::Rc;

/// The roster of talk clients, with those of other servers if there is a link. `talk` is where the
/// talk listens, if it is on. Called once `part_name` has the node of this server.
pub fn roster(link: Option<&LinkSetup>, talk: Option<SocketAddr>) -> Roster {
    let mut roster = Roster::default();
    if let Some(link) = link {
        link.set_name(talk);
        if talk.is_some() {
            roster.set_link(ClientsElsewhere::new(link.exchange.clone(), TALK));
        }
    }
    roster
}

/// The link of a server.
pub struct LinkSetup {
    exchange: Rc<RefCell<Exchange>>,
    /// The name of the room.
    room_name: String,
    /// Its subject.
    subject: Rc<str>,
    /// The subjects of the services that are on.
    subjects: Subjects,
    /// Each address of each broker.
    brokers: Vec<(NatsUrl, SocketAddr)>,
    random: u64,
}

impl LinkSetup {
    /// The link that the flags ask for. Resolves the names of its brokers.
    ///
    /// # Errors
    ///
    /// An address that is none, a name that cannot be found, or a server without room and talk.
    pub fn of(
        options: &ServeOptions,
        has_room: bool,
        has_talk: bool,
    ) -> Result<Option<LinkSetup>, StartError> {
        let given = password::link(options.link.as_deref(), options.link_file.as_deref())?;
        let Some(given) = given else {
            return Ok(None);
        };
        if !has_room && !has_talk {
            let text = "the link joins room and talk of servers, but the room is off, and so is \
                        talk; give --room or --talk a port";
            return Err(StartError::new(text));
        }
        let urls = NatsUrl::parse_list(&given)
            .map_err(|why| StartError::new(format!("cannot use the address of --link: {why}")))?;
        let mut brokers = Vec::new();
        for url in urls {
            let found = url.host.to_socket_addrs().map_err(|error| {
                let why = reason(&error);
                StartError::new(format!(
                    "cannot find the host of {url}: {why}; check --link"
                ))
            })?;
            brokers.extend(found.map(|address| (url.clone(), address)));
        }
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|error| {
            StartError::new(format!("cannot get random bytes from the kernel: {error}"))
        })?;
        let subject: Rc<str> = format!("loket.room.{}", options.room_name).into();
        let room = has_room.then(|| (subject.clone(), Topic::Room));
        let talk = [LINES, CLIENTS].map(|subject| (subject.into(), Topic::Talk));
        let talk = talk.into_iter().filter(|_| has_talk);
        Ok(Some(LinkSetup {
            exchange: Rc::new(RefCell::new(Exchange::new(hex(&random)))),
            room_name: options.room_name.clone(),
            subject,
            subjects: room.into_iter().chain(talk).collect(),
            brokers,
            random: u64::from_ne_bytes(random),
        }))
    }

    /// Sets the name of this server among the others. By default its node is the first part of the
    /// host name, and the port of the talk if it is not the usual one: so two servers of one host
    /// have different nodes.
    fn set_name(&self, talk: Option<SocketAddr>) {
        let (node, is_default) = part_name::node_name();
        let mut node = match is_default {
            true => node.split('.').next().unwrap_or_default().to_owned(),
            false => node.replace('.', "-"),
        };
        if node.is_empty() {
            node.push('_');
        }
        let usual = tcp_service("talk").map_or("", |service| service.port);
        let port = talk.map_or(usual.to_owned(), |talk| talk.port().to_string());
        if is_default && port != usual {
            node = format!("{node}-{port}");
        }
        let random = hex(&self.random.to_ne_bytes());
        let mut exchange = self.exchange.borrow_mut();
        exchange.set_server(format!("{node}-{random}"));
    }

    /// What the room knows of other servers. A new member is shown this number of messages.
    pub fn linked(&self, history: usize) -> LinkedRoom {
        let exchange = || self.exchange.clone();
        let elsewhere = MembersElsewhere::new(exchange(), self.subject.clone(), ELSEWHERE, PROOF);
        let stored = (history > 0)
            .then(|| StoredLines::new(exchange(), &self.room_name, history, STORED_LINES));
        LinkedRoom::new(
            elsewhere,
            Names::new(exchange(), NAMES),
            stored,
            NAME_TIMEOUT,
        )
    }

    /// The TCP ports of the brokers.
    pub fn ports(&self) -> Vec<u16> {
        self.brokers.iter().map(|(_, at)| at.port()).collect()
    }

    /// Keeps a connection to one of the brokers.
    pub fn uplink(&self) -> Uplink {
        let addresses = self.brokers.iter().map(|(_, address)| *address).collect();
        let (exchange, subjects) = (self.exchange.clone(), self.subjects.clone());
        let brokers = self.brokers.clone();
        let make: MakeLink = Box::new(move |number| {
            let (url, address) = brokers[number].clone();
            Box::new(Link::new(
                LINK,
                exchange.clone(),
                url,
                address,
                subjects.clone(),
            ))
        });
        let (exchange, brokers) = (self.exchange.clone(), self.brokers.clone());
        let on_failure: OnFailure = Box::new(move |number, error| {
            let (broker, why) = (&brokers[number].0, reason(error));
            let line = format!("link: no connection to {broker}: {why}; trying again");
            exchange.borrow_mut().warn_once(line);
        });
        let was_up = self.exchange.borrow().was_up();
        Uplink::new(addresses, make, on_failure, was_up, UPLINK, self.random)
    }

    /// Writes the current counters into `to`.
    pub fn sample(&self, to: &Sampled) {
        let exchange = self.exchange.borrow();
        let counts = exchange.counts;
        to.link_up.set(u64::from(exchange.is_up()));
        let values = [counts.sent, counts.received, counts.dropped];
        for (to, value) in to.link_messages.iter().zip(values) {
            to.set(value);
        }
    }
}
