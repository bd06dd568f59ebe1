//! The server as a process: start, settings, signals, logs, proxies, and peers without end.

mod clock;
mod echo;
#[path = "../fake_server/mod.rs"]
mod fake_server;
mod hostile;
mod log_lines;
mod operator_streams;
mod packages;
mod proxy;
mod reuse_port;
mod settings;
mod shutdown;
mod signals;
mod spin;
#[path = "../support/mod.rs"]
mod support;
mod unread;
