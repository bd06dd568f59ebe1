//! Waits for the header of a bare upload: a name twice, the separator and a size, undelimited.

use super::refusal::Refusal;
use crate::wire::header::{self, BareHeader, Pauses};
use crate::wire::pause::{Delay, Pause};
use crate::wire::unit::{Fault, Splitter};

/// The names of an upload, as long as the separator behind them has not come.
pub struct TwoNames {
    pauses: Pauses,
}

impl Default for TwoNames {
    fn default() -> TwoNames {
        TwoNames {
            pauses: Pauses::None,
        }
    }
}

impl TwoNames {
    /// Looks for the header, of which `separator` may have come, within `limit` bytes.
    pub fn header<'a>(
        &mut self,
        input: &'a [u8],
        separator: Option<usize>,
        pause: Pause,
        splitter: &mut Splitter,
        limit: usize,
    ) -> Result<BareHeader<'a>, Refusal> {
        let names = self.pauses.first()..separator.unwrap_or(input.len());
        splitter.watch(input.get(names).unwrap_or(b""), pause);
        if splitter.is_typed() {
            self.pauses = Pauses::Typed;
        }
        if let Some(separator) = separator {
            let finished = pause == Pause::Finished;
            return Ok(header::parse_bare(input, separator, self.pauses, finished)?);
        }
        if !header::separator_may_come(input, limit) {
            return Err(Fault::TooLong(limit).into());
        }
        match (pause, self.pauses) {
            (Pause::Finished, _) => return Err(Fault::Cut.into()),
            (Pause::Quiet(Delay::Settle), Pauses::None) if !input.is_empty() => {
                self.pauses = Pauses::Behind(input.len());
                splitter.next_unit();
            }
            _ => {}
        }
        Ok(BareHeader::Open)
    }
}
