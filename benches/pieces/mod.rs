//! The parts of the server that are timed, by the layer they stand in.

pub mod sessions;
pub mod turns;
