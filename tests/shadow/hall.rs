//! Drives the room's production logic as its socket's turn does, beside a model of who is in it.
//! Opens no socket: datagrams come from the seed, and copies are checked where they would leave.

use super::engine::Engine;
use super::plan::Plan;
use super::random::Random;
use super::shared::{Mood, Shared};
use super::trace::Event;
use loket::config;
use loket::services::room::Room;
use loket::session::datagram::{Copies, DatagramCx, DatagramProtocol};
use loket::session::notice::Post;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::rc::Rc;

/// So many addresses speak to the room.
const SPEAKERS: u16 = 6;

/// How long a password counts without a name, in microseconds.
const ADMITTED: u64 = 60_000_000;

/// The room, its queue of copies and the model of both.
pub struct Hall {
    room: Room,
    out: Copies,
    limit: usize,
    per_turn: usize,
    arrived: VecDeque<(u16, Vec<u8>)>,
    members: BTreeMap<u16, String>,
    admitted: BTreeMap<u16, u64>,
    /// Wrong passwords; nobody tries so many that it would be ignored.
    failures: BTreeMap<u16, u32>,
    /// What each address must get, in this order.
    owed: BTreeMap<u16, VecDeque<String>>,
    pending: usize,
    closed: bool,
}

/// Every speaker has a host of its own.
fn address(port: u16) -> SocketAddr {
    ([127, 0, 1, port as u8], port).into()
}

impl Hall {
    /// An empty room.
    pub fn new(random: &Random, plan: &Plan) -> Hall {
        let limit = random.pick(&[3, 20, 10_000]);
        Hall {
            room: Room::new("sesame", config::room_limits(1_000_000)),
            out: Copies::new(limit),
            limit,
            per_turn: plan.limits.accepts_per_turn,
            arrived: VecDeque::new(),
            members: BTreeMap::new(),
            admitted: BTreeMap::new(),
            failures: BTreeMap::new(),
            owed: BTreeMap::new(),
            pending: 0,
            closed: false,
        }
    }

    /// A datagram arrives.
    pub fn hear(&mut self, shared: &Shared) {
        let random = &shared.random;
        let port = random.within(1..=usize::from(SPEAKERS)) as u16;
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
        if !self.closed {
            self.arrived.push_back((port, text.into_bytes()));
        }
    }

    /// Whether a turn would do anything.
    pub fn has_turn(&self) -> bool {
        self.pending > 0 || !self.arrived.is_empty()
    }

    /// The socket is closed.
    pub fn close(&mut self) {
        self.closed = true;
        self.arrived.clear();
        self.pending = 0;
    }

    /// Sends and reads, as much as a turn may.
    pub fn turn(&mut self, shared: &Shared, posts: &mut Vec<Post>) {
        if self.closed {
            return;
        }
        self.send(shared);
        for _ in 0..self.per_turn {
            if shared.strikes(shared.plan.mischief.would_block) {
                break;
            }
            let Some((port, bytes)) = self.arrived.pop_front() else {
                break;
            };
            let now = shared.now.get().0;
            self.model(shared, port, &String::from_utf8_lossy(&bytes), now);
            let mut cx = DatagramCx {
                out: &mut self.out,
                posts,
                now,
            };
            self.room.on_datagram(address(port).into(), &bytes, &mut cx);
            assert_eq!(self.out.pending(), self.pending, "copies of {port}'s words");
        }
        if shared.mood.get() == Mood::Wild && shared.random.chance(2) {
            let port = shared.random.within(1..=usize::from(SPEAKERS)) as u16;
            self.leave(shared, port);
            let mut cx = DatagramCx {
                out: &mut self.out,
                posts,
                now: shared.now.get().0,
            };
            self.room.on_refused(address(port), &mut cx);
        }
        self.send(shared);
    }

    fn send(&mut self, shared: &Shared) {
        for _ in 0..self.per_turn {
            let blocked = shared.strikes(shared.plan.mischief.would_block);
            let Some((bytes, to)) = self.out.front().filter(|_| !blocked) else {
                return;
            };
            let owed = self
                .owed
                .get_mut(&to.peer.port())
                .and_then(VecDeque::pop_front);
            assert_eq!(owed.as_deref().map(str::as_bytes), Some(bytes), "to {to:?}");
            self.out.advance();
            self.pending -= 1;
        }
    }

    /// What the room must do with a datagram.
    fn model(&mut self, shared: &Shared, port: u16, text: &str, now: u64) {
        let text = text.strip_suffix('\n').unwrap_or(text);
        self.admitted.retain(|_, since| *since + ADMITTED > now);
        let member = self.members.get(&port).cloned();
        match (member, text.split_once(' ')) {
            (Some(_), Some(("PASSWORD", _))) => self.owe(&[port], "PASSWORD OK"),
            (None, Some(("PASSWORD", "sesame"))) => {
                self.admitted.insert(port, now);
                self.owe(&[port], "PASSWORD OK");
            }
            (None, Some(("PASSWORD", _))) => self.owe(&[port], "PASSWORD INCORRECT"),
            (Some(own), Some(("USERNAME", name))) if name == own => {
                self.owe(&[port], "USERNAME OK");
            }
            (Some(own), _) => self.relay(shared, port, &own, text),
            (None, Some(("USERNAME", name))) => self.join(shared, port, name),
            (None, _) => {}
        }
    }

    fn join(&mut self, shared: &Shared, port: u16, name: &str) {
        if !self.admitted.contains_key(&port) {
            return self.owe(&[port], "PASSWORD INCORRECT");
        }
        let mut names = self.members.values();
        if name.contains(' ') || names.any(|other| other.eq_ignore_ascii_case(name)) {
            return self.owe(&[port], "USERNAME TAKEN");
        }
        self.admitted.remove(&port);
        self.members.insert(port, name.to_owned());
        self.owe(&[port], "USERNAME OK");
        self.tell_all(shared, &format!("{name} bergabung ke chatroom."));
    }

    fn relay(&mut self, shared: &Shared, port: u16, own: &str, text: &str) {
        let said: String = text.chars().filter(|shown| !shown.is_control()).collect();
        if said.trim() == "exit" {
            return self.leave(shared, port);
        }
        if said.trim().is_empty() {
            return;
        }
        match said.starts_with(&format!("{own}: ")) {
            true => self.tell_all(shared, &said),
            false => self.tell_all(shared, &format!("{own}: {said}")),
        }
    }

    fn leave(&mut self, shared: &Shared, port: u16) {
        if let Some(name) = self.members.remove(&port) {
            self.tell_all(shared, &format!("{name} telah keluar dari chatroom."));
        }
    }

    fn tell_all(&mut self, shared: &Shared, line: &str) {
        let members: Vec<u16> = self.members.keys().copied().collect();
        self.owe(&members, line);
        shared.screen.borrow_mut().print(line);
    }

    /// All of them get it, or nobody.
    fn owe(&mut self, to: &[u16], text: &str) {
        if self.pending + to.len() > self.limit {
            return;
        }
        self.pending += to.len();
        for port in to {
            self.owed
                .entry(*port)
                .or_default()
                .push_back(text.to_owned());
        }
    }
}

impl Engine {
    /// The room's socket has its turn, between the clock and the round.
    pub fn serve_hall(&mut self) {
        let shared: Rc<Shared> = self.shared.clone();
        self.hall.turn(&shared, self.dispatcher.posts());
        self.dispatcher.deliver();
    }
}
