//! What a server does before it serves.
//! Serves nobody: the composition root calls these in order.

pub mod enclosure;
pub mod error;
pub mod exposure;
pub mod host;
pub mod password;
pub mod port;
pub mod root;
mod seccomp;
pub mod supervisor;
pub mod user;
