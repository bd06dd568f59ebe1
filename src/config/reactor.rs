//! The limits of the reactor, and the sizes of the steps in which bodies are moved. `server.rs`
//! overrides those that have flags.

use super::store::{COPY_STEP, PIECES, SMALL_BODY};
use super::{KIB, MIB, WIRE};
use crate::reactor::ReactorLimits;
use crate::reactor::linux::BodySteps;
use crate::reactor::step_size::StepLimits;

/// The limits of a server without flags, except for its number of connections.
pub const REACTOR: ReactorLimits = ReactorLimits {
    // Set by the descriptor limit, or by a flag.
    connections: usize::MAX,
    // 8 MB of addresses. The pages get memory when they are used; an array that grows is copied
    // instead, and leaves a hole of half its size: 8 of 133 bytes of each idle connection.
    reserved: 65_536,
    // A burst of thousands is accepted over many rounds, so that open connections are not delayed.
    accepts_per_turn: 64,
    // More events in a round only make the last one wait longer.
    events_per_round: 1024,
    // A small request beside 8 endless downloads has p99 0.3 to 0.6 ms at 256 KiB a turn, 7 to
    // 12 ms at 1 MiB, 375 ms and more without a budget.
    turn_bytes: 256 * KIB,
    // An upload of one byte costs about 60 us and a dozen bytes. With a budget of bytes alone, a
    // peer that pipelines such uploads would block the loop for a second and more.
    turn_calls: 16,
    // Every peer with a request gets a short turn in the same round. More calls are made in bulk
    // turns.
    short_calls: 4,
    // Bulk turns get the same time before the next poll. A request that arrives just then waits for
    // both, and for the rest of a turn of each. 1,000 echoes take 5 ms together, and all of them
    // still have their turn in the same round. Beside 1,200 pipelines of empty uploads an echo has
    // a p99 of 4.9 ms, and of 5.4 ms with 2.5 ms; both cost 1,000 echoes the same CPU.
    short_micros: 1_500,
    // One long step, or four of the shorter steps under bbr, which take 0.07 ms together.
    bulk_bytes: MIB,
    // A turn whose socket buffer is full moves no bytes, so that the turns are limited, too.
    bulk_turns: 4,
    // After this time a poll follows, although less than `bulk_bytes` was moved: a new request
    // waits for one long step instead of four.
    bulk_micros: 150,
    send_step: BODIES.send.most,
    receive_step: BODIES.receive.most,
    small_body: SMALL_BODY,
    // 16 KiB halves the throughput of large messages; more than 64 KiB gains nothing. With a page
    // more, a message of 64 KiB is a short read: no second one fails with EAGAIN, which is 4 % of
    // an echo's CPU.
    read_buffer: 68 * KIB,
    // Input that is not executed yet stays in memory: two of the longest units are enough for a
    // turn.
    command_read: 2 * WIRE.unit,
    // Input after the server has shut down its side is drained, so that a reset does not discard
    // the server's last line. It is drained up to this size and up to `linger_millis`.
    linger_bytes: MIB,
    linger_millis: 2_000,
    // Without this limit the kernel keeps up to 4 MiB of a closed connection for 340 s
    // (`tcp_orphan_retries`), and no connection limit counts it. A peer that keeps reading gets all
    // of it; a peer without network for longer loses the end.
    unsent_millis: 3_000,
    // The bytes of one `send()` arrive together, or as segments back to back within this time.
    // Typed keys are 20 ms and more apart. Keys sent by a script may be closer, but a whole command
    // of them takes longer.
    interbyte_millis: 5,
    // Longer than the pauses between the `send()`s of one message, shorter than people notice.
    settle_millis: 50,
    // Line clients that send a command in pieces wait one round trip between them, which is well
    // below a second also on long links.
    partial_command_millis: 1_000,
    // A textbook client takes all of its first `recv` for the header: the data must not be in it.
    header_gap_millis: 20,
    // A client that sends no data would wait for ever, and its user too.
    first_byte_millis: 2_000,
    // The interval of checking whether a talk client may send again. Its credit grows once a
    // second.
    pace_millis: 100,
    // Proxies and firewalls close connections that are silent for 30 s and more. A tab that has
    // read none of its events for this time is closed.
    heartbeat_millis: 15_000,
    // Users of the shell pause for minutes; a dead peer should not hold a descriptor
    // for hours.
    idle_seconds: Some(IDLE_SECONDS),
    // A network file system whose server is started again answers within minutes. A client that
    // closed its connection meanwhile is not noticed before something is sent to it.
    disk_seconds: 300,
    // A command in pieces takes a few round trips. A peer that sends a byte a second would hold its
    // connection for an hour. Before the first byte of a command the idle deadline applies.
    command_seconds: 30,
    // Every link in use is faster. A slower peer would hold a descriptor for days.
    min_rate: KIB as u64,
    // Long enough for a Wi-Fi link to reconnect.
    rate_seconds: 30,
    // The kernels at both ends buffer up to 4 and 6 MiB (`tcp_wmem`, `tcp_rmem`), and more if they
    // are configured so.
    rate_surplus: 16 * MIB as u64,
    // No limit without the flag.
    per_ip: None,
    // It costs processor time, so it needs the flag.
    spin_micros: 0,
    // Spins in vain use at most 1.6 % of a core; after a pause, 64 round trips (7 ms) pass before
    // the loop spins again.
    spin_skips: 64,
    // People begin to notice such a delay.
    slow_micros: 50_000,
    // The text of a talk client in one turn still fits into the backlog of 256 KiB: 16 of the
    // longest lines, with every byte printed as three.
    operator_high_water: 32 * KIB,
    // A reader on a busy machine reads again sooner; a stopped terminal or a paused pager does not.
    operator_stall_seconds: 2,
    // If a disk is full, the failed uploads of a class of thirty are all logged. A client that
    // repeats a bad upload is not logged each time.
    uploads_logged: 30,
    drain_seconds: 10,
};

/// The idle limit of [`REACTOR`], in seconds. For the flag, 0 is never.
pub const IDLE_SECONDS: u32 = 300;

/// The largest value of `--spin` in microseconds. A wake-up costs about 50 us: a longer spin would
/// pay twenty times that for it.
pub const SPIN_MOST: u64 = 1_000;

/// The steps in which bodies are moved.
pub const BODIES: BodySteps = BodySteps {
    send: StepLimits {
        // Large enough to leave data in the kernel's buffer, which sends it when the peer
        // acknowledges. Server CPU for a GiB of 1,000 downloads of 4 MiB under reno: 0.19 s with
        // 256 KiB, 0.16 s with 1 MiB, 0.08 s with 2 MiB.
        most: 2 * MIB,
        least: BBR_SEND_STEP,
        // A small request may have to wait for a step. With 250 us, 1,000 downloads settled at
        // steps of 1.25 MiB, at twice the CPU.
        micros: 400,
    },
    receive: StepLimits {
        // Also the size of the pipe. `splice` is faster than reading and writing only in steps of
        // about a MiB, which take 0.35 to 0.5 ms. `reactor/splice.rs` has the figures.
        most: MIB,
        // For less, `splice` costs more than copying.
        least: 64 * KIB,
        // With more, the p99 of an echo beside 8 uploads exceeds 0.5 ms where the kernel allocates
        // memory slowly (see `reactor/step_size.rs`).
        micros: 400,
    },
    // Enough for [`PIECES`] of several devices; without a free pipe, bytes are copied.
    pipes: 4 * PIECES,
    copy: COPY_STEP,
    // A peer that has read this much may have more buffered in the kernel: with
    // [`UNSENT_BYTES`](super::UNSENT_BYTES) for the whole body, 8 downloads of 64 MiB took 3.5
    // times the server's CPU, and 64 of 4 MiB 2.5 times.
    lowat_reset: MIB as u64,
};

/// The steps where the congestion control bbr paces what is sent.
pub const BBR_BODIES: BodySteps = BodySteps {
    send: StepLimits {
        most: BBR_SEND_STEP,
        ..BODIES.send
    },
    ..BODIES
};

/// With bbr, 1,000 downloads got 5.3 GiB/s with 256 KiB and 2.8 GiB/s with 2 MiB. 64 KiB costs 10
/// to 25 % more CPU.
const BBR_SEND_STEP: usize = 256 * KIB;

/// A session takes no input while its outbox holds this many bytes. One reply, of at most
/// [`SMALL_BODY`], may be added. The kernel's buffer keeps the connection busy.
pub const OUTBOX_HIGH_WATER: usize = 16 * KIB;
