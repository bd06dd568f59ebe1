//! How much of a body is moved at once, and for how long.
//! The limits of everything else stand in `config.rs`.

use super::{KIB, MIB};
use crate::reactor::limits::{BodySteps, StepLimits};

/// One step of `sendfile`: enough to leave something to send in the kernel, which goes on with it
/// when the peer acknowledges. 1,000 downloads of 4 MiB under reno, server CPU a GiB: 0.19 s with
/// 256 KiB, 0.16 with 1 MiB, 0.08 with 2.
pub const SEND_STEP: usize = 2 * MIB;

/// The same where bbr paces what is sent: there, 1,000 downloads get 5.3 GiB/s with 256 KiB and 2.8
/// with 2 MiB. 64 KiB costs 10 to 25 % more CPU.
pub const BBR_SEND_STEP: usize = 256 * KIB;

/// How long such a step may last: a small request may have to wait for it. With 250 us, 1,000
/// downloads settle at steps of 1.25 MiB, and at twice the CPU.
pub const SEND_MICROS: u64 = 400;

/// One step of `splice` and the size of its pipe. What it saves over reading and writing comes
/// with the megabyte; a step takes 0.35 to 0.5 ms. The figures stand in `reactor/body_in.rs`.
pub const TAKE_STEP: usize = MIB;

/// How long such a step may last: with more, the p99 of an echo beside 8 uploads is over 0.5 ms
/// where memory is slow to come (see `reactor/step_size.rs`).
pub const TAKE_MICROS: u64 = 400;

/// What is taken at once even where it lasts longer: `splice` of less costs more than copying.
pub const LEAST_TAKE: usize = 64 * KIB;

/// What the plain way copies at once, and what an upload moves up in one piece of work. 256 KiB is
/// best; 1 MiB falls out of the cache.
pub const COPY_STEP: usize = 256 * KIB;

/// How far apart the pages lie that are asked for where the last page of a step is still on the
/// disk. Sending only what is there cut the longest `sendfile` of a cold file from 18 to 3 ms.
pub const PROBE_STEP: usize = 64 * KIB;

/// A peer that took this much of a body reads, and the kernel may keep more of the rest: with
/// [`UNSENT_BYTES`](super::UNSENT_BYTES) for all of it, 8 downloads of 64 MiB took 3.5 times the
/// CPU of the server, and 64 of 4 MiB 2.5 times.
pub const READS_AFTER: u64 = MIB as u64;

/// How bodies are moved; `bbr` where that is the congestion control.
pub fn body_steps(bbr: bool) -> BodySteps {
    BodySteps {
        send: StepLimits {
            most: if bbr { BBR_SEND_STEP } else { SEND_STEP },
            least: BBR_SEND_STEP,
            micros: SEND_MICROS,
        },
        take: StepLimits {
            most: TAKE_STEP,
            least: LEAST_TAKE,
            micros: TAKE_MICROS,
        },
        copy: COPY_STEP,
        probe: PROBE_STEP,
        reads: READS_AFTER,
    }
}
