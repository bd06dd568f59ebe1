//! Names every limit of the clients, and the reason for it.
//! Enforces none: the clients do.

use super::{MIN_RATE, ROOM_RATE, SETTLE_MILLIS, WIRE};
use crate::client::limits::{ClientLimits, Keepalive, RoomLimits, TalkLimits};
use std::time::Duration;

/// All of them.
pub fn client_limits() -> ClientLimits {
    ClientLimits {
        connect_timeout: CLIENT_CONNECT_TIMEOUT,
        quiet_timeout: CLIENT_QUIET_TIMEOUT,
        rate_window: CLIENT_RATE_WINDOW,
        min_rate: MIN_RATE,
        progress_delay: CLIENT_PROGRESS_DELAY,
        reply_line: CLIENT_REPLY_LINE_BYTES,
        command_line: CLIENT_COMMAND_LINE_BYTES,
        echo_piece: CLIENT_ECHO_PIECE_BYTES,
        body_piece: CLIENT_BODY_PIECE_BYTES,
        prompt_wait: CLIENT_PROMPT_WAIT,
        talk: TalkLimits {
            line: CLIENT_TALK_LINE_BYTES,
            piece: CLIENT_TALK_PIECE_BYTES,
            settle: CLIENT_TALK_SETTLE,
            last_words: CLIENT_TALK_LAST_WORDS,
            keepalive: CLIENT_KEEPALIVE,
        },
        room: RoomLimits {
            datagram: CLIENT_ROOM_DATAGRAM_BYTES,
            name: CLIENT_ROOM_NAME_CHARACTERS,
            answer: CLIENT_ROOM_ANSWER,
            tries: CLIENT_ROOM_TRIES,
            relay: CLIENT_ROOM_RELAY,
            pace: CLIENT_ROOM_PACE,
            probe: CLIENT_ROOM_PROBE,
            first_pause: CLIENT_ROOM_FIRST_PAUSE,
            longest_pause: CLIENT_ROOM_LONGEST_PAUSE,
        },
    }
}

/// How long a client waits for one address of its server: a busy one answers within seconds.
pub const CLIENT_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A client gives up when not one byte could be read or written for this long: longer than the
/// slowest fsync of a large upload, shorter than the patience of a person.
pub const CLIENT_QUIET_TIMEOUT: Duration = Duration::from_secs(30);

/// The time over which a client judges [`MIN_RATE`]: twice its patience with a silence, so that an
/// answer that was long in coming leaves time for what follows it.
pub const CLIENT_RATE_WINDOW: Duration = Duration::from_secs(60);

/// A bar that flashes by is worse than none.
pub const CLIENT_PROGRESS_DELAY: Duration = Duration::from_millis(500);

/// The longest reply line is a transfer header: a name of 1,024 bytes, the separator, a size. Four
/// times that leaves room for a talkative refusal.
pub const CLIENT_REPLY_LINE_BYTES: usize = 4096;

/// A line of the shell holds a path of this system (4,096 bytes) and a name at most.
pub const CLIENT_COMMAND_LINE_BYTES: usize = 8192;

/// What the echo client writes before it reads back: less than any socket buffer, so that
/// neither side ever waits for the other with both buffers full.
pub const CLIENT_ECHO_PIECE_BYTES: usize = 16 * 1024;

/// What a client moves between file and socket at once; more falls out of the cache.
pub const CLIENT_BODY_PIECE_BYTES: usize = 256 * 1024;

/// The line editor paints its prompt within microseconds; it is late only while a line is being
/// sent to a server that takes nothing in, and then what arrives must not wait for it.
pub const CLIENT_PROMPT_WAIT: Duration = Duration::from_millis(200);

/// The server ends the connection of a client whose line is longer than its longest unit.
pub const CLIENT_TALK_LINE_BYTES: usize = WIRE.unit - 1;

/// What the talk client reads at once: more than a person writes in a minute.
pub const CLIENT_TALK_PIECE_BYTES: usize = 4096;

/// An operator's text without a line end is shown after the server's own settle window.
pub const CLIENT_TALK_SETTLE: Duration = Duration::from_millis(SETTLE_MILLIS);

/// After the end of its input the talk client hears the server out. A server of ours closes at
/// once; one that does not is believed to be done after longer than any round trip.
pub const CLIENT_TALK_LAST_WORDS: Duration = Duration::from_secs(1);

/// A talk connection may be silent for hours. The server probes at the same pace, and a line that
/// died is told within a minute and a half.
pub const CLIENT_KEEPALIVE: Keepalive = Keepalive {
    idle: Duration::from_secs(60),
    interval: Duration::from_secs(10),
    probes: 3,
};

/// The longest datagram of the room, each way, by its protocol.
pub const CLIENT_ROOM_DATAGRAM_BYTES: usize = 1024;

/// The longest name in the room, by its protocol.
pub const CLIENT_ROOM_NAME_CHARACTERS: usize = 32;

/// A request to the room that is not answered for so long was lost: far beyond any round trip.
pub const CLIENT_ROOM_ANSWER: Duration = Duration::from_secs(1);

/// Tries of a request. Three losses in a row mean that nobody is there, and a person has waited
/// for three seconds.
pub const CLIENT_ROOM_TRIES: u32 = 3;

/// The room sends every message back to its sender: after the same three seconds it was lost.
pub const CLIENT_ROOM_RELAY: Duration = Duration::from_secs(3);

/// Between two messages, so that a script or a pasted text stays below [`ROOM_RATE`], over which
/// the server drops. A person never notices.
pub const CLIENT_ROOM_PACE: Duration = Duration::from_millis(1_000 / ROOM_RATE as u64);

/// A silent member asks this often whether the room still knows it, and so learns of a server that
/// was started again. 4,096 members make 410 datagrams a second; an idle limit is 900 s.
pub const CLIENT_ROOM_PROBE: Duration = Duration::from_secs(10);

/// The pause after a failed attempt to join again: a server that is started again needs about a
/// second. It doubles up to [`CLIENT_ROOM_LONGEST_PAUSE`].
pub const CLIENT_ROOM_FIRST_PAUSE: Duration = Duration::from_secs(1);

/// Half a minute after the server is back every member is back, too.
pub const CLIENT_ROOM_LONGEST_PAUSE: Duration = Duration::from_secs(30);
