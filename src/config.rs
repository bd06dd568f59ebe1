//! Names every limit with its default and the reason for it.
//! Enforces none: `server.rs` hands them to the rooms that do.

pub mod bodies;
pub mod client;
pub mod load;
pub mod room;

use crate::reactor::limits::ReactorLimits;
use crate::services::limits::{ServiceLimits, TalkRate};
use crate::store::backlog::BacklogLimits;
use crate::store::listing::ListingLimits;
use crate::terminal::line_editor::EditorLimits;
use crate::wire::limits::WireLimits;
use crate::wire::pause::Delay;
use std::time::Duration;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

// ---- what users set by flags ----

/// A connection without progress for this long is closed. People who try the shell by hand
/// pause for minutes; a dead peer should not hold a descriptor for hours.
pub const IDLE_TIMEOUT_SECONDS: u32 = 300;

/// The slowest body that is waited for, in bytes a second. Every link in use is faster;
/// a peer below it would hold a descriptor for days.
pub const MIN_RATE: u64 = KIB as u64;

/// Longer than the pauses between the `send()`s of one message, shorter than a person notices.
pub const SETTLE_MILLIS: u64 = 50;

/// A textbook client takes its first `recv` for the header: the data must not be there yet.
pub const BARE_GAP_MILLIS: u64 = 20;

/// Messages a second of one member of the room: nobody types faster.
pub const ROOM_RATE: u32 = 20;

/// A member of the room that was silent for so long is no member any more. People who only listen
/// for a lesson are back with their first word.
pub const ROOM_IDLE_SECONDS: u32 = 900;

/// Members of the room from one client network: a class behind one address.
pub const ROOM_PER_ADDRESS: u32 = 64;

/// The largest file, where the user sets none: what an offset of `sendfile(2)` can express.
pub const LARGEST_FILE: u64 = i64::MAX as u64;

// ---- what a peer may send ----

/// Longest unit, name and component. The last is `NAME_MAX` of `limits.h`; a name of four full
/// components is longer than people use; a unit is a name, a word and a number with room to spare.
pub const WIRE: WireLimits = WireLimits {
    unit: 4096,
    name: 1024,
    component: 255,
};

/// The bytes of one `send()` reach a socket together, or as segments back to back: the last one
/// follows the first within this. Keys follow each other after 20 ms and more, those of a script
/// more closely, but a command of them takes longer.
pub const INTERBYTE_MILLIS: u64 = 5;

/// A unit that is no whole command waits so long for its rest: line clients that send a command
/// in pieces wait a round trip between them, and even far away that is well under a second.
pub const WORD_MILLIS: u64 = 1_000;

/// A bare upload must begin within this. A client that cannot end its upload waits for ever
/// otherwise, and so does its user.
pub const FIRST_BYTE_MILLIS: u64 = 2_000;

/// A command must be whole so long after its first byte. Peers that send one in pieces take a few
/// round trips; one that sends a byte a second would hold its place for an hour. Who has not begun
/// one may be a person thinking, and falls under the idle deadline.
pub const COMMAND_SECONDS: u32 = 30;

/// Seconds over which [`MIN_RATE`] is judged: long enough for a Wi-Fi to come back.
pub const RATE_SECONDS: u32 = 30;

/// What a reader may have taken ahead of its rate, in bytes: the kernels of both ends keep up to 4
/// and 6 MiB by themselves (`tcp_wmem`, `tcp_rmem`), and more where they are told to.
pub const RATE_SURPLUS: u64 = 16 * MIB as u64;

/// The longest that a closed connection is read empty, and the most that is read, so that our last
/// line is not lost to a reset. A peer that is still sending then has had its chance.
pub const LINGER_MILLIS: u64 = 2_000;
/// See [`LINGER_MILLIS`].
pub const LINGER_BYTES: usize = MIB;

/// How long the kernel keeps what the peer of a closed connection does not take: without a limit
/// (`tcp_orphan_retries`) it keeps up to 4 MiB for 340 s, and no place is taken meanwhile. A peer
/// that goes on reading gets all of it; one that loses its network for longer loses the end.
pub const UNSENT_MILLIS: u64 = 3_000;

// ---- the loop ----

/// Descriptors kept for listeners, the poll, signals, standard streams, the pipe (about 20) and for
/// the files of bodies under way while every connection is taken. Of a small limit it is half.
pub const DESCRIPTOR_RESERVE: usize = 512;

/// The queue of connections not yet accepted. The kernel cuts it to `net.core.somaxconn`, which
/// is 4096 since Linux 5.4; a burst of thousands then waits instead of being turned away.
pub const BACKLOG: i32 = 4096;

/// What the kernel keeps of a connection beyond what the peer's window takes: tcp(7),
/// `TCP_NOTSENT_LOWAT`. Without it 1,200 peers that did not read had 1 MiB each, and with their
/// own buffers all that `tcp_mem` allows. For a peer that reads it is lifted, see
/// [`READS_AFTER`](bodies::READS_AFTER).
pub const UNSENT_BYTES: u32 = 128 * KIB as u32;

/// What the kernel keeps of an echo connection that is not read, about half of it the kernel's own:
/// socket(7), `SO_RCVBUF`. Left alone, it grows to `tcp_rmem` with what was read. The other
/// services read little but uploads, for which it must grow.
pub const ECHO_RECEIVE: usize = 256 * KIB;

/// Accepted in one turn of a listener. A burst of thousands is taken in over many rounds, so that
/// it does not hold up those who are served already.
pub const ACCEPTS_PER_TURN: usize = 64;

/// Events fetched at once. More than a round can use well only grows the wait of the last.
pub const EVENTS_PER_ROUND: usize = 1024;

/// Bytes moved in one turn. A small request beside 8 endless downloads has p99 0.3 to 0.6 ms at
/// 256 KiB a turn, 7 to 12 ms at 1 MiB, 375 ms and more without a budget.
pub const TURN_BYTES: usize = 256 * KIB;

/// Calls of its protocol in one turn: an upload of one byte costs about 60 us and a dozen bytes,
/// so that bytes alone would let a peer that pipelines them hold the loop for a second and more.
pub const TURN_CALLS: usize = 16;

/// Calls in a short turn: every peer that has something to ask gets one in the same round. More go
/// on among the bulk.
pub const SHORT_CALLS: usize = 4;

/// When short turns end; bulk turns have as long a time before the next poll. A request that comes
/// just then waits for both and for the rest of a turn of each. 1,000 echoes take 5 ms together,
/// and all of them still have their turn in the same round.
pub const SHORT_MICROS: u64 = 3_000;

/// Moved between two polls while nobody has a short turn: one long step, or four of downloads that
/// are paced, which take 0.07 ms together.
pub const BULK_BYTES: usize = MIB;

/// Bulk turns between two polls while nobody has a short turn: one that meets a full socket moves
/// nothing.
pub const BULK_TURNS: usize = 4;

/// When the next poll is due, although less than that was moved: a new request is to wait for one
/// long step, and not for four of them.
pub const BULK_MICROS: u64 = 150;

/// A body of at most this is moved in a short turn, and out of the store by copying: about as much
/// work as a few small requests.
pub const SMALL_BODY: usize = 16 * KIB;

/// The one read buffer. 16 KiB halves the throughput of large messages, more gains nothing.
pub const READ_BUFFER: usize = 64 * KIB;

/// Read at once where commands are expected. What is not executed yet stays in memory, and two of
/// the longest units are enough for a turn.
pub const COMMAND_READ: usize = 2 * WIRE.unit;

/// A session takes nothing in while it owes its peer this much; one reply, of at most
/// [`SMALL_BODY`], may come on top. The kernel's own buffer keeps the connection busy.
pub const OUTBOX_HIGH_WATER: usize = 16 * KIB;

/// When to look again whether the disk has read what is to be sent: the shortest time that
/// epoll_wait(2) measures.
pub const COLD_MICROS: u64 = 1_000;

/// Nobody served for so long is told to the operator: people begin to notice.
pub const SLOW_MICROS: u64 = 50_000;

/// Lines a second about uploads that were refused, cut or failed: a class of thirty whose uploads
/// meet a full disk is logged one by one, a client that repeats a bad one is not.
pub const UPLOADS_LOGGED: u32 = 30;

/// Time for transfers under way when the server is told to stop.
pub const WIND_DOWN_SECONDS: u64 = 10;

/// How long a start waits for a supervisor that does not read its socket: longer than a busy one
/// takes, shorter than it waits for the start itself.
pub const SD_NOTIFY_TIMEOUT: Duration = Duration::from_secs(5);

// ---- talk ----

/// What a talk client may leave unread. The kernel's buffers hold hundreds of lines before that;
/// who leaves 64 KiB more unread has stopped reading, and is dropped.
pub const TALK_BACKLOG: usize = 64 * KIB;

/// What a talk client may have the server print, in bytes: a person writes ten a second, and a
/// pasted file of a MiB is there within two. Two clients that never stopped wrote 176 MB/s into a
/// file, and 200 at a MiB/s each 114 MB/s: a crowd shares what eight clients may say. A connection
/// begins with little more than the longest line.
pub const TALK_RATE: TalkRate = TalkRate {
    first: 8 * KIB,
    each_second: MIB,
    all: 8 * MIB,
    most: MIB,
    line: 12,
};

/// When to look again whether a talk client may go on. Its rate is counted by whole seconds.
pub const TALK_PACE_MILLIS: u64 = 100;

/// What the operator may leave unread, behind a paused pager for example. What comes on top is
/// dropped and counted; a screen holds about 8 KiB.
pub const CONSOLE_BACKLOG: usize = 256 * KIB;

/// Talk clients that one piece of an operator's command lists or writes to: what that takes is
/// about as long as other big steps. All 10,000 at once stopped every connection for 2.3 s.
pub const CONSOLE_STEP: usize = 128;

/// tcp(7) keepalive of talk connections: people fall silent, so no deadline ends them. The first
/// probe after a minute, then three, ten seconds apart.
pub const KEEPALIVE_SECONDS: u64 = 60;
/// See [`KEEPALIVE_SECONDS`].
pub const KEEPALIVE_INTERVAL_SECONDS: u64 = 10;
/// See [`KEEPALIVE_SECONDS`].
pub const KEEPALIVE_PROBES: u32 = 3;

/// The line that the operator types, and the lines that arrow-up brings back.
pub const EDITOR: EditorLimits = EditorLimits {
    line: 1_000,
    history: 100,
};

/// Log lines that may wait for a reader of standard error; what is over is dropped and counted.
pub const LOG_BACKLOG: usize = 256 * KIB;

// ---- the store ----

/// Bounds of `ls`, which makes one list of a folder for all that ask meanwhile.
pub const LISTING: ListingLimits = ListingLimits {
    // A million names of 7 bytes are listed with 15 MB beside the list, of 7.9 MB.
    step: 512,
    entries: 1_000_000,
    short: SMALL_BODY,
    heavy: HEAVY_FILE,
    // One list of a million of the longest names. Each change of a folder that is being listed
    // makes one more; beyond this, the readers of the oldest lose theirs.
    memory: 256 * MIB as u64,
    // The kernel's clock for time stamps ticks at least 100 times a second, that of exFAT as well.
    tick: Duration::from_millis(100),
    // FAT counts two seconds.
    coarse_tick: Duration::from_secs(2),
};

/// Closing a file that was removed meanwhile frees its blocks: 3 ms for 64 MiB on ext4. From this
/// size on a helper thread does that; the hop costs a smaller download more than it is worth.
pub const HEAVY_FILE: u64 = 4 * MIB as u64;

/// What peers that broke off have left at the disk holds a descriptor or two each. It is done
/// without a sync: 10,800 uploads that were broken off within 4 s beside commits of others held
/// 206 descriptors at most, and 11,700 where each waited for its sync. 256 fit into
/// [`DESCRIPTOR_RESERVE`].
pub const BACKLOG_OF_GONE: BacklogLimits = BacklogLimits {
    network: 128,
    all: 256,
};

/// So many uploads wait for one sync of their folder, if they come together: 8 writers of 4 KiB
/// make 3,569 commits a second so, and 2,060 with a sync each.
pub const DISK_BATCH: usize = 64;

// ---- what the rooms are handed ----

/// Limits of the protocols.
pub fn service_limits() -> ServiceLimits {
    ServiceLimits {
        wire: WIRE,
        copy_step: bodies::COPY_STEP,
        talk_backlog: TALK_BACKLOG,
        talk_rate: TALK_RATE,
        console_step: CONSOLE_STEP,
        console_backlog: CONSOLE_BACKLOG,
    }
}

/// Limits of the reactor, with what users set.
pub fn reactor_limits(
    connections: usize,
    idle_timeout_seconds: u32,
    settle_millis: u64,
    bare_gap_millis: u64,
) -> ReactorLimits {
    let millis = |delay| match delay {
        Delay::Interbyte => INTERBYTE_MILLIS,
        Delay::Settle => settle_millis,
        Delay::Word => WORD_MILLIS,
        Delay::Gap => bare_gap_millis,
        Delay::FirstByte => FIRST_BYTE_MILLIS,
        Delay::Linger => LINGER_MILLIS,
        Delay::Pace => TALK_PACE_MILLIS,
    };
    ReactorLimits {
        connections,
        accepts_per_turn: ACCEPTS_PER_TURN,
        events_per_round: EVENTS_PER_ROUND,
        turn_bytes: TURN_BYTES,
        turn_calls: TURN_CALLS,
        short_calls: SHORT_CALLS,
        short_micros: SHORT_MICROS,
        bulk_bytes: BULK_BYTES,
        bulk_turns: BULK_TURNS,
        bulk_micros: BULK_MICROS,
        send_step: bodies::SEND_STEP,
        take_step: bodies::TAKE_STEP,
        small_body: SMALL_BODY,
        read_buffer: READ_BUFFER,
        command_read: COMMAND_READ,
        linger_bytes: LINGER_BYTES,
        unsent_millis: UNSENT_MILLIS,
        delays: Delay::ALL.map(|delay| millis(delay) * 1_000),
        command_seconds: COMMAND_SECONDS,
        min_rate: MIN_RATE,
        rate_seconds: RATE_SECONDS,
        rate_surplus: RATE_SURPLUS,
        per_address: None,
        cold_micros: COLD_MICROS,
        slow_micros: SLOW_MICROS,
        uploads_logged: UPLOADS_LOGGED,
        idle_seconds: (idle_timeout_seconds > 0).then_some(idle_timeout_seconds),
        wind_down_seconds: WIND_DOWN_SECONDS,
    }
}
