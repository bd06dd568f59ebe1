//! The client of the transfer service: sends and receives files over one connection.

use super::ClientLimits;
use super::connection::{BlockingConnection, Reply};
use super::download::Download;
use super::error::{ClientError, ExchangeError};
use super::names;
use super::output;
use super::reconnector::Reconnector;
use super::resume::{self, Source};
use super::upload_file::UploadFile;
use crate::wire::SEPARATOR;
use std::path::{Path, PathBuf};

/// Sends the files in order; a single file may be sent under `name`. A failure does not stop the
/// remaining files.
pub fn send(
    files: &[PathBuf],
    name: Option<&str>,
    to: &str,
    limits: &ClientLimits,
) -> Result<(), ClientError> {
    if let Some(name) = name {
        names::check(name)?;
        if files.len() > 1 {
            return Err(ClientError::usage(format!(
                "--as {name} names one file, and {} are given; send them one at a time",
                files.len()
            )));
        }
    }
    let mut server = Reconnector::new(to, limits)?;
    names::refuse_duplicates(files.iter().filter_map(|file| {
        let stored = names::remote_name(file, name).ok()?;
        Some((file.display().to_string(), stored))
    }))?;
    let mut tally = Tally::new(files.len(), "sent");
    for file in files {
        let opened = UploadFile::open(file, limits)
            .and_then(|upload| Ok((upload, names::remote_name(file, name)?)));
        match opened {
            Err(error) => tally.failed(error),
            Ok((upload, stored)) => {
                let connection = server.take()?;
                let sent = send_one(&mut server, connection, upload, stored);
                let tried = format!("cannot send {} to {to}", file.display());
                tally.count(sent.map_err(|error| error.in_context(tried)));
            }
        }
    }
    tally.outcome()
}

fn send_one(
    server: &mut Reconnector,
    mut connection: BlockingConnection,
    mut upload: UploadFile,
    name: &str,
) -> Result<(), ExchangeError> {
    let size = upload.size();
    connection.send(format!("SEND\n{name}\n{name}{SEPARATOR}{size}\n").as_bytes())?;
    // A read-only server refuses here, before the body is sent.
    if let Reply::No(words) = connection.read_reply()? {
        return Err(ExchangeError::Refused(words));
    }
    upload.send(&mut connection, server.limits())?;
    match connection.read_reply()? {
        Reply::No(words) => Err(ExchangeError::Refused(words)),
        Reply::Yes(stored) if stored == size.to_string() => {
            server.keep(connection);
            upload.growth().into_iter().for_each(output::diagnostic);
            output::line(format!("sent {name}, {size} bytes"))
        }
        Reply::Yes(stored) => Err(ExchangeError::Local(format!(
            "the server says that it stored {stored:?} instead of {size} bytes; \
             look at the file there and send it again"
        ))),
    }
}

/// Receives the files in order into `folder`. A failure does not stop the remaining files. With
/// `resume`, goes on where an earlier download was broken off.
pub fn receive(
    names: &[String],
    folder: &Path,
    from: &str,
    resume: bool,
    limits: &ClientLimits,
) -> Result<(), ClientError> {
    let mut receiver = Receiver {
        server: Reconnector::new(from, limits)?,
    };
    let mut pairs = Vec::new();
    for name in names {
        pairs.push((name.clone(), names::local_name(name)?));
    }
    names::refuse_duplicates(pairs.iter().cloned())?;
    if !folder.is_dir() {
        return Err(ClientError::failure(format!(
            "cannot save in {}: there is no such folder; make it first, or choose another with -o",
            folder.display()
        )));
    }
    let mut tally = Tally::new(names.len(), "received");
    for (name, local) in &pairs {
        let target = match folder == Path::new(".") {
            true => PathBuf::from(local),
            false => folder.join(local),
        };
        match Download::create(&target, resume) {
            Err(error) => tally.failed(error),
            Ok(download) => {
                receiver.server.connect()?;
                tally.count(resume::download(&mut receiver, name, &target, download));
            }
        }
    }
    tally.outcome()
}

/// A client that receives files.
struct Receiver {
    server: Reconnector,
}

impl Receiver {
    /// Sends a word and the line behind it, and reads the reply to the word.
    fn begin(&mut self, word: &str, line: &str) -> Result<(BlockingConnection, Reply), Failure> {
        let mut connection = self.server.take().map_err(Failure::Connecting)?;
        connection.send(format!("{word}\n{line}\n").as_bytes())?;
        let reply = connection.read_reply()?;
        Ok((connection, reply))
    }

    fn begin_receiving(
        &mut self,
        name: &str,
        offset: u64,
    ) -> Result<(BlockingConnection, u64), Failure> {
        let (mut connection, reply) = match offset {
            0 => self.begin("RECEIVE", name)?,
            offset => self.begin("RESUME", &format!("{name}{SEPARATOR}{offset}"))?,
        };
        if let Reply::No(words) = reply {
            return Err(self.server.refused(connection, words).into());
        }
        let header = connection.read_line()?;
        // Parse as a header first: a file may be called ERRORS.txt.
        match size_in(&header) {
            Some(size) => Ok((connection, size)),
            None if header.starts_with("ERROR") => {
                Err(self.server.refused(connection, header).into())
            }
            None => Err(ExchangeError::NotAReply(header).into()),
        }
    }

    fn sum(&mut self, name: &str, length: u64) -> Result<Reply, Failure> {
        let patience = self.server.limits().digest_timeout;
        let (mut connection, mut reply) =
            self.begin("SUM", &format!("{name}{SEPARATOR}{length}"))?;
        if let Reply::Yes(_) = reply {
            reply = connection.read_late_reply(patience)?;
        }
        match &reply {
            Reply::Yes(_) => self.server.keep(connection),
            Reply::No(words) => _ = self.server.refused(connection, words.clone()),
        }
        Ok(reply)
    }
}

impl Source for Receiver {
    const VERB: &str = "receive";

    fn request(
        &mut self,
        name: &str,
        offset: u64,
    ) -> Result<(BlockingConnection, u64), ClientError> {
        let begun = self.begin_receiving(name, offset);
        begun.map_err(|failure| failure.in_context(self.tried(Self::VERB, name)))
    }

    fn front_sum(&mut self, name: &str, length: u64) -> Result<Reply, ClientError> {
        let reply = self.sum(name, length);
        reply.map_err(|failure| failure.in_context(self.tried("get the SHA-256 of", name)))
    }

    fn keep(&mut self, connection: BlockingConnection) {
        self.server.keep(connection);
    }

    fn tried(&self, verb: &str, name: &str) -> String {
        format!("cannot {verb} {name} from {}", self.server.peer())
    }

    fn limits(&self) -> ClientLimits {
        *self.server.limits()
    }
}

/// Why a file is not received.
enum Failure {
    /// There is no connection; the error says to where.
    Connecting(ClientError),
    Exchange(ExchangeError),
}

impl From<ExchangeError> for Failure {
    fn from(error: ExchangeError) -> Failure {
        Failure::Exchange(error)
    }
}

impl Failure {
    fn in_context(self, tried: String) -> ClientError {
        match self {
            Failure::Connecting(error) => error,
            Failure::Exchange(error) => error.in_context(tried),
        }
    }
}

/// The size in a header. The name in it is ignored; the requested name counts.
fn size_in(header: &str) -> Option<u64> {
    let (_, digits) = header.rsplit_once(SEPARATOR)?;
    // `parse` would accept `+5`.
    digits
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then_some(())?;
    digits.parse().ok()
}

/// Counts the failures in a list of files.
struct Tally {
    total: usize,
    done: &'static str,
    failures: Vec<ClientError>,
}

impl Tally {
    fn new(total: usize, done: &'static str) -> Tally {
        Tally {
            total,
            done,
            failures: Vec::new(),
        }
    }

    fn count(&mut self, result: Result<(), ClientError>) {
        if let Err(error) = result {
            self.failed(error);
        }
    }

    /// Prints the error at once, unless the list has one file: then it is the error of the command.
    fn failed(&mut self, error: ClientError) {
        if self.total > 1 {
            output::error(&error);
        }
        self.failures.push(error);
    }

    fn outcome(mut self) -> Result<(), ClientError> {
        match (self.failures.pop(), self.total) {
            (None, _) => Ok(()),
            (Some(only), 1) => Err(only),
            (Some(_), total) => Err(ClientError::failure(format!(
                "{} of {total} files were not {}",
                self.failures.len() + 1,
                self.done
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_digits_after_the_last_separator_are_a_size() {
        assert_eq!(size_in("a<SEPARATOR>12"), Some(12));
        assert_eq!(size_in("a<SEPARATOR>b<SEPARATOR>0"), Some(0));
        assert_eq!(size_in("ERRORS.txt<SEPARATOR>7"), Some(7));
        for wrong in [
            "a",
            "a<SEPARATOR>",
            "a<SEPARATOR>+5",
            "a<SEPARATOR>-5",
            "a<SEPARATOR>5 ",
        ] {
            assert_eq!(size_in(wrong), None, "{wrong}");
        }
    }
}
