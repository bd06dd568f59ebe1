//! The states of a transfer session, and the results of the store that it waits for.

use crate::services::bare_header::BareHeaderReader;
use crate::services::unframed_upload::UnframedUpload;
use crate::store::error::StoreError;
use crate::store::pending::Pending;
use crate::store::{Content, FileDigest, OpenFile, StoreReply, Stored, Upload};
use crate::wire::ambiguous_size::Digits;

/// What a session reads next, or waits for.
pub enum TransferState {
    Command,
    /// After SEND.
    UploadName(BareHeaderReader),
    /// After SEND and the line with the name.
    UploadHeader,
    /// A body of known size arrives.
    Receiving {
        upload: Box<dyn Upload>,
        size: u64,
    },
    /// A commit is pending. A bare peer has no `size` and gets no reply.
    Committing {
        done: StoreReply<Stored>,
        size: Option<u64>,
    },
    /// A body without a delimiter between its size and its data arrives.
    Unframed(UnframedUpload),
    /// After RECEIVE.
    DownloadName,
    /// After RESUME or SUM.
    PartOf(Part),
    /// A store operation is pending.
    Waiting(Pending<TransferAnswer>),
    /// A bare header was sent. The body follows after a gap, so that the peer does not read it
    /// together with the header.
    HeaderGap(Content),
}

/// The part of a file that a line peer asks for with a name and a number.
#[derive(Clone, Copy)]
pub enum Part {
    /// The bytes from this offset on.
    Rest,
    /// The digest of this number of bytes.
    FrontSum,
}

/// The result of a store operation, and the command that it belongs to.
pub enum TransferAnswer {
    /// A download of the file of this name, from this offset on.
    Opened(Result<OpenFile, StoreError>, Box<str>, u64),
    Sum(Result<FileDigest, StoreError>),
    /// An upload of this size.
    Begun(Result<Box<dyn Upload>, StoreError>, u64),
    /// A bare upload whose size is all of these digits or begins with them.
    BegunBare(Result<Box<dyn Upload>, StoreError>, Digits),
}
