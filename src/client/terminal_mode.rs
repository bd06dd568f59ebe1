//! Brings the terminal back to how it was, on every way out.
//! Reads and prints nothing.

use crate::terminal::on_exit::OnExit;
use rustix::termios::{
    InputModes, LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};
use std::io;

/// The settings that the terminal of standard input gets back when this is dropped, or when a
/// signal ends the process.
#[derive(Debug)]
pub struct TerminalMode {
    saved: Termios,
    _farewell: OnExit,
}

impl TerminalMode {
    fn remember() -> io::Result<TerminalMode> {
        let saved = tcgetattr(io::stdin())?;
        let copy = saved.clone();
        Ok(TerminalMode {
            saved,
            _farewell: OnExit::new(move || restore(&copy)),
        })
    }

    /// Remembers how the terminal is, and stops showing what is typed but for the line end. What
    /// was typed before it was asked for is thrown away.
    pub fn for_secret() -> io::Result<TerminalMode> {
        let mode = TerminalMode::remember()?;
        let mut silent = mode.saved.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        silent.local_modes.insert(LocalModes::ECHONL);
        tcsetattr(io::stdin(), OptionalActions::Flush, &silent)?;
        Ok(mode)
    }

    /// Remembers how the terminal is, and lets keys through as they are pressed, also between two
    /// lines that the editor reads: those pressed there would otherwise be shown twice, and lost
    /// when the editor switches the terminal over. Ctrl-C between two lines stays a signal.
    pub fn for_editor() -> io::Result<TerminalMode> {
        let mode = TerminalMode::remember()?;
        let mut keys = mode.saved.clone();
        let line_modes = LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ICANON;
        keys.local_modes.remove(line_modes | LocalModes::IEXTEN);
        keys.input_modes
            .remove(InputModes::ICRNL | InputModes::IXON);
        keys.special_codes[SpecialCodeIndex::VMIN] = 1;
        keys.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(io::stdin(), OptionalActions::Now, &keys)?;
        Ok(mode)
    }
}

impl Drop for TerminalMode {
    fn drop(&mut self) {
        restore(&self.saved);
    }
}

/// At once: a terminal that is stopped by Ctrl-S would let us wait for its output for ever.
fn restore(mode: &Termios) {
    let _ = tcsetattr(io::stdin(), OptionalActions::Now, mode);
}
