//! The limits of the clients.

use super::WIRE;
use super::reactor::REACTOR;
use super::room::ROOM;
use crate::client::{ClientLimits, Keepalive, RoomClientLimits, TalkClientLimits};
use std::time::Duration;

/// The limits of all clients.
pub const CLIENT: ClientLimits = ClientLimits {
    // A busy server answers within seconds.
    connect_timeout: Duration::from_secs(10),
    // Longer than the slowest fsync(2) of a large upload, shorter than people wait.
    quiet_timeout: Duration::from_secs(30),
    // A file of a terabyte at 300 MB/s. The server closes if its disk does not answer.
    digest_timeout: Duration::from_secs(3_600),
    // Twice `quiet_timeout`, so that a late answer leaves time for the body that follows it.
    rate_window: Duration::from_secs(60),
    min_rate: REACTOR.min_rate,
    // A progress bar that is shown for a shorter time only flickers.
    progress_delay: Duration::from_millis(500),
    // The longest reply line is a transfer header: a name of 1,024 bytes, the separator, a size.
    // Four times that leaves room for a long error message.
    reply_line: 4096,
    // Room for a command, a path (4,096 bytes) and a name.
    command_line: 8192,
    // Less than any socket buffer: with both buffers full, both sides would wait for each other.
    echo_piece: 16 * 1024,
    // More does not stay in the cache.
    body_piece: 256 * 1024,
    // An evening's chat.
    history: 100,
    talk: TalkClientLimits {
        // The server ends the connection of a client whose line is longer than its longest unit.
        line: WIRE.unit - 1,
        // More than people type in a minute.
        piece: 4096,
        // The server's own settle window.
        settle: Duration::from_millis(REACTOR.settle_millis),
        // loket closes at once. For another server: longer than any round trip.
        drain_timeout: Duration::from_secs(1),
        // A talk connection may be silent for hours. The server probes at the same intervals; a
        // dead connection is detected within a minute and a half.
        keepalive: Keepalive {
            idle: Duration::from_secs(60),
            interval: Duration::from_secs(10),
            probes: 3,
        },
    },
    room: RoomClientLimits {
        datagram: ROOM.message,
        name: ROOM.name,
        // Longer than any round trip: the request or its answer was lost.
        answer_timeout: Duration::from_secs(1),
        // Three losses in a row mean that no server answers; the user has waited for 3 s.
        max_tries: 3,
        // The room sends every message back to its sender: after the same 3 s it was lost.
        relay_timeout: Duration::from_secs(3),
        // Scripts and pasted text stay below the room's rate, above which the server drops
        // messages. It is faster than people type.
        send_interval: Duration::from_millis(1_000 / ROOM.rate as u64),
        // By probes, a silent member detects that the server has restarted. 4,096 members send 410
        // probes a second. The room's idle limit is 900 s.
        check_interval: Duration::from_secs(10),
        // A restart of the server takes about a second.
        first_pause: Duration::from_secs(1),
        // Every member has joined again half a minute after a restart.
        max_pause: Duration::from_secs(30),
    },
};
