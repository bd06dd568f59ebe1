//! Knows bytes: units, names, commands and the size puzzle of the five services.
//! Holds no socket, no file and no clock; everything here can be fed from a test byte by byte.

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
