//! The client's side of the NATS protocol with headers: parses what a server sends, and encodes
//! what a client sends. Version 1 of the protocol, of nats-server 2.2 and later.
//!
//! ```text
//! INFO {"max_payload":1048576, ...}\r\n            CONNECT {...}\r\n
//! MSG subject sid [reply] size\r\n payload\r\n      SUB subject sid\r\n
//! HMSG subject sid [reply] head total\r\n ...\r\n   PUB, HPUB with the same sizes
//! PING, PONG, +OK, -ERR 'text'                     PING, PONG
//! ```

pub mod headers;
pub mod info;
pub mod url;

use headers::Headers;
use std::fmt;

/// Limits of what a server may send.
#[derive(Debug, Clone, Copy)]
pub struct NatsLimits {
    /// Bytes of a line: a command without the payload that follows it.
    pub line: usize,
    /// Bytes of headers and payload of one message. A longer one is skipped.
    pub message: usize,
}

/// A command of the server.
#[derive(Debug, PartialEq, Eq)]
pub enum ServerCommand<'a> {
    /// What the server is, as JSON. It is the first command, and may be repeated.
    Info(&'a [u8]),
    /// A message of a subscription.
    Message(Message<'a>),
    /// The beginning of a message above the limit: this number of bytes follows, to be skipped.
    Skip(u64),
    /// To be answered with PONG.
    Ping,
    /// The answer to PING.
    Pong,
    /// Only verbose clients get it.
    Ok,
    /// The server refuses something, and often closes the connection.
    Refused(&'a [u8]),
}

/// A message of a subscription.
#[derive(Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// The subject that it was published to.
    pub subject: &'a str,
    /// The number of the subscription.
    pub subscription: u64,
    /// The headers; empty for a message without.
    pub headers: Headers<'a>,
    /// The content.
    pub payload: &'a [u8],
}

/// Bytes that are no NATS. The rest of the stream has no meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotNats(pub &'static str);

impl fmt::Display for NotNats {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.0)
    }
}

/// The first command and its length; `None` if more bytes are needed.
pub fn parse<'a>(
    input: &'a [u8],
    limits: &NatsLimits,
) -> Result<Option<(ServerCommand<'a>, usize)>, NotNats> {
    let shown = &input[..input.len().min(limits.line + 2)];
    let Some(end) = shown.iter().position(|&byte| byte == b'\n') else {
        return match input.len() < limits.line + 2 {
            true => Ok(None),
            false => Err(NotNats("a line is too long")),
        };
    };
    let line = input[..end].strip_suffix(b"\r");
    let line = line.ok_or(NotNats("a line ends without CR"))?;
    let at = line.iter().position(|byte| b" \t".contains(byte));
    let (word, rest) = line.split_at(at.unwrap_or(line.len()));
    let (behind, rest) = (end + 1, rest.trim_ascii());
    let word = word.to_ascii_uppercase();
    let (command, taken) = match &word[..] {
        b"MSG" => return message(input, behind, rest, false, limits),
        b"HMSG" => return message(input, behind, rest, true, limits),
        b"INFO" => (ServerCommand::Info(rest), behind),
        b"-ERR" => {
            let text = rest.strip_prefix(b"'").unwrap_or(rest);
            let text = text.strip_suffix(b"'").unwrap_or(text);
            (ServerCommand::Refused(text), behind)
        }
        b"PING" => (ServerCommand::Ping, behind),
        b"PONG" => (ServerCommand::Pong, behind),
        b"+OK" => (ServerCommand::Ok, behind),
        _ => return Err(NotNats("a line is no command")),
    };
    Ok(Some((command, taken)))
}

/// A message, whose payload begins at `behind`.
fn message<'a>(
    input: &'a [u8],
    behind: usize,
    fields: &'a [u8],
    has_headers: bool,
    limits: &NatsLimits,
) -> Result<Option<(ServerCommand<'a>, usize)>, NotNats> {
    let fields = str::from_utf8(fields).map_err(|_| NotNats("a subject is not UTF-8"))?;
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    let (fields, head, total) = match (has_headers, &fields[..]) {
        (true, [fields @ .., head, total]) => (fields, number(head)?, number(total)?),
        (false, [fields @ .., total]) => (fields, 0, number(total)?),
        _ => return Err(NotNats("a message has too few fields")),
    };
    let (subject, subscription) = match fields {
        [subject, subscription] | [subject, subscription, _] => (subject, number(subscription)?),
        _ => return Err(NotNats("a message has a wrong number of fields")),
    };
    if head > total {
        return Err(NotNats("the headers are longer than the message"));
    }
    if total > limits.message as u64 {
        return Ok(Some((ServerCommand::Skip(total + 2), behind)));
    }
    let (head, total) = (head as usize, total as usize);
    let Some(body) = input[behind..].get(..total + 2) else {
        return Ok(None);
    };
    let (body, end) = body.split_at(total);
    if end != b"\r\n" {
        return Err(NotNats("a message is longer than it says"));
    }
    let (block, payload) = body.split_at(head);
    let headers = match has_headers {
        true => Headers::parse(block).ok_or(NotNats("the headers of a message are broken"))?,
        false => Headers::default(),
    };
    let message = Message {
        subject,
        subscription,
        headers,
        payload,
    };
    Ok(Some((ServerCommand::Message(message), behind + total + 2)))
}

fn number(text: &str) -> Result<u64, NotNats> {
    // 15 digits: sums of two sizes fit into 64 bits.
    let digits = text.bytes().all(|byte| byte.is_ascii_digit()) && text.len() <= 15;
    let number = text.parse().ok().filter(|_| digits);
    number.ok_or(NotNats("a size is no number"))
}

/// PING.
pub const PING: &[u8] = b"PING\r\n";

/// PONG.
pub const PONG: &[u8] = b"PONG\r\n";

/// CONNECT with these options.
pub fn connect(options: &serde_json::Value) -> Vec<u8> {
    format!("CONNECT {options}\r\n").into()
}

/// SUB: from now on, messages to this subject arrive under this number.
pub fn subscribe(subject: &str, subscription: u64) -> Vec<u8> {
    format!("SUB {subject} {subscription}\r\n").into()
}

/// PUB or HPUB. Neither a subject nor a header holds blanks at its ends or control characters: the
/// caller has checked this.
pub fn publish(
    subject: &str,
    reply: Option<&str>,
    headers: &[(&str, &str)],
    payload: &[u8],
) -> Vec<u8> {
    let mut block = String::new();
    if !headers.is_empty() {
        block.push_str("NATS/1.0\r\n");
        for (name, value) in headers {
            debug_assert!(!value.contains(['\r', '\n']), "{name} has a line end");
            block.push_str(&format!("{name}: {value}\r\n"));
        }
        block.push_str("\r\n");
    }
    let (head, total) = (block.len(), block.len() + payload.len());
    let reply = reply.map_or(String::new(), |reply| format!(" {reply}"));
    let line = match head {
        0 => format!("PUB {subject}{reply} {total}\r\n"),
        _ => format!("HPUB {subject}{reply} {head} {total}\r\n"),
    };
    [line.as_bytes(), block.as_bytes(), payload, b"\r\n"].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: NatsLimits = NatsLimits {
        line: 100,
        message: 60,
    };

    fn first(input: &str) -> Result<Option<(ServerCommand<'_>, usize)>, NotNats> {
        parse(input.as_bytes(), &LIMITS)
    }

    #[track_caller]
    fn whole(input: &str) -> ServerCommand<'_> {
        let (command, taken) = first(input).expect("NATS").expect("whole");
        assert_eq!(taken, input.len());
        command
    }

    #[test]
    fn each_command_of_a_server_is_parsed() {
        assert_eq!(whole("PING\r\n"), ServerCommand::Ping);
        assert_eq!(whole("pong \r\n"), ServerCommand::Pong);
        assert_eq!(whole("+OK\r\n"), ServerCommand::Ok);
        assert_eq!(
            whole("INFO {\"a\":1} \r\n"),
            ServerCommand::Info(b"{\"a\":1}")
        );
        let refused = whole("-ERR 'Authorization Violation'\r\n");
        assert_eq!(refused, ServerCommand::Refused(b"Authorization Violation"));
        let plain = Message {
            subject: "a.b",
            subscription: 9,
            headers: Headers::default(),
            payload: b"h\r\no",
        };
        assert_eq!(
            whole("MSG a.b 9 4\r\nh\r\no\r\n"),
            ServerCommand::Message(plain)
        );
        let ServerCommand::Message(message) =
            whole("HMSG a 1 _INBOX.x 22 24\r\nNATS/1.0\r\nKey: val\r\n\r\nhi\r\n")
        else {
            panic!("a message")
        };
        assert_eq!(message.headers.get("key"), Some("val"));
        assert_eq!(message.payload, b"hi");
    }

    #[test]
    fn a_message_above_the_limit_is_skipped() {
        let (command, taken) = first("MSG a 1 61\r\n").expect("NATS").expect("its head");
        assert_eq!((command, taken), (ServerCommand::Skip(63), 12));
    }

    #[test]
    fn what_is_no_nats_is_an_error() {
        for wrong in [
            "HTTP/1.1 200 OK\r\n",
            "PING\n",
            "MSG a 1\r\n",
            "MSG a 1 b c 3\r\nabc\r\n",
            "MSG a 1 -3\r\n",
            "MSG a 1 +3\r\nabc\r\n",
            "MSG a 1 9999999999999999\r\n",
            "MSG a 1 3\r\nabcd\r\n",
            "HMSG a 1 5 4\r\nabcd\r\n",
            "HMSG a 1 4 4\r\nabcd\r\n",
            &"x".repeat(102),
        ] {
            assert!(first(wrong).is_err(), "{wrong:?}: {:?}", first(wrong));
        }
    }

    #[test]
    fn a_published_message_comes_back_as_it_was() {
        let sent = publish("s", None, &[("A", "1"), ("B", "two")], b"text");
        let received = [b"HMSG s 7 ", &sent[b"HPUB s ".len()..]].concat();
        let (command, taken) = parse(&received, &LIMITS).expect("NATS").expect("whole");
        assert_eq!(taken, received.len());
        let ServerCommand::Message(message) = command else {
            panic!("a message")
        };
        assert_eq!(message.headers.get("b"), Some("two"));
        assert_eq!((message.subscription, message.payload), (7, &b"text"[..]));
        assert_eq!(publish("s", Some("r"), &[], b"x"), b"PUB s r 1\r\nx\r\n");
    }
}
