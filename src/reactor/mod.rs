//! The readiness loop: the only room that knows mio, sockets and the clock.
//! Knows no service: it is handed listeners, each with a maker of protocols.

pub mod acceptor;
pub mod addresses;
pub mod body_in;
pub mod body_out;
pub mod clock;
pub mod connection;
pub mod datagram;
pub mod deadlines;
pub mod delays;
pub mod descriptors;
pub mod dispatcher;
pub mod event_loop;
pub mod io;
pub mod lag;
pub mod limits;
pub mod linux;
pub mod log_limit;
pub mod log_queue;
pub mod log_sink;
pub mod observer;
pub mod run_queue;
pub mod signals;
pub mod stdio;
pub mod step_size;
pub mod table;
pub mod timing;
pub mod token;
pub mod trace;
pub mod turn;
pub mod udp;
