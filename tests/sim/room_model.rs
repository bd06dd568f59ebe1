//! Runs the production room as its socket's turn does, beside a model of its members. Some of them
//! are sessions, whose posts pass through the dispatcher.

use super::plan::Plan;
use super::shared::{Mode, SimState};
use super::trace::Event;
use crate::memory::random::Random;
use loket::config::room::ROOM;
use loket::reactor::clock::{Moment, SECOND};
use loket::services::room::Room;
use loket::services::room::limits::RoomLimits;
use loket::session::datagram::{DatagramContext, DatagramProtocol, SendQueue};
use loket::session::notice::{Audience, Notice, Post};
use loket::session::peer::Peer;
use loket::session::session_id::SessionId;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;

/// The number of addresses that send to the room.
const SENDERS: u16 = 8;

/// The first of those that are sessions.
const FIRST_SESSION: u16 = 6;

/// How long a password is valid without a name, in microseconds.
const ADMITTED: u64 = 60_000_000;

/// How long a lost member is remembered, in microseconds.
const LEFT: u64 = 3_600_000_000;

/// How long a claim waits, in microseconds.
const CLAIM: u64 = 500_000;

/// The room, its send queue and the model of both.
pub struct RoomModel {
    room: Room,
    out: SendQueue,
    limit: usize,
    per_turn: usize,
    /// How long a member may be silent, in microseconds.
    idle: Option<u64>,
    arrived: VecDeque<(u16, Vec<u8>)>,
    /// What sessions have posted since the last turn.
    posted: Vec<Post>,
    /// Addresses whose process is gone: their hosts answer datagrams with ICMP errors, and their
    /// sessions have ended.
    vanished: BTreeSet<u16>,
    /// How many sessions of each address have ended.
    ended: BTreeMap<u16, u32>,
    refused: VecDeque<u16>,
    members: BTreeMap<u16, Member>,
    admitted: BTreeMap<u16, u64>,
    /// Members that were removed without `exit`, and when.
    lost: BTreeMap<u16, (String, u64)>,
    claims: VecDeque<Claim>,
    search: Option<u64>,
    /// Wrong passwords; too few from each address to be ignored.
    failures: BTreeMap<u16, u32>,
    /// The datagrams that each address must get, in this order.
    owed: BTreeMap<u16, VecDeque<String>>,
    pending: usize,
    closed: bool,
}

#[derive(Clone)]
struct Member {
    name: String,
    is_session: bool,
    received: u64,
    has_spoken: bool,
    refusals: u32,
}

struct Claim {
    port: u16,
    name: String,
    holder: u16,
    until: u64,
}

/// Every sender has its own host.
fn address(port: u16) -> SocketAddr {
    ([127, 0, 1, port as u8], port).into()
}

fn is_session(port: u16) -> bool {
    port >= FIRST_SESSION
}

impl RoomModel {
    /// An empty room.
    pub fn new(random: &Random, plan: &Plan) -> RoomModel {
        let limit = random.pick(&[3, 20, 10_000]);
        let idle = random.pick(&[0, 1, 3, 900]) * SECOND;
        let idle = (idle > 0).then_some(idle);
        let limits = RoomLimits {
            rate: 1_000_000,
            idle,
            ..ROOM
        };
        RoomModel {
            room: Room::new("sesame", limits),
            out: SendQueue::new(limit),
            limit,
            per_turn: plan.limits.accepts_per_turn,
            idle,
            arrived: VecDeque::new(),
            posted: Vec::new(),
            vanished: BTreeSet::new(),
            ended: BTreeMap::new(),
            refused: VecDeque::new(),
            members: BTreeMap::new(),
            admitted: BTreeMap::new(),
            lost: BTreeMap::new(),
            claims: VecDeque::new(),
            search: None,
            failures: BTreeMap::new(),
            owed: BTreeMap::new(),
            pending: 0,
            closed: false,
        }
    }

    /// The client at a port. A session that returns is another one.
    fn peer(&self, port: u16) -> Peer {
        match is_session(port) {
            true => {
                let ended = self.ended.get(&port).copied().unwrap_or(0);
                Peer::Session(
                    SessionId::new(u32::MAX - u32::from(port), ended),
                    address(port),
                )
            }
            false => Peer::Udp(address(port)),
        }
    }

    /// A datagram arrives, or its sender vanishes or returns. A session posts its datagrams.
    pub fn receive(&mut self, shared: &SimState, posts: &mut Vec<Post>) {
        let random = &shared.random;
        let port = random.within(1..=usize::from(SENDERS)) as u16;
        let to = Audience::Room(self.peer(port));
        if random.chance(8) && !self.vanished.remove(&port) {
            self.vanished.insert(port);
            if is_session(port) {
                *self.ended.entry(port).or_insert(0) += 1;
                let notice = Notice::Gone;
                self.post(Post { to, notice }, posts);
            }
        }
        if self.vanished.contains(&port) {
            return;
        }
        let name = random.pick(&["ann", "Ann", "bob", "cy", "two words"]);
        let text = match random.below(10) {
            0 | 1 => "PASSWORD sesame".to_owned(),
            2 if self
                .failures
                .get(&port)
                .is_none_or(|failures| *failures < 8) =>
            {
                *self.failures.entry(port).or_insert(0) += 1;
                "PASSWORD open".to_owned()
            }
            3..=5 => format!("USERNAME {name}"),
            6 => " exit\n".to_owned(),
            7 => format!("{name}: in {}'s words", random.pick(&["my", "your"])),
            8 => "\u{1b}[1mbold\u{7}".to_owned(),
            _ => random.pick(&["hello", "", "ä€😀", "exit now"]).to_owned(),
        };
        let bytes = text.len();
        shared.note(Event::Datagram { port, bytes });
        if is_session(port) {
            let notice = Notice::Datagram(text.into());
            self.post(Post { to, notice }, posts);
        } else if !self.closed {
            self.arrived.push_back((port, text.into_bytes()));
        }
    }

    fn post(&mut self, post: Post, posts: &mut Vec<Post>) {
        posts.push(post.clone());
        if !self.closed {
            self.posted.push(post);
        }
    }

    /// Whether a post has not reached the room.
    pub fn awaits_post(&self) -> bool {
        !self.posted.is_empty()
    }

    /// Whether a turn has work.
    pub fn has_turn(&self) -> bool {
        self.pending > 0 || !self.arrived.is_empty() || !self.refused.is_empty()
    }

    /// The time of the room's next timer.
    pub fn next_due(&self) -> Option<Moment> {
        self.room.next_due().map(Moment).filter(|_| !self.closed)
    }

    /// The socket is closed.
    pub fn close(&mut self) {
        self.closed = true;
        self.arrived.clear();
        self.posted.clear();
        self.refused.clear();
        self.pending = 0;
    }

    /// The posts of sessions, and then one turn of the socket.
    pub fn turn(&mut self, shared: &SimState, posted: Vec<Post>, posts: &mut Vec<Post>) {
        if self.closed {
            return;
        }
        let now = shared.now.get().0;
        assert_eq!(posted, std::mem::take(&mut self.posted), "the posts");
        for post in posted {
            self.deliver(shared, post, posts, now);
        }
        self.send(shared);
        if self.next_due().is_some_and(|due| due.0 <= now) {
            self.model_time(shared, now);
            self.room.on_time(&mut cx(&mut self.out, posts, now));
            assert_eq!(self.out.pending(), self.pending, "copies of the time");
        }
        for _ in 0..self.per_turn {
            if shared.injects(shared.plan.faults.would_block) {
                break;
            }
            let Some((port, bytes)) = self.arrived.pop_front() else {
                break;
            };
            self.model(shared, port, &String::from_utf8_lossy(&bytes), now);
            let mut cx = cx(&mut self.out, posts, now);
            self.room.on_datagram(address(port).into(), &bytes, &mut cx);
            assert_eq!(self.out.pending(), self.pending, "copies of {port}'s words");
        }
        if shared.mode.get() == Mode::Faulty && shared.random.chance(2) {
            let port = shared.random.within(1..=usize::from(SENDERS)) as u16;
            self.refused.push_back(port);
        }
        while let Some(port) = self.refused.pop_front() {
            self.model_refusal(shared, port, now);
            let mut cx = cx(&mut self.out, posts, now);
            self.room.on_refused(address(port), &mut cx);
            assert_eq!(self.out.pending(), self.pending, "copies of a refusal");
        }
        self.send(shared);
    }

    fn deliver(&mut self, shared: &SimState, post: Post, posts: &mut Vec<Post>, now: u64) {
        let Audience::Room(from) = post.to else {
            panic!("{post:?} is not for the room")
        };
        let port = from.address().port();
        let mut cx = DatagramContext {
            out: &mut self.out,
            posts,
            now,
        };
        match post.notice {
            Notice::Datagram(text) => {
                self.room.on_datagram(from.into(), &text.bytes, &mut cx);
                self.model(shared, port, &String::from_utf8_lossy(&text.bytes), now);
            }
            _ => {
                self.room.on_gone(from, &mut cx);
                self.end(shared, &[port], false, now);
                self.claims.retain(|claim| claim.port != port);
                self.admitted.remove(&port);
            }
        }
        assert_eq!(self.out.pending(), self.pending, "copies of {port}'s post");
    }

    fn send(&mut self, shared: &SimState) {
        for _ in 0..self.per_turn {
            let blocked = shared.injects(shared.plan.faults.would_block);
            let Some((text, to)) = self.out.front().filter(|_| !blocked) else {
                return;
            };
            let port = to.peer.address().port();
            let owed = self.owed.get_mut(&port).and_then(VecDeque::pop_front);
            assert_eq!(
                owed.as_deref().map(str::as_bytes),
                Some(&*text.bytes),
                "to {to:?}"
            );
            self.out.advance();
            self.pending -= 1;
            if self.vanished.contains(&port) && !to.peer.is_session() {
                self.refused.push_back(port);
            }
        }
    }

    /// Models the handling of a datagram.
    fn model(&mut self, shared: &SimState, port: u16, text: &str, now: u64) {
        let text = text.strip_suffix('\n').unwrap_or(text);
        self.admitted.retain(|_, since| *since + ADMITTED > now);
        self.lost.retain(|_, (_, since)| *since + LEFT > now);
        if let Some(member) = self.members.get_mut(&port) {
            (member.received, member.has_spoken, member.refusals) = (now, true, 0);
            let own = member.name.clone();
            match text.split_once(' ') {
                Some(("PASSWORD", _)) => drop(self.owe(port, "PASSWORD OK")),
                Some(("USERNAME", name)) if name == own => drop(self.owe(port, "USERNAME OK")),
                _ => self.relay(shared, port, &own, text, now),
            }
            if self.members.contains_key(&port) {
                for claim in self.take_claims(|claim| claim.holder == port) {
                    self.owe(claim.port, "USERNAME TAKEN");
                }
            }
            return;
        }
        match text.split_once(' ') {
            Some(("PASSWORD", "sesame")) => {
                self.admitted.remove(&port);
                if self.owe(port, "PASSWORD OK") {
                    self.admitted.insert(port, now);
                }
            }
            Some(("PASSWORD", _)) => drop(self.owe(port, "PASSWORD INCORRECT")),
            Some(("USERNAME", name)) => self.try_name(shared, port, name, now),
            _ => self.rejoin(shared, port, text, now),
        }
    }

    /// Models the timers.
    fn model_time(&mut self, shared: &SimState, now: u64) {
        for claim in self.take_claims(|claim| claim.until <= now) {
            self.owe(claim.port, "USERNAME TAKEN");
        }
        if self.search.is_none_or(|search| now < search) {
            return;
        }
        let mut silent: Vec<(u64, u16)> = Vec::new();
        for (port, member) in &self.members {
            if self.expires(member).is_some_and(|at| at <= now) {
                silent.push((member.received, *port));
            }
        }
        silent.sort_unstable();
        let silent: Vec<u16> = silent.into_iter().map(|(_, port)| port).collect();
        self.end(shared, &silent, true, now);
        let expires = self.members.values().filter_map(|one| self.expires(one));
        self.search = expires.min().map(|next| next.max(now + SECOND));
    }

    /// Models an ICMP error.
    fn model_refusal(&mut self, shared: &SimState, port: u16, now: u64) {
        // No ICMP error is about the port of a session.
        if is_session(port) {
            return;
        }
        let Some(member) = self.members.get_mut(&port) else {
            self.admitted.remove(&port);
            return;
        };
        member.refusals += 1;
        if member.refusals < 3 {
            self.owe(port, " ");
        } else {
            self.end(shared, &[port], true, now);
        }
    }

    fn expires(&self, member: &Member) -> Option<u64> {
        let idle = self.idle.filter(|_| !member.is_session)?;
        let patience = match member.has_spoken {
            true => idle,
            false => idle.min(ADMITTED),
        };
        Some(member.received + patience)
    }

    fn take_claims(&mut self, which: impl Fn(&Claim) -> bool) -> Vec<Claim> {
        let (taken, left) = std::mem::take(&mut self.claims)
            .into_iter()
            .partition::<Vec<_>, _>(which);
        self.claims = left.into();
        taken
    }

    fn holder(&self, name: &str) -> Option<u16> {
        let mut members = self.members.iter();
        let holder = members.find(|(_, member)| member.name.eq_ignore_ascii_case(name));
        holder.map(|(port, _)| *port)
    }

    fn try_name(&mut self, shared: &SimState, port: u16, name: &str, now: u64) {
        if !self.admitted.contains_key(&port) {
            self.owe(port, "PASSWORD INCORRECT");
        } else if name.contains(' ') {
            self.owe(port, "USERNAME TAKEN");
        } else if let Some(holder) = self.holder(name) {
            let expires = self.expires(&self.members[&holder]);
            if expires.is_some_and(|at| at <= now) {
                self.end(shared, &[holder], true, now);
                self.try_name(shared, port, name, now);
            } else if is_session(holder) && self.claims.iter().all(|claim| claim.port != port) {
                self.owe(port, "USERNAME TAKEN");
            } else if self.claims.iter().all(|claim| claim.port != port) {
                self.claims.push_back(Claim {
                    port,
                    name: name.to_owned(),
                    holder,
                    until: now + CLAIM,
                });
                self.owe(holder, " ");
            }
        } else {
            self.admitted.remove(&port);
            self.owe(port, "USERNAME OK");
            self.enter(shared, port, name, now);
        }
    }

    fn rejoin(&mut self, shared: &SimState, port: u16, text: &str, now: u64) {
        let Some((name, _)) = self.lost.get(&port).cloned() else {
            return;
        };
        let is_word = !text.trim().is_empty() && text.trim() != "exit";
        if is_word && self.holder(&name).is_none() {
            self.enter(shared, port, &name, now);
            self.model(shared, port, text, now);
        }
    }

    fn enter(&mut self, shared: &SimState, port: u16, name: &str, now: u64) {
        let member = Member {
            name: name.to_owned(),
            is_session: is_session(port),
            received: now,
            has_spoken: false,
            refusals: 0,
        };
        let expires = self.expires(&member);
        self.search = [self.search, expires].into_iter().flatten().min();
        self.members.insert(port, member);
        self.expect_at_all(shared, &format!("{name} bergabung ke chatroom."));
    }

    fn relay(&mut self, shared: &SimState, port: u16, own: &str, text: &str, now: u64) {
        let said: String = text.chars().filter(|shown| !shown.is_control()).collect();
        if said.trim() == "exit" {
            return self.end(shared, &[port], false, now);
        }
        if said.trim().is_empty() {
            return;
        }
        let is_sent = match said.starts_with(&format!("{own}: ")) {
            true => self.expect_at_all(shared, &said),
            false => self.expect_at_all(shared, &format!("{own}: {said}")),
        };
        if !is_sent && is_session(port) {
            self.owe(port, "");
        }
    }

    fn end(&mut self, shared: &SimState, ports: &[u16], are_lost: bool, now: u64) {
        let mut lines = Vec::new();
        for port in ports {
            let Some(member) = self.members.remove(port) else {
                continue;
            };
            let line = format!("{} telah keluar dari chatroom.", member.name);
            self.lost.remove(port);
            if are_lost || is_session(*port) {
                self.owe(*port, &line);
            }
            if are_lost {
                self.lost.insert(*port, (member.name, now));
            }
            lines.push(line);
        }
        for line in lines {
            self.expect_at_all(shared, &line);
        }
        for port in ports {
            for claim in self.take_claims(|claim| claim.holder == *port) {
                self.try_name(shared, claim.port, &claim.name, now);
            }
        }
    }

    /// Expects a line at all members, or at none if the queue is full.
    fn expect_at_all(&mut self, shared: &SimState, line: &str) -> bool {
        shared.operator_model.borrow_mut().print(line);
        let members: Vec<u16> = self.members.keys().copied().collect();
        let fits = self.pending + members.len() <= self.limit;
        for port in members.into_iter().filter(|_| fits) {
            self.push(port, line);
        }
        fits
    }

    /// Expects a datagram at one address, unless the queue is full. That is no limit for a session.
    fn owe(&mut self, port: u16, text: &str) -> bool {
        let fits = self.pending < self.limit || is_session(port);
        if fits {
            self.push(port, text);
        }
        fits
    }

    fn push(&mut self, port: u16, text: &str) {
        self.pending += 1;
        let owed = self.owed.entry(port).or_default();
        owed.push_back(text.to_owned());
    }
}

fn cx<'a>(out: &'a mut SendQueue, posts: &'a mut Vec<Post>, now: u64) -> DatagramContext<'a> {
    DatagramContext { out, posts, now }
}
