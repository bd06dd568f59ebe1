//! The limits of the clients.
//! Those of a server stand in the other files.

use super::WIRE;
use super::reactor::REACTOR;
use super::room::ROOM;
use crate::client::{ClientLimits, Keepalive, RoomClientLimits, TalkClientLimits};
use std::time::Duration;

/// All of them.
pub const CLIENT: ClientLimits = ClientLimits {
    // A busy server answers within seconds.
    connect_timeout: Duration::from_secs(10),
    // Longer than the slowest fsync of a large upload, shorter than the patience of a person.
    quiet_timeout: Duration::from_secs(30),
    // Twice the patience with a silence, so that an answer that was long in coming leaves time for
    // what follows it.
    rate_window: Duration::from_secs(60),
    min_rate: REACTOR.min_rate,
    // A bar that flashes by is worse than none.
    progress_delay: Duration::from_millis(500),
    // The longest reply line is a transfer header: a name of 1,024 bytes, the separator, a size.
    // Four times that leaves room for a talkative refusal.
    reply_line: 4096,
    // A path of this system (4,096 bytes) and a name at most.
    command_line: 8192,
    // Less than any socket buffer, so that neither side ever waits for the other with both buffers
    // full.
    echo_piece: 16 * 1024,
    // More falls out of the cache.
    body_piece: 256 * 1024,
    // An evening's chat.
    history: 100,
    talk: TalkClientLimits {
        // The server ends the connection of a client whose line is longer than its longest unit.
        line: WIRE.unit - 1,
        // More than a person writes in a minute.
        piece: 4096,
        // The server's own settle window.
        settle: Duration::from_millis(REACTOR.settle_millis),
        // A server of ours closes at once; one that does not is believed to be done after longer
        // than any round trip.
        drain_timeout: Duration::from_secs(1),
        // A talk connection may be silent for hours. The server probes at the same pace, and a line
        // that died is told within a minute and a half.
        keepalive: Keepalive {
            idle: Duration::from_secs(60),
            interval: Duration::from_secs(10),
            probes: 3,
        },
    },
    room: RoomClientLimits {
        datagram: ROOM.message,
        name: ROOM.name,
        // A request that is not answered for so long was lost: far beyond any round trip.
        answer_timeout: Duration::from_secs(1),
        // Three losses in a row mean that nobody is there, and a person has waited for three
        // seconds.
        max_tries: 3,
        // The room sends every message back to its sender: after the same three seconds it was
        // lost.
        relay_timeout: Duration::from_secs(3),
        // A script or a pasted text stays below the room's rate, over which the server drops. A
        // person never notices.
        send_interval: Duration::from_millis(1_000 / ROOM.rate as u64),
        // So a silent member learns of a server that was started again. 4,096 members make 410
        // datagrams a second; an idle limit is 900 s.
        check_interval: Duration::from_secs(10),
        // A server that is started again needs about a second.
        first_pause: Duration::from_secs(1),
        // Half a minute after the server is back every member is back, too.
        max_pause: Duration::from_secs(30),
    },
};
