//! The HTTP service over real sockets.

mod http;
mod http_folders;
mod http_naming;
mod http_refused;
mod http_room;
mod http_server;
mod http_tools;
mod http_windows;
mod loop_tabs;
#[path = "../support/mod.rs"]
mod support;
