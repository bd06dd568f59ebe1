//! Speaks the room service: a password, a name, and then every message goes to every member.
//! Sends nothing itself, and nothing to strangers beyond one short reply to each datagram.
//!
//! ```text
//!              PASSWORD right           USERNAME free
//!   stranger ─────────────────▶ admitted ─────────────▶ member ── exit, refused ──▶ stranger
//!      ▲                           │ 60 s
//!      └───────────────────────────┘
//! ```

use super::guests::{Credit, GuestLimits, Guests};
use crate::session::datagram::{DatagramCx, DatagramProtocol, Route};
use crate::wire::text;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use subtle::ConstantTimeEq;

/// Bounds of the room.
#[derive(Debug, Clone, Copy)]
pub struct RoomLimits {
    /// Bytes of a relayed message.
    pub message: usize,
    /// Characters of a name.
    pub name: usize,
    /// Members at once.
    pub members: usize,
    /// Messages a second of one member.
    pub rate: u32,
    /// Messages that may come at once after a silence.
    pub burst: u32,
    /// Strangers.
    pub guests: GuestLimits,
}

/// The chat room.
pub struct Room {
    password: Vec<u8>,
    limits: RoomLimits,
    members: HashMap<SocketAddr, Member>,
    /// Names by their key: they are unique without regard to case.
    names: HashMap<String, SocketAddr>,
    /// The routes to all members, shared with the copies that are on their way.
    routes: Rc<[Route]>,
    guests: Guests,
}

struct Member {
    name: Rc<str>,
    /// Copies leave from the address that the member asked last.
    route: Route,
    credit: Credit,
}

/// A millionth of a message is what a member with a rate of 1 earns in a microsecond.
const MESSAGE: u64 = 1_000_000;

impl RoomLimits {
    /// Takes the price of a message off a member's credit, if there is enough.
    fn pay(&self, member: &mut Credit, now: u64) -> bool {
        let earned = now
            .saturating_sub(member.filled)
            .saturating_mul(u64::from(self.rate));
        let most = u64::from(self.burst) * MESSAGE;
        member.credit = member.credit.saturating_add(earned).min(most);
        member.filled = now;
        let enough = member.credit >= MESSAGE;
        if enough {
            member.credit -= MESSAGE;
        }
        enough
    }
}

impl Room {
    /// An empty room behind a password.
    pub fn new(password: &str, limits: RoomLimits) -> Room {
        Room {
            // Blanks around what a stranger gives are no part of it.
            password: password.as_bytes().trim_ascii().to_vec(),
            limits,
            members: HashMap::new(),
            names: HashMap::new(),
            routes: Rc::new([]),
            guests: Guests::new(limits.guests),
        }
    }

    fn try_password(&mut self, from: Route, given: &[u8], cx: &mut DatagramCx<'_>) {
        if self.guests.is_ignored(from.peer.ip(), cx.now) {
            return;
        }
        if bool::from(self.password.as_slice().ct_eq(given)) {
            self.guests.admit(from.peer, cx.now);
            cx.out.to_one(b"PASSWORD OK", from);
        } else {
            if self.guests.count_failure(from.peer.ip(), cx.now) {
                log::warn!(
                    "room: {} tried too many passwords and is ignored",
                    from.peer.ip()
                );
            }
            cx.out.to_one(b"PASSWORD INCORRECT", from);
        }
    }

    fn try_name(&mut self, from: Route, name: &str, cx: &mut DatagramCx<'_>) {
        if !self.guests.is_admitted(from.peer, cx.now) {
            if !self.guests.is_ignored(from.peer.ip(), cx.now) {
                cx.out.to_one(b"PASSWORD INCORRECT", from);
            }
            return;
        }
        let key = key(name);
        let is_free = !self.names.contains_key(&key) && self.members.len() < self.limits.members;
        if !self.is_name(name) || !is_free {
            cx.out.to_one(b"USERNAME TAKEN", from);
            return;
        }
        let mut credit = Credit {
            credit: u64::from(self.limits.burst) * MESSAGE,
            filled: cx.now,
        };
        // Coming back is announced to all and costs what a message does, out of what was left at
        // going: a rate that began anew with each coming would be none.
        if let Some(left) = self.guests.remembered(from.peer, cx.now) {
            credit = left;
            if !self.limits.pay(&mut credit, cx.now) {
                return cx.out.drop_one();
            }
        }
        self.guests.forget(from.peer);
        self.names.insert(key, from.peer);
        let member = Member {
            name: name.into(),
            route: from,
            credit,
        };
        self.members.insert(from.peer, member);
        self.gather();
        // The answer leaves before the notice: a textbook client takes the first datagram for it.
        cx.out.to_one(b"USERNAME OK", from);
        self.tell_all(&format!("{name} bergabung ke chatroom."), cx);
    }

    fn is_name(&self, name: &str) -> bool {
        let length = name.chars().count();
        let fits = (1..=self.limits.name).contains(&length);
        // What would be left out of a message must not be in front of one.
        fits && !name.chars().any(char::is_whitespace) && text::clean(name.as_bytes()) == name
    }

    /// The routes have changed; copies that are on their way keep the old ones.
    fn gather(&mut self) {
        self.routes = self.members.values().map(|member| member.route).collect();
    }

    fn tell_all(&self, line: &str, cx: &mut DatagramCx<'_>) {
        cx.out.to_many(line.as_bytes(), &self.routes);
        cx.print(line);
    }

    fn relay(&mut self, from: Route, bytes: &[u8], cx: &mut DatagramCx<'_>) {
        // A line feed would begin a line that looks like another member's.
        let line: Vec<u8> = bytes
            .iter()
            .map(|&byte| if byte == b'\n' { b' ' } else { byte })
            .collect();
        let said = text::clean(&line);
        if said.trim().eq_ignore_ascii_case("exit") {
            return self.leave(from.peer, cx);
        }
        if said.trim().is_empty() {
            return;
        }
        let member = self.members.get_mut(&from.peer).expect("it is a member");
        if !self.limits.pay(&mut member.credit, cx.now) {
            return cx.out.drop_one();
        }
        let has_moved = std::mem::replace(&mut member.route, from) != from;
        let name = &member.name;
        let own = said
            .strip_prefix(&**name)
            .is_some_and(|rest| rest.starts_with(": "));
        let line = if own { said } else { format!("{name}: {said}") };
        if has_moved {
            self.gather();
        }
        self.tell_all(cut(&line, self.limits.message), cx);
    }

    fn leave(&mut self, from: SocketAddr, cx: &mut DatagramCx<'_>) {
        let Some(member) = self.members.remove(&from) else {
            return;
        };
        self.guests.remember(from, member.credit, cx.now);
        self.names.remove(&key(&member.name));
        self.gather();
        self.tell_all(&format!("{} telah keluar dari chatroom.", member.name), cx);
    }
}

impl DatagramProtocol for Room {
    fn on_datagram(&mut self, from: Route, bytes: &[u8], cx: &mut DatagramCx<'_>) {
        let bytes = match bytes.get(..self.limits.message) {
            Some(most) if bytes.len() > most.len() => &most[..text::complete_prefix(most)],
            _ => bytes,
        };
        let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        let member = self
            .members
            .get(&from.peer)
            .map(|member| member.name.clone());
        let name = bytes.strip_prefix(b"USERNAME ").map(<[u8]>::trim_ascii);
        if let Some(password) = bytes.strip_prefix(b"PASSWORD ").map(<[u8]>::trim_ascii) {
            // Also of a member, whose answer was lost: nobody wants it relayed.
            return match member {
                Some(_) => drop(cx.out.to_one(b"PASSWORD OK", from)),
                None => self.try_password(from, password, cx),
            };
        }
        match (member, name) {
            (Some(own), Some(name)) if name == own.as_bytes() => {
                // The answer was lost, and is asked for again.
                cx.out.to_one(b"USERNAME OK", from);
            }
            (Some(_), _) => self.relay(from, bytes, cx),
            (None, Some(name)) => self.try_name(from, &String::from_utf8_lossy(name), cx),
            (None, None) => {}
        }
    }

    fn on_refused(&mut self, to: SocketAddr, cx: &mut DatagramCx<'_>) {
        self.leave(to, cx);
    }
}

/// The same for names that differ in case alone. Upper case first: it brings together what lower
/// case keeps apart, both forms of sigma, or the sharp s and its two letters.
fn key(name: &str) -> String {
    name.chars()
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .collect()
}

/// At most so many bytes, without cutting a character.
fn cut(line: &str, most: usize) -> &str {
    &line[..line.floor_char_boundary(most)]
}
