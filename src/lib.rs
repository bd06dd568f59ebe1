//! loket: a single-threaded, event-driven server for Linux with six services on one loop.
//!
//! # Layers
//!
//! Each folder of `src/` is a layer, and imports only layers below it (`tests/tidy.rs` checks
//! this):
//!
//! ```text
//!   main, cli ── flags in, exit status out
//!     │    └──────────────────────┬──────────────────────────────┐
//!   server ── wires the layers    │                              │
//!     │    ╲  together          load ── load generator           │
//!     │    setup ── before the    │                              │
//!     │      │  first client      │                              │
//!     │  services ── protocols    │                           client ── blocking, std::net
//!     │      │                    │                              │
//!     │    store ── files         │                              │
//!     │      │                    │                              │
//!   reactor ─┼─ mio ──────────────┘                              │
//!     │      │                                                   │
//!   session ─┘  traits and buffers between them                  │
//!     │                                                          │
//!   terminal ── line editor, raw mode ───────────────────────────┤
//!     │                                                          │
//!   wire ── parsing of bytes ────────────────────────────────────┘
//! ```
//!
//! # Reading order
//!
//! The entry path is nine files with fewer than 2,000 lines together, without the set-up code at
//! the end of `event_loop`. A name from another file is explained where it is imported
//! (`tests/tidy.rs` checks both).
//!
//! 1. `benches/bare_loop/echo.rs`: an echo server on epoll(7) alone; one peer can starve others.
//! 2. [`services::echo`]: the same service as a protocol, which makes no system call.
//! 3. [`session::protocol`]: the trait of a protocol, and its rules.
//! 4. [`session::session`]: a protocol with its buffers; passes it bytes, and says what to do next.
//! 5. [`reactor::event_loop`]: polls, marks what is ready, accepts, gives turns, polls again.
//! 6. [`reactor::dispatcher`]: gives turns to connections, and acts on how a turn ended.
//! 7. [`reactor::turn`]: what one turn does, and its budget.
//! 8. [`reactor::connection`]: the state of one connection: socket, session and readiness.
//! 9. [`reactor::run_queue`]: the order of turns, and the measurements behind it.
//!
//! When you need it:
//!
//! - [`reactor::acceptor`], [`reactor::io`], [`reactor::linux`]: new connections and system calls.
//! - [`reactor::splice`]: moving uploads without copying them.
//! - [`reactor::timers`]: timers, deadlines and the minimum rate of a transfer.
//! - [`wire::framing`], [`wire::ambiguous_size`]: parsing requests without framing.
//! - [`wire::http::head`], [`services::http`]: HTTP/1.1 on the same files.
//! - [`store::file_store`], [`store::upload`]: files below one root, which no name can leave.
//!   [`store::workers`]: the threads that wait for the disk.
//! - [`session::observer`], [`session::loop_view`]: what the loop tells of itself, and what a tab
//!   of the browser's Loop view gets of it.
//! - [`session::notice`], [`services::talk`], [`services::operator`]: messages between sessions.
//!   The operator is one more session.
//! - [`reactor::datagram`], [`services::room`]: the chat room over UDP.
//! - [`services::link`], [`reactor::uplink`], [`services::room::elsewhere`],
//!   [`services::roster::elsewhere`]: one room and one talk on several servers, over NATS.
//! - [`setup::sandbox`], [`setup::drop_root`]: privileges that are dropped at the start.
//! - [`load::worker`], [`load::driver`]: the load generator, which runs thousands of client
//!   connections on the same dispatcher.
//!
//! `loket serve --trace` prints each event and each turn while it happens.
//!
//! # Versions
//!
//! The program, its flags and its protocols are what a version promises. The library exists for the
//! tests, the benches and readers: any version may change it.
//!
//! - 0.1.0, 2026-11-26: the first version, with echo, transfer, files, http, talk and room; sockets
//!   of a service manager, a file of settings, JSON logs, and packages for Debian and Fedora.

#![forbid(unsafe_code)]

pub mod cli;
pub mod client;
pub mod config;
pub mod load;
pub mod reactor;
pub mod server;
pub mod services;
pub mod session;
pub mod setup;
pub mod store;
pub mod terminal;
pub mod wire;

/// The examples of the README are compiled as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExamples;
