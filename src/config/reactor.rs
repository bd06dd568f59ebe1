//! The limits of the reactor, and how much of a body is moved at once.
//! What the flags say is added by `server.rs`.

use super::store::{COPY_STEP, SMALL_BODY};
use super::{KIB, MIB, WIRE};
use crate::reactor::ReactorLimits;
use crate::reactor::linux::BodySteps;
use crate::reactor::step_size::StepLimits;

/// The limits of a server that is started without flags, beside that of its connections.
pub const REACTOR: ReactorLimits = ReactorLimits {
    // What the descriptor limit allows, or the user.
    connections: usize::MAX,
    // A burst of thousands is taken in over many rounds, so that it does not hold up those who are
    // served already.
    accepts_per_turn: 64,
    // More than a round can use well only grows the wait of the last.
    events_per_round: 1024,
    // A small request beside 8 endless downloads has p99 0.3 to 0.6 ms at 256 KiB a turn, 7 to
    // 12 ms at 1 MiB, 375 ms and more without a budget.
    turn_bytes: 256 * KIB,
    // An upload of one byte costs about 60 us and a dozen bytes, so that bytes alone would let a
    // peer that pipelines them hold the loop for a second and more.
    turn_calls: 16,
    // Every peer that has something to ask gets a short turn in the same round. More calls go on
    // among the bulk.
    short_calls: 4,
    // Bulk turns have as long a time before the next poll. A request that comes just then waits
    // for both and for the rest of a turn of each. 1,000 echoes take 5 ms together, and all of
    // them still have their turn in the same round.
    short_micros: 3_000,
    // One long step, or four of downloads that are paced, which take 0.07 ms together.
    bulk_bytes: MIB,
    // A turn that meets a full socket moves nothing.
    bulk_turns: 4,
    // Then a poll is due, although less than `bulk_bytes` was moved: a new request is to wait for
    // one long step, and not for four of them.
    bulk_micros: 150,
    send_step: BODIES.send.most,
    receive_step: BODIES.receive.most,
    small_body: SMALL_BODY,
    // 16 KiB halves the throughput of large messages, more gains nothing.
    read_buffer: 64 * KIB,
    // What is not executed yet stays in memory, and two of the longest units are enough for a
    // turn.
    command_read: 2 * WIRE.unit,
    // A closed connection is read empty, so that our last line is not lost to a reset. A peer that
    // is still sending after this, or after `linger_millis`, has had its chance.
    linger_bytes: MIB,
    linger_millis: 2_000,
    // Without a limit (`tcp_orphan_retries`) the kernel keeps up to 4 MiB for 340 s, and no place
    // is taken meanwhile. A peer that goes on reading gets all of it; one that loses its network
    // for longer loses the end.
    unsent_millis: 3_000,
    // The bytes of one `send()` reach a socket together, or as segments back to back: the last one
    // follows the first within this. Keys follow each other after 20 ms and more, those of a
    // script more closely, but a command of them takes longer.
    interbyte_millis: 5,
    // Longer than the pauses between the `send()`s of one message, shorter than a person notices.
    settle_millis: 50,
    // A unit that is no whole command waits so long for its rest: line clients that send a command
    // in pieces wait a round trip between them, and even far away that is well under a second.
    partial_command_millis: 1_000,
    // A textbook client takes its first `recv` for the header: the data must not be there yet.
    header_gap_millis: 20,
    // A client that cannot end its upload waits for ever otherwise, and so does its user.
    first_byte_millis: 2_000,
    // When to look again whether a talk client may go on. Its rate is counted by whole seconds.
    pace_millis: 100,
    // The shortest time that epoll_wait(2) measures.
    cold_millis: 1,
    // People who try the shell by hand pause for minutes; a dead peer should not hold a descriptor
    // for hours.
    idle_seconds: Some(IDLE_SECONDS),
    // Peers that send a command in pieces take a few round trips; one that sends a byte a second
    // would hold its place for an hour. Who has not begun one may be a person thinking, and falls
    // under the idle deadline.
    command_seconds: 30,
    // Every link in use is faster; a peer below it would hold a descriptor for days.
    min_rate: KIB as u64,
    // Long enough for a Wi-Fi to come back.
    rate_seconds: 30,
    // The kernels of both ends keep up to 4 and 6 MiB by themselves (`tcp_wmem`, `tcp_rmem`), and
    // more where they are told to.
    rate_surplus: 16 * MIB as u64,
    // Any number, where the user sets none.
    per_ip: None,
    // People begin to notice.
    slow_micros: 50_000,
    // What a talk client says in a turn still fits into the backlog of 256 KiB: 16 of the longest
    // lines, with every byte shown as three.
    operator_high_water: 32 * KIB,
    // That is a stopped terminal or a paused pager: a reader on a busy machine reads again sooner.
    operator_stall_seconds: 2,
    // A class of thirty whose uploads meet a full disk is logged one by one, a client that repeats
    // a bad one is not.
    uploads_logged: 30,
    drain_seconds: 10,
};

/// See [`REACTOR`]; the flag says 0 for never.
pub const IDLE_SECONDS: u32 = 300;

/// How bodies are moved.
pub const BODIES: BodySteps = BodySteps {
    send: StepLimits {
        // Enough to leave something to send in the kernel, which goes on with it when the peer
        // acknowledges. 1,000 downloads of 4 MiB under reno, server CPU a GiB: 0.19 s with
        // 256 KiB, 0.16 with 1 MiB, 0.08 with 2.
        most: 2 * MIB,
        least: BBR_SEND_STEP,
        // A small request may have to wait for a step. With 250 us, 1,000 downloads settle at
        // steps of 1.25 MiB, and at twice the CPU.
        micros: 400,
    },
    receive: StepLimits {
        // Also the size of the pipe. What `splice` saves over reading and writing comes with the
        // megabyte; a step takes 0.35 to 0.5 ms. The figures stand in `reactor/splice.rs`.
        most: MIB,
        // `splice` of less costs more than copying.
        least: 64 * KIB,
        // With more, the p99 of an echo beside 8 uploads is over 0.5 ms where memory is slow to
        // come (see `reactor/step_size.rs`).
        micros: 400,
    },
    copy: COPY_STEP,
    // Sending only what is there cut the longest `sendfile` of a cold file from 18 to 3 ms.
    probe: 64 * KIB,
    // The kernel may keep more of the rest for such a peer: with
    // [`UNSENT_BYTES`](super::UNSENT_BYTES) for all of it, 8 downloads of 64 MiB took 3.5 times
    // the CPU of the server, and 64 of 4 MiB 2.5 times.
    lowat_reset: MIB as u64,
};

/// How bodies are moved where bbr paces what is sent.
pub const BBR_BODIES: BodySteps = BodySteps {
    send: StepLimits {
        most: BBR_SEND_STEP,
        ..BODIES.send
    },
    ..BODIES
};

/// With bbr, 1,000 downloads get 5.3 GiB/s with 256 KiB and 2.8 with 2 MiB. 64 KiB costs 10 to
/// 25 % more CPU.
const BBR_SEND_STEP: usize = 256 * KIB;

/// A session takes nothing in while it owes its peer this much; one reply, of at most
/// [`SMALL_BODY`], may come on top. The kernel's own buffer keeps the connection busy.
pub const OUTBOX_HIGH_WATER: usize = 16 * KIB;
