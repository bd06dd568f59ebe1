//! The limits of the TCP services and of the operator's line editor.
//! Those of the room are in `room.rs`.

use super::reactor::OUTBOX_HIGH_WATER;
use super::room::ROOM;
use super::{HTTP, KIB, MIB, WIRE};
use crate::services::operator_history::HistoryLimits;
use crate::services::{ServiceLimits, TalkRate, WindowLimits};
use crate::terminal::line_editor::EditorLimits;

/// The limits of the TCP services.
pub const SERVICES: ServiceLimits = ServiceLimits {
    wire: WIRE,
    http: HTTP,
    // The kernel's buffers hold hundreds of lines before this limit counts: a client that leaves
    // 64 KiB more unread has stopped reading.
    talk_backlog: 64 * KIB,
    // People type ten bytes a second; a pasted file of 1 MiB arrives within two seconds. Without a
    // limit, two clients wrote 176 MB/s to a file, and 200 clients at 1 MiB/s each 114 MB/s: so all
    // clients together share the rate of eight. A connection begins with the credit for a little
    // more than the longest line.
    talk_rate: TalkRate {
        initial: 8 * KIB,
        per_second: MIB,
        per_second_all: 8 * MIB,
        burst: MIB,
        per_line: 12,
    },
    // This takes about as long as other long steps. A step for all 10,000 clients blocked every
    // connection for 2.3 s.
    operator_batch: 128,
    // Output may be unread for a while, for example behind a paused pager; a screen holds about
    // 8 KiB.
    operator_backlog: 256 * KIB,
    window: WindowLimits {
        // A line of text, as long as a line of talk.
        post: 4 * KIB,
        // A reader scrolls back some screens. Lines of usual length never reach the second limit.
        history: HistoryLimits {
            lines: 200,
            bytes: 256 * KIB,
        },
        // About 8 KiB.
        roster_batch: 100,
        room_line: ROOM.message,
        unsent: OUTBOX_HIGH_WATER,
        // As for talk clients: the kernel's buffers hold more than that before this counts.
        backlog: 64 * KIB,
        // Two of the longest lines.
        held_text: 8 * KIB,
    },
};

/// The operator's line editor.
pub const EDITOR: EditorLimits = EditorLimits {
    line: 1_000,
    history: 100,
};
