//! The format of log lines: text or JSON, on a terminal, in a file or in the journal.
//!
//! One event is one line: characters that could begin another one or control a terminal are
//! escaped, also in the names that clients send.

use crate::wire::json::JsonText;
use crate::wire::text::OneLine;
use clap::ValueEnum;
use env_logger::fmt::Formatter;
use log::kv::{Error, Key, Value, VisitSource};
use log::{Level, Record};
use std::fmt::Display;
use std::io::{self, Write};

/// The choice of `--log-format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Time, level, part of the program and message.
    Text,
    /// A JSON object: time, level, target, message, and service and peer where there are some.
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

    /// The format.
    pub fn format(self) -> LogFormat {
        self.format
    }

    /// Whether a start error is to be logged, because readers expect nothing but log lines.
    pub fn logs_errors(self) -> bool {
        self.journal || self.format == LogFormat::Json
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
        let priority = self.priority(Level::Warn);
        match self.format {
            LogFormat::Text => format!("{priority}({text})\n"),
            LogFormat::Json => {
                format!("{priority}{{\"level\":\"WARN\",\"message\":\"{text}\"}}\n")
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
