//! The reasons for which a request is not answered as it wants, and their status codes.

use super::methods::allowed;
use super::rights::Denied;
use crate::store::error::StoreError;
use crate::wire::http::path::{self, Query, Resource};
use crate::wire::http::status::{Refusal, Status};
use std::borrow::Cow;

/// Why a request is not answered as it wants.
pub struct Failure {
    /// The status of the answer.
    pub status: Status,
    /// One sentence for the body of the answer.
    pub says: Cow<'static, str>,
    /// Further lines of the head.
    pub fields: Cow<'static, str>,
}

impl Failure {
    /// A failure without further fields.
    pub fn new(status: Status, says: impl Into<Cow<'static, str>>) -> Failure {
        let (says, fields) = (says.into(), Cow::Borrowed(""));
        Failure {
            status,
            says,
            fields,
        }
    }

    /// The same with lines of the head.
    pub fn with(self, fields: impl Into<Cow<'static, str>>) -> Failure {
        let fields = fields.into();
        Failure { fields, ..self }
    }

    /// A condition of the request is not met.
    pub fn precondition() -> Failure {
        let says = "the file has changed, or exists already: a condition of the request is not met";
        Failure::new(Status::PreconditionFailed, says)
    }

    /// The range is not in a file of this length.
    pub fn range(length: u64) -> Failure {
        let says = format!("the file has only {length} bytes");
        let fields = format!("Content-Range: bytes */{length}\r\n");
        Failure::new(Status::RangeNotSatisfiable, says).with(fields)
    }

    /// The method is known, and the resource does not have it.
    pub fn not_allowed(resource: &Resource) -> Failure {
        let fields = format!("Allow: {}\r\n", allowed(resource));
        Failure::new(
            Status::MethodNotAllowed,
            "this address does not have that method",
        )
        .with(fields)
    }

    /// The address is that of a folder, without the slash at its end.
    pub fn moved(name: &str, query: Query) -> Failure {
        let query = match query {
            Query { json: true, .. } => "?json",
            Query { list: true, .. } => "?list",
            _ => "",
        };
        let fields = format!("Location: /{}/{query}\r\n", path::encode(name));
        Failure::new(
            Status::MovedPermanently,
            "this is a folder: its address ends with a slash",
        )
        .with(fields)
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Failure {
        Failure::new(refusal.status, refusal.says)
    }
}

impl From<Denied> for Failure {
    fn from(denied: Denied) -> Failure {
        Failure::new(denied.status(), denied.says()).with(denied.fields())
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Failure {
        let status = match &error {
            StoreError::NotFound | StoreError::NotAFile => Status::NotFound,
            StoreError::Folder
            | StoreError::NoFolder
            | StoreError::IntoItself
            | StoreError::SlashOfFile
            | StoreError::TooShort(_)
            | StoreError::Changed => Status::Conflict,
            StoreError::Exists => Status::PreconditionFailed,
            StoreError::ReadOnly | StoreError::Denied => Status::Forbidden,
            StoreError::TooLarge(_) => Status::ContentTooLarge,
            StoreError::NoSpace | StoreError::Full { .. } => Status::InsufficientStorage,
            // RFC 4918, section 9.9.4.
            StoreError::OtherDevice => Status::BadGateway,
            StoreError::BadName => Status::BadRequest,
            StoreError::Backlog
            | StoreError::Busy
            | StoreError::Uncounted
            | StoreError::DiskBusy(_)
            | StoreError::TooSlow(_) => Status::ServiceUnavailable,
            StoreError::RootRemoved | StoreError::TooManyEntries(_) | StoreError::Other(_) => {
                Status::InternalError
            }
        };
        let retry = match status {
            Status::ServiceUnavailable => "Retry-After: 10\r\n",
            _ => "",
        };
        Failure::new(status, error.to_string()).with(retry)
    }
}
