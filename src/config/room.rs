//! The limits of the room, its socket and its tables. `server.rs` overrides those that have flags.

use super::{KIB, MIB};
use crate::reactor::datagram::DatagramLimits;
use crate::services::room::history::HistoryLimits;
use crate::services::room::limits::RoomLimits;
use crate::services::room::strangers::StrangerLimits;
use crate::services::wrong_secrets::WrongSecretLimits;

/// The room of a server without flags.
pub const ROOM: RoomLimits = RoomLimits {
    // The textbook clients call `recvfrom(1024)`.
    message: 1_024,
    // Defined by the protocol.
    name: 32,
    // A message to all of them takes 7 ms of CPU (1.8 us a copy, measured with 1,000), spread over
    // 128 turns.
    members: MEMBERS,
    // Faster than people type.
    rate: 20,
    // For pasted text.
    burst: 2,
    // A class behind one address.
    per_address: 64,
    // In a class of 64, not all type at the same time. Four rates, 80 messages a second, to a full
    // room take 0.6 s of CPU a second, at 1.8 us a copy.
    rate_divisor: 16,
    // Below this a sweep saves no memory worth its time.
    sweep_from: 64,
    // A member that only listens for longer joins again with its next message.
    idle: Some(IDLE_SECONDS as u64 * SECOND),
    // The address of a member that never sent anything may be forged, and the host there would get
    // every message for as long as `--room-idle` allows. A password without a name has the same
    // lifetime.
    newcomer_idle: MINUTE,
    // A closed port refuses three datagrams within three round trips, because a probe follows each
    // refusal. A single refusal may be forged or old.
    refusals: 3,
    // Three round trips of 160 ms each.
    claim_timeout: 500_000,
    // Four classes that begin at the same time.
    claims: 256,
    search_interval: INTERVAL,
    // What a class says while a page opens its stream again. At most 200 KiB.
    kept_lines: 200,
    history: HistoryLimits {
        lines: 0,
        // A tab gets them at once: 100 messages of the usual length.
        bytes: 16 * KIB,
        // The headers of IPv6 and UDP.
        overhead: 48,
    },
    strangers: StrangerLimits {
        // A table of some thousands of entries.
        admitted: 4 * MEMBERS,
        admitted_for: MINUTE,
        wrong: WRONG_SECRETS,
        former: 4 * MEMBERS,
        // The length of a lesson.
        former_for: 60 * MINUTE,
        sweep_interval: INTERVAL,
    },
};

/// Wrong passwords of the room, and wrong tokens of HTTP.
pub const WRONG_SECRETS: WrongSecretLimits = WrongSecretLimits {
    // Networks beyond this number share a hundred wrong passwords, so that all networks
    // together get fewer than 42,000 guesses a minute.
    networks: MEMBERS,
    // People mistype a password less often in a minute.
    failures: 10,
    shared_failures: 100,
    // Defined by the protocol of the room.
    lifetime: MINUTE,
    answer_interval: INTERVAL,
    sweep_interval: INTERVAL,
};

/// The idle limit of [`ROOM`], in seconds. For the flag, 0 is never.
pub const IDLE_SECONDS: u32 = 900;

/// The most messages that a new member is shown. Each costs a request when the link comes up, in
/// all 15 KiB of the outbox.
pub const HISTORY: u32 = 100;

/// The limits of the room's socket.
pub const DATAGRAMS: DatagramLimits = DatagramLimits {
    length: ROOM.message,
    // The default of 208 KiB holds 270 short datagrams of 768 bytes each. A full room that answers
    // a message sends 4,096 datagrams at once.
    receive_buffer: 4 * MIB,
    reads_per_turn: 64,
    // They take 57 us. With 256 between two polls a copy was not cheaper.
    copies_per_turn: 32,
    // A waiting copy holds a route of 64 bytes, 12.8 MB in all. More copies are dropped: a full
    // room at its rate would queue far more each second.
    copies: 200_000,
    copies_high_water: 100_000,
    // Texts of at most 256 KiB. A refusal arrives one round trip after the copy.
    remembered: 256,
};

const MEMBERS: usize = 4_096;
const SECOND: u64 = 1_000_000;
const MINUTE: u64 = 60 * SECOND;

/// Shortest time between two passes over all entries of a table, because strangers can cause these
/// passes.
const INTERVAL: u64 = SECOND;
