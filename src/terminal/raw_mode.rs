//! Sets how a terminal treats keys, and brings it back to how it was, on every way out.

use super::on_exit::OnExit;
use rustix::termios::{
    InputModes, LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetpgrp,
    tcgetwinsize, tcsetattr,
};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A terminal whose mode is changed until this is dropped, or a signal ends the process.
pub struct RawMode {
    terminal: OwnedFd,
    before: Termios,
    during: Termios,
    _on_exit: OnExit,
}

/// What Ctrl-C and Ctrl-Z do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Controls {
    /// The terminal makes signals of them.
    Signals,
    /// They are keys like the others.
    Keys,
}

impl RawMode {
    /// Lets keys through as they are pressed, without an echo of the terminal's own.
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

    /// Stops showing what is typed but for the line end. What was typed before it was asked for
    /// is thrown away.
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

    /// Sets the mode again: after a stop and a `fg` the shell has left its own.
    pub fn apply(&self) {
        set(&self.terminal, &self.during);
    }

    /// Brings the terminal back to how it was, until the mode is applied again.
    pub fn leave(&self) {
        set(&self.terminal, &self.before);
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        self.leave();
    }
}

/// At once: a terminal that is stopped by Ctrl-S would let us wait for its output for ever. Not
/// from the background, where it would stop the process (SIGTTOU). Without it the line is drawn
/// twice: a nuisance, nothing worse.
fn set(terminal: &OwnedFd, mode: &Termios) {
    if in_foreground(terminal.as_fd()) {
        let _ = tcsetattr(terminal, OptionalActions::Now, mode);
    }
}

/// Whether the terminal is ours now, and not that of another job of the shell.
pub fn in_foreground(terminal: BorrowedFd<'_>) -> bool {
    tcgetpgrp(terminal) == Ok(rustix::process::getpgrp())
}

/// How wide the terminal is, or probably is.
pub fn columns(terminal: BorrowedFd<'_>) -> usize {
    match tcgetwinsize(terminal) {
        Ok(size) if size.ws_col > 0 => usize::from(size.ws_col),
        _ => 80,
    }
}
