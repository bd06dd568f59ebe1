//! loket: one thread, one poll, one slab, and five services on it.
//! Decides nothing here: this page is the map.
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
//! 1. [`services::echo`]: a whole protocol in fifteen lines.
//! 2. [`session::protocol`]: the rules every protocol lives by.
//! 3. [`session::session`]: `feed`, the one pure function that drives a protocol.
//! 4. [`reactor::event_loop`]: poll, mark, serve, poll again.
//! 5. [`reactor::dispatcher`] and [`reactor::turn`]: who gets a turn, and what a turn does.
//! 6. [`reactor::connection`]: readiness, and why a bit may only be cleared by the kernel's word.
//! 7. [`reactor::body_in`], [`reactor::body_out`]: how bodies bypass all of the above, and
//!    [`reactor::timers`]: how slow they may be.
//! 8. [`wire::unit`], [`wire::puzzle`]: how clients without framing are understood.
//! 9. [`store::file_store`], [`store::upload`]: files that cannot leave their root, and
//!    [`store::workers`]: who waits for them.
//! 10. [`session::notice`], [`services::talk`], [`services::operator`]: sessions that talk to each
//!     other, and the operator as one more session.
//! 11. [`reactor::datagram`], [`services::room`]: the same ideas over UDP.
//! 12. [`setup::sandbox`], [`setup::drop_root`]: what is given up before anybody is served.
//! 13. [`load::lane`], [`load::driver`]: the same loop as a client, thousands of connections wide.
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
