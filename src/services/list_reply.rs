//! Answers `ls`: waits until a folder is read, and then hands its entries out, a piece at a time.
//! Reads no folder itself: the store's listing does.

use crate::session::protocol::Cx;
use crate::session::world::{Listing, StoreError};
use crate::wire::text;
use std::task::Poll;

/// Why there is no answer.
pub fn refusal(error: &StoreError, folder: Option<&str>) -> String {
    match folder {
        // Somebody is used to another `ls`.
        Some(option) if option.starts_with('-') => {
            let option = text::excerpt(option.as_bytes());
            format!("{error}: {option}; ls takes the name of a folder, and no options")
        }
        _ => error.to_string(),
    }
}

/// An answer under way.
pub struct ListReply {
    listing: Box<dyn Listing>,
    bare: bool,
    phase: Phase,
}

enum Phase {
    Reading,
    Sending { first: bool },
}

impl ListReply {
    /// Nothing is read yet. A bare peer gets no header, and the line ends only between the names.
    pub fn new(listing: Box<dyn Listing>, bare: bool) -> ListReply {
        ListReply {
            listing,
            bare,
            phase: Phase::Reading,
        }
    }

    /// One piece of work; `true` when the answer is whole.
    pub fn go_on(&mut self, cx: &mut Cx<'_>) -> Poll<Result<bool, StoreError>> {
        match self.phase {
            Phase::Reading => self.listing.read_some().map_ok(|read| {
                if read {
                    self.announce(cx);
                    self.phase = Phase::Sending { first: true };
                }
                false
            }),
            Phase::Sending { first } => {
                self.phase = Phase::Sending { first: false };
                Poll::Ready(Ok(!self.send_entries(first, cx)))
            }
        }
    }

    fn announce(&self, cx: &mut Cx<'_>) {
        let (bytes, entries) = self.listing.totals();
        if !self.bare {
            cx.out.bytes(format!("OK {}\n", bytes + entries).as_bytes());
        } else if entries == 0 {
            // An empty reply would leave a textbook client in its recv() for ever.
            cx.out.bytes(b"\n");
        }
    }

    /// Sends the next batch of entries; says whether there was one.
    fn send_entries(&mut self, mut first: bool, cx: &mut Cx<'_>) -> bool {
        let batch = self.listing.next_batch();
        for entry in &batch {
            if self.bare && !std::mem::take(&mut first) {
                cx.out.bytes(b"\n");
            }
            cx.out.bytes(entry.as_bytes());
            if !self.bare {
                cx.out.bytes(b"\n");
            }
        }
        !batch.is_empty()
    }
}
