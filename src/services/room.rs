//! The room service: a client sends the password and a name; then it gets every message.
//! A stranger, a client that is no member, gets at most one short reply to each datagram.
//! A client is a UDP socket, or a session of this server that posts its datagrams.
//!
//! ```text
//!              PASSWORD right           USERNAME free         exit, end of session
//!   stranger ─────────────────▶ admitted ─────────────▶ member ─────────────────▶ stranger
//!      ▲                           │ 60 s               ▲    │ silence, port closed
//!      └───────────────────────────┘           a message│    ▼
//!                                                       └── lost ── 1 hour ─────▶ stranger
//! ```
//!
//! # A name that is taken
//!
//! A client that was killed sends no `exit`. Before a claim to the name of a member is answered,
//! the member is probed with a datagram of one blank. If the member's host refuses it three times
//! (ICMP port unreachable) and the member sends nothing meanwhile, the member is lost and the claim
//! succeeds. Otherwise the claim gets `USERNAME TAKEN`, after half a second or with the member's
//! next datagram.
//!
//! # Sessions
//!
//! The rules are the same for a session, but for what follows from its TCP connection: its address
//! is not forged, and the room is notified of its end. So it leaves at once when it ends, it does
//! not expire, a claim to its name fails without a probe, and each of its datagrams is answered:
//! with an empty datagram if it was dropped, and with the leave notice if it was `exit`.
//!
//! # What a blind spoofer can do
//!
//! A blind spoofer sends datagrams with the source address of another host and does not see the
//! answers. Textbook clients echo no challenge, so that the protocol cannot verify an address. The
//! room limits the damage instead.
//!
//! Without the password, a spoofer can neither join nor send anything to members. Its victim gets
//! one answer to each datagram, at most 20 bytes longer than that datagram. Ten wrong passwords
//! with addresses of one network block new members from that network for a minute; its members
//! stay. A spoofer that guesses the port of a member can send messages and `exit` as that member,
//! or forge three refusals: the protocol has no proof other than the source address. Nothing
//! protects against an attacker that reads the datagrams: the password is sent in clear text.
//!
//! With the password, a spoofer can make a foreign address a member, which then gets every message.
//! That ends when the foreign host refuses datagrams: a refused `PASSWORD OK` revokes the
//! admission, and three refusals end the membership. A silent host is removed after a minute,
//! because it sent nothing after joining. A spoofer that keeps sending with its address keeps it a
//! member: at most 64 addresses of a network (`--room-per-address`), which share a rate.

pub mod elsewhere;
pub mod history;
pub mod limits;
pub mod linked;
pub mod networks;
pub mod request;
pub mod stored_lines;
pub mod strangers;
pub mod token_bucket;
pub mod view;

use crate::session::datagram::{DatagramContext, DatagramProtocol, Route};
use crate::session::log_limit::LogLimit;
use crate::session::notice::{Datagram, Deed, Denial};
use crate::session::peer::Peer;
use crate::wire::text;
use limits::RoomLimits;
use linked::LinkedRoom;
use networks::Networks;
use request::{Request, cut, is_exit, line_of, one_line};
use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::fmt::Display;
use std::net::SocketAddr;
use std::rc::Rc;
use strangers::{FormerMember, Strangers};
use token_bucket::{Rate, TokenBucket};
use view::{RoomView, about};

/// The chat room.
pub struct Room {
    password: Vec<u8>,
    limits: RoomLimits,
    /// The rate of one member.
    rate: Rate,
    members: HashMap<Peer, Member>,
    /// Members by the key of their name: names that look the same have one key.
    names: HashMap<String, Peer>,
    /// What sessions may look at.
    view: Rc<RefCell<RoomView>>,
    /// The routes to all members, shared with the copies that are not sent yet.
    routes: Rc<[Route]>,
    networks: Networks,
    strangers: Strangers,
    /// The members on other servers, if there is a link to them.
    linked: Option<LinkedRoom>,
    /// Pending claims, the oldest first: all have the same timeout.
    claims: VecDeque<Claim>,
    /// Time of the next search for silent members.
    search: Option<u64>,
    /// Limits for log lines that any stranger can cause.
    ignored: LogLimit,
    refused: LogLimit,
}

struct Member {
    name: Rc<str>,
    /// Copies are sent from the local address that the member used last.
    route: Route,
    bucket: TokenBucket,
    /// Time of its last datagram, or of its joining.
    heard: u64,
    /// Whether it has sent anything since it joined.
    has_spoken: bool,
    /// Datagrams that its host refused since that time.
    refusals: u32,
    /// The number of its join notice.
    joined_at: u64,
}

/// A request for the name of a member, pending while that member is probed.
struct Claim {
    /// The stranger.
    from: Route,
    name: String,
    /// The member.
    holder: Peer,
    /// Time at which the claim fails.
    until: u64,
}

/// How a membership ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum LeaveReason {
    /// With `exit`, or with the end of its session.
    Left,
    /// Its host refuses datagrams, or it was silent for too long.
    Lost,
    /// Another server has its name.
    NameLost,
}

/// The probe of a member. It is not a message: those begin with a name. Trap: many clients take an
/// empty datagram for the end of a stream, so that it has one byte.
pub const PROBE: &[u8] = b" ";

impl Member {
    /// Time at which it is removed if it stays silent. A session does not expire: its address is
    /// not forged, and the room is notified of its end.
    fn expires(&self, limits: &RoomLimits) -> Option<u64> {
        let idle = limits.idle.filter(|_| !self.route.peer.is_session())?;
        let timeout = match self.has_spoken {
            true => idle,
            false => idle.min(limits.newcomer_idle),
        };
        Some(self.heard.saturating_add(timeout))
    }

    fn has_expired(&self, limits: &RoomLimits, now: u64) -> bool {
        self.expires(limits).is_some_and(|at| at <= now)
    }
}

impl Room {
    /// An empty room with this password.
    pub fn new(password: &str, limits: RoomLimits) -> Room {
        Room {
            // The password in a request is trimmed, too.
            password: password.as_bytes().trim_ascii().to_vec(),
            rate: limits.rate_of(1),
            members: HashMap::new(),
            names: HashMap::new(),
            view: Rc::new(RefCell::new(RoomView::new(
                limits.kept_lines,
                limits.history,
            ))),
            routes: Rc::new([]),
            networks: Networks::new(limits.network()),
            strangers: Strangers::new(limits.strangers, limits.per_address as usize),
            linked: None,
            claims: VecDeque::new(),
            search: None,
            ignored: LogLimit::new(1),
            refused: LogLimit::new(1),
            limits,
        }
    }

    /// The room with members on other servers.
    pub fn with_link(mut self, linked: LinkedRoom) -> Room {
        self.linked = Some(linked);
        self
    }

    /// The names of the members and the last lines, at any time.
    pub fn view(&self) -> Rc<RefCell<RoomView>> {
        self.view.clone()
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
            joined_at: self.view.borrow().next(),
        };
        if let Some(expires) = member.expires(&self.limits) {
            self.search = Some(self.search.map_or(expires, |search| search.min(expires)));
        }
        self.networks.enter(route.peer.ip(), cx.now);
        self.names.insert(text::name_key(name), route.peer);
        let shown = member.name.clone();
        self.view.borrow_mut().names.insert(shown);
        self.members.insert(route.peer, member);
        self.update_routes();
        self.announce(&join_notice(name), name, Deed::Entered, cx);
    }

    /// Rebuilds the list of routes. Copies that are not sent yet keep the old list.
    fn update_routes(&mut self) {
        self.routes = self.members.values().map(|member| member.route).collect();
    }

    /// Sends all members a line that begins with the name of a member of this server. Returns
    /// whether there was room in the queue.
    fn announce(
        &mut self,
        line: &str,
        name: &str,
        deed: Deed,
        cx: &mut DatagramContext<'_>,
    ) -> bool {
        let fits = self.show(line, name, deed, cx);
        if let Some(linked) = self.linked.as_mut().filter(|_| fits) {
            let is_stored = linked.publish(name, deed, line, cx);
            if !is_stored {
                self.view.borrow_mut().history.keep_unsent();
            }
        }
        fits
    }

    /// The same with a member of any server, for the members of this one.
    fn show(&mut self, line: &str, name: &str, deed: Deed, cx: &mut DatagramContext<'_>) -> bool {
        cx.print(line);
        let text = self.view.borrow_mut().add(line, name, deed);
        cx.out.to_many(text, &self.routes)
    }

    /// Takes a message from the token buckets of a member and of its network.
    fn charge(&mut self, from: Peer, cx: &mut DatagramContext<'_>) -> bool {
        let member = self.members.get_mut(&from).expect("it is a member");
        let pays = member.bucket.take(self.rate, cx.now);
        let pays = pays && self.networks.take_message(from.ip(), cx.now);
        if !pays {
            cx.out.count_dropped();
            self.say_dropped(from, cx);
        }
        pays
    }

    /// A session gets an empty datagram in place of its message.
    fn say_dropped(&self, from: Peer, cx: &mut DatagramContext<'_>) {
        if from.is_session() {
            let text = Datagram::denied(b"", Denial::TooOften);
            cx.out.to_one(text, from);
        }
    }

    fn on_member(
        &mut self,
        from: Route,
        request: Request<'_>,
        bytes: &[u8],
        cx: &mut DatagramContext<'_>,
    ) {
        let name = self.members[&from.peer].name.clone();
        // The first answer was lost: the request is repeated. It costs a message.
        let (again, blanks): (&[u8], usize) = match request {
            Request::Password(_) => (b"PASSWORD OK", 0),
            Request::Name(own) if *own == *name => {
                let blanks = bytes.len() - bytes.trim_ascii_end().len();
                (b"USERNAME OK", blanks)
            }
            Request::Name(_) | Request::Text => return self.relay(from, bytes, cx),
        };
        if self.charge(from.peer, cx) {
            // Before the answer, which tells the client that it has them all.
            let most = bytes.len().saturating_sub(again.len()).min(blanks);
            self.show_history(from, most, cx);
            cx.out.to_one(again, from);
        }
    }

    /// Sends a member the last messages before it joined that fit into this number of bytes. They
    /// are no more than the request has, whose address may be forged.
    fn show_history(&self, to: Route, most: usize, cx: &mut DatagramContext<'_>) {
        let joined_at = self.members[&to.peer].joined_at;
        let lines = self.view.borrow().history.that_fit(joined_at, most);
        for line in lines {
            cx.out.to_one(line, to);
        }
    }

    fn relay(&mut self, from: Route, bytes: &[u8], cx: &mut DatagramContext<'_>) {
        let said = one_line(bytes);
        if is_exit(&said) {
            return self.end(&[from.peer], LeaveReason::Left, cx);
        }
        if said.trim().is_empty() || !self.charge(from.peer, cx) {
            return;
        }
        let member = self.members.get_mut(&from.peer).expect("it is a member");
        let has_moved = std::mem::replace(&mut member.route, from) != from;
        let name = member.name.clone();
        let line = line_of(&name, said);
        if has_moved {
            self.update_routes();
        }
        if !self.announce(cut(&line, self.limits.message), &name, Deed::Said, cx) {
            self.say_dropped(from.peer, cx);
        }
    }

    /// Removes members, all at once, so that they do not get each other's leave notices.
    fn end(&mut self, peers: &[Peer], how: LeaveReason, cx: &mut DatagramContext<'_>) {
        let mut names = Vec::new();
        for peer in peers {
            let Some(member) = self.members.remove(peer) else {
                continue;
            };
            self.names.remove(&text::name_key(&member.name));
            self.view.borrow_mut().names.remove(&member.name);
            self.networks.leave(peer.ip());
            if how != LeaveReason::Left || peer.is_session() {
                // A client that only listens is notified that it gets no more messages. A session
                // gets an answer to everything, also to `exit`.
                let line = about(&leave_notice(&member.name), &member.name, Deed::Left, 0);
                cx.out.to_one(line, member.route);
            }
            let left = FormerMember {
                bucket: member.bucket,
                name: (how == LeaveReason::Lost).then(|| member.name.clone()),
            };
            self.strangers.remember(*peer, left, cx.now);
            names.push(member.name);
        }
        if names.is_empty() {
            return;
        }
        self.update_routes();
        for name in names {
            self.announce(&leave_notice(&name), &name, Deed::Left, cx);
            // The others see that it has left before one of them can let it in.
            self.release(&name, cx);
        }
        for peer in peers {
            for claim in self.take_claims(*peer) {
                self.try_name(claim.from, &claim.name, cx);
            }
        }
    }

    /// The claims to the name of a member, the oldest first.
    fn take_claims(&mut self, holder: Peer) -> VecDeque<Claim> {
        let claims = std::mem::take(&mut self.claims).into_iter();
        let (taken, left) = claims.partition(|claim| claim.holder == holder);
        self.claims = left;
        taken
    }

    fn end_silent(&mut self, cx: &mut DatagramContext<'_>) {
        let silent = |member: &&Member| member.has_expired(&self.limits, cx.now);
        let mut gone: Vec<_> = self.members.values().filter(silent).collect();
        gone.sort_by_key(|member| (member.heard, member.route.peer));
        let gone: Vec<_> = gone.iter().map(|member| member.route.peer).collect();
        self.end(&gone, LeaveReason::Lost, cx);
        let expires = |member: &Member| member.expires(&self.limits);
        let next = self.members.values().filter_map(expires).min();
        self.search = next.map(|next| next.max(cx.now + self.limits.search_interval));
    }
}

impl DatagramProtocol for Room {
    fn members(&self) -> usize {
        self.members.len()
    }

    fn on_datagram(&mut self, from: Route, bytes: &[u8], cx: &mut DatagramContext<'_>) {
        let bytes = match bytes.get(..self.limits.message) {
            Some(most) if bytes.len() > most.len() => &most[..text::complete_prefix(most)],
            _ => bytes,
        };
        let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        let request = Request::of(bytes);
        let Some(member) = self.members.get_mut(&from.peer) else {
            return match request {
                Request::Password(password) => self.try_password(from, password, cx),
                Request::Name(name) => self.try_name(from, &name, cx),
                Request::Text => self.rejoin(from, bytes, cx),
            };
        };
        (member.heard, member.has_spoken, member.refusals) = (cx.now, true, 0);
        self.on_member(from, request, bytes, cx);
        if self.members.contains_key(&from.peer) {
            for claim in self.take_claims(from.peer) {
                cx.out.to_one(taken(Denial::Taken), claim.from);
            }
        }
    }

    fn on_refused(&mut self, to: SocketAddr, cx: &mut DatagramContext<'_>) {
        let to = Peer::Udp(to);
        let Some(member) = self.members.get_mut(&to) else {
            return self.strangers.forget(to);
        };
        // A single refusal is easily forged. A closed port refuses the next probe at once.
        member.refusals += 1;
        if member.refusals < self.limits.refusals {
            cx.out.to_one(PROBE, member.route);
        } else {
            self.end(&[to], LeaveReason::Lost, cx);
        }
    }

    fn on_gone(&mut self, peer: Peer, cx: &mut DatagramContext<'_>) {
        self.end(&[peer], LeaveReason::Left, cx);
        self.claims.retain(|claim| claim.from.peer != peer);
        self.give_up_name(peer, cx);
        self.strangers.forget(peer);
        self.strangers.forget_member(peer);
    }

    fn next_due(&self) -> Option<u64> {
        let claim = self.claims.front().map(|claim| claim.until);
        let linked = self.linked.as_ref().and_then(LinkedRoom::next_due);
        [claim, self.search, linked].into_iter().flatten().min()
    }

    fn on_time(&mut self, cx: &mut DatagramContext<'_>) {
        let is_due = |claim: &&Claim| claim.until <= cx.now;
        while let Some(claim) = self.claims.front().filter(is_due) {
            cx.out.to_one(taken(Denial::Taken), claim.from);
            self.claims.pop_front();
        }
        if self.search.is_some_and(|search| search <= cx.now) {
            self.end_silent(cx);
        }
        self.on_time_elsewhere(cx);
    }

    fn on_wake(&mut self, cx: &mut DatagramContext<'_>) {
        self.hear_elsewhere(cx);
    }

    fn on_stop(&mut self, cx: &mut DatagramContext<'_>) {
        self.say_bye(cx);
    }
}

/// The answer to a name that is refused. The protocol has no other one.
fn taken(why: Denial) -> Datagram {
    Datagram::denied(b"USERNAME TAKEN", why)
}

/// The notice that a member has joined.
fn join_notice(name: &str) -> String {
    format!("{name} bergabung ke chatroom.")
}

/// The notice that a member has left.
fn leave_notice(name: &str) -> String {
    format!("{name} telah keluar dari chatroom.")
}

/// Logs a line that strangers can cause, at a limited rate.
fn warn(limit: &mut LogLimit, now: u64, peer: &dyn Display, what: &str) {
    let others = match limit.pass(now) {
        None => return,
        Some(0) => String::new(),
        Some(more) => format!("; {more} similar lines were not logged"),
    };
    log::warn!(service = "room", peer:%, reason = what; "room: {peer} {what}{others}");
}
