//! The key of a name in the stream that all servers share, and its owner.
//!
//! The content of a key is its owner, which a server or another program may be. A server adds the
//! header `Loket-Server`. An owner that does not publish the key again within 30 s loses it.

use super::exchange::Exchange;
use crate::session::notice::Post;
use crate::wire::nats::headers::Headers;
use crate::wire::text::hex;
use base64ct::{Base64, Encoding};
use serde_json::{Value, json};

/// The stream, which is a key-value bucket for other clients of NATS.
pub const STREAM: &str = "KV_loket_names";

/// The beginning of the subjects of its keys.
pub const KEYS: &str = "$KV.loket_names.";

/// The header of a key that a server owns.
pub const BY_SERVER: &str = "Loket-Server";

/// The owner of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// The name is free.
    Free,
    /// The server with this name.
    Server(String),
    /// A program with this name.
    Program(String),
}

impl Owner {
    /// The sequence and the owner that the answer to [`look_up`] names; `None` if it names none.
    pub fn of(answer: &Value) -> Option<(u64, Owner)> {
        let Some(message) = answer.get("message") else {
            let code = answer.get("error")?.get("code")?.as_u64();
            return (code == Some(404)).then_some((0, Owner::Free));
        };
        let seq = message.get("seq").and_then(Value::as_u64)?;
        let bytes = |field| {
            let text = message.get(field).and_then(Value::as_str)?;
            Base64::decode_vec(text).ok()
        };
        let head = bytes("hdrs").unwrap_or_default();
        let head = Headers::parse(&head).unwrap_or_default();
        let owner = bytes("data").filter(|_| head.get("KV-Operation").is_none());
        let owner = owner.map(|owner| String::from_utf8_lossy(&owner).into_owned());
        Some(match (owner, head.get(BY_SERVER)) {
            (None, _) => (seq, Owner::Free),
            (Some(owner), Some(_)) => (seq, Owner::Server(owner)),
            (Some(owner), None) => (seq, Owner::Program(owner)),
        })
    }

    /// Whether it is the server or program with this name.
    pub fn is(&self, name: &str) -> bool {
        let (Owner::Server(owner) | Owner::Program(owner)) = self else {
            return false;
        };
        owner == name
    }
}

/// The subject of a key.
pub fn subject(key: &str) -> String {
    format!("{KEYS}{}", hex(key.as_bytes()))
}

/// Asks for the owner of a key. The answer arrives with this number.
pub fn look_up(exchange: &mut Exchange, number: u64, key: &str, posts: &mut Vec<Post>) {
    let payload = json!({"last_by_subj": subject(key)}).to_string();
    let api = format!("$JS.API.STREAM.MSG.GET.{STREAM}");
    exchange.request(&api, number, &[], payload.as_bytes(), posts);
}
