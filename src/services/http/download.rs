//! Answers a request for a file: conditions, ranges, and the head of the answer.

use super::answer::Today;
use super::exchange::Exchange;
use super::failure::Failure;
use super::media_type::media_type;
use super::rights::FILE_FIELDS;

use crate::session::outbox::Outbox;
use crate::store::{FileVersion, OpenFile};
use crate::wire::http::conditions::{Validators, Verdict};
use crate::wire::http::date;
use crate::wire::http::head::Method;
use crate::wire::http::range::{Part, Range};
use crate::wire::http::status::Status;
use base64ct::{Base64, Encoding};

/// The bytes from the first to the one behind the last.
type ByteRange = std::ops::Range<u64>;

/// What tells one version of a file from another: RFC 9110, section 8.8.
pub struct Version {
    etag: String,
    modified: u64,
}

impl From<FileVersion> for Version {
    fn from(version: FileVersion) -> Version {
        let FileVersion {
            inode,
            length,
            modified,
        } = version;
        Version {
            etag: format!("\"{inode:x}-{length:x}-{modified:x}\""),
            modified: u64::try_from(modified.div_euclid(1_000_000_000)).unwrap_or(0),
        }
    }
}

impl Version {
    /// The same, for the conditions of a request.
    pub fn validators(&self) -> Validators<'_> {
        let (etag, modified) = (&*self.etag, self.modified);
        Validators { etag, modified }
    }
}

impl Exchange {
    /// Whether the answer to a request for this file has a digest.
    pub fn digests(&self, file: &OpenFile) -> bool {
        let version = Version::from(file.version);
        let selected = self.select(&version, file.version.length);
        self.wants_digest && selected.is_ok_and(|(status, _)| status != Status::NotModified)
    }

    /// The status of the answer, and the part of the file that is sent.
    fn select(&self, version: &Version, length: u64) -> Result<(Status, ByteRange), Failure> {
        let status = match self.conditions.check(true, Some(version.validators())) {
            Verdict::Failed => return Err(Failure::precondition()),
            Verdict::NotModified => Status::NotModified,
            Verdict::Proceed => Status::Ok,
        };
        let is_part = self.method == Method::Get
            && status == Status::Ok
            && self.conditions.allow_range(version.validators());
        let range = if is_part { self.range } else { Range::Whole };
        match range.part_of(length) {
            Part::Whole => Ok((status, 0..length)),
            Part::Bytes { first, last } => Ok((Status::PartialContent, first..last + 1)),
            Part::Unsatisfiable => Err(Failure::range(length)),
        }
    }

    /// Sends the file, or the answer that its conditions ask for.
    /// Returns its status, and the bytes of its body.
    ///
    /// # Errors
    ///
    /// A condition is not met, or the range is not in the file.
    pub fn send_file(
        &self,
        file: OpenFile,
        today: Today<'_>,
        out: &mut Outbox,
    ) -> Result<(Status, u64), Failure> {
        let (version, sha256) = (Version::from(file.version), file.sha256);
        let (status, part) = self.select(&version, file.version.length)?;
        let (blob, length) = file.content();
        let mut answer = self.answer(status, today.text, out);
        if status != Status::NotModified {
            let (name, parameter) = media_type(&self.name);
            answer.field("Content-Type", format_args!("{name}{parameter}"));
            answer.field("Content-Length", part.end - part.start);
            answer.lines(FILE_FIELDS);
        }
        if status == Status::PartialContent {
            let (first, last) = (part.start, part.end - 1);
            answer.field(
                "Content-Range",
                format_args!("bytes {first}-{last}/{length}"),
            );
        }
        // A file from the future: RFC 9110, section 8.8.2.1.
        let modified = date::format(version.modified.min(today.seconds));
        answer.field("Last-Modified", modified);
        answer.field("ETag", &version.etag);
        answer.lines("Accept-Ranges: bytes\r\n");
        if let Some(sha256) = sha256 {
            let digest = Base64::encode_string(&sha256);
            answer.field("Repr-Digest", format_args!("sha-256=:{digest}:"));
        }
        if self.query.download {
            answer.lines("Content-Disposition: attachment\r\n");
        }
        answer.end();
        if self.method != Method::Get || status == Status::NotModified {
            return Ok((status, 0));
        }
        let bytes = part.end - part.start;
        out.body(blob, part);
        Ok((status, bytes))
    }
}
