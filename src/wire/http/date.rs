//! Dates of HTTP: RFC 9110, section 5.6.7. All times are whole seconds since 1970.

use httpdate::HttpDate;
use std::time::{Duration, UNIX_EPOCH};

/// The last second of the year 9999; a later time has no date.
const LAST: Duration = Duration::from_secs(253_402_300_799);

/// Formats a time as IMF-fixdate, for example `Sun, 06 Nov 1994 08:49:37 GMT`: 29 bytes. A time
/// after the year 9999 is formatted as its last second.
pub fn format(seconds: u64) -> String {
    let time = UNIX_EPOCH + Duration::from_secs(seconds).min(LAST);
    HttpDate::from(time).to_string()
}

/// Parses a date in any of the three formats. `None` if it is not a date since 1970.
pub fn parse(text: &[u8]) -> Option<u64> {
    let time = httpdate::parse_http_date(std::str::from_utf8(text).ok()?).ok()?;
    time.duration_since(UNIX_EPOCH)
        .ok()
        .map(|time| time.as_secs())
}

/// The date of answers, formatted once a second.
#[derive(Debug, Default)]
pub struct DateCache {
    seconds: u64,
    text: String,
}

impl DateCache {
    /// The date of that time.
    pub fn at(&mut self, seconds: u64) -> &str {
        if self.seconds != seconds || self.text.is_empty() {
            self.seconds = seconds;
            self.text = format(seconds);
        }
        &self.text
    }
}
