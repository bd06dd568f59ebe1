//! Names the limits of the room, of its socket and of its memory of strangers, with their reasons.
//! Enforces none: `server.rs` hands them to the room.

use super::{MIB, ROOM_PER_ADDRESS};
use crate::reactor::datagram::DatagramLimits;
use crate::services::room::RoomLimits;
use crate::services::room::credit::Rate;
use crate::services::room::guests::GuestLimits;
use crate::services::room::networks::NetworkLimits;

/// The longest datagram both ways, as the course's clients have it: `recvfrom(1024)`.
pub const ROOM_MESSAGE: usize = 1_024;

/// Members at once. A message to all of them takes 7 ms of CPU (1.8 us a copy, measured with
/// 1,000), spread over 128 turns.
pub const ROOM_MEMBERS: usize = 4_096;

/// A member may send twice its rate at once after a silence: people paste.
pub const ROOM_BURST_FACTOR: u32 = 2;

/// A member that never sent anything after joining may be a forged address, to which all that is
/// said would be sent for as long as `--room-idle` allows. A password without a name counts for
/// the same time.
pub const ROOM_UNHEARD_SECONDS: u64 = 60;

/// Refused datagrams in a row that end a membership. Where a port is closed they come within three
/// round trips, since each is followed by a probe; one alone is forged or belongs to the past.
pub const ROOM_REFUSALS: u32 = 3;

/// A claim to a taken name waits so long for three refusals: round trips of 160 ms each.
pub const ROOM_CLAIM_MILLIS: u64 = 500;

/// Claims that wait at once: those of four classes that begin together.
pub const ROOM_CLAIMS: usize = 256;

/// The members of one network share the rate of this part of its places: people in a class of 64
/// do not all type at once. Four rates, 80 messages a second, to a full room take 0.6 s of CPU in
/// a second, at 1.8 us a copy.
pub const ROOM_SHARE: u32 = 16;

/// What looks at every entry of a table, or writes a log line that any stranger can cause, is done
/// once in this time at most: strangers choose how often there is a reason for it.
pub const ROOM_PAUSE_MICROS: u64 = 1_000_000;

/// Networks that held something are swept from this number on: below it a sweep gains nothing.
pub const ROOM_FEW_NETWORKS: usize = 64;

/// What the room remembers of strangers, in tables of some thousands of entries. A minute for
/// passwords, as the protocol says; ten wrong ones are more than people mistype in a minute.
/// Guesses from more networks than the table holds share a hundred: all of them together get fewer
/// than 42,000 a minute. An address that was a member and is silent is remembered for an hour, a
/// lesson.
pub const ROOM_GUESTS: GuestLimits = GuestLimits {
    admitted: 4 * ROOM_MEMBERS,
    admitted_of_one: ROOM_PER_ADDRESS as usize,
    admitted_for: 60_000_000,
    failing: ROOM_MEMBERS,
    failures: 10,
    shared_failures: 100,
    failing_for: 60_000_000,
    answer_pause: ROOM_PAUSE_MICROS,
    left: 4 * ROOM_MEMBERS,
    left_for: 3_600_000_000,
    sweep_pause: ROOM_PAUSE_MICROS,
};

/// The kernel's usual 208 KiB hold 270 short datagrams, and a full room that answers one message
/// sends 4,096 at once; each takes 768 bytes there.
pub const ROOM_RECEIVE_BUFFER: usize = 4 * MIB;

/// Bounds of the room's socket. A turn's copies take 57 us; sending more between two polls does
/// not make a copy cheaper (256 were tried). A waiting copy holds a route of 52 bytes, 10.4 MB for
/// all; a second of a full room at its rate would be far more, so what is over is dropped. Of the
/// texts, 256 KiB at most, a refusal quotes one: it comes a round trip after the copy.
pub const ROOM_DATAGRAMS: DatagramLimits = DatagramLimits {
    length: ROOM_MESSAGE,
    receive_buffer: ROOM_RECEIVE_BUFFER,
    reads_per_turn: 64,
    copies_per_turn: 32,
    copies: 200_000,
    copies_high_water: 100_000,
    recalled: 256,
};

/// The room, with what users set.
pub fn room_limits(rate: u32, per_address: u32, idle_seconds: u32) -> RoomLimits {
    let rate_of = |members: u32| Rate {
        per_second: rate.saturating_mul(members),
        burst: rate
            .saturating_mul(members)
            .saturating_mul(ROOM_BURST_FACTOR),
    };
    let places = per_address as usize;
    RoomLimits {
        message: ROOM_MESSAGE,
        name: 32,
        members: ROOM_MEMBERS,
        rate: rate_of(1),
        network: NetworkLimits {
            places,
            messages: rate_of((per_address / ROOM_SHARE).max(1)),
            // All of a class may join at once.
            joins: Rate {
                per_second: rate,
                burst: rate_of(1).burst.max(per_address),
            },
            few: ROOM_FEW_NETWORKS,
        },
        idle: (idle_seconds > 0).then_some(u64::from(idle_seconds) * 1_000_000),
        unheard: ROOM_UNHEARD_SECONDS * 1_000_000,
        refusals: ROOM_REFUSALS,
        claim: ROOM_CLAIM_MILLIS * 1_000,
        claims: ROOM_CLAIMS,
        search_pause: ROOM_PAUSE_MICROS,
        log_pause: ROOM_PAUSE_MICROS,
        guests: GuestLimits {
            admitted_of_one: places,
            ..ROOM_GUESTS
        },
    }
}
