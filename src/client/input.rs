//! Reads lines from the person at the terminal, with editing and history, or from a pipe.

use super::error::{ClientError, reason};
use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;
use std::io::{self, BufRead, IsTerminal, Read, StdinLock};

/// Where lines come from.
pub enum Input {
    /// A person, who can edit and recall them.
    Terminal(Box<DefaultEditor>),
    /// A file or another program.
    Pipe(StdinLock<'static>),
}

impl Input {
    /// A person is there only when both ends are a terminal: the prompt needs somewhere to be.
    pub fn open() -> Result<Input, ClientError> {
        if io::stdin().is_terminal() && io::stdout().is_terminal() {
            let editor = DefaultEditor::new().map_err(|error| unreadable(&error.to_string()))?;
            Ok(Input::Terminal(Box::new(editor)))
        } else {
            Ok(Input::Pipe(io::stdin().lock()))
        }
    }

    /// Whether a person types the lines.
    pub fn is_terminal(&self) -> bool {
        matches!(self, Input::Terminal(_))
    }

    /// The next line with its line end, or none at the end of the input. From a pipe at most
    /// `most` bytes of a line come at once, and the last line may lack its end.
    pub fn next(&mut self, prompt: &str, most: usize) -> Result<Option<Vec<u8>>, ClientError> {
        match self {
            Input::Terminal(editor) => typed(editor, prompt),
            Input::Pipe(input) => {
                let mut line = Vec::new();
                input
                    .take(most as u64)
                    .read_until(b'\n', &mut line)
                    .map_err(|error| unreadable(&reason(&error)))?;
                Ok((!line.is_empty()).then_some(line))
            }
        }
    }
}

fn typed(editor: &mut DefaultEditor, prompt: &str) -> Result<Option<Vec<u8>>, ClientError> {
    loop {
        match editor.readline(prompt) {
            Ok(line) => {
                // A line that cannot be recalled later is still a line.
                let _ = editor.add_history_entry(line.as_str());
                return Ok(Some((line + "\n").into_bytes()));
            }
            // Ctrl-C gives up the line, as in every shell; Ctrl-D ends.
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
