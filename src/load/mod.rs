//! The load generator `loket load`: the same reactor as a client, with thousands of connections on
//! one thread. It knows only the wire protocols of the services.
//!
//! Reading order: `run` sets a run up; `driver` is its loop over TCP;
//! `worker` is one connection, `echo` the simplest requests; `schedule` decides when a request is
//! due, `recorder` counts, and `report` prints. `room_driver` is the loop over UDP.

pub mod connector;
pub mod dialer;
pub mod discard;
pub mod driver;
pub mod echo;
pub mod errors;
pub mod expect;
pub mod fail_limit;
pub mod files;
pub mod http;
pub mod interval_log;
pub mod json;
pub mod numbers;
pub mod plot;
pub mod poller;
pub mod proc_stats;
pub mod progress;
pub mod recorder;
pub mod redis;
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
