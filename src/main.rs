//! Runs what the command line asks for and turns the outcome into an exit status.
//! Holds no logic of any service.

fn main() {}
