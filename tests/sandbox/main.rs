//! The sandbox, in a process of its own: its threads are restricted.

mod sandbox;
mod sandbox_threads;
#[path = "../support/mod.rs"]
mod support;
