//! The room in a tab: a member whose datagrams are posts. Its lines become events `room`.
//!
//! ```text
//!             join: PASSWORD        PASSWORD OK: USERNAME         USERNAME OK
//!   Outside ─────────────────▶ Entering ─────────────────▶ Entering ─────────▶ Inside
//!    ▲  ▲                         │                                              │
//!    │  └──────── refused ────────┘                        leave, or `exit`      │
//!    └───────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! A copy of a line in the room says only that there is one more: the tab reads the lines from the
//! view of the room, as fast as its peer reads. So it also finds those that were said while the
//! page opened its stream again, and counts those that are not kept any more.

use super::ask::{Ask, bad_fields, no_tab};
use super::event_stream::{EventStream, StreamContext};
use super::failure::Failure;
use super::shared::HttpShared;
use crate::services::room::request::{is_exit, line_of, name_of, one_line};
use crate::services::room::view::{RoomView, subject};
use crate::session::close_reason::CloseReason;
use crate::session::notice::{Audience, Datagram, Deed, Denial, Meaning, Notice, Post};
use crate::session::peer::Peer;
use crate::wire::http::status::Status;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::ops::Bound::{Excluded, Unbounded};
use std::rc::Rc;

/// A member of the room, or a client that is none yet.
pub struct RoomStream {
    shared: Rc<HttpShared>,
    /// `None` if the room is off.
    view: Option<Rc<RefCell<RoomView>>>,
    address: SocketAddr,
    membership: TabMembership,
    /// Whether the room may know the tab.
    is_known: bool,
    /// The beginning of the ids of events.
    id: String,
    /// The number of the last line that the page has got; `None` before it joins.
    seen: Option<u64>,
    /// The number of the last line that it may get.
    last: u64,
    /// The number of its own join notice.
    joined_at: u64,
    /// The name behind which the list of members goes on.
    unlisted: Option<Rc<str>>,
}

/// Whether the tab is a member.
enum TabMembership {
    Outside,
    /// The room has not answered all of the request to join.
    Entering {
        ask: Ask,
        name: String,
    },
    /// A member, with the requests that the room has not answered, in their order.
    Inside {
        name: String,
        asks: VecDeque<Ask>,
    },
}

impl RoomStream {
    /// A client with the peer at this address.
    pub fn new(shared: &Rc<HttpShared>, address: SocketAddr) -> RoomStream {
        RoomStream {
            shared: shared.clone(),
            view: shared.room.clone(),
            address,
            membership: TabMembership::Outside,
            is_known: false,
            id: String::new(),
            seen: None,
            last: 0,
            joined_at: 0,
            unlisted: None,
        }
    }

    fn post(&mut self, notice: Notice, cx: &mut StreamContext<'_, '_>) {
        let to = Audience::Room(Peer::Session(cx.cx.me, self.address));
        cx.cx.posts.push(Post { to, notice });
        self.is_known = true;
    }

    /// Sends a datagram to the room.
    fn tell(&mut self, text: &str, cx: &mut StreamContext<'_, '_>) {
        self.post(Notice::Datagram(text.into()), cx);
    }

    fn join(&mut self, ask: Ask, cx: &mut StreamContext<'_, '_>) {
        let field = |name| ask.fields.get("join")?.get(name)?.as_str();
        let (name, password) = match (field("name"), field("password"), ask.fields.len()) {
            (Some(name), Some(password), 1) => (name_of(name), password.to_owned()),
            _ => {
                return ask.refuse(
                    bad_fields("`tab` and `join`, with `name` and `password`"),
                    cx,
                );
            }
        };
        if !matches!(self.membership, TabMembership::Outside) {
            return ask.refuse(conflict("the tab is in the room, or is joining it"), cx);
        }
        self.tell(&format!("PASSWORD {password}"), cx);
        self.membership = TabMembership::Entering { ask, name };
    }

    fn say(&mut self, line: &str, ask: Ask, cx: &mut StreamContext<'_, '_>) {
        let TabMembership::Inside { name, asks } = &mut self.membership else {
            return ask.refuse(conflict("the tab is not in the room: join first"), cx);
        };
        let said = one_line(line.as_bytes());
        // With its name in front, no message is taken for a request.
        let text = match is_exit(&said) {
            true => said,
            false if said.trim().is_empty() => {
                let says = "the message has no visible character";
                return ask.refuse(Failure::new(Status::BadRequest, says), cx);
            }
            false => line_of(name, said),
        };
        let most = self.shared.limits.window.room_line;
        if text.len() > most {
            let says = format!("a message may have {most} bytes, with the name in front");
            return ask.refuse(Failure::new(Status::ContentTooLarge, says), cx);
        }
        asks.push_back(ask);
        self.tell(&text, cx);
    }

    /// The room has answered, or there is a line for all members.
    fn on_datagram(&mut self, text: &Datagram, cx: &mut StreamContext<'_, '_>) {
        match std::mem::replace(&mut self.membership, TabMembership::Outside) {
            TabMembership::Outside => {}
            TabMembership::Entering { ask, name } => match text.meaning {
                Meaning::Denied(why) => ask.refuse(denied(why), cx),
                _ if &*text.bytes == b"USERNAME OK" => self.enter(name, ask, cx),
                _ => {
                    self.tell(&format!("USERNAME {name}"), cx);
                    self.membership = TabMembership::Entering { ask, name };
                }
            },
            TabMembership::Inside { name, mut asks } => {
                if let Meaning::About { number: 0, .. } = text.meaning {
                    // A request that the room has not got any more.
                    let late = || conflict("the tab is not in the room any more");
                    let first = asks.pop_front().into_iter();
                    first.for_each(|ask| ask.answer(Ok(()), cx.cx.posts));
                    asks.into_iter().for_each(|ask| ask.refuse(late(), cx));
                    // What is said from now on is not for it, also if it joins again.
                    self.seen = None;
                    cx.send("room", &json!({"out": "you left the room"}));
                    return;
                }
                match text.meaning {
                    Meaning::About { number, .. } => {
                        if subject(text) == Some((name.as_str(), Deed::Said))
                            && let Some(ask) = asks.pop_front()
                        {
                            ask.answer(Ok(()), cx.cx.posts);
                        }
                        self.last = number;
                        if self.joined_at == 0 {
                            self.joined_at = number;
                        }
                        if self.seen.is_none() {
                            self.seen = Some(number - 1);
                            self.show_history(number, cx);
                        }
                    }
                    Meaning::Denied(why) => {
                        let ask = asks.pop_front();
                        ask.into_iter().for_each(|ask| ask.refuse(denied(why), cx));
                    }
                    Meaning::Lost(count) => cx.send("room", &json!({"gap": count})),
                    Meaning::Plain => {}
                }
                self.membership = TabMembership::Inside { name, asks };
            }
        }
    }

    /// The room has accepted the name.
    fn enter(&mut self, name: String, ask: Ask, cx: &mut StreamContext<'_, '_>) {
        ask.answer(Ok(()), cx.cx.posts);
        self.joined_at = 0;
        let members = self.next_members(None);
        cx.send("room", &json!({"joined": name, "members": members}));
        let asks = VecDeque::new();
        self.membership = TabMembership::Inside { name, asks };
    }

    /// Sends the last messages before the line with this number.
    fn show_history(&self, number: u64, cx: &mut StreamContext<'_, '_>) {
        let Some(view) = &self.view else {
            return;
        };
        for text in view.borrow().history.before(number) {
            if let Some((name, _)) = subject(text) {
                let line = String::from_utf8_lossy(&text.bytes);
                cx.send("room", &json!({"line": line, "from": name}));
            }
        }
    }

    /// The next names of the list, those behind this one.
    fn next_members(&mut self, last: Option<Rc<str>>) -> Value {
        let Some(view) = &self.view else {
            return Value::Null;
        };
        let view = view.borrow();
        let from = last.map_or(Unbounded, Excluded);
        let mut names = view.names.range((from, Unbounded));
        let batch = self.shared.limits.window.roster_batch;
        let batch: Vec<_> = names.by_ref().take(batch).cloned().collect();
        let more = names.next().and(batch.last());
        self.unlisted = more.cloned();
        batch.iter().map(|name| &**name).collect()
    }

    /// If the next lines are not kept any more, sends their number and the members of now.
    fn skip_lost_lines(&mut self, cx: &mut StreamContext<'_, '_>) {
        let (Some(view), Some(seen)) = (&self.view, &mut self.seen) else {
            return;
        };
        let (missed, _) = view.borrow().after(*seen);
        if missed > 0 {
            *seen += missed;
            let members = self.next_members(None);
            cx.send("room", &json!({"gap": missed, "members": members}));
        }
    }

    /// Sends the next lines.
    fn show_lines(&mut self, cx: &mut StreamContext<'_, '_>) {
        self.skip_lost_lines(cx);
        let (Some(view), Some(seen)) = (&self.view, &mut self.seen) else {
            return;
        };
        let own = match &self.membership {
            TabMembership::Inside { name, .. } => name.as_str(),
            _ => "",
        };
        let view = view.borrow();
        let (_, lines) = view.after(*seen);
        for line in lines {
            if cx.events.bytes() >= self.shared.limits.window.unsent || *seen >= self.last {
                return;
            }
            *seen += 1;
            let text = || String::from_utf8_lossy(&line.bytes);
            let Some((name, deed)) = subject(line) else {
                continue;
            };
            let data = match deed {
                Deed::Said => json!({"line": text(), "from": name}),
                // The end of its membership before its connection broke, and the like.
                _ if name == own && *seen < self.joined_at => continue,
                Deed::Entered => json!({"entered": name}),
                Deed::Left => json!({"left": name}),
            };
            cx.send_with_id("room", format_args!("{}-{seen}", self.id), &data);
        }
    }

    /// The page has lost its connection and opens another one: the room need not wait until the
    /// server notices that, too. Lines since then are shown once the page has joined again.
    fn replace(&mut self, last_event: &str, cx: &mut StreamContext<'_, '_>) {
        let (tab, number) = match last_event.split('-').collect::<Vec<_>>()[..] {
            [epoch, tab, number] if self.id.starts_with(&format!("{epoch}-")) => (tab, number),
            _ => return cx.send("room", &json!({"gap": null})),
        };
        self.seen = number.parse().ok();
        if let Some((old, _)) = self.shared.tabs.borrow().find(tab) {
            cx.cx.posts.push(Post {
                to: Audience::One(old),
                notice: Notice::Close(CloseReason::Replaced),
            });
        }
    }
}

impl EventStream for RoomStream {
    fn open(&mut self, last_event: Option<&str>, cx: &mut StreamContext<'_, '_>) {
        if self.view.is_none() {
            return cx.send("room", &json!({"out": "the room service is off"}));
        }
        let epoch = self.shared.history.borrow().epoch();
        let tab = self.shared.tabs.borrow().id(cx.cx.me);
        self.id = format!("{epoch:x}-{tab}");
        if let Some(last) = last_event.filter(|id| !id.is_empty()) {
            self.replace(last, cx);
        }
    }

    fn has_more(&self) -> bool {
        let behind = self.seen.is_some_and(|seen| seen < self.last);
        self.unlisted.is_some() || behind
    }

    fn fill(&mut self, cx: &mut StreamContext<'_, '_>) {
        match self.unlisted.take() {
            Some(last) => {
                let members = self.next_members(Some(last));
                cx.send("room", &json!({"members": members}));
            }
            None => self.show_lines(cx),
        }
    }

    fn on_notice(&mut self, notice: &Notice, cx: &mut StreamContext<'_, '_>) {
        if let Notice::Datagram(text) = notice {
            self.on_datagram(text, cx);
        }
    }

    fn on_ask(&mut self, ask: Ask, cx: &mut StreamContext<'_, '_>) {
        let (fields, count) = (&ask.fields, ask.fields.len());
        let leaves = fields.get("leave").is_some_and(|leave| *leave == true);
        if self.view.is_none() {
            ask.refuse(conflict("the room service is off"), cx);
        } else if fields.contains_key("join") {
            self.join(ask, cx);
        } else if leaves && count == 1 {
            self.say("exit", ask, cx);
        } else {
            match ask.only_text("line") {
                Ok(line) => self.say(&line, ask, cx),
                Err(failure) => ask.refuse(failure, cx),
            }
        }
    }

    fn on_close(&mut self, cx: &mut StreamContext<'_, '_>) {
        if self.is_known {
            self.post(Notice::Gone, cx);
        }
        match std::mem::replace(&mut self.membership, TabMembership::Outside) {
            TabMembership::Outside => {}
            TabMembership::Entering { ask, .. } => ask.refuse(no_tab(), cx),
            TabMembership::Inside { asks, .. } => {
                asks.into_iter().for_each(|ask| ask.refuse(no_tab(), cx));
            }
        }
    }
}

impl Ask {
    fn refuse(self, why: Failure, cx: &mut StreamContext<'_, '_>) {
        self.answer(Err(why), cx.cx.posts);
    }
}

fn conflict(says: &'static str) -> Failure {
    Failure::new(Status::Conflict, says)
}

/// The answer to a request that the room has refused.
fn denied(why: Denial) -> Failure {
    match why {
        Denial::Password => Failure::new(Status::Forbidden, "the password is wrong"),
        Denial::Taken => conflict("the name is taken"),
        Denial::BadName => {
            let says = "a name has 1 to 32 characters, and no blanks";
            Failure::new(Status::BadRequest, says)
        }
        Denial::Full => conflict("the room is full, or your address has as many members as it may"),
        Denial::TooOften => {
            let says = "too many messages or attempts from your address: wait a while";
            Failure::new(Status::TooManyRequests, says).with("Retry-After: 1\r\n")
        }
    }
}
