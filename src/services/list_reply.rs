//! Answers `ls`: waits until the list is made, and then sends it in the dialect of the peer.
//! Makes no list itself: the store does.

use crate::session::outbox::Outbox;
use crate::store::Listing;
use crate::store::error::StoreError;
use crate::wire::text;
use std::task::Poll;

/// Why there is no answer.
pub fn refusal(error: &StoreError, folder: Option<&str>) -> String {
    match folder {
        // Other programs of this name take options.
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
}

impl ListReply {
    /// Nothing is sent yet. A bare peer gets no header, and the line ends only between the names.
    pub fn new(listing: Box<dyn Listing>, bare: bool) -> ListReply {
        ListReply { listing, bare }
    }

    /// Answers as soon as the list is made.
    pub fn poll(&mut self, out: &mut Outbox) -> Poll<Result<(), StoreError>> {
        self.listing.poll().map_ok(|(list, length)| {
            if !self.bare {
                out.bytes(format!("OK {length}\n").as_bytes());
                out.body(list, 0..length);
            } else if length == 0 {
                // An empty reply would leave a textbook client in its recv() for ever.
                out.bytes(b"\n");
            } else {
                out.body(list, 0..length - 1);
            }
        })
    }
}
