//! The load generator: the same reactor turned round, thousands of connections on one thread.
//! Knows the services by their bytes alone.
//!
//! Reading order: `run` puts a run together; `driver` is its loop over TCP;
//! `worker` is one connection, `echo` the smallest thing that one can ask for; `schedule` says when
//! something is due, `recorder` counts and `report` tells. `room_driver` is the same over UDP.

pub mod connector;
pub mod dialer;
pub mod driver;
pub mod echo;
pub mod errors;
pub mod expect;
pub mod files;
pub mod json;
pub mod numbers;
pub mod plot;
pub mod poller;
pub mod proc_stats;
pub mod progress;
pub mod recorder;
pub mod report;
pub mod requests;
pub mod results;
pub mod room_driver;
pub mod room_member;
pub mod run;
pub mod run_state;
pub mod schedule;
pub mod settings;
pub mod test_data;
pub mod transfer;
pub mod worker;
