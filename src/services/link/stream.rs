//! A JetStream stream that several servers share: it is created if it is missing.
//!
//! It is created on three brokers; on one, if they are no cluster, or after some refusals: a
//! cluster of two, or one whose third broker is late, has no place for three.

use super::exchange::{Arrived, Exchange};
use crate::session::notice::Post;
use serde_json::{Value, json};

/// Limits of requests to a stream. Times are in microseconds.
#[derive(Debug, Clone, Copy)]
pub struct StreamLimits {
    /// The time after which a request without an answer is repeated.
    pub retry: u64,
    /// Attempts to create the stream on three brokers, `retry` apart.
    pub attempts: u32,
}

/// A stream with its settings.
pub struct SharedStream {
    name: String,
    /// The settings but for the number of brokers.
    config: Value,
    limits: StreamLimits,
    /// No earlier than this, it is created again.
    from: u64,
    /// The number of the request that creates it.
    number: u64,
    /// How often the brokers have refused it.
    refused: u32,
    /// When to ask again: a cluster that elects a leader does not answer.
    due: Option<u64>,
}

/// What the answer of the broker means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// The stream is there.
    Yes,
    /// It is asked for again.
    Later,
}

impl SharedStream {
    /// The stream with this name. The brokers fill in the settings that `config` lacks.
    pub fn new(name: &str, config: Value, limits: StreamLimits) -> SharedStream {
        SharedStream {
            name: name.to_owned(),
            config,
            limits,
            from: 0,
            number: 0,
            refused: 0,
            due: None,
        }
    }

    /// The link has come up: what the last broker has said does not count.
    pub fn restart(&mut self, now: u64) {
        (self.from, self.refused, self.due) = (now, 0, None);
    }

    /// Creates the stream, unless that was tried a short time ago. If it exists, the broker says
    /// so, and nothing changes.
    pub fn create(&mut self, exchange: &mut Exchange, now: u64, posts: &mut Vec<Post>) {
        if now < self.from {
            return;
        }
        self.from = now + self.limits.retry;
        self.due = Some(self.from);
        let mut config = self.config.clone();
        config["name"] = json!(self.name);
        config["num_replicas"] = match self.refused < self.limits.attempts {
            true => json!(3),
            false => json!(1),
        };
        let api = format!("$JS.API.STREAM.CREATE.{}", self.name);
        self.number = exchange.next_number();
        let config = config.to_string();
        exchange.request(&api, self.number, &[], config.as_bytes(), posts);
    }

    /// The broker has answered a request; `None` if that was none of these.
    pub fn on_answer(
        &mut self,
        answer: &Arrived,
        exchange: &mut Exchange,
        now: u64,
        posts: &mut Vec<Post>,
    ) -> Option<Created> {
        if answer.answers != Some(self.number) {
            return None;
        }
        if answer.headers().status() == Some(503) {
            return Some(Created::Later);
        }
        let answer: Value = serde_json::from_slice(&answer.payload).unwrap_or_default();
        let code = answer.pointer("/error/err_code").and_then(Value::as_u64);
        match code {
            // JSReplicasNotSupportedWithNonClusteredErr.
            Some(10_074) if self.refused < self.limits.attempts => {
                (self.from, self.refused) = (now, self.limits.attempts);
                self.create(exchange, now, posts);
            }
            // JSStreamNameExistErr: with other settings. Any other error may pass.
            Some(code) if code != 10_058 => {
                self.refused += 1;
                let (name, error) = (&self.name, &answer["error"]);
                match self.refused.checked_sub(self.limits.attempts) {
                    Some(0) => log::warn!(
                        service = "link";
                        "link: three brokers do not create the stream {name}, so that one is \
                         asked: {error}"
                    ),
                    Some(1) => log::warn!(
                        service = "link";
                        "link: the broker does not create the stream {name}, and is asked again \
                         until it does: {error}"
                    ),
                    _ => {}
                }
            }
            _ => {
                self.due = None;
                return Some(Created::Yes);
            }
        }
        Some(Created::Later)
    }

    /// When to call [`SharedStream::create`].
    pub fn due(&self) -> Option<u64> {
        self.due
    }
}
