//! Whether the sender of a message owns the name in it. A server's first line under a name, each
//! line of another program, and each `entered` under the name of a member elsewhere wait for the
//! owner of the key; what follows under that name waits behind them.
//!
//! A line of a server is shown unless the name is of another owner: its member may have left while
//! the answer was under way, which frees the key. A line of a program is shown only if it owns the
//! key: a program has no members. If JetStream is without a quorum, the list of a server is enough.

use super::{MembersElsewhere, Shown};
use crate::services::link::exchange::Arrived;
use crate::services::link::owner::{Owner, look_up};
use crate::session::notice::{Deed, Post};
use std::rc::Rc;

/// A message about a member elsewhere.
pub(super) struct Event {
    pub sender: Sender,
    pub name: Rc<str>,
    /// The key of the name.
    pub key: String,
    pub deed: Deed,
    pub text: String,
}

/// The sender of a message.
#[derive(PartialEq, Eq)]
pub(super) enum Sender {
    /// A server, which numbers its messages.
    Server(String),
    /// Another program, with the name that it gives.
    Program(Option<String>),
}

/// A request for the owner of a key.
pub(super) struct Question {
    key: String,
    /// The number of the request.
    number: u64,
    /// When it has failed.
    pub until: u64,
    /// The messages that wait for the answer.
    events: Vec<Event>,
}

impl MembersElsewhere {
    /// Shows a message now, or once the owner of its name is known.
    pub(super) fn weigh(
        &mut self,
        event: Event,
        now: u64,
        shown: &mut Vec<Shown>,
        posts: &mut Vec<Post>,
    ) {
        let at = self.questions.iter().position(|it| it.key == event.key);
        if at.is_none() && self.is_proven(&event) {
            return self.apply(event, shown);
        }
        let waiting: usize = self.questions.iter().map(|it| it.events.len()).sum();
        if waiting >= self.limits.waiting {
            return self.add_lost(u64::from(event.deed == Deed::Said));
        }
        if let Some(at) = at {
            return self.questions[at].events.push(event);
        }
        let mut exchange = self.exchange.borrow_mut();
        let number = exchange.next_number();
        look_up(&mut exchange, number, &event.key, posts);
        self.questions.push(Question {
            key: event.key.clone(),
            number,
            until: now + self.limits.timeout,
            events: vec![event],
        });
    }

    fn is_proven(&self, event: &Event) -> bool {
        let Sender::Server(server) = &event.sender else {
            return false;
        };
        match event.deed {
            Deed::Left => true,
            Deed::Entered => !self.others.is_beside(server, &event.key),
            Deed::Said => {
                let member = self.others.find(server, &event.key);
                member.is_some_and(|member| member.is_proven)
            }
        }
    }

    /// Handles an answer of the broker. Returns false if it answers something else.
    pub(super) fn on_owner(&mut self, answer: &Arrived, now: u64, shown: &mut Vec<Shown>) -> bool {
        let mut questions = self.questions.iter();
        let Some(at) = questions.position(|it| answer.answers == Some(it.number)) else {
            return false;
        };
        let question = self.questions.remove(at);
        let json = serde_json::from_slice(&answer.payload).ok();
        let owner = json.and_then(|json| Owner::of(&json));
        self.decide(question, owner.map(|(_, owner)| owner), now, shown);
        true
    }

    /// Ends the requests without an answer.
    pub(super) fn end_questions(&mut self, now: u64, shown: &mut Vec<Shown>) {
        while self.questions.first().is_some_and(|it| it.until <= now) {
            let question = self.questions.remove(0);
            self.decide(question, None, now, shown);
        }
    }

    /// Shows what an owner may say; `None` if it is not known.
    fn decide(
        &mut self,
        question: Question,
        owner: Option<Owner>,
        now: u64,
        shown: &mut Vec<Shown>,
    ) {
        self.others.for_each(&question.key, |server, member| {
            member.is_proven = match &owner {
                Some(Owner::Free) => false,
                Some(owner) => owner.is(server),
                None => true,
            };
        });
        for event in question.events {
            if self.may(&event, owner.as_ref()) {
                self.apply(event, shown);
            } else if let Some(more) = self.refused.pass(now) {
                let name = &event.name;
                log::warn!(
                    service = "room", reason = "forged name";
                    "room: a message over the link is not shown: its sender does not own the name \
                     {name:?}; {more} more since the last such line"
                );
            }
        }
    }

    fn may(&self, event: &Event, owner: Option<&Owner>) -> bool {
        let is_owner = |name: &str| owner.is_some_and(|owner| owner.is(name));
        match (&event.sender, event.deed) {
            // The name of a server proves nothing: anyone can read it.
            (Sender::Program(name), _) => match owner {
                Some(Owner::Program(owner)) => name.as_deref().is_none_or(|name| name == owner),
                _ => false,
            },
            (Sender::Server(_), Deed::Left) => true,
            (Sender::Server(server), Deed::Entered) => is_owner(server),
            (Sender::Server(server), Deed::Said) => {
                let is_free = owner.is_none_or(|owner| *owner == Owner::Free);
                let has_it = self.others.find(server, &event.key).is_some();
                let others = &self.others;
                is_owner(server) || is_free && has_it && !others.is_beside(server, &event.key)
            }
        }
    }

    /// Shows a message whose sender may send it.
    fn apply(&mut self, event: Event, shown: &mut Vec<Shown>) {
        if let Sender::Server(server) = &event.sender {
            let (others, key) = (&mut self.others, &event.key);
            match event.deed {
                Deed::Said => {}
                Deed::Entered => {
                    if !others.enter(server, key.clone(), event.name.clone().into()) {
                        return;
                    }
                }
                Deed::Left => {
                    if let Some(member) = others.leave(server, key) {
                        shown.extend(self.left(member.name, key));
                    }
                    return;
                }
            }
        }
        shown.push(Shown::Member {
            name: event.name,
            deed: event.deed,
            text: event.text,
            quiet: false,
        });
    }
}
