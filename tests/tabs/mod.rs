//! Several HTTP sessions in memory, which post to each other: tabs and the requests for them.

use crate::memory::services::http;
use crate::memory::store::{Faults, Memory};
use loket::config::reactor::OUTBOX_HIGH_WATER;
use loket::config::room::{DATAGRAMS, ROOM};
use loket::config::services::SERVICES;
use loket::services::ServiceLimits;
use loket::services::http::Http;
use loket::services::http::shared::HttpShared;
use loket::services::room::Room;
use loket::services::roster::Roster;
use loket::session::close_reason::CloseReason;
use loket::session::datagram::{DatagramContext, DatagramProtocol, SendQueue};
use loket::session::notice::{Audience, Notice, Post};
use loket::session::outbox::Front;
use loket::session::peer::Peer;
use loket::session::session::{Next, Session};
use loket::session::session_id::SessionId;
use loket::session::shared::Shared;
use loket::wire::follows::{Follows, Timer};
use serde_json::Value;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;

/// The address of every peer.
const PEER: ([u8; 4], u16) = ([127, 0, 0, 1], 5050);

/// The sessions, and what they share.
pub struct World {
    shared: Shared,
    http: Rc<HttpShared>,
    roster: Rc<RefCell<Roster>>,
    room: Room,
    copies: SendQueue,
    sessions: BTreeMap<u64, Session>,
    closed: BTreeMap<u64, CloseReason>,
    next: u32,
}

impl World {
    pub fn new() -> World {
        World::with(SERVICES)
    }

    /// With other limits.
    pub fn with(limits: ServiceLimits) -> World {
        let roster = Rc::default();
        let store = Memory::with(&BTreeMap::new(), Faults::default());
        let room = Room::new("sesame", ROOM);
        let view = Some(room.view());
        let http = http(Rc::new(limits), Rc::new(store), Rc::clone(&roster), view);
        let mut shared = Shared::new(OUTBOX_HIGH_WATER);
        let history = http.history.clone();
        shared.on_operator_line = Some(Box::new(move |line, unix, posts| {
            history.borrow_mut().add(line.clone(), unix, posts);
        }));
        World {
            shared,
            http,
            roster,
            room,
            copies: SendQueue::new(DATAGRAMS.copies),
            sessions: BTreeMap::new(),
            closed: BTreeMap::new(),
            next: 1,
        }
    }

    fn connect(&mut self, request: &[u8]) -> SessionId {
        let id = SessionId::new(self.next, self.next);
        self.next += 1;
        let protocol = Http::new(self.http.clone(), SocketAddr::from(PEER));
        let mut session = Session::new(Box::new(protocol), id);
        session.open(&mut self.shared);
        let mut calls = usize::MAX;
        session.feed(request, Follows::More, &mut calls, &mut self.shared);
        self.sessions.insert(id.0, session);
        id
    }

    /// Opens a tab that watches these streams.
    pub fn open(&mut self, query: &str) -> SessionId {
        self.open_with(query, "")
    }

    /// The same with more fields.
    pub fn open_with(&mut self, query: &str, fields: &str) -> SessionId {
        let head = format!("GET /-/events?{query} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n");
        let id = self.connect(head.as_bytes());
        self.serve();
        id
    }

    /// The secret id of a tab, whose random part is a sequence here.
    #[track_caller]
    pub fn id(&self, tab: SessionId) -> String {
        let asked = format!("{:08x}", tab.slot());
        let number = (1..100_u64).find_map(|number| {
            let id = format!("{asked}{:08x}{number:016x}", 0);
            self.http.tabs.borrow().find(&id).map(|_| id)
        });
        number.expect("an open tab")
    }

    /// Sends a request and returns the status of its answer.
    pub fn post(&mut self, endpoint: &str, fields: &Value) -> u16 {
        self.post_bytes(endpoint, fields.to_string().as_bytes())
    }

    /// The same with any body. The connection must be usable for one more request, or closed.
    #[track_caller]
    pub fn post_bytes(&mut self, endpoint: &str, body: &[u8]) -> u16 {
        let id = self.send_post(endpoint, body);
        self.serve();
        let answer = self.read(id);
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
        let status = answer.split(' ').nth(1).expect("a status");
        status.parse().expect("a number")
    }

    /// Sends a request, which no session has got yet.
    pub fn begin_post(&mut self, endpoint: &str, fields: &Value) -> SessionId {
        self.send_post(endpoint, fields.to_string().as_bytes())
    }

    fn send_post(&mut self, endpoint: &str, body: &[u8]) -> SessionId {
        let head = format!(
            "POST /-/{endpoint} HTTP/1.1\r\nHost: localhost\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        self.connect(&[head.as_bytes(), body].concat())
    }

    /// Prints a line to the operator.
    pub fn print(&mut self, line: &str) {
        self.shared.posts.push(Post::line(Audience::Operator, line));
        self.serve();
    }

    /// A talk client joins the roster.
    pub fn join(&mut self, session: SessionId) {
        let (unix, now) = (self.shared.unix, self.shared.now);
        let mut roster = self.roster.borrow_mut();
        let id = roster.join(session, SocketAddr::from(PEER), now);
        roster.announce_joined(id, unix, now, &mut self.shared.posts);
        drop(roster);
        self.serve();
    }

    /// A talk client leaves.
    pub fn leave(&mut self, id: u32) {
        let mut roster = self.roster.borrow_mut();
        roster.leave(id);
        roster.announce_left(id, &mut self.shared.posts);
        drop(roster);
        self.serve();
    }

    /// A second passes.
    pub fn second(&mut self) {
        self.shared.now += 1;
        self.shared.micros += 1_000_000;
    }

    /// The time of a timer passes for a session.
    pub fn silence(&mut self, id: SessionId, timer: Timer) {
        if let Some(session) = self.sessions.get_mut(&id.0) {
            let mut calls = usize::MAX;
            let follows = Follows::Silence(timer);
            session.feed(&[], follows, &mut calls, &mut self.shared);
        }
        self.serve();
    }

    /// The timer that a session waits for.
    pub fn awaited(&self, id: SessionId) -> Option<Timer> {
        self.sessions.get(&id.0).and_then(Session::awaited)
    }

    /// Bytes that a peer has not read.
    pub fn unsent(&mut self, id: SessionId) -> usize {
        let session = self.sessions.get_mut(&id.0);
        let outbox = session.and_then(Session::outbox);
        outbox.map_or(0, |outbox| outbox.pending())
    }

    /// Why a session was closed.
    pub fn closed(&self, id: SessionId) -> Option<CloseReason> {
        self.closed.get(&id.0).copied()
    }

    /// The number of open tabs.
    pub fn tabs(&self) -> usize {
        self.http.tabs.borrow().count()
    }

    /// Closes a session.
    pub fn end(&mut self, id: SessionId) {
        self.close(id.0, CloseReason::PeerFinished);
    }

    fn close(&mut self, id: u64, reason: CloseReason) {
        if let Some(mut session) = self.sessions.remove(&id) {
            session.end(reason, &mut self.shared);
            self.closed.insert(id, reason);
        }
    }

    /// Delivers posts and gives turns, until no session has anything to do. No peer reads.
    pub fn serve(&mut self) {
        loop {
            let posts = std::mem::take(&mut self.shared.posts);
            for post in &posts {
                let Some(id) = self.shared.route(post, None) else {
                    continue;
                };
                if let Some(session) = self.sessions.get_mut(&id.0)
                    && let Some(reason) = session.notify(&post.notice, &mut self.shared)
                {
                    self.close(id.0, reason);
                }
            }
            self.serve_room();
            let ids: Vec<u64> = self.sessions.keys().copied().collect();
            let turns = ids.into_iter().filter(|id| self.turn(*id)).count();
            if turns == 0 && self.shared.posts.is_empty() && self.shared.for_room.is_empty() {
                return;
            }
        }
    }

    /// Passes the posts of sessions to the room, and posts its copies to them.
    fn serve_room(&mut self) {
        for post in std::mem::take(&mut self.shared.for_room) {
            let mut cx = DatagramContext {
                out: &mut self.copies,
                posts: &mut self.shared.posts,
                now: self.shared.micros,
            };
            match (post.to, post.notice) {
                (Audience::Room(from), Notice::Datagram(text)) => {
                    self.room.on_datagram(from.into(), &text.bytes, &mut cx);
                }
                (Audience::Room(from), _) => self.room.on_gone(from, &mut cx),
                other => unreachable!("{other:?}"),
            }
        }
        while let Some((text, to)) = self.copies.front() {
            if let Peer::Session(id, _) = to.peer {
                let (to, notice) = (Audience::One(id), Notice::Datagram(text.clone()));
                self.shared.posts.push(Post { to, notice });
            }
            self.copies.advance();
        }
    }

    /// Does the next thing for a session. Returns false if there is nothing to do.
    fn turn(&mut self, id: u64) -> bool {
        let session = self.sessions.get_mut(&id).expect("an open session");
        let mut calls = usize::MAX;
        match session.next(false, false, None, OUTBOX_HIGH_WATER) {
            Next::Work | Next::Resume => session.work(&mut self.shared),
            Next::Feed(follows) => {
                let inbox = session.take_inbox();
                session.feed(&inbox, follows, &mut calls, &mut self.shared);
            }
            Next::Finish(reason) | Next::End(reason) => self.close(id, reason),
            Next::Park | Next::Wait => {
                // A peer that does not read is closed after the linger timeout.
                let lingers = session.awaited() == Some(Timer::Linger);
                lingers.then(|| self.close(id, CloseReason::SlowReader));
                return lingers;
            }
            other => unreachable!("{other:?}"),
        }
        true
    }

    /// The peer reads everything.
    pub fn read(&mut self, id: SessionId) -> String {
        let mut all = Vec::new();
        while let Some(session) = self.sessions.get_mut(&id.0)
            && let Some(outbox) = session.outbox()
            && let Some(Front::Bytes(bytes)) = outbox.front()
        {
            let count = bytes.len();
            all.extend_from_slice(bytes);
            outbox.advance(count);
            self.serve();
        }
        String::from_utf8(all).expect("text")
    }
}
