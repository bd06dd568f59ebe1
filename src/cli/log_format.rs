//! The format of log lines: text or JSON, on a terminal, in a file or in the journal.
//!
//! One event is one line: characters that could begin another one or control a terminal are
//! escaped, also in the names that clients send.

use crate::wire::json::JsonText;
use crate::wire::text::OneLine;
use clap::ValueEnum;
use env_logger::fmt::Formatter;
use jiff::Timestamp;
use log::kv::{Error, Key, Value, VisitSource};
use log::{Level, Record};
use std::fmt::Display;
use std::io::{self, Write};

/// The choice of `--log-format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Time, level, part of the program and message.
    Text,
    /// A JSON object: time, level, target, message, and service, peer and reason if the event has
    /// them.
    Json,
}

/// Where the lines go, and how they are written.
#[derive(Debug, Clone, Copy)]
pub struct LogLine {
    format: LogFormat,
    /// Whether standard error is the journal, which takes the priority from `<N>` at the start of a
    /// line (sd-daemon(3)) and adds the time.
    journal: bool,
}

impl LogLine {
    /// Lines for standard error. It is the journal if `JOURNAL_STREAM` has its device and inode:
    /// systemd.exec(5).
    pub fn new(format: LogFormat) -> LogLine {
        let stream = std::env::var("JOURNAL_STREAM").unwrap_or_default();
        let about = rustix::fs::fstat(rustix::stdio::stderr());
        let journal =
            about.is_ok_and(|about| stream == format!("{}:{}", about.st_dev, about.st_ino));
        LogLine { format, journal }
    }

    /// Whether readers expect nothing but lines of the log.
    pub fn is_machine_read(self) -> bool {
        self.journal || self.format == LogFormat::Json
    }

    /// A start error as one line: as a line of the log where readers expect nothing else. It is
    /// written at every level of the log.
    pub fn start_error(self, error: impl Display) -> String {
        match self.is_machine_read() {
            true => self.own(Level::Error, error),
            false => format!("loket serve: {}\n", OneLine(error)),
        }
    }

    /// Writes the line of a record.
    pub fn write(self, out: &mut Formatter, record: &Record<'_>) -> io::Result<()> {
        let (level, target) = (record.level(), record.target());
        write!(out, "{}", self.priority(level))?;
        match (self.format, self.journal) {
            (LogFormat::Text, false) => {
                let (time, style) = (out.timestamp(), out.default_level_style(level));
                let message = OneLine(record.args());
                writeln!(
                    out,
                    "[{time} {style}{level:<5}{style:#} {target}] {message}"
                )
            }
            (LogFormat::Text, true) => writeln!(out, "[{target}] {}", OneLine(record.args())),
            (LogFormat::Json, _) => {
                let time = out.timestamp_millis();
                write!(out, "{{\"time\":\"{time}\",\"level\":\"{level}\"")?;
                let mut fields = Fields(out);
                fields.write("target", target)?;
                let visited = record.key_values().visit(&mut fields);
                visited.map_err(io::Error::other)?;
                fields.write("message", record.args())?;
                writeln!(out, "}}")
            }
        }
    }

    /// The line about log lines that were dropped.
    pub fn lost(self, count: u64) -> String {
        let text = format!("{count} log lines lost: standard error was not read in time");
        self.own(Level::Warn, text)
    }

    /// A line that does not come from the logger.
    fn own(self, level: Level, text: impl Display) -> String {
        let (priority, target) = (self.priority(level), "loket");
        match (self.format, self.journal) {
            (LogFormat::Text, false) => {
                let time = now(0);
                format!("[{time} {level:<5} {target}] {}\n", OneLine(text))
            }
            (LogFormat::Text, true) => format!("{priority}[{target}] {}\n", OneLine(text)),
            (LogFormat::Json, _) => {
                let (time, text) = (now(3), JsonText(text));
                format!(
                    "{priority}{{\"time\":\"{time}\",\"level\":\"{level}\",\
                     \"target\":\"{target}\",\"message\":\"{text}\"}}\n"
                )
            }
        }
    }

    /// The priority of syslog(3) for the journal.
    fn priority(self, level: Level) -> &'static str {
        match (self.journal, level) {
            (false, _) => "",
            (true, Level::Error) => "<3>",
            (true, Level::Warn) => "<4>",
            (true, Level::Info) => "<6>",
            (true, Level::Debug | Level::Trace) => "<7>",
        }
    }
}

/// The time of a line.
fn now(digits: usize) -> String {
    format!("{:.digits$}", Timestamp::now())
}

/// Writes fields of a JSON object behind its first one.
struct Fields<'a>(&'a mut Formatter);

impl Fields<'_> {
    fn write(&mut self, name: &str, value: impl Display) -> io::Result<()> {
        write!(self.0, ",\"{name}\":\"{}\"", JsonText(value))
    }
}

impl<'kv> VisitSource<'kv> for Fields<'_> {
    fn visit_pair(&mut self, key: Key<'kv>, value: Value<'kv>) -> Result<(), Error> {
        self.write(key.as_str(), value).map_err(Error::boxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_about_lost_lines_is_like_every_other_line() {
        let lost = |format, journal| LogLine { format, journal }.lost(3);
        let text = lost(LogFormat::Text, false);
        assert!(text.starts_with("[2") && text.contains("Z WARN  loket] 3 log lines lost: "));
        assert!(lost(LogFormat::Text, true).starts_with("<4>[loket] 3 log lines lost: "));
        for (journal, priority) in [(false, ""), (true, "<4>")] {
            let line = lost(LogFormat::Json, journal);
            let object = line.strip_prefix(priority).expect("a priority");
            assert!(object.starts_with("{\"time\":\"2") && object.ends_with("\"}\n"));
            let object: serde_json::Value = serde_json::from_str(object).expect("an object");
            for (field, value) in [("level", "WARN"), ("target", "loket")] {
                assert_eq!(object[field], value);
            }
        }
    }
}
