//! Unchanged clients of the course, and clients that were written from the protocol page alone.

mod protocol;
#[path = "../support/mod.rs"]
mod support;
mod textbook;
mod textbook_chat;
