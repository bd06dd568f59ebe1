//! Is the operator's side of the talk service, and the screen that the room reports to.
//! It is a protocol like the others, on standard input and output.

use super::ServiceLimits;
use super::roster::{Client, Roster};
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
a line goes to all talk clients
/to ID text   a line to one of them
/list         who is there
/kick ID      end a conversation
/help         this list";

/// The person at the server.
pub struct Operator {
    /// The talk clients; without the talk service there are none to talk to.
    roster: Option<Rc<RefCell<Roster>>>,
    /// Only at a terminal; a pipe brings whole lines.
    editor: Option<LineEditor>,
    /// What was typed behind the line that is being obeyed.
    typed: VecDeque<Typed>,
    /// What that line asks for and is not done yet.
    task: Option<Task>,
    limits: Rc<ServiceLimits>,
    /// Lines dropped since the screen was last read.
    lost: u64,
    ended: bool,
}

/// What is done in pieces, for clients that were there when it was asked for.
enum Task {
    List(RangeInclusive<u32>),
    Write(Rc<str>, RangeInclusive<u32>),
}

impl Operator {
    /// An operator at a terminal, or with `None` at a pipe.
    pub fn new(
        limits: Rc<ServiceLimits>,
        roster: Option<Rc<RefCell<Roster>>>,
        editor: Option<LineEditor>,
    ) -> Operator {
        Operator {
            roster,
            editor,
            typed: VecDeque::new(),
            task: None,
            limits,
            lost: 0,
            ended: false,
        }
    }

    /// A line on the screen. What nobody reads is dropped and counted.
    fn print(&mut self, line: &str, out: &mut Outbox) {
        if out.pending() + line.len() > self.limits.console_backlog {
            self.lost += 1;
            return;
        }
        let mut screen = Vec::new();
        if let Some(editor) = &self.editor {
            editor.erase(&mut screen);
        }
        if self.lost > 0 {
            let lost = std::mem::take(&mut self.lost);
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

    fn obey(&mut self, line: &str, cx: &mut Context<'_>) {
        let line = text::clean(line.as_bytes());
        let line = line.trim_end();
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let rest = rest.trim_start();
        match word {
            "" if rest.is_empty() => {}
            "/help" => self.print(HELP, cx.out),
            _ if self.roster.is_none() => {
                self.print("talk is off: there is nobody to talk to", cx.out)
            }
            "/list" => self.begin(Task::List, cx),
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
                        self.print("write: /to ID text", cx.out);
                    }
                    Some(peer) => cx.posts.push(Post::line(Audience::One(peer), message)),
                }
            }
            _ if word.starts_with('/') => {
                self.print(
                    &format!("there is no command {word}; /help lists them"),
                    cx.out,
                );
            }
            _ => self.begin(|clients| Task::Write(line.into(), clients), cx),
        }
    }

    fn find(&self, id: &str) -> Option<SessionId> {
        self.roster.as_ref()?.borrow().find(id)
    }

    /// Does the first piece of something for all clients.
    fn begin(&mut self, task: impl FnOnce(RangeInclusive<u32>) -> Task, cx: &mut Context<'_>) {
        let numbers = self
            .roster
            .as_ref()
            .and_then(|roster| roster.borrow().numbers());
        match numbers {
            Some(numbers) => {
                self.task = Some(task(numbers));
                self.piece(cx);
            }
            None => self.print("nobody is connected", cx.out),
        }
    }

    /// One piece of what was asked for, or the next line that was typed.
    fn piece(&mut self, cx: &mut Context<'_>) {
        match self.task.take() {
            Some(Task::List(clients)) => {
                let mut lines = Vec::new();
                let rest = self.some(clients, |id, client| lines.push(client.line(id, cx.now)));
                for line in lines {
                    self.print(&line, cx.out);
                }
                self.task = rest.map(Task::List);
            }
            Some(Task::Write(text, clients)) => {
                let rest = self.some(clients, |_, client| {
                    let post = Post::line(Audience::One(client.peer), text.clone());
                    cx.posts.push(post);
                });
                self.task = rest.map(|rest| Task::Write(text, rest));
            }
            None => match self.typed.pop_front() {
                Some(Typed::Line(line)) => self.obey(&line, cx),
                Some(Typed::End) => {
                    let mut screen = Vec::new();
                    if let Some(editor) = self.editor.take() {
                        editor.erase(&mut screen);
                    }
                    cx.out.bytes(&screen);
                    self.ended = true;
                    self.typed.clear();
                    self.print("no operator from here on; the server goes on", cx.out);
                }
                // The terminal makes signals of these keys.
                Some(Typed::Interrupt | Typed::Suspend) | None => {}
            },
        }
    }

    /// Shows the first few of these clients; answers which are left.
    fn some(
        &self,
        clients: RangeInclusive<u32>,
        mut show: impl FnMut(u32, &Client),
    ) -> Option<RangeInclusive<u32>> {
        let last = *clients.end();
        let roster = self.roster.as_ref()?.borrow();
        let mut left = roster.range(clients);
        for (id, client) in left.by_ref().take(self.limits.console_step) {
            show(id, client);
        }
        left.next().map(|(next, _)| next..=last)
    }

    /// A pipe brings lines; what stands behind the last LF is kept until the end of input.
    fn piped(&mut self, input: &[u8], follows: Follows, cx: &mut Context<'_>) -> usize {
        let most = self.limits.wire.unit;
        let window = &input[..input.len().min(most + 1)];
        let (line, taken) = match window.iter().position(|&byte| byte == b'\n') {
            Some(end) => (&input[..end], end + 1),
            // Too long for a line: it goes on in the next one, without cutting a character.
            None if input.len() > most => {
                let whole = text::complete_prefix(&input[..most]);
                (&input[..whole], whole)
            }
            None if follows == Follows::Eof => (input, input.len()),
            None => return 0,
        };
        self.obey(&String::from_utf8_lossy(line), cx);
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
            // No operator any more; the screen is still written to.
            return (0, Intake::Hold);
        }
        let Some(editor) = &mut self.editor else {
            return match self.piped(input, follows, cx) {
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
        self.piece(cx);
        (input.len(), Intake::Work)
    }

    /// Even where nothing is left to be done, it has been waited for: big steps come after all
    /// short turns, so that a line has been written to all clients before the next one is read.
    /// Otherwise a file as input would be more than a client may leave unread.
    fn on_work(&mut self, cx: &mut Context<'_>) -> Intake {
        if self.task.is_some() || !self.typed.is_empty() {
            self.piece(cx);
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
                    editor.widen(*columns);
                    editor.draw(&mut screen);
                    cx.out.bytes(&screen);
                }
            }
            Notice::Close(_) | Notice::Due => {}
        }
        Reaction::Stay
    }

    fn may_idle(&self) -> bool {
        true
    }
}

fn no_client(id: &str) -> String {
    if id.is_empty() {
        return "which client? /list shows their numbers".to_owned();
    }
    format!("there is no client {id}; /list shows who is there")
}
