//! A single-threaded, event-driven server for Linux and its clients.
//! Decides nothing itself: docs and module lines only.
#![forbid(unsafe_code)]
pub mod cli;
pub mod client;
pub mod config;
pub mod reactor;
pub mod server;
pub mod services;
pub mod session;
pub mod wire;
