//! The members of the room on other servers: what they say and do, and what the other servers get.
//!
//! Each server publishes to one subject. Beside the messages of [`OtherServers`], these are
//! numbered and have a header `Loket-Name`, the member:
//!
//! | deed | content |
//! |---|---|
//! | `said`, `entered`, `left` | the line that members of the server are shown |
//!
//! A program without `Loket-Seq` may send `said` lines, too, under names that it owns: see
//! `elsewhere/proof.rs`.

mod proof;

use crate::services::link::exchange::{Arrived, Exchange, Topic};
use crate::services::link::others::{Heard, News, OtherServers, OthersLimits};
use crate::session::log_limit::LogLimit;
use crate::session::notice::{Deed, Post};
use crate::wire::text;
use proof::{Event, Question, Sender};
use serde_json::Value;
use std::cell::RefCell;
use std::rc::Rc;

/// Limits of messages that wait for the owner of their name.
#[derive(Debug, Clone, Copy)]
pub struct ProofLimits {
    /// How long they wait, in microseconds.
    pub timeout: u64,
    /// How many wait.
    pub waiting: usize,
}

/// The members of other servers, by server.
pub struct MembersElsewhere {
    exchange: Rc<RefCell<Exchange>>,
    subject: Rc<str>,
    /// The members by the keys of their names.
    others: OtherServers<String, Member>,
    limits: ProofLimits,
    /// The oldest first.
    questions: Vec<Question>,
    /// Limits log lines about senders that do not own their name.
    refused: LogLimit,
}

/// A member of another server.
#[derive(Debug, Clone)]
struct Member {
    name: Rc<str>,
    /// Whether the server has owned the name when its key was looked up.
    is_proven: bool,
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

impl MembersElsewhere {
    /// Without other servers.
    pub fn new(
        exchange: Rc<RefCell<Exchange>>,
        subject: Rc<str>,
        limits: OthersLimits,
        proof: ProofLimits,
    ) -> MembersElsewhere {
        let others = OtherServers::new(
            exchange.clone(),
            Topic::Room,
            subject.clone(),
            limits,
            parse_name,
        );
        MembersElsewhere {
            exchange,
            subject,
            others,
            limits: proof,
            questions: Vec::new(),
            refused: LogLimit::new(1),
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
    pub fn on_wake(
        &mut self,
        now: u64,
        shown: &mut Vec<Shown>,
        posts: &mut Vec<Post>,
    ) -> Vec<Arrived> {
        let arrived = self.exchange.borrow_mut().take_arrived(Topic::Room);
        self.others.on_wake(now);
        let mut answers = Vec::new();
        for message in arrived {
            if message.answers.is_none() {
                self.on_message(&message, now, shown, posts);
            } else if !self.on_owner(&message, now, shown) {
                answers.push(message);
            }
        }
        answers
    }

    fn on_message(
        &mut self,
        message: &Arrived,
        now: u64,
        shown: &mut Vec<Shown>,
        posts: &mut Vec<Post>,
    ) {
        let headers = message.headers();
        let server = headers.get("Loket-Server");
        let is_numbered = server.is_some() && headers.get("Loket-Seq").is_some();
        let (sender, deed) = match headers.get("Loket-Deed").unwrap_or("said") {
            "said" if !is_numbered => (Sender::Program(server.map(Into::into)), Deed::Said),
            "entered" | "left" if !is_numbered => return,
            _ => {
                let mut news = Vec::new();
                let heard = self.others.on_message(message, now, &mut news);
                self.show(news, shown);
                let Some(Heard { server, deed }) = heard else {
                    return;
                };
                let deed = match deed {
                    "said" => Deed::Said,
                    "entered" => Deed::Entered,
                    "left" => Deed::Left,
                    // Of a later version.
                    _ => return,
                };
                (Sender::Server(server.into()), deed)
            }
        };
        let Some(name) = headers.get("Loket-Name") else {
            return;
        };
        let event = Event {
            sender,
            name: name.into(),
            key: text::name_key(name),
            deed,
            text: String::from_utf8_lossy(&message.payload).into_owned(),
        };
        self.weigh(event, now, shown, posts);
    }

    /// The member with this key, as if it had joined now.
    pub fn entered(&self, key: &String) -> Option<Shown> {
        let (_, member) = self.others.owners(key).next()?;
        Some(Shown::change(member.name.clone(), Deed::Entered, false))
    }

    /// What is shown when a server has no such member any more. If another one has it, it may have
    /// joined there: at most another spelling of its name is gone.
    fn left(&self, name: Rc<str>, key: &String) -> Option<Shown> {
        let mut others = self.others.owners(key).map(|(_, member)| &member.name);
        let quiet = others.next().is_some();
        let is_same = self
            .others
            .owners(key)
            .any(|(_, member)| member.name == name);
        (!is_same).then(|| Shown::change(name, Deed::Left, quiet))
    }

    /// Shows what has changed by a list, or by the end of a server.
    fn show(&self, news: Vec<News<String, Member>>, shown: &mut Vec<Shown>) {
        shown.extend(news.into_iter().filter_map(|news| match news {
            News::Appeared(_) | News::Gone(_) => None,
            News::Entered {
                server,
                key,
                entry,
                quiet,
            } => {
                let quiet = quiet || self.others.is_beside(&server, &key);
                Some(Shown::change(entry.name, Deed::Entered, quiet))
            }
            News::Left { key, entry, .. } => self.left(entry.name, &key),
            News::Lost(count) => Some(Shown::Lost(count)),
        }));
    }

    /// Adds messages to the next note.
    pub fn add_lost(&mut self, missed: u64) {
        self.others.add_lost(missed);
    }

    /// When to call [`MembersElsewhere::on_time`].
    pub fn next_due(&self) -> Option<u64> {
        let question = self.questions.first().map(|question| question.until);
        [self.others.next_due(), question]
            .into_iter()
            .flatten()
            .min()
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
        self.show(news, shown);
        self.end_questions(now, shown);
    }
}

/// An entry of a list is a name.
fn parse_name(value: &Value, _: u64) -> Option<(String, Member)> {
    let name = value.as_str()?;
    Some((text::name_key(name), Rc::<str>::from(name).into()))
}

impl Shown {
    fn change(name: Rc<str>, deed: Deed, quiet: bool) -> Shown {
        Shown::Member {
            name,
            deed,
            text: String::new(),
            quiet,
        }
    }
}

impl From<Rc<str>> for Member {
    fn from(name: Rc<str>) -> Member {
        let is_proven = false;
        Member { name, is_proven }
    }
}
