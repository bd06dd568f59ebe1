//! The limits of the TCP services, and of the line that the operator types.
//! Those of the room stand in `room.rs`.

use super::{KIB, MIB, WIRE};
use crate::services::{ServiceLimits, TalkRate};
use crate::terminal::line_editor::EditorLimits;

/// The limits of the TCP services.
pub const SERVICES: ServiceLimits = ServiceLimits {
    wire: WIRE,
    // The kernel's buffers hold hundreds of lines before that; who leaves 64 KiB more unread has
    // stopped reading, and is dropped.
    talk_backlog: 64 * KIB,
    // A person writes ten bytes a second, and a pasted file of a MiB is there within two. Two
    // clients that never stopped wrote 176 MB/s into a file, and 200 at a MiB/s each 114 MB/s: a
    // crowd shares what eight clients may say. A connection begins with little more than the
    // longest line.
    talk_rate: TalkRate {
        first: 8 * KIB,
        each_second: MIB,
        all: 8 * MIB,
        most: MIB,
        line: 12,
    },
    // What that takes is about as long as other big steps. All 10,000 clients at once stopped
    // every connection for 2.3 s.
    console_step: 128,
    // An operator may leave output unread behind a paused pager, for example; a screen holds about
    // 8 KiB.
    console_backlog: 256 * KIB,
};

/// The line that the operator types, and the lines that arrow-up brings back.
pub const EDITOR: EditorLimits = EditorLimits {
    line: 1_000,
    history: 100,
};
