//! The body of a PUT: with a known length, or in chunks (RFC 9112, section 7.1).

use super::download::Version;
use super::exchange::Exchange;
use super::failure::Failure;
use crate::session::outbox::Outbox;
use crate::session::protocol::Receive;
use crate::store::error::StoreError;
use crate::store::{Overwrite, Requester, StoreReply, Stored, Upload};
use crate::wire::follows::Follows;
use crate::wire::http::HttpLimits;
use crate::wire::http::chunked::{Chunked, Next};
use crate::wire::http::conditions::Verdict;
use crate::wire::http::head::Framing;
use crate::wire::http::status::Status;

/// An upload whose body arrives.
pub struct Receiving {
    upload: Box<dyn Upload>,
    overwrite: Overwrite,
    /// Bytes that have arrived or are arriving.
    bytes: u64,
    /// The state of a chunked body.
    chunks: Option<Chunked>,
}

/// What follows in a body.
pub enum Part {
    /// More bytes are needed, which are not part of the file.
    Framing,
    /// Bytes of the file.
    Data(Box<Receive>),
    /// Nothing: the body is complete.
    End,
}

impl Receiving {
    /// Accepts the upload. A client that waits for `100 Continue` gets it.
    ///
    /// # Errors
    ///
    /// The replaced file does not meet the conditions of the request.
    pub fn begin(
        upload: Box<dyn Upload>,
        exchange: &Exchange,
        out: &mut Outbox,
    ) -> Result<(Receiving, Part), Failure> {
        let replaced = upload.replaces().map(Version::from);
        let current = replaced.as_ref().map(Version::validators);
        if exchange.conditions.check(false, current) != Verdict::Proceed {
            return Err(Failure::precondition());
        }
        let overwrite = match exchange.conditions.if_none_match.as_deref() {
            Some(b"*") => Overwrite::Refused,
            _ => Overwrite::Allowed,
        };
        if exchange.awaits_continue && exchange.has_body() {
            out.bytes(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        let (bytes, chunks, part) = match exchange.body {
            Framing::Chunked => (0, Some(Chunked::default()), Part::Framing),
            Framing::None | Framing::Length(0) => (0, None, Part::End),
            Framing::Length(bytes) => {
                let body = Receive::new(upload.blob(), bytes);
                (bytes, None, Part::Data(body))
            }
        };
        let receiving = Receiving {
            upload,
            overwrite,
            bytes,
            chunks,
        };
        Ok((receiving, part))
    }

    /// What follows after a piece of the file has arrived.
    pub fn part_arrived(&self) -> Part {
        match self.chunks {
            Some(_) => Part::Framing,
            None => Part::End,
        }
    }

    /// Reads what is between two chunks. Returns its length.
    ///
    /// # Errors
    ///
    /// It is invalid or incomplete, or the file is larger than `largest`.
    pub fn read_framing(
        &mut self,
        input: &[u8],
        follows: Follows,
        limits: &HttpLimits,
        largest: u64,
    ) -> Result<(usize, Part), Failure> {
        let chunks = self.chunks.as_mut().expect("the driver moves other bodies");
        let (taken, next) = chunks.parse(input, limits)?;
        let part = match next {
            Next::More if follows == Follows::Eof => return Err(self.ended(0)),
            Next::More => Part::Framing,
            Next::Data(left) => {
                let at = self.bytes;
                self.bytes = at.saturating_add(left);
                if self.bytes > largest {
                    return Err(StoreError::TooLarge(largest).into());
                }
                let into = self.upload.blob();
                Part::Data(Box::new(Receive { left, at, into }))
            }
            Next::End => Part::End,
        };
        Ok((taken, part))
    }

    /// The peer has ended its stream before the end of the body, or of a chunk of it.
    pub fn ended(&self, missing: u64) -> Failure {
        let (came, of) = (self.bytes - missing, self.bytes);
        let says = match self.chunks {
            Some(_) => format!("{came} bytes came, and no last chunk; nothing is stored"),
            None => format!("only {came} of {of} bytes came; nothing is stored"),
        };
        Failure::new(Status::BadRequest, says)
    }

    /// The bytes of the file.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Stores the file, whose body is complete.
    pub fn commit(self, client: Requester) -> StoreReply<Stored> {
        self.upload.commit(b"", self.overwrite, client)
    }
}
