//! The progress bar of a transfer. It appears after a delay, and only if standard error is a
//! terminal.

use super::ClientLimits;
use crate::wire::text::OneLine;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal, stderr};
use std::time::Instant;

/// The progress bar of one transfer. Dropping it removes the bar from the screen.
#[derive(Debug)]
pub struct TransferProgress {
    bar: ProgressBar,
    hidden_until: Option<Instant>,
}

impl TransferProgress {
    /// Starts a transfer of `total` bytes.
    pub fn new(label: &str, total: u64, limits: &ClientLimits) -> TransferProgress {
        // Created now and hidden, so that the rate it shows later is that of the whole transfer.
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::hidden())
            .with_style(style())
            .with_message(OneLine(label).to_string());
        let is_visible = stderr().is_terminal();
        TransferProgress {
            bar,
            hidden_until: is_visible.then(|| Instant::now() + limits.progress_delay),
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

impl Drop for TransferProgress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn style() -> ProgressStyle {
    let template = "{msg} {bar:30} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left";
    ProgressStyle::with_template(template).expect("the template is a literal and well formed")
}
