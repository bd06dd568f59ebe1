//! Reads the header of a bare upload: the name twice, the separator and a size, undelimited.

use super::reject::Reject;
use crate::wire::follows::{Follows, Timer};
use crate::wire::framing::{Fault, Framer};
use crate::wire::transfer_header::{self, BareHeader, Pauses};

/// State while the names of an upload arrive and the separator has not.
pub struct BareHeaderReader {
    pauses: Pauses,
}

impl Default for BareHeaderReader {
    fn default() -> BareHeaderReader {
        BareHeaderReader {
            pauses: Pauses::None,
        }
    }
}

impl BareHeaderReader {
    /// Looks for a whole header in `input`. `separator` is its offset, if it has arrived.
    ///
    /// # Errors
    ///
    /// No separator within `limit` bytes, a stream that ends before it, or an invalid header.
    pub fn read<'a>(
        &mut self,
        input: &'a [u8],
        separator: Option<usize>,
        follows: Follows,
        framer: &mut Framer,
        limit: usize,
    ) -> Result<BareHeader<'a>, Reject> {
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
