//! The limits of the link to other servers.

use super::room::{HISTORY, ROOM};
use super::{KIB, MIB, WIRE};
use crate::reactor::uplink::UplinkLimits;
use crate::services::link::LinkLimits;
use crate::services::link::names::NameLimits;
use crate::services::link::others::OthersLimits;
use crate::services::link::stream::StreamLimits;
use crate::services::room::elsewhere::ProofLimits;
use crate::services::room::stored_lines::StoredLinesLimits;
use crate::services::roster::elsewhere::ClientsElsewhereLimits;
use crate::wire::nats::NatsLimits;

/// The limits of a link. Times are in microseconds.
pub const LINK: LinkLimits = LinkLimits {
    nats: NatsLimits {
        // `INFO` of a cluster of a hundred servers lists their addresses in 3 KiB. Line and message
        // together fit into an inbox (`command_read`).
        line: 4 * KIB + KIB / 2,
        // A line of the room has 1 KiB, and its headers less than that.
        message: 3 * KIB,
    },
    // A second of a full room's rate. A broker that reads nothing for longer is replaced.
    outbox: MIB,
    // A list of all clients of a server fits. The rest is enough for a second of a full room.
    talk_outbox: 3 * MIB / 4,
    // A tick is `tick`: the link is down 10 to 15 s after a broker has stopped.
    unanswered_pings: 2,
    // As much as the outbox of the sender. The talk reads some messages a round.
    arrived: MIB,
};

/// The limits of dialling.
pub const UPLINK: UplinkLimits = UplinkLimits {
    // A broker that starts again listens within this time.
    least_pause: 100_000,
    // Ten thousand servers that have lost their broker try 2,000 times a second.
    most_pause: 5 * SECOND,
    tick: 5 * SECOND,
};

/// The limits of what the room knows of other servers.
pub const ELSEWHERE: OthersLimits = OthersLimits {
    // Three of them within `gone`: one may be lost, and another one be late.
    beat: 10 * SECOND,
    // Defined by the lifetime of names.
    gone: 30 * SECOND,
    // All servers that have lost the same broker ask at the same moment, and one list answers all.
    interval: SECOND,
    // Each server publishes every 10 s: a thousand cost a few percent of a core.
    servers: 1_000,
    // A node has at most 64 characters; a port and 16 digits follow, each behind a hyphen.
    name: 87,
    entries: ROOM.members,
    // An entry takes 200 bytes: 6.6 MB, whatever the others say.
    all_entries: 8 * ROOM.members,
    // With the headers, below the longest message.
    list: 2 * KIB,
};

/// The limits of messages that wait for the owner of their name.
pub const PROOF: ProofLimits = ProofLimits {
    // Without a quorum, the first line of each member elsewhere is late by this time.
    timeout: SECOND,
    // A tenth of a second of a full room's rate; with 3 KiB each, less than a megabyte.
    waiting: 256,
};

/// The limits of what the talk knows of other servers.
pub const TALK: ClientsElsewhereLimits = ClientsElsewhereLimits {
    others: OthersLimits {
        // A list of them has 600 KiB, which fits into the outbox.
        entries: 10_000,
        // An entry takes 150 bytes: 7.5 MB, whatever the others say.
        all_entries: 50_000,
        ..ELSEWHERE
    },
    // With the headers, below the longest message.
    part: 2 * KIB,
    // A broken line of the longest unit: each byte becomes a character of three. If each server has
    // one whose last part does not come, they take 15 MB.
    line: 3 * WIRE.unit,
    // As many lines as a screen or a tab gets between two polls without dropping one: 10 KiB.
    batch: 128,
    // As much as a client that does not read may owe.
    waiting: 64 * KIB,
};

/// The limits of names among all servers, defined by the protocol between them.
pub const NAMES: NameLimits = NameLimits {
    renewal: 10 * SECOND,
    lifetime: 30 * SECOND,
    stream: STREAM,
};

/// The limits of requests to a stream.
pub const STREAM: StreamLimits = StreamLimits {
    // Two more attempts before a claim to a name fails.
    retry: SECOND,
    // Half a minute: the brokers of a cluster that starts have found each other.
    attempts: 30,
};

/// The limits of the stream of messages for new members.
pub const STORED_LINES: StoredLinesLimits = StoredLinesLimits {
    stream: STREAM,
    kept: HISTORY as usize,
    // A line, and headers with a server and a name. As Base64 it is below the longest message.
    length: 3 * KIB / 2,
};

/// How long a member waits for its name.
pub const NAME_TIMEOUT: u64 = 3 * SECOND;

const SECOND: u64 = 1_000_000;
