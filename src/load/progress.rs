//! Shows how a run is going, in one line, while it is going.
//! Shows nothing when standard error is no terminal, and counts nothing.

use super::numbers::{micros, rate};
use super::run_state::{Board, Stage};
use crate::reactor::clock::{Moment, SECOND};
use crate::wire::text::grouped;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal, stderr};

/// The line; it goes with the end of the run.
#[derive(Debug)]
pub struct Progress {
    line: Option<ProgressBar>,
    every: u64,
    next: Moment,
    /// What had been answered when the line was last painted, and when that was.
    last: (u64, Moment),
}

impl Progress {
    /// A line that is painted so often.
    pub fn new(every: u64) -> Progress {
        let line = stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{msg}").expect("a literal, well formed");
            ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()).with_style(style)
        });
        Progress {
            line,
            every,
            next: Moment(0),
            last: (0, Moment(0)),
        }
    }

    /// When it is worth painting again.
    pub fn next(&self) -> Option<Moment> {
        self.line.as_ref().map(|_| self.next)
    }

    /// Paints the line, if it is time to.
    pub fn show(&mut self, board: &Board) {
        let now = board.now;
        let Some(line) = self.line.as_ref().filter(|_| now >= self.next) else {
            return;
        };
        self.next = now.after(self.every);
        let answered = board.recorder.answered;
        let time = now.0.saturating_sub(self.last.1.0).max(1);
        let speed = (answered - self.last.0) as f64 * SECOND as f64 / time as f64;
        self.last = (answered, now);
        let text = match board.stage {
            Stage::Preparing => format!("preparing: {} are ready", grouped(board.ready as u64)),
            Stage::Running => {
                let left = board
                    .schedule
                    .end()
                    .0
                    .saturating_sub(now.0)
                    .div_ceil(SECOND);
                let p99 = board.recorder.all_kinds().value_at_quantile(0.99);
                format!(
                    "{left} s to go: {} answers, {}/s, p99 {}, {} errors",
                    grouped(answered),
                    rate(speed),
                    micros(p99),
                    grouped(board.recorder.all_faults())
                )
            }
            Stage::Ending => format!("{} answers are still to come", grouped(board.under_way)),
            Stage::CleaningUp => "clearing away".to_owned(),
        };
        line.set_message(text);
    }

    /// Takes the line away.
    pub fn clear(&mut self) {
        if let Some(line) = self.line.take() {
            line.finish_and_clear();
        }
    }
}
