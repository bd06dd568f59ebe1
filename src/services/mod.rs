//! The services: one protocol a file, and the file store they share through its trait.
//! No socket and no reactor: everything here can be driven from a test without either.

pub mod echo;
pub mod files;
pub mod guess;
pub mod limits;
pub mod listing;
pub mod refusal;
pub mod store;
pub mod transfer;
pub mod upload;
