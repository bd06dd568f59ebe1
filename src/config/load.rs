//! Names the limits of the load generator, with the reason for each.

use super::DESCRIPTOR_RESERVE;
use super::client::CLIENT;
use super::reactor::{BBR_BODIES, REACTOR};
use super::room::{DATAGRAMS, ROOM};
use crate::load::settings::LoadLimits;
use crate::reactor::ReactorLimits;
use crate::reactor::clock::SECOND;

/// How long a run takes. At 1,000 requests a second ten of them lie beyond p99.9.
pub const SECONDS: u32 = 10;

/// Connections of a run: enough to keep a server busy, and no harm to a small one.
pub const CONNECTIONS: u32 = 50;

/// Messages a second in a room: half of what one member may say, so that it fits any room.
pub const ROOM_RATE: u32 = 10;

/// A server that does not answer for so long has lost the request.
pub const PATIENCE_SECONDS: u32 = 10;

/// What a run must keep to.
pub const LOAD: LoadLimits = LoadLimits {
    reactor: ReactorLimits {
        idle_seconds: Some(PATIENCE_SECONDS),
        ..REACTOR
    },
    // Safe under any congestion control.
    bodies: BBR_BODIES,
    descriptor_reserve: DESCRIPTOR_RESERVE,
    // So many connections that are not served yet fit the backlog of most servers.
    dials: 512,
    // As many as a server of ours accepts in one turn.
    dials_per_round: REACTOR.accepts_per_turn,
    // With 28,000 ports each, 7 million connections a minute; for a minute a port stays taken.
    sources: 250,
    // The largest prime below a MiB: no step of a server is a multiple of it.
    period: 1_048_573,
    line: CLIENT.reply_line,
    // A GiB fits the memory of most hosts, beside a server's.
    under_way: 1 << 30,
    prepare_micros: PATIENCE_SECONDS as u64 * SECOND,
    last_answers_micros: PATIENCE_SECONDS as u64 * SECOND,
    // A rate that cannot be kept is found out in the run; its backlog need not be worked off.
    late_micros: 2 * SECOND,
    // Fifty files are removed within a second, also when each one waits for a disk; a server
    // that is started again is back within a few.
    clean_up_micros: PATIENCE_SECONDS as u64 * SECOND,
    // A server that comes back is found at once, and one that does not costs nothing.
    redial_micros: SECOND / 5,
    // Faster than this nobody reads.
    progress_micros: SECOND / 5,
    // As many points as the width of a drawing shows.
    slices: 100,
    // A latency of more than an hour is told as an hour.
    longest_micros: 3_600 * SECOND,
    // Three digits are more than two runs have in common.
    digits: 3,
    // A loop that waits for less than a twentieth of its time answers late.
    busy_percent: 95,
    datagram: ROOM.message,
    room_buffer: DATAGRAMS.receive_buffer,
    // Each newcomer is announced to everybody who is there: more would flood their sockets.
    joining: 32,
    room_tries: CLIENT.room.max_tries,
    room_answer_micros: SECOND,
    // What a room has not sent by then was lost.
    last_copies_micros: 2 * SECOND,
};
