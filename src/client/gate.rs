//! Holds back what arrives while the line editor is between two lines and could not protect it.
//! Reads no keys and prints nothing.
//!
//! rustyline's external printer writes straight to the terminal while no line is being read. A
//! text that comes between Enter and the new line that follows, or just before the prompt, would
//! thus be glued to the one or the other. The editor tells of both moments through its helper.

use rustyline::completion::Completer;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Context, Helper};
use signal_hook::consts::SIGINT;
use signal_hook::low_level::raise;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// A line has been asked for, but its prompt is not on the screen.
    Starting,
    /// The editor shows what arrives above the line being typed.
    Painted,
    /// Enter was pressed.
    Accepted,
    /// No line will be typed any more.
    Over,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    called_off: bool,
}

/// Whether the line editor can take what arrives.
#[derive(Debug)]
pub struct Gate {
    state: Mutex<State>,
    opened: Condvar,
    patience: Duration,
}

impl Gate {
    /// A closed gate. `patience` is the longest that anything is held back.
    pub fn new(patience: Duration) -> Gate {
        Gate {
            state: Mutex::new(State {
                phase: Phase::Starting,
                called_off: false,
            }),
            opened: Condvar::new(),
            patience,
        }
    }

    /// The next painting opens the gate. False means that no line is to be read any more.
    #[must_use]
    pub fn close_until_painted(&self) -> bool {
        let mut state = self.state();
        state.phase = Phase::Starting;
        !state.called_off
    }

    /// Nothing needs to be held back from here on.
    pub fn open_for_good(&self) {
        self.state().phase = Phase::Over;
        self.opened.notify_all();
    }

    /// Waits until the gate is open. Not for ever: the thread that reads lines may be stuck in
    /// sending one to a server that waits for us to read.
    pub fn wait_until_painted(&self) {
        self.wait_while(self.state(), |phase| {
            matches!(phase, Phase::Starting | Phase::Accepted)
        });
    }

    /// Ends the line being typed, as Ctrl-C does, and waits until the editor has left the terminal.
    pub fn call_off(&self) {
        let mut state = self.state();
        state.called_off = true;
        if state.phase == Phase::Painted {
            interrupt();
        }
        self.wait_while(state, |phase| phase != Phase::Over);
    }

    fn wait_while(&self, state: MutexGuard<'_, State>, closed: impl Fn(Phase) -> bool) {
        let closed = |state: &mut State| closed(state.phase);
        let waited = self.opened.wait_timeout_while(state, self.patience, closed);
        drop(waited);
    }

    fn painted(&self) {
        let mut state = self.state();
        if state.phase == Phase::Starting {
            state.phase = Phase::Painted;
            self.opened.notify_all();
            if state.called_off {
                interrupt();
            }
        }
    }

    fn accepted(&self) {
        let mut state = self.state();
        if state.phase != Phase::Over {
            state.phase = Phase::Accepted;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes the editor let go of the line, which nothing else does. Only while the phase is `Painted`
/// and locked: the editor itself catches the signal then, and cannot stop doing so. `raise`
/// returns when the signal is caught.
fn interrupt() {
    let _ = raise(SIGINT);
}

/// The helper through which the editor tells the gate what it does; it helps with nothing else.
#[derive(Debug)]
pub struct Gatekeeper(pub Arc<Gate>);

impl Hinter for Gatekeeper {
    type Hint = String;

    /// Asked for at every painting of the line, the first of which comes with the prompt.
    fn hint(&self, _line: &str, _position: usize, _context: &Context<'_>) -> Option<String> {
        self.0.painted();
        None
    }
}

impl Validator for Gatekeeper {
    /// Asked for when Enter was pressed.
    fn validate(&self, _: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        self.0.accepted();
        Ok(ValidationResult::Valid(None))
    }
}

impl Completer for Gatekeeper {
    type Candidate = String;
}

impl Highlighter for Gatekeeper {}

impl Helper for Gatekeeper {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;
    use std::time::Instant;

    #[test]
    fn what_arrives_waits_for_the_prompt_and_not_for_ever() {
        let gate = Gate::new(Duration::from_millis(20));
        let begun = Instant::now();
        gate.wait_until_painted();
        assert!(begun.elapsed() >= Duration::from_millis(20));
        let gate = Gate::new(Duration::from_secs(60));
        thread::scope(|scope| {
            let waiter = scope.spawn(|| gate.wait_until_painted());
            gate.painted();
            waiter.join().unwrap();
        });
        gate.wait_until_painted();
    }

    #[test]
    fn a_painting_after_enter_opens_nothing() {
        let gate = Gate::new(Duration::ZERO);
        gate.painted();
        gate.accepted();
        gate.painted();
        assert_eq!(gate.state().phase, Phase::Accepted);
        assert!(gate.close_until_painted());
        gate.painted();
        assert_eq!(gate.state().phase, Phase::Painted);
        gate.open_for_good();
        gate.accepted();
        assert_eq!(gate.state().phase, Phase::Over);
    }

    #[test]
    fn no_line_is_read_after_the_conversation_was_called_off_between_two() {
        let gate = Gate::new(Duration::ZERO);
        gate.painted();
        gate.accepted();
        gate.call_off();
        assert!(!gate.close_until_painted());
    }
}
