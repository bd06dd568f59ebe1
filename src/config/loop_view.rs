//! The limits of the Loop view.

use super::KIB;
use super::reactor::REACTOR;
use crate::session::changed_conns::TurnBudget;
use crate::session::loop_view::LoopViewLimits;

/// The limits of the Loop view.
pub const LOOP_VIEW: LoopViewLimits = LoopViewLimits {
    // A person sees ten pictures a second as motion.
    frame_micros: 100_000,
    // At most 25 KiB. 10,000 connections that all have turns are shown within two seconds.
    frame_conns: 500,
    // About 25 KiB, which take 0.1 ms to write.
    piece_conns: 1_000,
    // Empty slots of a table that was larger once. They take 5 us.
    piece_slots: 4_096,
    // One frame may be added, and the result is still far below the backlog at which a client is
    // disconnected.
    unsent: 4 * KIB as u64,
    // About a hundred turns: more than a person reads in 0.1 s.
    trace_bytes: 8 * KIB,
    budget: TurnBudget {
        bytes: REACTOR.turn_bytes,
        short_calls: REACTOR.short_calls,
        calls: REACTOR.turn_calls,
    },
};
