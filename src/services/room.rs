//! Speaks the room service: a password, a name, and then every message goes to every member.
//! Sends nothing to strangers beyond one short reply to each datagram.
//!
//! ```text
//!              PASSWORD right           USERNAME free                exit
//!   stranger ─────────────────▶ admitted ─────────────▶ member ─────────────────▶ stranger
//!      ▲                           │ 60 s               ▲    │ silent, refuses
//!      └───────────────────────────┘           a message│    ▼
//!                                                       └── lost ── 1 hour ─────▶ stranger
//! ```
//!
//! # A name that is taken
//!
//! A client that was killed says no `exit`. A claim to the name of a member is answered only when
//! the member has been probed with a datagram of one blank: if the member's host refuses it three
//! times without a word from the member in between, the member is lost and the claim is granted.
//! Otherwise the claim gets `USERNAME TAKEN`, after half a second or with the member's next word.
//!
//! # What a blind spoofer can do
//!
//! A blind spoofer sends datagrams with the address of another host, and sees no answer to them.
//! A textbook client sends back nothing that it was sent, so that no challenge can tell the two
//! apart. The room limits what a forged address is worth instead.
//!
//! Without the password a spoofer can neither join nor have anything sent to others; it gets its
//! victim one answer of at most 20 bytes more than it sent. Ten wrong passwords in the name of a
//! network close the door to that network for a minute; its members stay in. If it guesses the
//! port of a member, it can speak as that member, also say `exit`, or forge three refusals: the
//! source address of a datagram is all the proof that the protocol has. Nothing here helps against
//! a spoofer that reads the datagrams on their way: the password travels in clear text.
//!
//! With the password a spoofer can make a foreign address a member, which is then sent all that is
//! said. That ends when the foreign host refuses: a refused `PASSWORD OK` takes the admission
//! back, and three refusals the membership. A host that stays silent is dropped after a minute,
//! since it never sent anything after joining. A spoofer that keeps sending in its name keeps it
//! in: at most 64 addresses of a network (`--room-per-address`), which share a rate.

pub mod networks;
pub mod strangers;
pub mod token_bucket;

use crate::session::datagram::{DatagramContext, DatagramProtocol, Route};
use crate::session::log_limit::LogLimit;
use crate::wire::text::{self, is_hidden, steers};
use networks::{NetworkLimits, Networks};
use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::rc::Rc;
use strangers::{Left, StrangerLimits, Strangers};
use token_bucket::{Rate, TokenBucket};

/// Bounds of the room. Times are in microseconds.
#[derive(Debug, Clone, Copy)]
pub struct RoomLimits {
    /// Bytes of a relayed message.
    pub message: usize,
    /// Characters of a name.
    pub name: usize,
    /// Members at once.
    pub members: usize,
    /// Messages of one member a second.
    pub rate: u32,
    /// A member may send this many times its rate at once after a silence.
    pub burst: u32,
    /// Members of one client network.
    pub per_address: u32,
    /// The members of one client network share the rate of this part of its places.
    pub share: u32,
    /// Networks that hold something are swept from this number on.
    pub few_networks: usize,
    /// How long a member may be silent; `None` is for ever.
    pub idle: Option<u64>,
    /// How long a member may be silent that never sent anything after joining, if that is less.
    pub unheard: u64,
    /// Refused datagrams in a row that end a membership.
    pub refusals: u32,
    /// How long a claim to a taken name waits for the probe of its holder.
    pub claim: u64,
    /// Claims at once.
    pub claims: usize,
    /// The pause between two searches for silent members.
    pub search_pause: u64,
    /// Strangers.
    pub strangers: StrangerLimits,
}

impl RoomLimits {
    /// What a number of members may send together.
    fn rate_of(&self, members: u32) -> Rate {
        let per_second = self.rate.saturating_mul(members);
        Rate {
            per_second,
            burst: per_second.saturating_mul(self.burst),
        }
    }

    fn network(&self) -> NetworkLimits {
        NetworkLimits {
            places: self.per_address as usize,
            messages: self.rate_of((self.per_address / self.share).max(1)),
            // All of a class may join at once.
            joins: Rate {
                per_second: self.rate,
                burst: self.rate_of(1).burst.max(self.per_address),
            },
            few: self.few_networks,
        }
    }
}

/// The chat room.
pub struct Room {
    password: Vec<u8>,
    limits: RoomLimits,
    /// Of one member.
    rate: Rate,
    members: HashMap<SocketAddr, Member>,
    /// Names by their key: they are unique as a person sees them.
    names: HashMap<String, SocketAddr>,
    /// The routes to all members, shared with the copies that are on their way.
    routes: Rc<[Route]>,
    networks: Networks,
    strangers: Strangers,
    /// At most so many as the limits say, the oldest in front: all wait equally long.
    claims: VecDeque<Claim>,
    /// When the members are searched for silent ones.
    search: Option<u64>,
    /// Log lines that any stranger can cause.
    ignored: LogLimit,
    refused: LogLimit,
}

struct Member {
    name: Rc<str>,
    /// Copies leave from the address that the member asked last.
    route: Route,
    bucket: TokenBucket,
    /// When it joined or sent something last.
    heard: u64,
    /// Whether it has sent anything since it joined.
    has_spoken: bool,
    /// Datagrams that its host refused since then.
    refusals: u32,
}

/// A stranger that wants a name which a member has, while that member is probed.
struct Claim {
    /// The stranger.
    from: Route,
    name: String,
    /// The member.
    holder: SocketAddr,
    /// When the claim fails.
    until: u64,
}

/// How a membership ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// With `exit`.
    Left,
    /// Its address refuses, or it has been silent for too long.
    Lost,
}

/// What the holder of a claimed name is sent. It is no message: those begin with a name. Trap: a
/// datagram of no bytes would do, but many a client takes that for the end of a stream.
pub const PROBE: &[u8] = b" ";

impl Member {
    /// When it has been silent for too long.
    fn expires(&self, limits: &RoomLimits) -> Option<u64> {
        let idle = limits.idle?;
        let patience = match self.has_spoken {
            true => idle,
            false => idle.min(limits.unheard),
        };
        Some(self.heard.saturating_add(patience))
    }

    fn is_silent(&self, limits: &RoomLimits, now: u64) -> bool {
        self.expires(limits).is_some_and(|at| at <= now)
    }
}

impl Room {
    /// An empty room behind a password.
    pub fn new(password: &str, limits: RoomLimits) -> Room {
        Room {
            // Blanks around what a stranger gives are no part of it.
            password: password.as_bytes().trim_ascii().to_vec(),
            rate: limits.rate_of(1),
            members: HashMap::new(),
            names: HashMap::new(),
            routes: Rc::new([]),
            networks: Networks::new(limits.network()),
            strangers: Strangers::new(limits.strangers, limits.per_address as usize),
            claims: VecDeque::new(),
            search: None,
            ignored: LogLimit::new(1),
            refused: LogLimit::new(1),
            limits,
        }
    }

    fn enter(
        &mut self,
        route: Route,
        name: &str,
        bucket: TokenBucket,
        cx: &mut DatagramContext<'_>,
    ) {
        let member = Member {
            name: name.into(),
            route,
            bucket,
            heard: cx.now,
            has_spoken: false,
            refusals: 0,
        };
        if let Some(expires) = member.expires(&self.limits) {
            self.search = Some(self.search.map_or(expires, |search| search.min(expires)));
        }
        self.networks.enter(route.peer.ip(), cx.now);
        self.names.insert(text::name_key(name), route.peer);
        self.members.insert(route.peer, member);
        self.gather();
        self.tell_all(&format!("{name} bergabung ke chatroom."), cx);
    }

    /// The routes have changed; copies that are on their way keep the old ones.
    fn gather(&mut self) {
        self.routes = self.members.values().map(|member| member.route).collect();
    }

    fn tell_all(&mut self, line: &str, cx: &mut DatagramContext<'_>) {
        cx.out.to_many(line.as_bytes(), &self.routes);
        cx.print(line);
    }

    /// Takes the price of a message out of the buckets of a member and of its network.
    fn pay(&mut self, from: SocketAddr, cx: &mut DatagramContext<'_>) -> bool {
        let member = self.members.get_mut(&from).expect("it is a member");
        let pays = member.bucket.pay(self.rate, cx.now);
        let pays = pays && self.networks.pay(from.ip(), cx.now);
        if !pays {
            cx.out.count_dropped();
        }
        pays
    }

    fn hear_member(
        &mut self,
        from: Route,
        words: Words<'_>,
        bytes: &[u8],
        cx: &mut DatagramContext<'_>,
    ) {
        let name = self.members[&from.peer].name.clone();
        // Answers that were lost are asked for again. They are not relayed, but have their price.
        let again: &[u8] = match words {
            Words::Password(_) => b"PASSWORD OK",
            Words::Name(own) if *own == *name => b"USERNAME OK",
            Words::Name(_) | Words::Text => return self.relay(from, bytes, cx),
        };
        if self.pay(from.peer, cx) {
            cx.out.to_one(again, from);
        }
    }

    fn relay(&mut self, from: Route, bytes: &[u8], cx: &mut DatagramContext<'_>) {
        let said = one_line(bytes);
        if is_exit(&said) {
            return self.end(&[from.peer], Ending::Left, cx);
        }
        if said.trim().is_empty() || !self.pay(from.peer, cx) {
            return;
        }
        let member = self.members.get_mut(&from.peer).expect("it is a member");
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

    /// Ends memberships, all at once: those that go are not told of each other.
    fn end(&mut self, addresses: &[SocketAddr], how: Ending, cx: &mut DatagramContext<'_>) {
        let mut names = Vec::new();
        for address in addresses {
            let Some(member) = self.members.remove(address) else {
                continue;
            };
            self.names.remove(&text::name_key(&member.name));
            self.networks.leave(address.ip());
            if how == Ending::Lost {
                // A person that only listens learns why nothing comes any more.
                let line = leaving(&member.name);
                cx.out.to_one(line.as_bytes(), member.route);
            }
            let left = Left {
                bucket: member.bucket,
                name: (how == Ending::Lost).then(|| member.name.clone()),
            };
            self.strangers.remember(*address, left, cx.now);
            names.push(member.name);
        }
        if names.is_empty() {
            return;
        }
        self.gather();
        for name in names {
            self.tell_all(&leaving(&name), cx);
        }
        for address in addresses {
            for claim in self.take_claims(*address) {
                self.try_name(claim.from, &claim.name, cx);
            }
        }
    }

    /// The claims to the name of a member, the oldest first.
    fn take_claims(&mut self, holder: SocketAddr) -> VecDeque<Claim> {
        let claims = std::mem::take(&mut self.claims).into_iter();
        let (taken, left) = claims.partition(|claim| claim.holder == holder);
        self.claims = left;
        taken
    }

    fn end_silent(&mut self, cx: &mut DatagramContext<'_>) {
        let silent = |member: &&Member| member.is_silent(&self.limits, cx.now);
        let mut gone: Vec<_> = self.members.values().filter(silent).collect();
        gone.sort_by_key(|member| (member.heard, member.route.peer));
        let gone: Vec<_> = gone.iter().map(|member| member.route.peer).collect();
        self.end(&gone, Ending::Lost, cx);
        let expires = |member: &Member| member.expires(&self.limits);
        let next = self.members.values().filter_map(expires).min();
        self.search = next.map(|next| next.max(cx.now + self.limits.search_pause));
    }
}

impl DatagramProtocol for Room {
    fn on_datagram(&mut self, from: Route, bytes: &[u8], cx: &mut DatagramContext<'_>) {
        let bytes = match bytes.get(..self.limits.message) {
            Some(most) if bytes.len() > most.len() => &most[..text::complete_prefix(most)],
            _ => bytes,
        };
        let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        let words = Words::of(bytes);
        let Some(member) = self.members.get_mut(&from.peer) else {
            return match words {
                Words::Password(password) => self.try_password(from, password, cx),
                Words::Name(name) => self.try_name(from, &name, cx),
                Words::Text => self.come_back(from, bytes, cx),
            };
        };
        (member.heard, member.has_spoken, member.refusals) = (cx.now, true, 0);
        self.hear_member(from, words, bytes, cx);
        if self.members.contains_key(&from.peer) {
            for claim in self.take_claims(from.peer) {
                cx.out.to_one(b"USERNAME TAKEN", claim.from);
            }
        }
    }

    fn on_refused(&mut self, to: SocketAddr, cx: &mut DatagramContext<'_>) {
        let Some(member) = self.members.get_mut(&to) else {
            return self.strangers.forget(to);
        };
        // One refusal is easily forged; the next comes at once where the port is closed.
        member.refusals += 1;
        if member.refusals < self.limits.refusals {
            cx.out.to_one(PROBE, member.route);
        } else {
            self.end(&[to], Ending::Lost, cx);
        }
    }

    fn next_due(&self) -> Option<u64> {
        let claim = self.claims.front().map(|claim| claim.until);
        [claim, self.search].into_iter().flatten().min()
    }

    fn on_time(&mut self, cx: &mut DatagramContext<'_>) {
        let is_due = |claim: &&Claim| claim.until <= cx.now;
        while let Some(claim) = self.claims.front().filter(is_due) {
            cx.out.to_one(b"USERNAME TAKEN", claim.from);
            self.claims.pop_front();
        }
        if self.search.is_some_and(|search| search <= cx.now) {
            self.end_silent(cx);
        }
    }
}

/// What a datagram says.
enum Words<'a> {
    /// The password is given.
    Password(&'a [u8]),
    /// A name is chosen.
    Name(String),
    /// Anything else.
    Text,
}

impl<'a> Words<'a> {
    /// Blanks around a name or a password are no part of it, and neither is what a name would
    /// lose in a message. Characters that steer stay: they make it invalid.
    fn of(bytes: &'a [u8]) -> Words<'a> {
        if let Some(password) = bytes.strip_prefix(b"PASSWORD ") {
            Words::Password(password.trim_ascii())
        } else if let Some(name) = bytes.strip_prefix(b"USERNAME ") {
            let name = String::from_utf8_lossy(name);
            let name = name.replace(|letter| is_hidden(letter) && !steers(letter), "");
            Words::Name(name.trim_ascii().to_owned())
        } else {
            Words::Text
        }
    }
}

/// The notice that a member is gone.
fn leaving(name: &str) -> String {
    format!("{name} telah keluar dari chatroom.")
}

/// What is shown of a message. A line feed would begin a line that looks like another member's.
fn one_line(bytes: &[u8]) -> String {
    let blank = |&byte: &u8| if byte == b'\n' { b' ' } else { byte };
    text::clean(&bytes.iter().map(blank).collect::<Vec<_>>())
}

/// Whether a member wants to leave.
fn is_exit(said: &str) -> bool {
    said.trim().eq_ignore_ascii_case("exit")
}

/// At most this number of bytes, without cutting a character.
fn cut(line: &str, most: usize) -> &str {
    &line[..line.floor_char_boundary(most)]
}

/// A line that strangers cause.
fn warn(limit: &mut LogLimit, now: u64, line: &str) {
    match limit.pass(now) {
        None => {}
        Some(0) => log::warn!("room: {line}"),
        Some(more) => log::warn!("room: {line}; {more} like it were not logged"),
    }
}
