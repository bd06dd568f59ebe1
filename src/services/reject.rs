//! The error type of the file services: it ends the connection.
//! A negative answer to a query (a file that does not exist) is not a `Reject`.

use crate::session::protocol::Intake;
use std::fmt::Display;

/// The reason, as the peer reads it in its `ERROR` line. `?` converts any displayable error.
pub struct Reject(pub String);

/// The number of bytes consumed and what follows them, or the reason to close the connection.
pub type Handled = Result<(usize, Intake), Reject>;

impl<E: Display> From<E> for Reject {
    fn from(why: E) -> Reject {
        Reject(why.to_string())
    }
}
