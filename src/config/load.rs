//! The limits of the load generator, with the reason for each.

use super::client::CLIENT;
use super::reactor::{BBR_BODIES, REACTOR};
use super::room::{DATAGRAMS, ROOM};
use super::{DESCRIPTOR_RESERVE, HTTP, KIB};
use crate::load::settings::LoadLimits;
use crate::reactor::ReactorLimits;
use crate::reactor::clock::SECOND;

/// The length of a run. At 1,000 requests/s, ten of them are beyond p99.9.
pub const SECONDS: u32 = 10;

/// Connections of a run: enough to keep a server busy, and harmless to a small one.
pub const CONNECTIONS: u32 = 50;

/// Messages per second in a room: half of what one member may send, so that any room accepts it.
pub const ROOM_RATE: u32 = 10;

/// A request without an answer for this long is counted as lost.
pub const ANSWER_SECONDS: u32 = 10;

/// The limits of a run.
pub const LOAD: LoadLimits = LoadLimits {
    reactor: ReactorLimits {
        idle_seconds: Some(ANSWER_SECONDS),
        ..REACTOR
    },
    // Safe under any congestion control.
    bodies: BBR_BODIES,
    descriptor_reserve: DESCRIPTOR_RESERVE,
    // The accept queue of most servers holds this many connections.
    dials: 512,
    // As many as loket accepts in one turn.
    dials_per_round: REACTOR.accepts_per_turn,
    // With 28,000 ports each: 7 million connections a minute, the time a port stays in TIME_WAIT.
    sources: 250,
    // The largest prime below 1 MiB: no buffer size of a server is a multiple of it.
    period: 1_048_573,
    http: HTTP,
    // Below this, copying the body is cheaper than a system call of its own.
    discarded: 256 * KIB as u64,
    line: CLIENT.reply_line,
    // 1 GiB fits in the memory of most hosts, together with a server.
    in_flight: 1 << 30,
    prepare_micros: ANSWER_SECONDS as u64 * SECOND,
    last_answers_micros: ANSWER_SECONDS as u64 * SECOND,
    // The run itself shows that a rate is too high; its backlog need not be sent.
    late_micros: 2 * SECOND,
    // Fifty files are removed within a second, even if each waits for a disk; a restarted server
    // is back within a few seconds.
    clean_up_micros: ANSWER_SECONDS as u64 * SECOND,
    // Fast enough to find a restarted server at once, and cheap if it never returns.
    redial_micros: SECOND / 5,
    // A person reads no faster.
    progress_micros: SECOND / 5,
    // The resolution of the plot.
    slices: 100,
    // Longer latencies are recorded as one hour.
    longest_micros: 3_600 * SECOND,
    // Two runs differ by more than the third digit.
    digits: 3,
    // A loop that waits for less than 5 % of its time handles answers late.
    busy_percent: 95,
    datagram: ROOM.message,
    room_buffer: DATAGRAMS.receive_buffer,
    // Each join is announced to every member: more at once would flood the sockets.
    joining: 32,
    room_tries: CLIENT.room.max_tries,
    room_answer_micros: SECOND,
    // Copies that arrive later count as lost.
    last_copies_micros: 2 * SECOND,
};
