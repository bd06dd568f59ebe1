//! The operator: commands on standard input, messages of talk and room on standard output.
//! It is a protocol like the others, so that the event loop needs no special case for it.

use super::ServiceLimits;
use super::roster::{Roster, RosterEntry};
use crate::session::close_reason::CloseReason;
use crate::session::notice::{Audience, Notice, Post};
use crate::session::outbox::Outbox;
use crate::session::protocol::{Context, Intake, Protocol, Reaction};
use crate::session::session_id::SessionId;
use crate::terminal::line_editor::{LineEditor, Typed};
use crate::wire::follows::Follows;
use crate::wire::text;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::rc::Rc;

const HELP: &str = "\
TEXT          send TEXT to all talk clients
/to ID TEXT   send TEXT to one client
/list         list the clients
/kick ID      disconnect a client
/help         show this list";

/// The operator's session.
pub struct Operator {
    /// The talk clients; `None` if the talk service is off.
    roster: Option<Rc<RefCell<Roster>>>,
    /// `None` if standard input is not a terminal.
    editor: Option<LineEditor>,
    /// Input after the command that is being executed.
    typed: VecDeque<Typed>,
    /// The rest of that command.
    pending: Option<PendingCommand>,
    limits: Rc<ServiceLimits>,
    /// Lines dropped since output was last accepted.
    dropped: u64,
    ended: bool,
}

/// A command that is executed in steps, for the clients that were connected when it was given.
enum PendingCommand {
    List(RangeInclusive<u32>),
    Send(Rc<str>, RangeInclusive<u32>),
}

impl Operator {
    /// An operator. `editor` is `None` where standard input is not a terminal.
    pub fn new(
        limits: Rc<ServiceLimits>,
        roster: Option<Rc<RefCell<Roster>>>,
        editor: Option<LineEditor>,
    ) -> Operator {
        Operator {
            roster,
            editor,
            typed: VecDeque::new(),
            pending: None,
            limits,
            dropped: 0,
            ended: false,
        }
    }

    /// Prints a line. Lines above the limit of unwritten output are dropped and counted.
    fn print(&mut self, line: &str, out: &mut Outbox) {
        if out.pending() + line.len() > self.limits.operator_backlog {
            self.dropped += 1;
            return;
        }
        let mut screen = Vec::new();
        if let Some(editor) = &self.editor {
            editor.erase(&mut screen);
        }
        if self.dropped > 0 {
            let lost = std::mem::take(&mut self.dropped);
            screen.extend_from_slice(
                format!("({lost} lines lost: standard output did not take them in time)\n")
                    .as_bytes(),
            );
        }
        screen.extend_from_slice(line.as_bytes());
        screen.push(b'\n');
        if let Some(editor) = &self.editor {
            editor.draw(&mut screen);
        }
        out.bytes(&screen);
    }

    fn execute(&mut self, line: &str, cx: &mut Context<'_>) {
        let line = text::clean(line.as_bytes());
        let line = line.trim_end();
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let rest = rest.trim_start();
        match word {
            "" if rest.is_empty() => {}
            "/help" => self.print(HELP, cx.out),
            _ if self.roster.is_none() => {
                self.print("the talk service is off: there are no clients", cx.out)
            }
            "/list" => self.begin(PendingCommand::List, cx),
            "/kick" => match self.find(rest) {
                Some(peer) => cx.posts.push(Post {
                    to: Audience::One(peer),
                    notice: Notice::Close(CloseReason::Kicked),
                }),
                None => self.print(&no_client(rest), cx.out),
            },
            "/to" => {
                let (id, message) = rest.split_once(' ').unwrap_or((rest, ""));
                match self.find(id) {
                    None => self.print(&no_client(id), cx.out),
                    Some(_) if message.trim().is_empty() => {
                        self.print("usage: /to ID TEXT", cx.out);
                    }
                    Some(peer) => cx.posts.push(Post::line(Audience::One(peer), message)),
                }
            }
            _ if word.starts_with('/') => {
                self.print(
                    &format!("unknown command {word}; /help lists the commands"),
                    cx.out,
                );
            }
            _ => self.begin(|clients| PendingCommand::Send(line.into(), clients), cx),
        }
    }

    fn find(&self, id: &str) -> Option<SessionId> {
        self.roster.as_ref()?.borrow().find(id)
    }

    /// Executes the first step of a command for all clients.
    fn begin(
        &mut self,
        command: impl FnOnce(RangeInclusive<u32>) -> PendingCommand,
        cx: &mut Context<'_>,
    ) {
        let numbers = self
            .roster
            .as_ref()
            .and_then(|roster| roster.borrow().numbers());
        match numbers {
            Some(numbers) => {
                self.pending = Some(command(numbers));
                self.step(cx);
            }
            None => self.print("no client is connected", cx.out),
        }
    }

    /// Executes one step of the current command, or the next line of input.
    fn step(&mut self, cx: &mut Context<'_>) {
        match self.pending.take() {
            Some(PendingCommand::List(clients)) => {
                let mut lines = Vec::new();
                let rest = self.for_next_clients(clients, |id, client| {
                    lines.push(client.describe(id, cx.now))
                });
                for line in lines {
                    self.print(&line, cx.out);
                }
                self.pending = rest.map(PendingCommand::List);
            }
            Some(PendingCommand::Send(text, clients)) => {
                let rest = self.for_next_clients(clients, |_, client| {
                    let post = Post::line(Audience::One(client.peer), text.clone());
                    cx.posts.push(post);
                });
                self.pending = rest.map(|rest| PendingCommand::Send(text, rest));
            }
            None => match self.typed.pop_front() {
                Some(Typed::Line(line)) => self.execute(&line, cx),
                Some(Typed::End) => {
                    let mut screen = Vec::new();
                    if let Some(editor) = self.editor.take() {
                        editor.erase(&mut screen);
                    }
                    cx.out.bytes(&screen);
                    self.ended = true;
                    self.typed.clear();
                    self.print(
                        "end of input: the server runs on without an operator",
                        cx.out,
                    );
                }
                // The terminal turns these keys into signals.
                Some(Typed::Interrupt | Typed::Suspend) | None => {}
            },
        }
    }

    /// Calls `show` for the first clients of a range, and returns the range of the others.
    fn for_next_clients(
        &self,
        clients: RangeInclusive<u32>,
        mut show: impl FnMut(u32, &RosterEntry),
    ) -> Option<RangeInclusive<u32>> {
        let last = *clients.end();
        let roster = self.roster.as_ref()?.borrow();
        let mut left = roster.range(clients);
        for (id, client) in left.by_ref().take(self.limits.operator_batch) {
            show(id, client);
        }
        left.next().map(|(next, _)| next..=last)
    }

    /// Executes the first line of piped input. Text without LF waits for LF or the end of input.
    fn execute_piped(&mut self, input: &[u8], follows: Follows, cx: &mut Context<'_>) -> usize {
        let most = self.limits.wire.unit;
        let window = &input[..input.len().min(most + 1)];
        let (line, taken) = match window.iter().position(|&byte| byte == b'\n') {
            Some(end) => (&input[..end], end + 1),
            // A line that is too long is split between two characters.
            None if input.len() > most => {
                let whole = text::complete_prefix(&input[..most]);
                (&input[..whole], whole)
            }
            None if follows == Follows::Eof => (input, input.len()),
            None => return 0,
        };
        self.execute(&String::from_utf8_lossy(line), cx);
        taken
    }
}

impl Protocol for Operator {
    fn on_open(&mut self, cx: &mut Context<'_>) {
        if let Some(editor) = &self.editor {
            let mut screen = Vec::new();
            editor.draw(&mut screen);
            cx.out.bytes(&screen);
        }
    }

    fn on_bytes(
        &mut self,
        input: &[u8],
        follows: Follows,
        cx: &mut Context<'_>,
    ) -> (usize, Intake) {
        if self.ended || (input.is_empty() && follows == Follows::Eof) {
            // Input has ended; output goes on.
            return (0, Intake::Hold);
        }
        let Some(editor) = &mut self.editor else {
            return match self.execute_piped(input, follows, cx) {
                0 => (0, Intake::Bytes),
                taken => (taken, Intake::Work),
            };
        };
        let mut screen = Vec::new();
        self.typed = editor.feed(input, &mut screen).into();
        editor.draw(&mut screen);
        cx.out.bytes(&screen);
        if self.typed.is_empty() {
            return (input.len(), Intake::Bytes);
        }
        self.step(cx);
        (input.len(), Intake::Work)
    }

    /// A command takes one more turn even if nothing is left to do. Bulk turns run after all short
    /// turns, so that a line is written to all clients before the next one is read. Otherwise a
    /// file as input would overrun the backlog of the clients.
    fn on_work(&mut self, cx: &mut Context<'_>) -> Intake {
        if self.pending.is_some() || !self.typed.is_empty() {
            self.step(cx);
            return Intake::Work;
        }
        if self.ended {
            Intake::Hold
        } else {
            Intake::Bytes
        }
    }

    fn on_notice(&mut self, notice: &Notice, cx: &mut Context<'_>) -> Reaction {
        match notice {
            Notice::Line(line) => self.print(line, cx.out),
            Notice::Resize { columns } => {
                if let Some(editor) = &mut self.editor {
                    let mut screen = Vec::new();
                    editor.set_columns(*columns);
                    editor.draw(&mut screen);
                    cx.out.bytes(&screen);
                }
            }
            _ => {}
        }
        Reaction::Stay
    }

    fn may_idle(&self) -> bool {
        true
    }
}

fn no_client(id: &str) -> String {
    if id.is_empty() {
        return "give the number of a client; /list shows them".to_owned();
    }
    format!("there is no client {id}; /list shows the clients")
}
