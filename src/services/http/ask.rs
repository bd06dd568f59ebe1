//! A POST request for a tab: the session of the request waits until the tab has answered it.

use super::failure::Failure;
use crate::session::notice::{Audience, Notice, Post};
use crate::session::session_id::SessionId;
use crate::wire::http::status::Status;
use serde_json::{Map, Value};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

/// The requests that a tab has not looked at.
pub type Asks = Rc<RefCell<VecDeque<Ask>>>;

/// The answer to a request; `None` until the tab has given it.
pub type AnswerSlot = Rc<RefCell<Option<Result<(), Failure>>>>;

/// A POST request.
pub struct Ask {
    /// The session that waits for the answer.
    pub from: SessionId,
    /// The name behind `/-/`.
    pub endpoint: &'static str,
    /// The name of the stream that it opens or closes.
    pub switched: Option<&'static str>,
    /// The fields of the JSON object, without `tab`.
    pub fields: Map<String, Value>,
    /// Where the answer goes.
    pub slot: AnswerSlot,
}

impl Ask {
    /// Answers with 204, or with the reason.
    pub fn answer(self, answer: Result<(), Failure>, posts: &mut Vec<Post>) {
        *self.slot.borrow_mut() = Some(answer);
        posts.push(Post {
            to: Audience::One(self.from),
            notice: Notice::Wake,
        });
    }

    /// The text of a field, and no other field.
    ///
    /// # Errors
    ///
    /// Status 400.
    pub fn only_text(&self, name: &str) -> Result<String, Failure> {
        match (self.fields.len(), self.fields.get(name)) {
            (1, Some(Value::String(text))) => Ok(text.clone()),
            _ => Err(bad_fields(&format!("`tab` and the text `{name}`"))),
        }
    }
}

/// Status 400 for wrong fields.
pub fn bad_fields(wanted: &str) -> Failure {
    let says = format!("the JSON object must have the fields {wanted}, and no others");
    Failure::new(Status::BadRequest, says)
}

/// Status 404 for a tab that is not open.
pub fn no_tab() -> Failure {
    let says = "there is no such tab: its connection to /-/events is closed";
    Failure::new(Status::NotFound, says)
}
