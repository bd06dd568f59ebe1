//! Bytes only: units, names, commands and headers of the five services, fed by tests byte by byte.

#![doc = include_str!("PROTOCOL.md")]

pub mod arrival;
pub mod command;
pub mod header;
pub mod line;
pub mod names;
pub mod pause;
pub mod puzzle;
pub mod text;
pub mod unended;
pub mod unit;

/// The eleven literal characters between a name and its size in the transfer service.
pub const SEPARATOR: &str = "<SEPARATOR>";
