//! Reads lines from a terminal, with editing and history, or from a pipe. Blocking.

use super::error::{ClientError, reason};
use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;
use std::io::{self, BufRead, IsTerminal, Read, StdinLock};

/// The source of lines.
pub enum Input {
    /// A terminal, with line editing and history.
    Terminal(Box<DefaultEditor>),
    /// A file or a pipe.
    Pipe(StdinLock<'static>),
}

impl Input {
    /// Opens standard input. It counts as a terminal only if standard output is one too, because
    /// the prompt is printed there.
    pub fn open() -> Result<Input, ClientError> {
        if io::stdin().is_terminal() && io::stdout().is_terminal() {
            let editor = DefaultEditor::new().map_err(|error| unreadable(&error.to_string()))?;
            Ok(Input::Terminal(Box::new(editor)))
        } else {
            Ok(Input::Pipe(io::stdin().lock()))
        }
    }

    /// Whether lines are typed at a terminal.
    pub fn is_terminal(&self) -> bool {
        matches!(self, Input::Terminal(_))
    }

    /// Returns the next line with its line end, or none at the end of the input. From a pipe, a
    /// line longer than `max_bytes` is returned in pieces, and the last line may lack its line end.
    pub fn next(&mut self, prompt: &str, max_bytes: usize) -> Result<Option<Vec<u8>>, ClientError> {
        match self {
            Input::Terminal(editor) => read_terminal(editor, prompt),
            Input::Pipe(input) => {
                let mut line = Vec::new();
                input
                    .take(max_bytes as u64)
                    .read_until(b'\n', &mut line)
                    .map_err(|error| unreadable(&reason(&error)))?;
                Ok((!line.is_empty()).then_some(line))
            }
        }
    }
}

fn read_terminal(editor: &mut DefaultEditor, prompt: &str) -> Result<Option<Vec<u8>>, ClientError> {
    loop {
        match editor.readline(prompt) {
            Ok(line) => {
                // An error only means that the line is not in the history.
                let _ = editor.add_history_entry(line.as_str());
                return Ok(Some((line + "\n").into_bytes()));
            }
            // Ctrl-C drops the line, as in a shell; Ctrl-D ends the input.
            Err(ReadlineError::Interrupted | ReadlineError::Signal(_)) => {}
            Err(ReadlineError::Eof) => return Ok(None),
            Err(error) => return Err(unreadable(&error.to_string())),
        }
    }
}

fn unreadable(why: &str) -> ClientError {
    ClientError::failure(format!(
        "cannot read standard input: {why}; is it a terminal or an open file?"
    ))
}
