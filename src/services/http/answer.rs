//! Writes the head of an answer: RFC 9112, sections 4 and 5.

use crate::session::outbox::Outbox;
use crate::wire::http::status::Status;
use std::fmt::{self, Display, Write};

/// The date: seconds since 1970, and as text.
#[derive(Clone, Copy)]
pub struct Today<'a> {
    /// Seconds since 1970.
    pub seconds: u64,
    /// As in the field Date.
    pub text: &'a str,
}

/// The head of an answer, while its fields are written.
pub struct Answer<'a>(&'a mut Outbox);

impl Answer<'_> {
    /// Begins with the status line and the fields that every answer has.
    pub fn begin<'a>(out: &'a mut Outbox, status: Status, date: &str) -> Answer<'a> {
        let mut answer = Answer(out);
        answer.line(format_args!(
            "HTTP/1.1 {} {}",
            status.code(),
            status.reason()
        ));
        answer.lines("Server: loket\r\nDate: ");
        answer.lines(date);
        answer.lines("\r\n");
        answer
    }

    /// Adds a field. The value must hold no control characters.
    pub fn field(&mut self, name: &str, value: impl Display) {
        self.line(format_args!("{name}: {value}"));
    }

    /// The connection is closed after the answer.
    pub fn close(&mut self) {
        self.lines("Connection: close\r\n");
    }

    /// Adds complete lines.
    pub fn lines(&mut self, lines: &str) {
        self.0.bytes(lines.as_bytes());
    }

    /// Ends the head of a body that this server has made.
    pub fn end_with(mut self, media_type: &str, length: u64) {
        self.field("Content-Type", media_type);
        self.field("Content-Length", length);
        self.lines("X-Content-Type-Options: nosniff\r\n");
        self.end();
    }

    /// Ends the head. The body follows.
    pub fn end(self) {
        self.0.bytes(b"\r\n");
    }

    fn line(&mut self, line: fmt::Arguments<'_>) {
        // Writing to memory does not fail.
        let _ = self.write_fmt(line);
        self.lines("\r\n");
    }
}

impl Write for Answer<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.lines(text);
        Ok(())
    }
}
