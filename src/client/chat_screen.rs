//! What a chat shows and reads. What arrives appears above the line that is being typed.
//!
//! ```text
//!   standard input ── keys ──> LineEditor ── a line ──> the chat ──> socket
//!                                  │                        ^
//!                        the line being typed               │
//!                                  v                        │
//!   standard output <───────── ChatScreen <─── show ──── the chat <── socket
//! ```
//!
//! A pipe brings lines that need no editing, and gets what arrives as it comes, without a prompt.
//! Nothing here waits but [`ChatScreen::wait`].

use super::error::{ClientError, Trouble, reason};
use super::screen;
use crate::terminal::channel::Channel;
use crate::terminal::line_editor::{EditorLimits, LineEditor, Typed};
use crate::terminal::raw_mode::{self, Controls, RawMode};
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
pub enum Entry {
    /// A line without its end.
    Line(String),
    /// A line of more bytes than may be sent; it is gone.
    TooLong,
    /// The input is over: a pipe is closed, or a person pressed Ctrl-D.
    End,
    /// A person pressed Ctrl-C: the input is over, and what is not sent yet is not wanted.
    Interrupt,
}

/// What can be done without waiting.
#[derive(Debug, Default)]
pub struct Ready {
    /// Standard input can be read.
    pub input: bool,
    /// The socket can be read.
    pub heard: bool,
}

/// Standard input and output of a chat.
pub struct ChatScreen {
    /// Where a person sits, if one does.
    seat: Option<Seat>,
    /// What the person types, as long as more may come.
    editor: Option<LineEditor>,
    /// The row of the cursor shows the line that is being typed.
    drawn: bool,
    /// The line of a pipe that was read up to here; of one that is too long only the beginning.
    line: Vec<u8>,
    /// Bytes of a line that may be sent.
    most: usize,
    /// A line to be shown whose end has not come: a person is shown whole lines.
    part: String,
    output: Channel,
    /// What standard output has not taken.
    unwritten: Vec<u8>,
}

struct Seat {
    mode: RawMode,
    /// A byte for each SIGWINCH and SIGCONT.
    signals: UnixStream,
}

impl ChatScreen {
    /// Opens the screen for lines of at most `most` bytes. A person is there only when both ends
    /// are a terminal that can move its cursor.
    pub fn open(prompt: &str, most: usize, history: usize) -> Result<ChatScreen, ClientError> {
        let (stdin, stdout) = (io::stdin(), io::stdout());
        let output = Channel::open(stdout.as_fd(), OFlags::WRONLY)
            .map_err(|error| cannot_go_on(screen::unprintable(&error)))?;
        let cursor_moves = !std::env::var("TERM").is_ok_and(|term| term == "dumb");
        let is_person = stdin.is_terminal() && stdout.is_terminal() && cursor_moves;
        let seat = is_person.then(|| Seat::take(output.as_fd()).ok()).flatten();
        let editor = seat.as_ref().map(|_| {
            let columns = raw_mode::columns(output.as_fd());
            // One more, so that a line that is too long is told and not cut.
            let line = most + 1;
            LineEditor::new(prompt, columns, EditorLimits { line, history })
        });
        Ok(ChatScreen {
            seat,
            editor,
            drawn: false,
            line: Vec::new(),
            most,
            part: String::new(),
            output,
            unwritten: Vec::new(),
        })
    }

    /// Whether a person types.
    pub fn is_terminal(&self) -> bool {
        self.seat.is_some()
    }

    /// Waits until standard input or the socket has something, or until this time. As long as
    /// standard output takes nothing, the socket is not read.
    pub fn wait(
        &mut self,
        input: bool,
        (socket, mut events): (BorrowedFd<'_>, PollFlags),
        until: Option<Instant>,
    ) -> Result<Ready, ClientError> {
        if let Some(editor) = self.editor.as_ref().filter(|_| !self.drawn) {
            editor.draw(&mut self.unwritten);
            self.drawn = true;
        }
        self.write()?;
        let is_stuck = !self.unwritten.is_empty();
        if is_stuck {
            events.remove(PollFlags::IN);
        }
        let stdin = io::stdin();
        let mut fds = Vec::with_capacity(4);
        let mut watch = |wanted: bool, fd, events| {
            if wanted {
                fds.push(PollFd::from_borrowed_fd(fd, events));
            }
        };
        watch(!events.is_empty(), socket, events);
        watch(input, stdin.as_fd(), PollFlags::IN);
        watch(is_stuck, self.output.as_fd(), PollFlags::OUT);
        if let Some(seat) = &self.seat {
            watch(true, seat.signals.as_fd(), PollFlags::IN);
        }
        match poll(&mut fds, until.map(time_to).as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(cannot_go_on(io::Error::from(error).into())),
        }
        let happened = |fd: BorrowedFd<'_>| {
            let is_it = |polled: &&PollFd<'_>| polled.as_fd().as_raw_fd() == fd.as_raw_fd();
            fds.iter()
                .find(is_it)
                .is_some_and(|polled| !polled.revents().is_empty())
        };
        let ready = Ready {
            input: happened(stdin.as_fd()),
            heard: happened(socket) && events.contains(PollFlags::IN),
        };
        self.obey_signals();
        Ok(ready)
    }

    /// The terminal has another width, or another job of the shell has used it.
    fn obey_signals(&mut self) {
        if let Some(seat) = &mut self.seat
            && matches!(seat.signals.read(&mut [0; 64]), Ok(1..))
        {
            seat.mode.apply();
            self.drawn = false;
            if let Some(editor) = &mut self.editor {
                editor.widen(raw_mode::columns(self.output.as_fd()));
            }
        }
    }

    /// What was typed or piped in.
    pub fn read(&mut self) -> Result<Vec<Entry>, ClientError> {
        let mut bytes = [0; 4096];
        match rustix::io::read(io::stdin(), &mut bytes) {
            Ok(count) if self.is_terminal() && count > 0 => Ok(self.typed(&bytes[..count])),
            Ok(count) => Ok(self.piped(&bytes[..count])),
            Err(Errno::INTR | Errno::AGAIN) => Ok(Vec::new()),
            Err(error) => {
                let why = reason(&error.into());
                Err(ClientError::failure(format!(
                    "cannot read standard input: {why}; is it a terminal or an open file?"
                )))
            }
        }
    }

    fn typed(&mut self, keys: &[u8]) -> Vec<Entry> {
        let Some(editor) = &mut self.editor else {
            return Vec::new();
        };
        let typed = editor.feed(keys, &mut self.unwritten);
        // Behind Enter there is an empty row, and perhaps the beginning of the next line.
        self.drawn = !editor.is_empty() || !matches!(typed.last(), Some(Typed::Line(_)));
        if self.drawn {
            editor.draw(&mut self.unwritten);
        }
        let mut entries = Vec::new();
        for typed in typed {
            match typed {
                Typed::Line(line) if line.len() > self.most => entries.push(Entry::TooLong),
                Typed::Line(line) => entries.push(Entry::Line(line)),
                Typed::End => entries.push(Entry::End),
                Typed::Interrupt => entries.push(Entry::Interrupt),
                Typed::Suspend => self.suspend(),
            }
        }
        entries
    }

    /// The lines that these bytes complete; no bytes are the end.
    fn piped(&mut self, bytes: &[u8]) -> Vec<Entry> {
        let mut entries = Vec::new();
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            // Room for the line end, and for one byte that shows that the line is too long.
            let room = self.most + 2 - self.line.len();
            self.line.extend(&piece[..piece.len().min(room)]);
            if piece.ends_with(b"\n") {
                entries.push(self.take_line());
            }
        }
        if bytes.is_empty() {
            if !self.line.is_empty() {
                entries.push(self.take_line());
            }
            entries.push(Entry::End);
        }
        entries
    }

    fn take_line(&mut self) -> Entry {
        let mut line = std::mem::take(&mut self.line);
        if line.ends_with(b"\n") {
            line.pop();
            line.pop_if(|last| *last == b'\r');
        }
        match line.len() > self.most {
            true => Entry::TooLong,
            false => Entry::Line(String::from_utf8_lossy(&line).into_owned()),
        }
    }

    /// No line is typed any more. What was typed last stays on the screen.
    pub fn end_input(&mut self) {
        self.leave_row();
        self.editor = None;
    }

    /// Shows text, which must be clean. A person gets its last line when it is whole, or when
    /// [`ChatScreen::finish_line`] says that no more of it comes.
    pub fn show(&mut self, text: &str) {
        self.part.push_str(text);
        let whole = match self.is_terminal() {
            true => self.part.rfind('\n').map_or(0, |end| end + 1),
            false => self.part.len(),
        };
        let rest = self.part.split_off(whole);
        let lines = std::mem::replace(&mut self.part, rest);
        self.print(&lines);
    }

    /// The length of the line that is held back because its end has not come.
    pub fn held(&self) -> usize {
        self.part.len()
    }

    /// Shows what is held back as a line of its own.
    pub fn finish_line(&mut self) {
        if !self.part.is_empty() {
            self.show("\n");
        }
    }

    /// Shows a person one line beside the conversation; on standard error if there is a pipe.
    pub fn notice(&mut self, line: impl Display) {
        match self.is_terminal() {
            true => self.print(&format!("{}\n", OneLine(line))),
            false => screen::remark(line),
        }
    }

    /// Writes what is left, and waits for it.
    pub fn finish(&mut self) -> Result<(), ClientError> {
        self.leave_row();
        loop {
            self.write()?;
            if self.unwritten.is_empty() {
                return Ok(());
            }
            let _ = poll(&mut [PollFd::new(&self.output, PollFlags::OUT)], None);
        }
    }

    fn print(&mut self, lines: &str) {
        if lines.is_empty() {
            return;
        }
        if let Some(editor) = &self.editor {
            editor.erase(&mut self.unwritten);
            self.drawn = false;
        }
        self.unwritten.extend_from_slice(lines.as_bytes());
    }

    fn leave_row(&mut self) {
        if std::mem::take(&mut self.drawn) {
            self.unwritten.extend_from_slice(b"\r\n");
        }
    }

    fn write(&mut self) -> Result<(), ClientError> {
        while !self.unwritten.is_empty() {
            match self.output.write(&self.unwritten) {
                Ok(count) => drop(self.unwritten.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(cannot_go_on(screen::unprintable(&error))),
            }
        }
        Ok(())
    }

    /// Ctrl-Z: the shell gets its terminal as it was, until it has us go on.
    fn suspend(&mut self) {
        self.leave_row();
        let _ = self.write();
        if let Some(seat) = &self.seat {
            seat.mode.leave();
            let _ = kill_current_process_group(Signal::TSTP);
            seat.mode.apply();
        }
    }
}

impl Drop for ChatScreen {
    fn drop(&mut self) {
        let _ = self.finish();
    }
}

impl Seat {
    fn take(terminal: BorrowedFd<'_>) -> io::Result<Seat> {
        let (signals, waker) = UnixStream::pair()?;
        signals.set_nonblocking(true)?;
        pipe::register(SIGWINCH, waker.try_clone()?)?;
        pipe::register(SIGCONT, waker)?;
        let mode = RawMode::enter(terminal, Controls::Keys)?;
        Ok(Seat { mode, signals })
    }
}

fn cannot_go_on(trouble: Trouble) -> ClientError {
    trouble.in_context("cannot go on")
}

fn time_to(until: Instant) -> Timespec {
    let left = until.saturating_duration_since(Instant::now());
    Timespec::try_from(left).expect("a limit of this program")
}
