//! Waits for the header of a bare upload: a name twice, the separator and a size, undelimited.

use super::reject::Refusal;
use crate::wire::follows::{Follows, Timer};
use crate::wire::framing::{Fault, Framer};
use crate::wire::transfer_header::{self, BareHeader, Pauses};

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
        follows: Follows,
        framer: &mut Framer,
        limit: usize,
    ) -> Result<BareHeader<'a>, Refusal> {
        let names = self.pauses.first()..separator.unwrap_or(input.len());
        framer.watch(input.get(names).unwrap_or(b""), follows);
        if framer.is_typed() {
            self.pauses = Pauses::Typed;
        }
        if let Some(separator) = separator {
            let finished = follows == Follows::Eof;
            return Ok(transfer_header::parse_bare(
                input,
                separator,
                self.pauses,
                finished,
            )?);
        }
        if !transfer_header::separator_may_come(input, limit) {
            return Err(Fault::TooLong(limit).into());
        }
        match (follows, self.pauses) {
            (Follows::Eof, _) => return Err(Fault::Cut.into()),
            (Follows::Silence(Timer::Settle), Pauses::None) if !input.is_empty() => {
                self.pauses = Pauses::Behind(input.len());
                framer.next_unit();
            }
            _ => {}
        }
        Ok(BareHeader::Open)
    }
}
