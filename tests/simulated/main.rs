//! The dispatcher and the services on simulated sockets, in virtual time.

mod any_cutting;
#[path = "../broker/mod.rs"]
mod broker;
mod datagram_turns;
mod deadlines;
mod disk_waits;
mod http_deadlines;
mod http_tabs;
mod linked_histories;
mod linked_rooms;
mod linked_talk;
mod loop_view;
#[path = "../memory/mod.rs"]
mod memory;
mod moving_bodies;
mod operator_crowd;
mod quota;
#[path = "../room_driver/mod.rs"]
mod room_driver;
mod room_history;
mod room_rules;
mod room_sessions;
mod rounds;
#[path = "../sim/mod.rs"]
mod sim;
mod simulation;
#[path = "../support/mod.rs"]
mod support;
#[path = "../tabs/mod.rs"]
mod tabs;
mod turns;
mod typing;
