//! The files and transfer services over real sockets.

mod bad_input;
mod dialects;
mod digests;
mod file_changes;
mod file_services;
mod files;
mod kill;
mod listing;
#[path = "../memory/mod.rs"]
mod memory;
mod sizes;
mod sudden_end;
#[path = "../support/mod.rs"]
mod support;
mod transfer;
mod upload_log;
