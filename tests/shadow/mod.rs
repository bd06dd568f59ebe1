//! The shadow: a network, a kernel and peers made from a seed, and a model of what must come out.
//! Holds nothing of the server but its public face: what runs is the production dispatcher.

mod cast;
mod dialogue_bare;
mod dialogue_line;
mod disk;
mod door;
mod ending;
pub mod engine;
mod hall;
mod kernel;
mod network;
mod plan;
mod queue;
mod random;
mod screen;
mod script;
mod shared;
mod store;
pub mod trace;
mod watcher;
mod wire;
