//! Terminal modes: sets them, and restores them on drop and when a signal ends the process.

use super::on_exit::OnExit;
use rustix::termios::{
    InputModes, LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetpgrp,
    tcgetwinsize, tcsetattr,
};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A changed terminal mode. Dropping this restores the mode, and so does a signal that ends the
/// process.
pub struct RawMode {
    terminal: OwnedFd,
    before: Termios,
    during: Termios,
    _on_exit: OnExit,
}

/// What Ctrl-C and Ctrl-Z do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Controls {
    /// The terminal turns them into signals.
    Signals,
    /// They are ordinary keys.
    Keys,
}

impl RawMode {
    /// Delivers each key when it is pressed, without echo: termios(3), noncanonical mode.
    pub fn enter(terminal: BorrowedFd<'_>, controls: Controls) -> io::Result<RawMode> {
        let mode = RawMode::change(terminal, |keys| {
            let line_modes = LocalModes::ICANON | LocalModes::ECHO | LocalModes::ECHONL;
            keys.local_modes.remove(line_modes | LocalModes::IEXTEN);
            keys.special_codes[SpecialCodeIndex::VMIN] = 1;
            keys.special_codes[SpecialCodeIndex::VTIME] = 0;
            if controls == Controls::Keys {
                keys.special_codes[SpecialCodeIndex::VINTR] = 0;
                keys.special_codes[SpecialCodeIndex::VSUSP] = 0;
                keys.input_modes.remove(InputModes::IXON);
            }
        })?;
        mode.apply();
        Ok(mode)
    }

    /// Turns echo off, except for the line end, for a password. Pending input is discarded.
    pub fn hide_input(terminal: BorrowedFd<'_>) -> io::Result<RawMode> {
        let mode = RawMode::change(terminal, |silent| {
            silent.local_modes.remove(LocalModes::ECHO);
            silent.local_modes.insert(LocalModes::ECHONL);
        })?;
        tcsetattr(terminal, OptionalActions::Flush, &mode.during)?;
        Ok(mode)
    }

    fn change(terminal: BorrowedFd<'_>, change: impl FnOnce(&mut Termios)) -> io::Result<RawMode> {
        let before = tcgetattr(terminal)?;
        let mut during = before.clone();
        change(&mut during);
        let at_exit = (terminal.try_clone_to_owned()?, before.clone());
        Ok(RawMode {
            terminal: terminal.try_clone_to_owned()?,
            before,
            during,
            _on_exit: OnExit::new(move || set(&at_exit.0, &at_exit.1)),
        })
    }

    /// Sets the mode again, for example after Ctrl-Z and `fg`.
    pub fn apply(&self) {
        set(&self.terminal, &self.during);
    }

    /// Restores the original mode, until [`apply`](RawMode::apply) is called.
    pub fn leave(&self) {
        set(&self.terminal, &self.before);
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Sets the mode with TCSANOW: TCSADRAIN would block while Ctrl-S stops the terminal. In the
/// background it does nothing, because tcsetattr(3) would stop the process (SIGTTOU). Errors are
/// ignored: in the wrong mode the line is drawn twice, nothing worse.
fn set(terminal: &OwnedFd, mode: &Termios) {
    if in_foreground(terminal.as_fd()) {
        let _ = tcsetattr(terminal, OptionalActions::Now, mode);
    }
}

/// Whether the process is in the terminal's foreground process group.
pub fn in_foreground(terminal: BorrowedFd<'_>) -> bool {
    tcgetpgrp(terminal) == Ok(rustix::process::getpgrp())
}

/// The width of the terminal in columns; 80 if it is not known.
pub fn columns(terminal: BorrowedFd<'_>) -> usize {
    match tcgetwinsize(terminal) {
        Ok(size) if size.ws_col > 0 => usize::from(size.ws_col),
        _ => 80,
    }
}
