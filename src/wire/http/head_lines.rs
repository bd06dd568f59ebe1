//! Finds the lines of a head, and refuses what httparse accepts: line ends other than CR LF, lines
//! that continue the line before, and parts that are too long.

use super::HttpLimits;
use super::status::{Refusal, Status};

/// The complete lines at the beginning of a head, up to the first fault.
#[derive(Debug)]
pub struct Lines {
    /// Their number.
    pub count: usize,
    /// Their length in bytes.
    pub length: usize,
    /// Why they end there.
    pub end: End,
}

/// Why the lines of a head end.
#[derive(Debug)]
pub enum End {
    /// The next line is incomplete.
    Partial,
    /// The last line was the empty one at the end of the head.
    Complete,
    /// The next line is refused.
    Fault(Refusal),
}

/// Finds the lines. Of several faults the first one counts, so that more bytes never change the
/// result.
pub fn scan(head: &[u8], limits: &HttpLimits) -> Lines {
    let mut lines = Lines {
        count: 0,
        length: 0,
        end: End::Partial,
    };
    loop {
        let rest = &head[lines.length..];
        let end = rest.iter().position(|&byte| byte == b'\n');
        let line = &rest[..end.unwrap_or(rest.len())];
        let (line, too_long) = match lines.count {
            0 => cut_request_line(line, limits),
            _ => (line, None),
        };
        let is_complete = end.is_some() && too_long.is_none();
        let fault = line_fault(line, is_complete).or(too_long);
        let Some(end) = end.filter(|_| fault.is_none()) else {
            lines.end = fault.map_or(End::Partial, End::Fault);
            return lines;
        };
        match (line.len(), lines.count) {
            (1, 0) => {
                let says = "the request begins with more than one empty line";
                lines.end = End::Fault(Refusal::bad(says));
                return lines;
            }
            (1, _) => lines.end = End::Complete,
            (_, count) if count > limits.fields => {
                lines.end = End::Fault(Refusal {
                    status: Status::FieldsTooLarge,
                    says: "the request has too many fields",
                });
                return lines;
            }
            _ => {}
        }
        lines.count += 1;
        lines.length += end + 1;
        if matches!(lines.end, End::Complete) {
            return lines;
        }
    }
}

/// The request line up to the byte with which its method or target is too long.
fn cut_request_line<'a>(line: &'a [u8], limits: &HttpLimits) -> (&'a [u8], Option<Refusal>) {
    let blank = |part: &[u8]| part.iter().position(|&byte| byte == b' ');
    let method = blank(line).unwrap_or(line.len());
    if method > limits.method {
        let refusal = Refusal {
            status: Status::NotImplemented,
            says: "the method is unknown",
        };
        return (&line[..limits.method], Some(refusal));
    }
    let target = line.get(method + 1..).unwrap_or_default();
    if blank(target).unwrap_or(target.len()) > limits.target {
        let refusal = Refusal {
            status: Status::UriTooLong,
            says: "the target of the request is too long",
        };
        return (&line[..method + 1 + limits.target], Some(refusal));
    }
    (line, None)
}

/// What is wrong with the bytes of a line, or of its beginning. The line ends before its LF.
pub fn line_fault(line: &[u8], is_complete: bool) -> Option<Refusal> {
    let is_bad = |byte: &u8| byte.is_ascii_control() && *byte != b'\t';
    let says = match line.iter().position(is_bad) {
        _ if line.starts_with(b" ") || line.starts_with(b"\t") => {
            "a line of the head begins with a blank"
        }
        Some(0) if line[0] == 0x16 => "this is TLS; the server speaks http only",
        Some(at) if line[at] != b'\r' => "the head holds a control character",
        // The last byte of a line, or of what has arrived of it.
        Some(at) if at + 1 == line.len() => return None,
        Some(_) => "a CR in the head is not followed by LF",
        None if is_complete => "a line of the head ends with LF alone",
        None => return None,
    };
    Some(Refusal::bad(says))
}
