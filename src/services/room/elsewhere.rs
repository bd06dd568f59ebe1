//! The members of the room on other servers: what they say and do, and what the other servers get.
//!
//! Each server publishes to one subject. Beside the messages of [`OtherServers`], these are
//! numbered and have a header `Loket-Name`, the member:
//!
//! | deed | content |
//! |---|---|
//! | `said`, `entered`, `left` | the line that members of the server are shown |
//!
//! A program without `Loket-Server` and `Loket-Seq` may send `said` lines, too.

use crate::services::link::exchange::{Arrived, Exchange, Topic};
use crate::services::link::others::{Heard, News, OtherServers, OthersLimits};
use crate::session::notice::{Deed, Post};
use crate::wire::text;
use serde_json::Value;
use std::cell::RefCell;
use std::rc::Rc;

/// The members of other servers, by server.
pub struct Elsewhere {
    exchange: Rc<RefCell<Exchange>>,
    subject: Rc<str>,
    /// The members by the keys of their names.
    others: OtherServers<String, Rc<str>>,
}

/// What the members here are to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// A member elsewhere has done something.
    Member {
        /// Its name.
        name: Rc<str>,
        /// What it has done.
        deed: Deed,
        /// What it has said.
        text: String,
        /// Whether only the list of names changes: the members know it already, or did not ask.
        quiet: bool,
    },
    /// This number of messages was lost.
    Lost(u64),
}

impl Elsewhere {
    /// Without other servers.
    pub fn new(
        exchange: Rc<RefCell<Exchange>>,
        subject: Rc<str>,
        limits: OthersLimits,
    ) -> Elsewhere {
        let others = OtherServers::new(exchange.clone(), subject.clone(), limits, parse_name);
        Elsewhere {
            exchange,
            subject,
            others,
        }
    }

    /// Publishes what a member of this server has done.
    pub fn publish(&mut self, name: &str, deed: Deed, line: &str, posts: &mut Vec<Post>) {
        let deed = match deed {
            Deed::Entered => "entered",
            Deed::Left => "left",
            Deed::Said => "said",
        };
        let headers = [("Loket-Name", name)];
        let (subject, line) = (&self.subject, line.as_bytes());
        self.others.publish(subject, deed, &headers, line, posts);
    }

    /// Publishes that this server ends.
    pub fn say_bye(&mut self, posts: &mut Vec<Post>) {
        self.others.say_bye(posts);
    }

    /// The link has come up or gone down, or messages have arrived. Returns the answers of the
    /// broker.
    pub fn on_wake(&mut self, now: u64, shown: &mut Vec<Shown>) -> Vec<Arrived> {
        let arrived = self.exchange.borrow_mut().take_arrived(Topic::Room);
        self.others.on_wake(now);
        let (answers, messages): (Vec<_>, Vec<_>) =
            arrived.into_iter().partition(|it| it.answers.is_some());
        for message in messages {
            self.on_message(&message, now, shown);
        }
        answers
    }

    fn on_message(&mut self, message: &Arrived, now: u64, shown: &mut Vec<Shown>) {
        let headers = message.headers();
        let text = || String::from_utf8_lossy(&message.payload).into_owned();
        if headers.get("Loket-Server").is_none() {
            // A foreign program: it has no members.
            let is_said = matches!(headers.get("Loket-Deed"), None | Some("said"));
            let name = headers.get("Loket-Name").filter(|_| is_said);
            return shown.extend(name.map(|name| Shown::member(name.into(), Deed::Said, text())));
        }
        let mut news = Vec::new();
        let heard = self.others.on_message(message, now, &mut news);
        show(news, shown);
        let (Some(Heard { server, deed }), Some(name)) = (heard, headers.get("Loket-Name")) else {
            return;
        };
        let (key, name): (_, Rc<str>) = (text::name_key(name), name.into());
        let deed = match deed {
            "said" => Deed::Said,
            "entered" if self.others.enter(server, key.clone(), name.clone()) => Deed::Entered,
            // It may have joined on another server, whose message was faster.
            "left" if self.others.leave(server, &key).is_some() && !self.others.has(&key) => {
                Deed::Left
            }
            // It is known, or of a later version.
            _ => return,
        };
        shown.push(Shown::member(name, deed, text()));
    }

    /// Adds messages to the next note.
    pub fn add_lost(&mut self, missed: u64) {
        self.others.add_lost(missed);
    }

    /// When to call [`Elsewhere::on_time`].
    pub fn next_due(&self) -> Option<u64> {
        self.others.next_due()
    }

    /// Does what is due. `names` are the members of this server.
    pub fn on_time<'a>(
        &mut self,
        now: u64,
        names: impl Iterator<Item = &'a str>,
        shown: &mut Vec<Shown>,
        posts: &mut Vec<Post>,
    ) {
        let mut news = Vec::new();
        let names = names.map(Value::from);
        self.others.on_time(now, names, &mut news, posts);
        show(news, shown);
    }
}

/// An entry of a list is a name.
fn parse_name(value: &Value, _: u64) -> Option<(String, Rc<str>)> {
    let name = value.as_str()?;
    Some((text::name_key(name), name.into()))
}

fn show(news: Vec<News<String, Rc<str>>>, shown: &mut Vec<Shown>) {
    shown.extend(news.into_iter().filter_map(|news| {
        let (name, deed, quiet) = match news {
            News::Appeared(_) | News::Gone(_) => return None,
            News::Entered { entry, quiet, .. } => (entry, Deed::Entered, quiet),
            News::Left { entry, .. } => (entry, Deed::Left, false),
            News::Lost(count) => return Some(Shown::Lost(count)),
        };
        let text = String::new();
        Some(Shown::Member {
            name,
            deed,
            text,
            quiet,
        })
    }));
}

impl Shown {
    fn member(name: Rc<str>, deed: Deed, text: String) -> Shown {
        Shown::Member {
            name,
            deed,
            text,
            quiet: false,
        }
    }
}
