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
    let (mut count, mut length) = (0, 0);
    let end = loop {
        let rest = &head[length..];
        let text = text_length(rest);
        if count == 0
            && let Some(refusal) = too_long(&rest[..text], limits)
        {
            break End::Fault(refusal);
        }
        match (line_after(rest, text), count) {
            (Line::Partial, _) => break End::Partial,
            (Line::Fault(refusal), _) => break End::Fault(refusal),
            (Line::Complete(2), 0) => {
                let says = "the request begins with more than one empty line";
                break End::Fault(Refusal::bad(says));
            }
            (Line::Complete(2), _) => {
                (count, length) = (count + 1, length + 2);
                break End::Complete;
            }
            (Line::Complete(_), fields) if fields > limits.fields => {
                break End::Fault(Refusal {
                    status: Status::FieldsTooLarge,
                    says: "the request has too many fields",
                });
            }
            (Line::Complete(line), _) => (count, length) = (count + 1, length + line),
        }
    };
    Lines { count, length, end }
}

/// Why a request line that begins with this text is refused without reading on.
fn too_long(text: &[u8], limits: &HttpLimits) -> Option<Refusal> {
    // A blank at the beginning is the first fault.
    if text.len() <= limits.method.min(limits.target) || begins_with_blank(text) {
        return None;
    }
    let mut words = text.split(|&byte| byte == b' ').map(<[u8]>::len);
    let (method, target) = (words.next(), words.next());
    let (status, says) = match (method, target) {
        (Some(method), _) if method > limits.method => {
            (Status::NotImplemented, "the method is unknown")
        }
        (_, Some(target)) if target > limits.target => {
            (Status::UriTooLong, "the target of the request is too long")
        }
        _ => return None,
    };
    Some(Refusal { status, says })
}

/// The beginning of an input as a line.
#[derive(Debug)]
pub enum Line {
    /// Its end is missing.
    Partial,
    /// Its length with the CR LF.
    Complete(usize),
    /// It is refused.
    Fault(Refusal),
}

/// Finds the end of a line of a head or of trailers.
pub fn line(input: &[u8]) -> Line {
    line_after(input, text_length(input))
}

/// The same, behind the text at the beginning of the line.
fn line_after(input: &[u8], text: usize) -> Line {
    let says = match input[text..] {
        _ if begins_with_blank(input) => "a line of the head begins with a blank",
        [] | [b'\r'] => return Line::Partial,
        [b'\r', b'\n', ..] => return Line::Complete(text + 2),
        [b'\r', ..] => "a CR in the head is not followed by LF",
        [b'\n', ..] => "a line of the head ends with LF alone",
        [0x16, ..] if text == 0 => "this is TLS; the server speaks http only",
        _ => "the head holds a control character",
    };
    Line::Fault(Refusal::bad(says))
}

fn begins_with_blank(line: &[u8]) -> bool {
    matches!(line, [b' ' | b'\t', ..])
}

/// The number of bytes before the first control character other than tab.
fn text_length(input: &[u8]) -> usize {
    let is_text = |byte: &u8| (*byte >= b' ' || *byte == b'\t') && *byte != 0x7f;
    // The compiler makes vector instructions of the fold, but not of `position`.
    let is_clean = |block: &&[u8; 16]| block.iter().fold(true, |clean, byte| clean & is_text(byte));
    let blocks = input.as_chunks::<16>().0.iter();
    let clean = blocks.take_while(is_clean).count() * 16;
    let rest = &input[clean..];
    clean
        + rest
            .iter()
            .position(|byte| !is_text(byte))
            .unwrap_or(rest.len())
}
