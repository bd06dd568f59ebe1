//! The commands of an operator, on a terminal or in a tab.
//!
//! ```text
//!               text, /list                       no client is left
//!   idle ─────────────────────────▶ busy (step) ────────────────────▶ idle
//!    └── /to, /kick, /help: done at once
//! ```

use super::ServiceLimits;
use super::roster::{Roster, RosterEntry};
use crate::session::close_reason::CloseReason;
use crate::session::notice::{Audience, Notice, Post};
use crate::session::protocol::Context;
use crate::session::session_id::SessionId;
use crate::wire::text;
use std::cell::RefCell;
use std::ops::RangeInclusive;
use std::rc::Rc;

const HELP: &str = "\
TEXT          send TEXT to all talk clients
/to ID TEXT   send TEXT to one client
/list         list the clients
/kick ID      disconnect a client
/help         show this list";

/// Executes commands in steps, each for a bounded number of clients.
pub struct OperatorCommands {
    /// The talk clients; `None` if the talk service is off.
    roster: Option<Rc<RefCell<Roster>>>,
    /// The rest of the command that is being executed.
    pending: Option<PendingCommand>,
    limits: Rc<ServiceLimits>,
}

/// A command that is executed in steps, for the clients that were connected when it was given.
enum PendingCommand {
    List(RangeInclusive<u32>),
    Send(Rc<str>, RangeInclusive<u32>),
}

/// What a command is for the operators at other windows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Executed {
    /// It has an effect on clients, so all operators see it in this form.
    Shared(Rc<str>),
    /// It was a question or a mistake: only its author sees the answer.
    Private,
}

impl OperatorCommands {
    /// Commands for these clients.
    pub fn new(limits: Rc<ServiceLimits>, roster: Option<Rc<RefCell<Roster>>>) -> OperatorCommands {
        OperatorCommands {
            roster,
            pending: None,
            limits,
        }
    }

    /// Whether the last command is not done: call [`OperatorCommands::step`].
    pub fn is_busy(&self) -> bool {
        self.pending.is_some()
    }

    /// Executes a command, or its first step. `answers` gets the lines for its author.
    pub fn execute(
        &mut self,
        line: &str,
        answers: &mut Vec<String>,
        cx: &mut Context<'_>,
    ) -> Executed {
        let line = text::clean(line.as_bytes());
        let line = line.trim_end();
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let rest = rest.trim_start();
        let done = match word {
            "" if rest.is_empty() => return Executed::Private,
            "/help" => Err(HELP.to_owned()),
            _ if self.roster.is_none() => {
                Err("the talk service is off: there are no clients".to_owned())
            }
            "/list" => match self.begin(PendingCommand::List, answers, cx) {
                Ok(()) => return Executed::Private,
                Err(none) => Err(none),
            },
            "/kick" => self.find(rest).map(|peer| {
                cx.posts.push(Post {
                    to: Audience::One(peer),
                    notice: Notice::Close(CloseReason::Kicked),
                });
            }),
            "/to" => {
                let (id, message) = rest.split_once(' ').unwrap_or((rest, ""));
                self.find(id).and_then(|peer| match message.trim() {
                    "" => Err("usage: /to ID TEXT".to_owned()),
                    _ => {
                        cx.posts.push(Post::line(Audience::One(peer), message));
                        Ok(())
                    }
                })
            }
            _ if word.starts_with('/') => {
                Err(format!("unknown command {word}; /help lists the commands"))
            }
            _ => {
                let send = |clients| PendingCommand::Send(line.into(), clients);
                self.begin(send, answers, cx)
            }
        };
        match done {
            Ok(()) => Executed::Shared(format!("> {line}").into()),
            Err(answer) => {
                answers.push(answer);
                Executed::Private
            }
        }
    }

    fn find(&self, id: &str) -> Result<SessionId, String> {
        let roster = self.roster.as_ref();
        let found = roster.and_then(|roster| roster.borrow().find(id));
        found.ok_or_else(|| no_client(id))
    }

    /// Executes the first step of a command for all clients.
    fn begin(
        &mut self,
        command: impl FnOnce(RangeInclusive<u32>) -> PendingCommand,
        answers: &mut Vec<String>,
        cx: &mut Context<'_>,
    ) -> Result<(), String> {
        let roster = self.roster.as_ref();
        let numbers = roster.and_then(|roster| roster.borrow().numbers());
        let numbers = numbers.ok_or("no client is connected")?;
        self.pending = Some(command(numbers));
        self.step(answers, cx);
        Ok(())
    }

    /// Executes the next step of the command.
    pub fn step(&mut self, answers: &mut Vec<String>, cx: &mut Context<'_>) {
        match self.pending.take() {
            Some(PendingCommand::List(clients)) => {
                let rest = self.for_next_clients(clients, |id, client| {
                    answers.push(client.describe(id, cx.now))
                });
                self.pending = rest.map(PendingCommand::List);
            }
            Some(PendingCommand::Send(text, clients)) => {
                let rest = self.for_next_clients(clients, |_, client| {
                    let post = Post::line(Audience::One(client.peer), text.clone());
                    cx.posts.push(post);
                });
                self.pending = rest.map(|rest| PendingCommand::Send(text, rest));
            }
            None => {}
        }
    }

    /// Calls `show` for the first clients of a range, and returns the range of the others.
    fn for_next_clients(
        &self,
        clients: RangeInclusive<u32>,
        show: impl FnMut(u32, &RosterEntry),
    ) -> Option<RangeInclusive<u32>> {
        let roster = self.roster.as_ref()?.borrow();
        roster.show_some(clients, self.limits.operator_batch, show)
    }
}

fn no_client(id: &str) -> String {
    if id.is_empty() {
        return "give the number of a client; /list shows them".to_owned();
    }
    format!("there is no client {id}; /list shows the clients")
}
