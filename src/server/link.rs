//! The link to other servers from the flags: its brokers, and what the room shares with it.

use super::options::ServeOptions;
use crate::config::link::{ELSEWHERE, LINK, NAME_TIMEOUT, NAMES, PROOF, UPLINK};
use crate::reactor::uplink::{MakeLink, OnFailure, Uplink};
use crate::services::link::exchange::{Exchange, Topic};
use crate::services::link::names::Names;
use crate::services::link::{Link, Subjects};
use crate::services::room::elsewhere::Elsewhere;
use crate::services::room::linked::Linked;
use crate::session::loop_metrics::Sampled;
use crate::setup::error::StartError;
use crate::setup::password;
use crate::wire::nats::url::NatsUrl;
use crate::wire::text::{hex, reason};
use std::cell::RefCell;
use std::net::{SocketAddr, ToSocketAddrs};
use std::rc::Rc;

/// The link of a server.
pub struct LinkSetup {
    exchange: Rc<RefCell<Exchange>>,
    /// The subject of the room.
    subject: Rc<str>,
    /// Each address of each broker.
    brokers: Vec<(NatsUrl, SocketAddr)>,
    random: u64,
}

impl LinkSetup {
    /// The link that the flags ask for. Resolves the names of its brokers.
    ///
    /// # Errors
    ///
    /// An address that is none, a name that cannot be found, or a server without a room.
    pub fn of(options: &ServeOptions, has_room: bool) -> Result<Option<LinkSetup>, StartError> {
        let given = password::link(options.link.as_deref(), options.link_file.as_deref())?;
        let Some(given) = given else {
            return Ok(None);
        };
        if !has_room {
            let text = "the link joins rooms, but the room is off; give --room a port";
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
        Ok(Some(LinkSetup {
            exchange: Rc::new(RefCell::new(Exchange::new(hex(&random)))),
            subject: format!("loket.room.{}", options.room_name).into(),
            brokers,
            random: u64::from_ne_bytes(random),
        }))
    }

    /// What the room knows of other servers.
    pub fn linked(&self) -> Linked {
        let exchange = || self.exchange.clone();
        let elsewhere = Elsewhere::new(exchange(), self.subject.clone(), ELSEWHERE, PROOF);
        Linked::new(elsewhere, Names::new(exchange(), NAMES), NAME_TIMEOUT)
    }

    /// The TCP ports of the brokers.
    pub fn ports(&self) -> Vec<u16> {
        self.brokers.iter().map(|(_, at)| at.port()).collect()
    }

    /// Keeps a connection to one of the brokers.
    pub fn uplink(&self) -> Uplink {
        let addresses = self.brokers.iter().map(|(_, address)| *address).collect();
        let exchange = self.exchange.clone();
        let subjects: Subjects = [(self.subject.clone(), Topic::Room)].into();
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
