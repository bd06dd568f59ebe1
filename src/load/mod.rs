//! The load generator: the same reactor turned round, thousands of connections on one thread.
//! Knows the services by their bytes alone.
//!
//! Reading order: `run` puts a run together; `driver` is its loop over TCP;
//! `lane` is one connection, `echo` the smallest thing that one can ask for; `schedule` says when
//! something is due, `recorder` counts and `report` tells. `room` is the same over UDP.

pub mod board;
pub mod calls;
pub mod dialer;
pub mod driver;
pub mod echo;
pub mod fault;
pub mod files;
pub mod json;
pub mod lane;
pub mod member;
pub mod numbers;
pub mod pattern;
pub mod plot;
pub mod poller;
pub mod progress;
pub mod recorder;
pub mod report;
pub mod requests;
pub mod results;
pub mod room;
pub mod run;
pub mod schedule;
pub mod script;
pub mod settings;
pub mod transfer;
pub mod watched;
