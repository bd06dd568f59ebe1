//! Framing and parsing for the services. No I/O: the input is byte slices.

#![doc = include_str!("PROTOCOL.md")]

pub mod ambiguous_size;
pub mod arrival;
pub mod files_command;
pub mod follows;
pub mod framing;
pub mod http;
pub mod json;
pub mod line;
pub mod names;
pub mod nats;
pub mod proxy_header;
pub mod text;
pub mod transfer_header;
pub mod unended;

/// The literal text between a name and its size in the transfer service.
pub const SEPARATOR: &str = "<SEPARATOR>";
