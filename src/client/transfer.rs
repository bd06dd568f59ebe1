//! The client of the transfer service: sends and receives files over one connection.

use super::ClientLimits;
use super::connection::{BlockingConnection, Reply};
use super::download::Download;
use super::error::{ClientError, ExchangeError};
use super::names;
use super::output;
use super::reconnector::Reconnector;
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

/// Receives the files in order into `folder`. A failure does not stop the remaining files.
pub fn receive(
    names: &[String],
    folder: &Path,
    from: &str,
    limits: &ClientLimits,
) -> Result<(), ClientError> {
    let mut server = Reconnector::new(from, limits)?;
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
        match Download::create(&target, false) {
            Err(error) => tally.failed(error),
            Ok(download) => {
                let connection = server.take()?;
                let received = receive_one(&mut server, connection, name, download)
                    .and_then(|size| output::saved(&target, size));
                let tried = format!("cannot receive {name} from {from}");
                tally.count(received.map_err(|error| error.in_context(tried)));
            }
        }
    }
    tally.outcome()
}

fn receive_one(
    server: &mut Reconnector,
    mut connection: BlockingConnection,
    name: &str,
    download: Download,
) -> Result<u64, ExchangeError> {
    connection.send(format!("RECEIVE\n{name}\n").as_bytes())?;
    if let Reply::No(words) = connection.read_reply()? {
        return Err(server.refused(connection, words));
    }
    let header = connection.read_line()?;
    // Parse as a header first: a file may be called ERRORS.txt.
    match size_in(&header) {
        Some(size) => {
            download.receive(&mut connection, size, server.limits())?;
            server.keep(connection);
            Ok(size)
        }
        None if header.starts_with("ERROR") => Err(server.refused(connection, header)),
        None => Err(ExchangeError::NotAReply(header)),
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
