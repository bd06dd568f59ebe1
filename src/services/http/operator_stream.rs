//! The operator's window: the lines of the terminal, the talk clients, and the commands.

use super::ask::{Ask, bad_fields, no_tab};
use super::event_stream::{EventStream, StreamContext};
use super::failure::Failure;
use super::shared::HttpShared;
use crate::services::WindowLimits;
use crate::services::operator_commands::{Executed, OperatorCommands};
use crate::services::operator_history::OperatorHistory;
use crate::services::roster::{ClientId, Roster};
use crate::session::notice::{Audience, Post};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::rc::Rc;

/// An operator in a tab.
pub struct OperatorStream {
    roster: Option<Rc<RefCell<Roster>>>,
    history: Rc<RefCell<OperatorHistory>>,
    commands: OperatorCommands,
    /// The number of the line that is sent next.
    next_line: u64,
    /// The clients that are to be listed. Later ones are announced.
    unlisted: Option<RangeInclusive<ClientId>>,
    /// Requests that wait until the command before is done.
    waiting: VecDeque<Ask>,
    limits: WindowLimits,
}

impl OperatorStream {
    /// One more operator.
    pub fn new(shared: &Rc<HttpShared>) -> OperatorStream {
        let (limits, roster) = (shared.limits.clone(), shared.roster.clone());
        OperatorStream {
            limits: limits.window,
            commands: OperatorCommands::new(limits, roster.clone()),
            roster,
            history: shared.history.clone(),
            next_line: 0,
            unlisted: None,
            waiting: VecDeque::new(),
        }
    }

    /// Sends the next clients of the list.
    fn list(&mut self, clients: RangeInclusive<ClientId>, cx: &mut StreamContext<'_, '_>) {
        let Some(roster) = &self.roster else { return };
        let roster = roster.borrow();
        let (unix, now) = (cx.cx.unix, cx.cx.now);
        let mut batch = Vec::new();
        self.unlisted = roster.show_some(clients, self.limits.roster_batch, |id, client| {
            batch.push(client.to_json(roster.json_id(id), unix, now))
        });
        let more = self.unlisted.is_some();
        cx.send("roster", &json!({"clients": batch, "more": more}));
    }

    /// Sends the next lines.
    fn show_lines(&mut self, cx: &mut StreamContext<'_, '_>) {
        let history = self.history.borrow();
        let missed = history.oldest().saturating_sub(self.next_line);
        if missed > 0 {
            cx.send("operator", &json!({"gap": missed}));
            self.next_line = history.oldest();
        }
        while cx.events.bytes() < self.limits.unsent
            && let Some(line) = history.line(self.next_line)
        {
            let data = json!({"line": &*line.text, "at": line.at});
            cx.send_with_id("operator", history.event_id(self.next_line), &data);
            self.next_line += 1;
        }
    }

    /// Shows what a command answers to its author only.
    fn answer(answers: Vec<String>, cx: &mut StreamContext<'_, '_>) {
        let at = cx.cx.unix;
        for line in answers.iter().flat_map(|answer| answer.lines()) {
            cx.send("operator", &json!({"line": line, "at": at}));
        }
    }

    fn execute(&mut self, ask: Ask, cx: &mut StreamContext<'_, '_>) {
        let command = match command(&ask) {
            Ok(command) => command,
            Err(failure) => return ask.answer(Err(failure), cx.cx.posts),
        };
        let mut answers = Vec::new();
        // The terminal and all windows show it, also this one.
        if let Executed::Shared(line) = self.commands.execute(&command, &mut answers, cx.cx) {
            cx.cx.posts.push(Post::line(Audience::Operator, line));
        }
        OperatorStream::answer(answers, cx);
        ask.answer(Ok(()), cx.cx.posts);
    }
}

/// The command that a request means.
fn command(ask: &Ask) -> Result<String, Failure> {
    let (fields, text) = (&ask.fields, |name| ask.fields.get(name)?.as_str());
    // A number, or `NODE.NUMBER`.
    let client = |name| match fields.get(name)? {
        Value::String(id) => Some(id.clone()).filter(|id| is_linked_id(id)),
        id => Some(id.as_u64()?.to_string()),
    };
    match (fields.len(), text("line"), client("to"), client("kick")) {
        (1, Some(line), ..) => Ok(line.to_owned()),
        (2, Some(line), Some(client), _) => Ok(format!("/to {client} {line}")),
        (1, _, _, Some(client)) => Ok(format!("/kick {client}")),
        _ => Err(bad_fields(
            "`tab` and `line`, or `tab`, `to` and `line`, or `tab` and `kick`",
        )),
    }
}

/// Whether a text can be the id of a client among linked servers.
fn is_linked_id(text: &str) -> bool {
    text.contains('.') && !text.contains(char::is_whitespace)
}

impl EventStream for OperatorStream {
    fn open(&mut self, last_event: Option<&str>, cx: &mut StreamContext<'_, '_>) {
        let mut history = self.history.borrow_mut();
        history.tabs.add(cx.cx.me);
        let resumed = history.resume(last_event);
        self.next_line = resumed.next;
        if resumed.is_other_server {
            cx.send("operator", &json!({"gap": null}));
        }
        drop(history);
        let mut all = None;
        if let Some(roster) = &self.roster {
            roster.borrow_mut().tabs.add(cx.cx.me);
            all = roster.borrow().all();
        }
        match all {
            Some(all) => self.unlisted = Some(all),
            None => cx.send("roster", &json!({"clients": [], "more": false})),
        }
    }

    fn has_more(&self) -> bool {
        let has_lines = self.next_line < self.history.borrow().next();
        let has_commands = self.commands.is_busy() || !self.waiting.is_empty();
        has_lines || has_commands || self.unlisted.is_some()
    }

    fn fill(&mut self, cx: &mut StreamContext<'_, '_>) {
        if let Some(clients) = self.unlisted.take() {
            self.list(clients, cx);
        } else if self.commands.is_busy() {
            let mut answers = Vec::new();
            self.commands.step(&mut answers, cx.cx);
            OperatorStream::answer(answers, cx);
        } else if let Some(ask) = self.waiting.pop_front() {
            self.execute(ask, cx);
        } else {
            self.show_lines(cx);
        }
    }

    fn on_ask(&mut self, ask: Ask, cx: &mut StreamContext<'_, '_>) {
        match self.commands.is_busy() || !self.waiting.is_empty() {
            true => self.waiting.push_back(ask),
            false => self.execute(ask, cx),
        }
    }

    fn on_close(&mut self, cx: &mut StreamContext<'_, '_>) {
        self.history.borrow_mut().tabs.remove(cx.cx.me);
        if let Some(roster) = &self.roster {
            roster.borrow_mut().tabs.remove(cx.cx.me);
        }
        for ask in self.waiting.drain(..) {
            ask.answer(Err(no_tab()), cx.cx.posts);
        }
    }
}
