//! The progress line of a run, on standard error if that is a terminal.

use super::numbers::{micros, rate};
use super::run_state::{RunStage, RunState};
use crate::reactor::clock::{Moment, SECOND};
use crate::wire::text::grouped;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal, stderr};

/// The progress line; removed at the end of the run.
#[derive(Debug)]
pub struct ProgressLine {
    line: Option<ProgressBar>,
    every: u64,
    next: Moment,
    /// The number of answers and the time at the last update.
    last: (u64, Moment),
}

impl ProgressLine {
    /// A line that is updated every `every` microseconds.
    pub fn new(every: u64) -> ProgressLine {
        let line = stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{msg}").expect("a literal, well formed");
            ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()).with_style(style)
        });
        ProgressLine {
            line,
            every,
            next: Moment(0),
            last: (0, Moment(0)),
        }
    }

    /// When the next update is due; `None` without a terminal.
    pub fn next(&self) -> Option<Moment> {
        self.line.as_ref().map(|_| self.next)
    }

    /// Updates the line if it is time.
    pub fn show(&mut self, state: &RunState) {
        let now = state.now;
        let Some(line) = self.line.as_ref().filter(|_| now >= self.next) else {
            return;
        };
        self.next = now.after(self.every);
        let answered = state.recorder.answered;
        let time = now.0.saturating_sub(self.last.1.0).max(1);
        let speed = (answered - self.last.0) as f64 * SECOND as f64 / time as f64;
        self.last = (answered, now);
        let text = match state.stage {
            RunStage::Preparing => format!("preparing: {} are ready", grouped(state.ready as u64)),
            RunStage::Running if !state.counts => {
                let sent = state.recorder.in_ramp;
                format!("ramp: {} requests sent", grouped(sent))
            }
            RunStage::Running => {
                let left = state
                    .schedule
                    .end()
                    .0
                    .saturating_sub(now.0)
                    .div_ceil(SECOND);
                let p99 = state.recorder.all_kinds().value_at_quantile(0.99);
                format!(
                    "{left} s to go: {} answers, {}/s, p99 {}, {} errors",
                    grouped(answered),
                    rate(speed),
                    micros(p99),
                    grouped(state.recorder.all_errors())
                )
            }
            RunStage::Ending => format!("waiting for {} answers", grouped(state.in_flight)),
            RunStage::CleaningUp => "cleaning up".to_owned(),
        };
        line.set_message(text);
    }

    /// Removes the line.
    pub fn clear(&mut self) {
        if let Some(line) = self.line.take() {
            line.finish_and_clear();
        }
    }
}
