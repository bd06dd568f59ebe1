//! The seam between protocols and the reactor: bytes in, an ordered outbox out, traits beside.
//! Makes no system call: what a session needs of the world it reaches through `world.rs`.

pub mod blob;
pub mod client_net;
pub mod close_reason;
pub mod datagram;
pub mod held;
pub mod notice;
pub mod outbox;
pub mod protocol;
#[allow(clippy::module_inception)] // session/session.rs is where a reader looks for the session
pub mod session;
pub mod witness;
pub mod world;
