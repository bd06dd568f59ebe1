//! The operator: commands on standard input, messages of talk and room on standard output.
//! It is a protocol like the others, so that the event loop needs no special case for it.

use super::ServiceLimits;
use super::operator_commands::{Executed, OperatorCommands};
use super::operator_history::OperatorHistory;
use super::roster::Roster;
use crate::session::notice::Notice;
use crate::session::outbox::Outbox;
use crate::session::protocol::{Context, Intake, Protocol, Reaction};
use crate::terminal::line_editor::{LineEditor, Typed};
use crate::wire::follows::Follows;
use crate::wire::text;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

/// The operator's session.
pub struct Operator {
    commands: OperatorCommands,
    /// What the operators at other windows see.
    history: Option<Rc<RefCell<OperatorHistory>>>,
    /// `None` if standard input is not a terminal.
    editor: Option<LineEditor>,
    /// Input after the command that is being executed.
    typed: VecDeque<Typed>,
    limits: Rc<ServiceLimits>,
    /// Lines dropped since output was last accepted.
    dropped: u64,
    ended: bool,
}

impl Operator {
    /// An operator. `editor` is `None` where standard input is not a terminal.
    pub fn new(
        limits: Rc<ServiceLimits>,
        roster: Option<Rc<RefCell<Roster>>>,
        editor: Option<LineEditor>,
    ) -> Operator {
        Operator {
            commands: OperatorCommands::new(limits.clone(), roster),
            history: None,
            editor,
            typed: VecDeque::new(),
            limits,
            dropped: 0,
            ended: false,
        }
    }

    /// The same, whose commands are shown at other windows.
    pub fn with_windows(mut self, history: Rc<RefCell<OperatorHistory>>) -> Operator {
        self.history = Some(history);
        self
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
        let mut answers = Vec::new();
        let executed = self.commands.execute(line, &mut answers, cx);
        // All windows show it.
        if let (Executed::Shared(line), Some(history)) = (executed, &self.history) {
            history.borrow_mut().add(line, cx.unix, cx.posts);
        }
        self.print_all(answers, cx.out);
    }

    fn print_all(&mut self, lines: Vec<String>, out: &mut Outbox) {
        for line in lines {
            self.print(&line, out);
        }
    }

    /// Executes one step of the current command, or the next line of input.
    fn step(&mut self, cx: &mut Context<'_>) {
        if self.commands.is_busy() {
            let mut answers = Vec::new();
            self.commands.step(&mut answers, cx);
            return self.print_all(answers, cx.out);
        }
        match self.typed.pop_front() {
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
        }
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
        if self.commands.is_busy() || !self.typed.is_empty() {
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
