//! The services: one protocol a file, and the file store they share through its trait.
//! No socket and no reactor: everything here can be driven from a test without either.

pub mod backlog;
pub mod blob;
pub mod console;
pub mod disk;
pub mod echo;
pub mod files;
pub mod gap;
pub mod guess;
pub mod limits;
pub mod line_editor;
pub mod list_reply;
pub mod listing;
pub mod parts;
pub mod refusal;
pub mod room;
pub mod root;
pub mod store;
pub mod talk;
pub mod transfer;
pub mod two_names;
pub mod upload;
pub mod upload_report;
