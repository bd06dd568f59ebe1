//! Lets a person type while what others say appears above the line being typed.
//! Sends and receives nothing; a pipe gets the same without a prompt.

use super::error::{ClientError, Trouble, reason};
use super::gate::{Gate, Gatekeeper};
use super::screen;
use super::terminal_mode::TerminalMode;
use crate::wire::text::OneLine;
use rustyline::config::{Behavior, Config};
use rustyline::error::ReadlineError;
use rustyline::history::DefaultHistory;
use rustyline::{Editor, ExternalPrinter};
use std::io::{self, BufRead, IsTerminal, Read};
use std::sync::Arc;
use std::time::Duration;

/// Both halves, to be given to two threads, and what to keep until both are done.
pub struct Window {
    /// What is typed or piped in.
    pub lines: Lines,
    /// Where what arrives is shown.
    pub shown: Shown,
    /// Where a person sits, if one does.
    pub seat: Option<Seat>,
}

/// The terminal of a person. Dropped when the conversation is over, it leaves the terminal as it
/// was, and a line that was being typed above what is printed next.
pub struct Seat {
    gate: Arc<Gate>,
    _mode: TerminalMode,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.gate.call_off();
    }
}

impl Window {
    /// Opens the window; a person is there only when both ends are a terminal that can move its
    /// cursor.
    pub fn open(prompt_wait: Duration) -> Result<Window, ClientError> {
        if io::stdin().is_terminal()
            && io::stdout().is_terminal()
            && let Some(window) = Window::at_terminal(prompt_wait)
        {
            return Ok(window);
        }
        Ok(Window {
            lines: Lines::Pipe,
            shown: Shown::Plain,
            seat: None,
        })
    }

    fn at_terminal(prompt_wait: Duration) -> Option<Window> {
        let mode = TerminalMode::for_editor().ok()?;
        // With bracketed paste the terminal would have to be told of our end, too.
        let config = Config::builder()
            .behavior(Behavior::Stdio)
            .bracketed_paste(false)
            .build();
        let mut editor = Editor::with_config(config).ok()?;
        let printer = editor.create_external_printer().ok()?;
        let gate = Arc::new(Gate::new(prompt_wait));
        editor.set_helper(Some(Gatekeeper(Arc::clone(&gate))));
        Some(Window {
            lines: Lines::Typed(Box::new(editor), Arc::clone(&gate)),
            shown: Shown::Above {
                printer: Box::new(printer),
                gate: Arc::clone(&gate),
                part: String::new(),
            },
            seat: Some(Seat { gate, _mode: mode }),
        })
    }

    /// Whether a person types.
    pub fn is_terminal(&self) -> bool {
        self.seat.is_some()
    }
}

/// One line of the input.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    /// The line without its end.
    Text(String),
    /// A line of more bytes than may be sent; it is gone.
    TooLong,
}

/// Where lines come from.
pub enum Lines {
    /// A person, who can edit and recall them.
    Typed(Box<Editor<Gatekeeper, DefaultHistory>>, Arc<Gate>),
    /// A file or another program.
    Pipe,
}

impl Lines {
    /// The next line of at most `most` bytes without its end, or none at the end of the input.
    /// Ctrl-C and Ctrl-D both end the input of a person: in a chat there is no command to give up.
    pub fn next(&mut self, prompt: &str, most: usize) -> Result<Option<Line>, ClientError> {
        let line = match self {
            Lines::Pipe => piped(most)?,
            Lines::Typed(editor, gate) => typed(editor, gate, prompt)?.map(String::into_bytes),
        };
        Ok(line.map(|mut line| {
            if line.ends_with(b"\n") {
                line.pop();
                line.pop_if(|last| *last == b'\r');
            }
            match line.len() > most {
                true => Line::TooLong,
                false => Line::Text(String::from_utf8_lossy(&line).into_owned()),
            }
        }))
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        if let Lines::Typed(_, gate) = self {
            gate.open_for_good();
        }
    }
}

fn typed(
    editor: &mut Editor<Gatekeeper, DefaultHistory>,
    gate: &Gate,
    prompt: &str,
) -> Result<Option<String>, ClientError> {
    while gate.close_until_painted() {
        match editor.readline(prompt) {
            Ok(line) => {
                // A line that cannot be recalled later is still a line.
                let _ = editor.add_history_entry(line.as_str());
                return Ok(Some(line));
            }
            Err(ReadlineError::Signal(_)) => {}
            Err(ReadlineError::Interrupted | ReadlineError::Eof) => return Ok(None),
            Err(error) => return Err(unreadable(&error.to_string())),
        }
    }
    Ok(None)
}

/// More than `most` bytes of a line are counted and not kept.
fn piped(most: usize) -> Result<Option<Vec<u8>>, ClientError> {
    let mut line = Vec::new();
    let mut rest = Vec::new();
    let mut input = io::stdin().lock();
    // Room for the line end, and for one byte that shows that the line is too long.
    let room = most as u64 + 2;
    let mut read = |into: &mut Vec<u8>| {
        let count = input.by_ref().take(room).read_until(b'\n', into);
        count.map_err(|error| unreadable(&reason(&error)))
    };
    read(&mut line)?;
    if line.len() as u64 == room && !line.ends_with(b"\n") {
        while read(&mut rest)? > 0 && !rest.ends_with(b"\n") {
            rest.clear();
        }
    }
    Ok((!line.is_empty()).then_some(line))
}

/// Where what arrives is shown.
pub enum Shown {
    /// Above the line that a person is typing, in whole lines.
    Above {
        /// Hands text to the editor.
        printer: Box<dyn ExternalPrinter + Send>,
        /// Says when the editor can take it.
        gate: Arc<Gate>,
        /// A line whose end has not come.
        part: String,
    },
    /// As it comes.
    Plain,
}

impl Shown {
    /// Shows text, which must be clean. A person gets its last line when it is whole, or when
    /// [`Shown::finish_line`] says that no more of it comes.
    pub fn show(&mut self, text: &str) -> Result<(), Trouble> {
        match self {
            Shown::Plain if text.is_empty() => Ok(()),
            Shown::Plain => screen::bytes(text.as_bytes()),
            Shown::Above { part, .. } => {
                part.push_str(text);
                let whole = part.rfind('\n').map_or(0, |end| end + 1);
                let rest = part.split_off(whole);
                let lines = std::mem::replace(part, rest);
                self.print(lines)
            }
        }
    }

    /// The length of the line that is held back because its end has not come.
    pub fn held(&self) -> usize {
        match self {
            Shown::Above { part, .. } => part.len(),
            Shown::Plain => 0,
        }
    }

    /// Shows what is held back as a line of its own.
    pub fn finish_line(&mut self) -> Result<(), Trouble> {
        match self {
            Shown::Plain => Ok(()),
            Shown::Above { part, .. } if part.is_empty() => Ok(()),
            Shown::Above { part, .. } => {
                let line = std::mem::take(part) + "\n";
                self.print(line)
            }
        }
    }

    /// Tells a person one line beside the conversation; on standard error if there is a pipe.
    pub fn notice(&mut self, line: &str) -> Result<(), Trouble> {
        match self {
            Shown::Plain => {
                screen::remark(line);
                Ok(())
            }
            Shown::Above { .. } => self.print(format!("{}\n", OneLine(line))),
        }
    }

    /// Waits until the editor has taken all: it holds one text at most, so that another, which
    /// shows nothing, finds room when the last one is being shown.
    pub fn settle(&mut self) -> Result<(), Trouble> {
        // Up and down again: the editor would add a line end to a text that has none.
        self.print("\x1b[A\n".to_owned())
    }

    fn print(&mut self, lines: String) -> Result<(), Trouble> {
        let Shown::Above { printer, gate, .. } = self else {
            return Ok(());
        };
        if lines.is_empty() {
            return Ok(());
        }
        gate.wait_until_painted();
        match printer.print(lines.clone()) {
            Ok(()) => Ok(()),
            // The editor is gone, and no line is being typed any more.
            Err(_) => screen::bytes(lines.as_bytes()),
        }
    }
}

fn unreadable(why: &str) -> ClientError {
    ClientError::failure(format!(
        "cannot read standard input: {why}; is it a terminal or an open file?"
    ))
}
