//! The progress bar of a transfer, shown after a delay and only on a terminal.
//! Shows nothing when standard error is no terminal, and counts nothing that is relied upon.

use super::ClientLimits;
use crate::wire::text::OneLine;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal, stderr};
use std::time::Instant;

/// The progress of one transfer. Dropping it removes the bar.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    hidden_until: Option<Instant>,
}

impl Progress {
    /// Starts the progress of a transfer of `total` bytes.
    pub fn new(label: &str, total: u64, limits: &ClientLimits) -> Progress {
        // Hidden, not absent: the rate that it shows later is that of the whole transfer.
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::hidden())
            .with_style(style())
            .with_message(OneLine(label).to_string());
        let visible = stderr().is_terminal();
        Progress {
            bar,
            hidden_until: visible.then(|| Instant::now() + limits.progress_delay),
        }
    }

    /// Adds transferred bytes.
    pub fn advance(&mut self, count: usize) {
        if self.hidden_until.is_some_and(|then| Instant::now() >= then) {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
            self.hidden_until = None;
        }
        self.bar.inc(count as u64);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn style() -> ProgressStyle {
    let template = "{msg} {bar:30} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left";
    ProgressStyle::with_template(template).expect("the template is a literal and well formed")
}
