//! The blocking clients: one conversation a file, each over one plain socket of `std::net`.
//! Speak the line dialect only, and know nothing of the server beyond its bytes.
//!
//! Reading order: `echo` is the smallest whole conversation; `connection` and `dialer` are what
//! all of them stand on; `transfer` and `files` add bodies (`upload_file` out, `download` in); `shell`
//! is `files` with a prompt. `talk` and `room` have people at both ends: `window` shows what
//! arrives while something is typed, with the help of `gate`; `door` is the way into a room,
//! and `membership` tells when it has to be taken again.

pub mod connection;
pub mod conversation;
pub mod dialer;
pub mod door;
pub mod download;
pub mod echo;
pub mod error;
pub mod files;
pub mod gate;
pub mod input;
pub mod limits;
pub mod membership;
pub mod names;
pub mod pending;
pub mod progress;
pub mod question;
pub mod room;
pub mod screen;
pub mod shell;
pub mod split_args;
pub mod talk;
pub mod terminal_mode;
pub mod transfer;
pub mod upload_file;
pub mod window;
