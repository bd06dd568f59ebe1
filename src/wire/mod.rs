//! Bytes only: units, names, commands and headers of the five services, fed by tests byte by byte.

#![doc = include_str!("PROTOCOL.md")]

pub mod ambiguous_size;
pub mod arrival;
pub mod files_command;
pub mod follows;
pub mod framing;
pub mod line;
pub mod names;
pub mod text;
pub mod transfer_header;
pub mod unended;

/// The eleven literal characters between a name and its size in the transfer service.
pub const SEPARATOR: &str = "<SEPARATOR>";
