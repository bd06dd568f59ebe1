//! Standard input and output of a chat client. Arriving text appears above the line being typed.
//!
//! ```text
//!   standard input ── keys ──> LineEditor ── a line ──> client loop ──> socket
//!                                  │                        ^
//!                        the line being typed               │
//!                                  v                        │
//!   standard output <───────── ChatScreen <── show ─── client loop <── socket
//! ```
//!
//! If standard input or output is a pipe, there is no editing and no prompt: lines are read as they
//! are, and text is written as soon as it arrives. Only [`ChatScreen::wait`] and
//! [`ChatScreen::flush`] block.

use super::error::{ClientError, ExchangeError, reason};
use super::output;
use crate::terminal::line_editor::{EditorLimits, LineEditor, Typed};
use crate::terminal::raw_mode::{self, Controls, RawMode};
use crate::terminal::std_stream::StdStream;
use crate::wire::text::OneLine;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::process::{Signal, kill_current_process_group};
use signal_hook::consts::{SIGCONT, SIGWINCH};
use signal_hook::low_level::pipe;
use std::fmt::Display;
use std::io::{self, IsTerminal, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Instant;

/// What was read from standard input.
#[derive(Debug, PartialEq, Eq)]
pub enum InputEvent {
    /// A line without its line end.
    Line(String),
    /// A line over the length limit. It is dropped.
    TooLong,
    /// End of input: end of file on a pipe, or Ctrl-D.
    End,
    /// Ctrl-C: end of input, and lines that are not sent yet are to be dropped.
    Interrupt,
}

/// What can be read without blocking.
#[derive(Debug, Default)]
pub struct Ready {
    /// Standard input.
    pub input: bool,
    /// The socket.
    pub socket: bool,
}

/// Standard input and output of a chat client.
pub struct ChatScreen {
    /// The terminal in raw mode. None: a pipe.
    terminal: Option<ChatTerminal>,
    /// The line being typed. None: a pipe, or the input has ended.
    editor: Option<LineEditor>,
    /// Whether the cursor is in the row that shows the line being typed.
    is_drawn: bool,
    /// The beginning of a line from a pipe, at most `max_line` + 2 bytes.
    piped: Vec<u8>,
    /// The longest line that may be sent, without its line end, in bytes.
    max_line: usize,
    /// Text without a line end that is not shown yet. Empty for a pipe, which gets it at once.
    partial_line: String,
    output: StdStream,
    /// Bytes that standard output would not take without blocking.
    unwritten: Vec<u8>,
}

struct ChatTerminal {
    raw_mode: RawMode,
    /// Readable after SIGWINCH or SIGCONT.
    signals: UnixStream,
}

impl ChatScreen {
    /// Opens standard input and output. `max_line` is in bytes, `history` in lines. Lines are
    /// edited if both are a terminal that can move its cursor.
    pub fn open(prompt: &str, max_line: usize, history: usize) -> Result<ChatScreen, ClientError> {
        let (stdin, stdout) = (io::stdin(), io::stdout());
        let output = StdStream::open(stdout.as_fd(), OFlags::WRONLY)
            .map_err(|error| chat_failed(output::cannot_print(&error)))?;
        let cursor_moves = !std::env::var("TERM").is_ok_and(|term| term == "dumb");
        let is_terminal = stdin.is_terminal() && stdout.is_terminal() && cursor_moves;
        let terminal = is_terminal.then(|| ChatTerminal::open(output.as_fd()).ok());
        let terminal = terminal.flatten();
        let editor = terminal.as_ref().map(|_| {
            let columns = raw_mode::columns(output.as_fd());
            // One more character, so that a line over the limit is reported and not cut.
            let line = max_line + 1;
            LineEditor::new(prompt, columns, EditorLimits { line, history })
        });
        Ok(ChatScreen {
            terminal,
            editor,
            is_drawn: false,
            piped: Vec::new(),
            max_line,
            partial_line: String::new(),
            output,
            unwritten: Vec::new(),
        })
    }

    /// Whether lines are typed at a terminal.
    pub fn is_terminal(&self) -> bool {
        self.terminal.is_some()
    }

    /// Waits until the socket can be read, or written if `has_unsent`, until standard input can be
    /// read if `reads_input`, or until the deadline. The socket is not read while standard output
    /// is blocked.
    pub fn wait(
        &mut self,
        reads_input: bool,
        socket: BorrowedFd<'_>,
        has_unsent: bool,
        deadline: Option<Instant>,
    ) -> Result<Ready, ClientError> {
        if let Some(editor) = self.editor.as_ref().filter(|_| !self.is_drawn) {
            editor.draw(&mut self.unwritten);
            self.is_drawn = true;
        }
        self.write()?;
        let is_blocked = !self.unwritten.is_empty();
        let mut socket_events = PollFlags::empty();
        socket_events.set(PollFlags::IN, !is_blocked);
        socket_events.set(PollFlags::OUT, has_unsent);
        let stdin = io::stdin();
        // A descriptor without wanted events is left out: poll(2) would report POLLHUP at once.
        let mut fds = Vec::with_capacity(4);
        let mut watch = |wanted: bool, fd, events| {
            if wanted {
                fds.push(PollFd::from_borrowed_fd(fd, events));
            }
        };
        watch(!socket_events.is_empty(), socket, socket_events);
        watch(reads_input, stdin.as_fd(), PollFlags::IN);
        watch(is_blocked, self.output.as_fd(), PollFlags::OUT);
        if let Some(terminal) = &self.terminal {
            watch(true, terminal.signals.as_fd(), PollFlags::IN);
        }
        match poll(&mut fds, deadline.map(time_until).as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(chat_failed(io::Error::from(error).into())),
        }
        let is_ready = |fd: BorrowedFd<'_>| {
            fds.iter().any(|polled| {
                polled.as_fd().as_raw_fd() == fd.as_raw_fd() && !polled.revents().is_empty()
            })
        };
        let ready = Ready {
            input: is_ready(stdin.as_fd()),
            socket: is_ready(socket) && !is_blocked,
        };
        self.handle_signals();
        Ok(ready)
    }

    /// SIGWINCH: the width has changed. SIGCONT: the shell has set its own terminal mode.
    fn handle_signals(&mut self) {
        if let Some(terminal) = &mut self.terminal
            && matches!(terminal.signals.read(&mut [0; 64]), Ok(1..))
        {
            terminal.raw_mode.apply();
            self.is_drawn = false;
            if let Some(editor) = &mut self.editor {
                editor.set_columns(raw_mode::columns(self.output.as_fd()));
            }
        }
    }

    /// Reads from standard input once.
    pub fn read(&mut self) -> Result<Vec<InputEvent>, ClientError> {
        let mut bytes = [0; 4096];
        match rustix::io::read(io::stdin(), &mut bytes) {
            Ok(count) if self.is_terminal() && count > 0 => Ok(self.read_keys(&bytes[..count])),
            Ok(count) => Ok(self.read_pipe(&bytes[..count])),
            Err(Errno::INTR | Errno::AGAIN) => Ok(Vec::new()),
            Err(error) => {
                let why = reason(&error.into());
                Err(ClientError::failure(format!(
                    "cannot read standard input: {why}; is it a terminal or an open file?"
                )))
            }
        }
    }

    fn read_keys(&mut self, keys: &[u8]) -> Vec<InputEvent> {
        let Some(editor) = &mut self.editor else {
            return Vec::new();
        };
        let typed = editor.feed(keys, &mut self.unwritten);
        // After Enter the cursor is in an empty row, unless the next line has already begun.
        self.is_drawn = !editor.is_empty() || !matches!(typed.last(), Some(Typed::Line(_)));
        if self.is_drawn {
            editor.draw(&mut self.unwritten);
        }
        let mut events = Vec::new();
        for typed in typed {
            match typed {
                Typed::Line(line) if line.len() > self.max_line => events.push(InputEvent::TooLong),
                Typed::Line(line) => events.push(InputEvent::Line(line)),
                Typed::End => events.push(InputEvent::End),
                Typed::Interrupt => events.push(InputEvent::Interrupt),
                Typed::Suspend => self.suspend(),
            }
        }
        events
    }

    /// Adds bytes from a pipe. No bytes mean end of file.
    fn read_pipe(&mut self, bytes: &[u8]) -> Vec<InputEvent> {
        let mut events = Vec::new();
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            // Keeps at most the longest line, CR and LF: enough to see that a line is too long.
            let room = self.max_line + 2 - self.piped.len();
            self.piped.extend(&piece[..piece.len().min(room)]);
            if piece.ends_with(b"\n") {
                events.push(self.take_piped_line());
            }
        }
        if bytes.is_empty() {
            if !self.piped.is_empty() {
                events.push(self.take_piped_line());
            }
            events.push(InputEvent::End);
        }
        events
    }

    fn take_piped_line(&mut self) -> InputEvent {
        let mut line = std::mem::take(&mut self.piped);
        if line.ends_with(b"\n") {
            line.pop();
            line.pop_if(|last| *last == b'\r');
        }
        match line.len() > self.max_line {
            true => InputEvent::TooLong,
            false => InputEvent::Line(String::from_utf8_lossy(&line).into_owned()),
        }
    }

    /// Ends the editing of lines. A line that was begun stays on the screen.
    pub fn end_input(&mut self) {
        self.end_row();
        self.editor = None;
    }

    /// Shows text, which must be free of control characters other than LF and tab. On a terminal
    /// the last line is held back until its line end arrives or
    /// [`ChatScreen::end_partial_line`] is called.
    pub fn show(&mut self, text: &str) {
        self.partial_line.push_str(text);
        let complete = match self.is_terminal() {
            true => self.partial_line.rfind('\n').map_or(0, |end| end + 1),
            false => self.partial_line.len(),
        };
        let rest = self.partial_line.split_off(complete);
        let lines = std::mem::replace(&mut self.partial_line, rest);
        self.print(&lines);
    }

    /// The length of the line that is held back, in bytes.
    pub fn partial_len(&self) -> usize {
        self.partial_line.len()
    }

    /// Shows the line that is held back.
    pub fn end_partial_line(&mut self) {
        if !self.partial_line.is_empty() {
            self.show("\n");
        }
    }

    /// Shows a message of the client itself: on the terminal, or on standard error.
    pub fn notice(&mut self, line: impl Display) {
        match self.is_terminal() {
            true => self.print(&format!("{}\n", OneLine(line))),
            false => output::diagnostic(line),
        }
    }

    /// Writes everything that is left, waiting for standard output.
    pub fn flush(&mut self) -> Result<(), ClientError> {
        self.end_row();
        loop {
            self.write()?;
            if self.unwritten.is_empty() {
                return Ok(());
            }
            let _ = poll(&mut [PollFd::new(&self.output, PollFlags::OUT)], None);
        }
    }

    /// Puts lines in place of the line being typed; [`ChatScreen::wait`] draws that again below.
    fn print(&mut self, lines: &str) {
        if lines.is_empty() {
            return;
        }
        if let Some(editor) = &self.editor {
            editor.erase(&mut self.unwritten);
            self.is_drawn = false;
        }
        self.unwritten.extend_from_slice(lines.as_bytes());
    }

    /// Moves the cursor below the line being typed.
    fn end_row(&mut self) {
        if std::mem::take(&mut self.is_drawn) {
            self.unwritten.extend_from_slice(b"\r\n");
        }
    }

    /// Writes until standard output would block.
    fn write(&mut self) -> Result<(), ClientError> {
        while !self.unwritten.is_empty() {
            match self.output.write(&self.unwritten) {
                Ok(count) => drop(self.unwritten.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(chat_failed(output::cannot_print(&error))),
            }
        }
        Ok(())
    }

    /// Ctrl-Z: restores the terminal mode, stops the process group, and continues after `fg`.
    fn suspend(&mut self) {
        self.end_row();
        let _ = self.write();
        if let Some(terminal) = &self.terminal {
            terminal.raw_mode.leave();
            let _ = kill_current_process_group(Signal::TSTP);
            terminal.raw_mode.apply();
        }
    }
}

impl Drop for ChatScreen {
    fn drop(&mut self) {
        let _ = self.flush();
    }
}

impl ChatTerminal {
    fn open(terminal: BorrowedFd<'_>) -> io::Result<ChatTerminal> {
        let (signals, waker) = UnixStream::pair()?;
        signals.set_nonblocking(true)?;
        pipe::register(SIGWINCH, waker.try_clone()?)?;
        pipe::register(SIGCONT, waker)?;
        let raw_mode = RawMode::enter(terminal, Controls::Keys)?;
        Ok(ChatTerminal { raw_mode, signals })
    }
}

fn chat_failed(error: ExchangeError) -> ClientError {
    error.in_context("cannot continue the chat")
}

fn time_until(deadline: Instant) -> Timespec {
    let left = deadline.saturating_duration_since(Instant::now());
    Timespec::try_from(left).expect("the limits of this program are shorter than i64::MAX seconds")
}
