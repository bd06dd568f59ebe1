//! Downloads a file, and goes on where an earlier download was broken off. What is there already is
//! compared with the server by its SHA-256, before the rest is requested and afterwards.

use super::ClientLimits;
use super::connection::{BlockingConnection, Reply};
use super::download::Download;
use super::error::{ClientError, ExchangeError};
use super::output;
use std::path::Path;

/// A service that files are downloaded from.
pub trait Source {
    /// Requests a file from an offset on. The number is that of the bytes which follow.
    fn request(
        &mut self,
        name: &str,
        offset: u64,
    ) -> Result<(BlockingConnection, u64), ClientError>;
    /// Asks for the SHA-256 of the first `length` bytes of a file.
    fn front_sum(&mut self, name: &str, length: u64) -> Result<Reply, ClientError>;
    /// Takes the connection back for the next command.
    fn keep(&mut self, connection: BlockingConnection);
    /// The beginning of an error message.
    fn tried(&self, verb: &str, name: &str) -> String;
    /// What the service calls this.
    const VERB: &str;
    /// The limits of the client.
    fn limits(&self) -> ClientLimits;
}

/// Downloads the file of this name to `target`.
pub fn download<S: Source>(
    source: &mut S,
    name: &str,
    target: &Path,
    mut download: Download,
) -> Result<(), ClientError> {
    let (tried, limits) = (source.tried(S::VERB, name), source.limits());
    let local = |error: ExchangeError| error.in_context(&tried);
    let mut left = download.has();
    if left > 0 && !is_front(source, &mut download, name)? {
        download.begin_anew().map_err(local)?;
        left = 0;
    }
    let (mut connection, size) = source.request(name, left)?;
    let received = download.append(&mut connection, size, &limits);
    received.map_err(local)?;
    source.keep(connection);
    if left > 0 && !is_front(source, &mut download, name)? {
        download.begin_anew().map_err(local)?;
        let words = "the file was changed meanwhile; nothing was saved, try again";
        return Err(local(ExchangeError::Local(words.to_owned())));
    }
    let size = download.has();
    download.commit().map_err(local)?;
    if left > 0 {
        output::diagnostic(format!(
            "continued after {left} bytes of an earlier download"
        ));
    }
    output::saved(target, size).map_err(local)
}

/// Whether the file on the server begins with what the download has. The answer is no if the
/// sums differ, if the file is shorter, or if the server does not know the word; every other
/// error leaves the question open, and the download keeps what it has.
fn is_front(
    source: &mut impl Source,
    download: &mut Download,
    name: &str,
) -> Result<bool, ClientError> {
    let tried = source.tried("continue the download of", name);
    let own = download.sha256(&source.limits());
    let own = own.map_err(|error| error.in_context(&tried))?;
    match source.front_sum(name, download.has())? {
        Reply::Yes(there) => Ok(there == own),
        Reply::No(words) if denies_front(&words) => Ok(false),
        Reply::No(words) => {
            let refused = ExchangeError::Refused(words);
            let kept = "what was downloaded is kept; --no-resume begins anew";
            Err(ExchangeError::Local(format!("{refused}; {kept}")).in_context(tried))
        }
    }
}

/// Whether a refusal of a sum means that the file cannot begin with these bytes, or that the server
/// has no such command.
fn denies_front(words: &str) -> bool {
    let why = words.trim_start_matches("ERROR").trim_start_matches(':');
    [" the file has only ", " unknown command "]
        .iter()
        .any(|known| why.starts_with(known))
}
