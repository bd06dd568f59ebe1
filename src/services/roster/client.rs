//! A talk client, as operators are shown it.

use crate::wire::text;
use serde_json::{Value, json};
use std::net::SocketAddr;

/// A talk client of any server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    address: SocketAddr,
    /// When it connected, in seconds since this server started: before that on another server.
    since: i64,
    /// The beginning of its last message.
    last: Option<Box<str>>,
}

impl Client {
    /// One that has connected now, in seconds.
    pub fn new(address: SocketAddr, now: u32) -> Client {
        Client {
            address,
            since: now.into(),
            last: None,
        }
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Records its last message.
    pub fn set_last(&mut self, text: &str) {
        self.last = Some(text::shorten(text).into());
    }

    fn seconds(&self, now: u32) -> u64 {
        u64::try_from(i64::from(now) - self.since).unwrap_or(0)
    }

    /// The entry for the operator's window; `since` is in seconds since 1970.
    pub fn to_json(&self, id: Value, unix: u64, now: u32) -> Value {
        let since = unix.saturating_sub(self.seconds(now));
        json!({"id": id, "address": self.address.to_string(), "since": since})
    }

    /// Its line in the operator's list.
    pub fn describe(&self, id: &str, now: u32) -> String {
        let seconds = self.seconds(now);
        let since = match seconds {
            0..120 => format!("{seconds} s"),
            120..7200 => format!("{} min", seconds / 60),
            _ => format!("{} h", seconds / 3600),
        };
        let address = self.address;
        match &self.last {
            Some(text) => format!("{id}  {address}  connected for {since}  last message: {text:?}"),
            None => format!("{id}  {address}  connected for {since}  last message: none"),
        }
    }

    /// The entry for other servers: their clocks differ, so that it says for how long.
    pub fn encode(&self, number: u32, now: u32) -> Value {
        json!([number, self.address.to_string(), self.seconds(now)])
    }

    /// The entry of another server, and its number. `now` is in microseconds.
    pub fn parse(entry: &Value, now: u64) -> Option<(u32, Client)> {
        let number = u32::try_from(entry.get(0)?.as_u64()?).ok()?;
        let address = entry.get(1)?.as_str()?.parse().ok()?;
        let seconds = entry.get(2)?.as_u64()?.min(u32::MAX.into()) as i64;
        let client = Client {
            address,
            since: (now / 1_000_000) as i64 - seconds,
            last: None,
        };
        Some((number, client))
    }
}
