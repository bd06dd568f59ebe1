//! Logs what strangers cause: one line of a kind in a while, and the number of those left out.
//! Reads no clock; the caller has the time.

/// A kind of log line that strangers cause.
#[derive(Default)]
pub struct Rare {
    logged: Option<u64>,
    left_out: u64,
}

impl Rare {
    /// Warns, unless the last warning is younger than the pause.
    pub fn warn(&mut self, pause: u64, now: u64, line: &str) {
        if self.logged.is_some_and(|logged| now < logged + pause) {
            self.left_out += 1;
            return;
        }
        match std::mem::take(&mut self.left_out) {
            0 => log::warn!("room: {line}"),
            more => log::warn!("room: {line}; {more} like it were not logged"),
        }
        self.logged = Some(now);
    }
}
