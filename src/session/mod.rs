//! The interface between protocols and the reactor: traits, sessions and their buffers.
//! Makes no system call and uses no store: a protocol that serves files holds a store itself.

pub mod blob;
pub mod changed_conns;
pub mod client_net;
pub mod close_reason;
pub mod completions;
pub mod datagram;
pub mod held;
pub mod log_limit;
pub mod loop_frame;
pub mod loop_metrics;
pub mod loop_observer;
pub mod loop_view;
pub mod notice;
pub mod observer;
pub mod outbox;
pub mod peer;
pub mod protocol;
pub mod proxies;
#[allow(clippy::module_inception)] // session/session.rs is where a reader looks for the session
pub mod session;
pub mod session_id;
pub mod shared;
pub mod successor;
pub mod trace;
pub mod trace_lines;
pub mod watchers;
