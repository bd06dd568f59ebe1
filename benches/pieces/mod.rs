//! The parts of the server that are timed, by the layer they stand in.
//! Measures nothing whole: no process is started, and at most one socket pair is opened.

pub mod sessions;
pub mod turns;
