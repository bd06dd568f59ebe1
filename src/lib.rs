//! loket: one thread, one poll, one slab, and five services on it.
//!
//! # Layers
//!
//! Imports go down only (`tests/tidy.rs` holds that):
//!
//! ```text
//!   main, cli ── flags in, exit status out
//!     │    └──────────────────────┬──────────────────────────────┐
//!   server ── which service       │                              │
//!     │    ╲  listens where     load ── the reactor turned round │
//!     │    setup ── before        │                              │
//!     │      │  anyone is served  │                              │
//!     │  services ── protocols    │                           client ── blocking, std::net
//!     │      │                    │                              │
//!     │    store ── files         │                              │
//!     │      │                    │                              │
//!   reactor ─┼─ mio ──────────────┘                              │
//!     │      │                                                   │
//!   session ─┘  the seam                                         │
//!     │                                                          │
//!   terminal ── keys and modes ──────────────────────────────────┤
//!     │                                                          │
//!   wire ── bytes only ──────────────────────────────────────────┘
//! ```
//!
//! # Reading order
//!
//! The entry path is nine files, fewer than 2,000 lines together. What they name of other files is
//! explained where it is imported (`tests/tidy.rs` holds both).
//!
//! 1. `benches/baseline/echo.rs`: echo on epoll(7) alone; one peer can keep it from all others.
//! 2. [`services::echo`]: the same service as a protocol, which does no I/O.
//! 3. [`session::protocol`]: the rules that every protocol keeps.
//! 4. [`session::session`]: shows a protocol its bytes, and says what comes next.
//! 5. [`reactor::event_loop`]: poll, mark, accept, serve, poll again.
//! 6. [`reactor::dispatcher`]: gives turns, and carries out how they end.
//! 7. [`reactor::turn`]: what one turn does, and when it has done enough.
//! 8. [`reactor::connection`]: readiness, and why only an answer of the kernel clears a bit.
//! 9. [`reactor::run_queue`]: the order of turns.
//!
//! When you need it:
//!
//! - [`reactor::acceptor`], [`reactor::io`], [`reactor::linux`]: new connections and system calls.
//! - [`reactor::splice`], [`reactor::sendfile`]: bodies of files bypass the protocols.
//! - [`reactor::timers`]: silences that mean something, deadlines, how slow a body may be.
//! - [`wire::framing`], [`wire::ambiguous_size`]: how clients without framing are understood.
//! - [`store::file_store`], [`store::upload`]: files that cannot leave their root, and
//!   [`store::workers`]: the threads that wait for the disk.
//! - [`session::notice`], [`services::talk`], [`services::operator`]: sessions that talk to each
//!   other, and the operator as one more session.
//! - [`reactor::datagram`], [`services::room`]: the same ideas over UDP.
//! - [`setup::sandbox`], [`setup::drop_root`]: rights that are given up at the start.
//! - [`load::worker`], [`load::driver`]: the same loop as a client, thousands of connections wide.
//!
//! `loket serve --trace` prints what the loop does while you read it.

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
