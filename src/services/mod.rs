//! The services: one protocol a file.
//! No socket and no reactor: everything here can be driven from a test without either.

pub mod echo;
pub mod files;
pub mod gap;
pub mod guess;
pub mod limits;
pub mod list_reply;
pub mod operator;
pub mod refusal;
pub mod room;
pub mod roster;
pub mod talk;
pub mod transfer;
pub mod two_names;
pub mod upload_report;
