//! Carries the words of a refusal up to the one place that says them and closes.
//! Is no answer to a question: a plain no leaves the conversation open.

use std::fmt::Display;

/// Why the conversation ends, for a person to read. Anything that can be shown becomes one by `?`.
pub struct Refusal(pub String);

impl<E: Display> From<E> for Refusal {
    fn from(why: E) -> Refusal {
        Refusal(why.to_string())
    }
}
