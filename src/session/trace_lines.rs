//! Lines of a trace that wait to be shown, up to a number of bytes; the oldest are dropped first.

use std::collections::VecDeque;
use std::io::{self, Write};

/// The lines.
#[derive(Debug)]
pub struct TraceLines {
    lines: VecDeque<String>,
    /// The line that is being written.
    open: String,
    /// Bytes of the lines, and the most that are kept.
    bytes: usize,
    limit: usize,
    /// Lines that were dropped.
    dropped: u64,
}

impl TraceLines {
    /// No lines, and room for `limit` bytes.
    pub fn new(limit: usize) -> TraceLines {
        TraceLines {
            lines: VecDeque::new(),
            open: String::new(),
            bytes: 0,
            limit,
            dropped: 0,
        }
    }

    /// Adds a line before all others.
    pub fn first(&mut self, line: String) {
        self.bytes += line.len();
        self.lines.push_front(line);
    }

    /// Takes all lines. The first one tells how many were dropped, if any were.
    pub fn take(&mut self) -> Vec<String> {
        self.bytes = 0;
        let dropped = std::mem::take(&mut self.dropped);
        let dropped = (dropped > 0).then(|| format!("... {dropped} lines are not shown ..."));
        dropped.into_iter().chain(self.lines.drain(..)).collect()
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.open);
        self.bytes += line.len();
        self.lines.push_back(line);
        while self.bytes > self.limit
            && let Some(oldest) = self.lines.pop_front()
        {
            self.bytes -= oldest.len();
            self.dropped += 1;
        }
    }
}

impl Write for TraceLines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for (number, part) in bytes.split(|byte| *byte == b'\n').enumerate() {
            if number > 0 {
                self.end_line();
            }
            self.open.push_str(&String::from_utf8_lossy(part));
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_lines_are_dropped_and_counted() {
        let mut lines = TraceLines::new(10);
        write!(lines, "one\ntwo\nth").expect("memory");
        lines.first("now".to_owned());
        assert_eq!(lines.take(), ["now", "one", "two"]);
        writeln!(lines, "ree\nfour\nfive").expect("memory");
        assert_eq!(
            lines.take(),
            ["... 1 lines are not shown ...", "four", "five"]
        );
        assert_eq!(lines.take(), Vec::<String>::new());
    }
}
