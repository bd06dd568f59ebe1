//! Talk and the room over real sockets.

#[cfg(debug_assertions)] // it waits for other programs
mod cluster;
mod link;
mod linked_talk;
#[cfg(debug_assertions)] // it waits for other programs
mod partitions;
mod room;
mod room_addresses;
mod room_crowd;
#[path = "../room_driver/mod.rs"]
mod room_driver;
mod room_history;
mod room_vanished;
#[path = "../support/mod.rs"]
mod support;
mod talk;
mod talk_rate;
