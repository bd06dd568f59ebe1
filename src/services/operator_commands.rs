//! The commands of an operator, on a terminal or in a tab.
//!
//! ```text
//!               text, /list                       no client is left
//!   idle ─────────────────────────▶ busy (step) ────────────────────▶ idle
//!    └── /to, /kick, /help: done at once
//! ```

use super::ServiceLimits;
use super::roster::{ClientId, Roster};
use crate::session::protocol::Context;
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
    List(RangeInclusive<ClientId>),
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
            "/list" => match self.list(answers, cx) {
                Ok(()) => return Executed::Private,
                Err(none) => Err(none),
            },
            "/kick" => self.act(rest, |roster, client| Ok(roster.kick(client, cx.posts))),
            "/to" => {
                let (id, message) = rest.split_once(' ').unwrap_or((rest, ""));
                self.act(id, |roster, client| match message.trim() {
                    "" => Err("usage: /to ID TEXT".to_owned()),
                    _ => Ok(roster.send(client, message, cx.posts)),
                })
            }
            _ if word.starts_with('/') => {
                Err(format!("unknown command {word}; /help lists the commands"))
            }
            _ => self.send(line, answers, cx),
        };
        match done {
            Ok(()) => Executed::Shared(format!("> {line}").into()),
            Err(answer) => {
                answers.push(answer);
                Executed::Private
            }
        }
    }

    /// Does something with one client.
    fn act(
        &self,
        id: &str,
        act: impl FnOnce(&mut Roster, &ClientId) -> Result<bool, String>,
    ) -> Result<(), String> {
        let mut roster = self.roster.as_ref().expect("talk is on").borrow_mut();
        let client = roster.find(id).ok_or_else(|| no_client(id))?;
        match act(&mut roster, &client)? {
            true => Ok(()),
            false => Err("the link to the other servers is down: nothing was sent".to_owned()),
        }
    }

    /// Executes the first step of a list of all clients.
    fn list(&mut self, answers: &mut Vec<String>, cx: &mut Context<'_>) -> Result<(), String> {
        let roster = self.roster.as_ref().expect("talk is on");
        let all = roster.borrow().all().ok_or(NO_CLIENT)?;
        self.pending = Some(PendingCommand::List(all));
        self.step(answers, cx);
        Ok(())
    }

    /// Executes the first step of a line to all clients.
    fn send(
        &mut self,
        line: &str,
        answers: &mut Vec<String>,
        cx: &mut Context<'_>,
    ) -> Result<(), String> {
        let mut roster = self.roster.as_ref().expect("talk is on").borrow_mut();
        roster.all().ok_or(NO_CLIENT)?;
        if !roster.publish_all(line, cx.posts) {
            let what = "the link is down: only the clients of this server get this line";
            answers.push(format!("({what})"));
        }
        let numbers = roster.numbers();
        drop(roster);
        self.pending = numbers.map(|numbers| PendingCommand::Send(line.into(), numbers));
        self.step(answers, cx);
        Ok(())
    }

    /// Executes the next step of the command.
    pub fn step(&mut self, answers: &mut Vec<String>, cx: &mut Context<'_>) {
        let Some(roster) = &self.roster else { return };
        let (roster, batch) = (roster.borrow(), self.limits.operator_batch);
        self.pending = match self.pending.take() {
            Some(PendingCommand::List(clients)) => {
                let rest = roster.show_some(clients, batch, |id, client| {
                    answers.push(client.describe(&roster.shown_id(id), cx.now))
                });
                rest.map(PendingCommand::List)
            }
            Some(PendingCommand::Send(text, clients)) => {
                let rest = roster.send_some(clients, batch, &text, cx.posts);
                rest.map(|rest| PendingCommand::Send(text, rest))
            }
            None => None,
        };
    }
}

/// The answer to a command for all clients.
const NO_CLIENT: &str = "no client is connected";

fn no_client(id: &str) -> String {
    if id.is_empty() {
        return "give the number of a client; /list shows them".to_owned();
    }
    format!("there is no client {id}; /list shows the clients")
}
