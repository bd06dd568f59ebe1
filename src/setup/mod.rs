//! What happens before the first connection: open ports and the root, give up rights.

pub mod drop_root;
pub mod error;
pub mod host;
pub mod listen;
pub mod password;
pub mod root_dir;
pub mod sandbox;
pub mod sd_notify;
mod seccomp;
pub mod socket_activation;
pub mod warnings;
