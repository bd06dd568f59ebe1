//! The limits of the room, of its socket and of its memory of strangers.
//! What the flags say is added by `server.rs`.

use super::MIB;
use crate::reactor::datagram::DatagramLimits;
use crate::services::room::RoomLimits;
use crate::services::room::strangers::StrangerLimits;

/// The room of a server that is started without flags.
pub const ROOM: RoomLimits = RoomLimits {
    // As the course's clients have it: `recvfrom(1024)`.
    message: 1_024,
    // As the protocol has it.
    name: 32,
    // A message to all of them takes 7 ms of CPU (1.8 us a copy, measured with 1,000), spread over
    // 128 turns.
    members: MEMBERS,
    // Nobody types faster.
    rate: 20,
    // People paste.
    burst: 2,
    // A class behind one address.
    per_address: 64,
    // People in a class of 64 do not all type at once. Four rates, 80 messages a second, to a full
    // room take 0.6 s of CPU in a second, at 1.8 us a copy.
    share: 16,
    // Below it a sweep gains nothing.
    few_networks: 64,
    // People who only listen for a lesson are back with their first word.
    idle: Some(IDLE_SECONDS as u64 * SECOND),
    // A member that never sent anything may be a forged address, to which all that is said would
    // be sent for as long as `--room-idle` allows. A password without a name counts for the same
    // time.
    unheard: MINUTE,
    // Where a port is closed they come within three round trips, since each is followed by a
    // probe; one alone is forged or belongs to the past.
    refusals: 3,
    // Three round trips of 160 ms each.
    claim: 500_000,
    // Those of four classes that begin together.
    claims: 256,
    search_pause: PAUSE,
    strangers: StrangerLimits {
        // In tables of some thousands of entries.
        admitted: 4 * MEMBERS,
        admitted_for: MINUTE,
        // Guesses from more networks than this share a hundred failures: all of them together get
        // fewer than 42,000 a minute.
        failing: MEMBERS,
        // More than people mistype in a minute.
        failures: 10,
        shared_failures: 100,
        // A minute for passwords, as the protocol says.
        failing_for: MINUTE,
        answer_pause: PAUSE,
        left: 4 * MEMBERS,
        // A lesson.
        left_for: 60 * MINUTE,
        sweep_pause: PAUSE,
    },
};

/// See [`ROOM`]; the flag says 0 for never.
pub const IDLE_SECONDS: u32 = 900;

/// Bounds of the room's socket.
pub const DATAGRAMS: DatagramLimits = DatagramLimits {
    length: ROOM.message,
    // The kernel's usual 208 KiB hold 270 short datagrams, and a full room that answers one message
    // sends 4,096 at once; each takes 768 bytes there.
    receive_buffer: 4 * MIB,
    reads_per_turn: 64,
    // They take 57 us; sending more between two polls does not make a copy cheaper (256 were
    // tried).
    copies_per_turn: 32,
    // A waiting copy holds a route of 52 bytes, 10.4 MB for all; a second of a full room at its
    // rate would be far more, so what is over is dropped.
    copies: 200_000,
    copies_high_water: 100_000,
    // Texts of 256 KiB at most. A refusal comes a round trip after the copy.
    remembered: 256,
};

const MEMBERS: usize = 4_096;
const SECOND: u64 = 1_000_000;
const MINUTE: u64 = 60 * SECOND;

/// What looks at every entry of a table is done once in this time at most: strangers choose how
/// often there is a reason for it.
const PAUSE: u64 = SECOND;
