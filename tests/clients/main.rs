//! The clients of the command line, and terminals.

mod client_echo;
mod client_files;
mod client_resume;
mod client_room;
mod client_shell;
mod client_talk;
mod client_transfer;
#[path = "../fake_room/mod.rs"]
mod fake_room;
#[path = "../fake_server/mod.rs"]
mod fake_server;
#[path = "../fake_terminal/mod.rs"]
mod fake_terminal;
mod hidden_characters;
mod host_names;
mod operator_terminal;
#[path = "../support/mod.rs"]
mod support;
mod terminals;
