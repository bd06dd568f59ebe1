//! A simulated network, kernel and disk in virtual time, and models of the expected results.
#![allow(dead_code)] // each test binary uses a part of this

mod accept_model;
pub mod by_hand;
mod dialogue_bare;
mod dialogue_http;
mod dialogue_line;
pub mod engine;
mod finish;
pub mod io;
mod make_peers;
mod network;
mod operator_model;
mod plan;
mod queue;
mod room_model;
mod script;
mod seed_calls;
mod shared;
pub mod sim_socket;
pub mod trace;
mod watcher;
