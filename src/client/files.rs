//! The client of the files service.

use super::ClientLimits;
use super::connection::{BlockingConnection, Reply};
use super::download::Download;
use super::error::{ClientError, ExchangeError};
use super::names;
use super::output;
use super::reconnector::Reconnector;
use super::resume::{self, Source};
use super::upload_file::UploadFile;
use crate::terminal::sanitize::Sanitizer;
use crate::wire::files_command::quote;
use std::path::{Path, PathBuf};

/// A client of the files service. The first command connects.
#[derive(Debug)]
pub struct FilesClient {
    server: Reconnector,
}

impl FilesClient {
    /// Parses the address; does not connect yet.
    pub fn new(at: &str, limits: &ClientLimits) -> Result<FilesClient, ClientError> {
        Ok(FilesClient {
            server: Reconnector::new(at, limits)?,
        })
    }

    /// The address of the server as it was given.
    pub fn peer(&self) -> &str {
        self.server.peer()
    }

    /// Connects, if no connection is open.
    pub fn connect(&mut self) -> Result<(), ClientError> {
        self.server.connect()
    }

    /// Closes the connection, if one is open.
    pub fn hang_up(&mut self) {
        self.server.hang_up();
    }

    /// Lists a folder, or the root.
    pub fn list(&mut self, folder: Option<&str>) -> Result<(), ClientError> {
        let (command, what) = match folder {
            None => ("ls".to_owned(), "the root"),
            Some(folder) => (format!("ls {}", quote(names::check(folder)?)), folder),
        };
        let tried = self.tried("list", what);
        let (mut connection, reply) = self.ask(&command, &tried)?;
        size_of(&reply)
            .and_then(|size| self.print_listing(&mut connection, size))
            .map_err(|error| error.in_context(tried))?;
        self.server.keep(connection);
        Ok(())
    }

    /// Prints the size of a file.
    pub fn size(&mut self, name: &str) -> Result<(), ClientError> {
        let tried = self.tried("measure", name);
        self.ask_in_a_line(&format!("size {}", quote(names::check(name)?)), &tried)
    }

    /// Removes a file.
    pub fn remove(&mut self, name: &str) -> Result<(), ClientError> {
        let tried = self.tried("remove", name);
        self.ask_in_a_line(&format!("rm {}", quote(names::check(name)?)), &tried)
    }

    /// Downloads a file: to `output`, into the folder `output`, or under its own name. With
    /// `resume`, goes on where an earlier download was broken off.
    pub fn download(
        &mut self,
        name: &str,
        output: Option<&Path>,
        resume: bool,
    ) -> Result<(), ClientError> {
        names::check(name)?;
        let target = match output {
            None => PathBuf::from(names::local_name(name)?),
            Some(folder) if folder.is_dir() => folder.join(names::local_name(name)?),
            Some(path) => path.to_owned(),
        };
        let download = Download::create(&target, resume)?;
        resume::download(self, name, &target, download)
    }

    /// Asks for the SHA-256 of a file, or of its first `length` bytes.
    fn sum_of(&mut self, name: &str, length: Option<u64>) -> Result<Reply, ClientError> {
        let tried = self.tried("get the SHA-256 of", name);
        let quoted = quote(names::check(name)?);
        let length = length.map_or(String::new(), |length| format!(" {length}"));
        let mut connection = self.server.take()?;
        let patience = self.server.limits().digest_timeout;
        let asked = connection.send(format!("sum {quoted}{length}\n").as_bytes());
        let reply = asked.and_then(|()| connection.read_late_reply(patience));
        match reply.map_err(|error| error.in_context(tried))? {
            Reply::Yes(sum) => {
                self.server.keep(connection);
                Ok(Reply::Yes(sum))
            }
            Reply::No(words) => {
                self.server.refused(connection, words.clone());
                Ok(Reply::No(words))
            }
        }
    }

    /// The SHA-256 of a whole file.
    fn whole_sum(&mut self, name: &str) -> Result<String, ClientError> {
        match self.sum_of(name, None)? {
            Reply::Yes(sum) => Ok(sum),
            Reply::No(words) => {
                let tried = self.tried("get the SHA-256 of", name);
                Err(ExchangeError::Refused(words).in_context(tried))
            }
        }
    }

    /// Prints the SHA-256 of a file.
    pub fn sum(&mut self, name: &str) -> Result<(), ClientError> {
        let sum = self.whole_sum(name)?;
        output::line(format!("{sum}  {name}")).map_err(|error| error.in_context("cannot print"))
    }

    /// Makes a folder.
    pub fn make_folder(&mut self, name: &str) -> Result<(), ClientError> {
        let tried = self.tried("make the folder", name);
        self.ask_in_a_line(&format!("mkdir {}", quote(names::check(name)?)), &tried)
    }

    /// Renames a file or a folder.
    pub fn rename(&mut self, old: &str, new: &str) -> Result<(), ClientError> {
        let tried = self.tried("rename", old);
        let names = [names::check(old)?, names::check(new)?].map(quote);
        self.ask_in_a_line(&format!("mv {}", names.join(" ")), &tried)
    }

    /// Uploads a file under `name` or its own name. With `verify`, compares the SHA-256 afterwards.
    pub fn upload(
        &mut self,
        file: &Path,
        name: Option<&str>,
        verify: bool,
    ) -> Result<(), ClientError> {
        let mut upload = UploadFile::open(file, self.server.limits())?;
        let stored = names::remote_name(file, name)?;
        let size = upload.size();
        let tried = self.tried("upload", &file.display().to_string());
        let (connection, reply) = self.ask(&format!("upload {} {size}", quote(stored)), &tried)?;
        self.send_body(connection, &reply, &mut upload)
            .and_then(|words| {
                upload.growth().into_iter().for_each(output::diagnostic);
                output::line(words)
            })
            .and_then(|()| output::line(format!("sent {stored}, {size} bytes")))
            .map_err(|error| error.in_context(&tried))?;
        if !verify {
            return Ok(());
        }
        let own = upload
            .sha256(self.server.limits())
            .map_err(|error| error.in_context(&tried))?;
        let there = self.whole_sum(stored)?;
        match there == own {
            true => output::line(format!("verified {stored}, SHA-256 {own}")),
            false => Err(ExchangeError::Local(format!(
                "the SHA-256 there is {there} instead of {own}; one of the files was changed \
                 meanwhile, or the copy is damaged: send it again"
            ))),
        }
        .map_err(|error| error.in_context(&tried))
    }

    /// Sends `byebye` and closes the connection.
    pub fn goodbye(&mut self) -> Result<(), ClientError> {
        let tried = format!("cannot say goodbye to {}", self.peer());
        let (_closed, _) = self.ask("byebye", &tried)?;
        Ok(())
    }

    /// Sends a command; returns the connection and the text after `OK`.
    fn ask(
        &mut self,
        command: &str,
        tried: &str,
    ) -> Result<(BlockingConnection, String), ClientError> {
        let mut connection = self.server.take()?;
        let reply = connection
            .send(format!("{command}\n").as_bytes())
            .and_then(|()| connection.read_reply());
        let error = match reply {
            Ok(Reply::Yes(words)) => return Ok((connection, words)),
            Ok(Reply::No(words)) => self.server.refused(connection, words),
            Err(error) => error,
        };
        Err(error.in_context(tried))
    }

    fn ask_in_a_line(&mut self, command: &str, tried: &str) -> Result<(), ClientError> {
        let (connection, words) = self.ask(command, tried)?;
        self.server.keep(connection);
        output::line(words).map_err(|error| error.in_context(tried))
    }

    fn print_listing(
        &self,
        connection: &mut BlockingConnection,
        size: u64,
    ) -> Result<(), ExchangeError> {
        let mut buffer = vec![0; self.server.limits().body_piece];
        let mut sanitizer = Sanitizer::default();
        let mut ended = true;
        let mut got = 0;
        while got < size {
            let wanted = usize::try_from(size - got).unwrap_or(usize::MAX);
            let window = wanted.min(buffer.len());
            let piece = match connection.read(&mut buffer[..window])? {
                0 => {
                    return Err(ExchangeError::Truncated {
                        got,
                        announced: size,
                    });
                }
                count => &buffer[..count],
            };
            got += piece.len() as u64;
            ended = piece.ends_with(b"\n");
            output::bytes(sanitizer.clean(piece).as_bytes())?;
        }
        let line_end = if ended { "" } else { "\n" };
        output::text(&format!("{}{line_end}", sanitizer.finish()))
    }

    fn send_body(
        &mut self,
        mut connection: BlockingConnection,
        reply: &str,
        upload: &mut UploadFile,
    ) -> Result<String, ExchangeError> {
        if !reply.is_empty() {
            return Err(ExchangeError::NotAReply(format!("OK {reply}")));
        }
        upload.send(&mut connection, self.server.limits())?;
        match connection.read_reply()? {
            Reply::No(words) => Err(ExchangeError::Refused(words)),
            Reply::Yes(words) => {
                self.server.keep(connection);
                Ok(words)
            }
        }
    }
}

impl Source for FilesClient {
    const VERB: &str = "download";

    fn request(
        &mut self,
        name: &str,
        offset: u64,
    ) -> Result<(BlockingConnection, u64), ClientError> {
        let (tried, quoted) = (self.tried(Self::VERB, name), quote(names::check(name)?));
        let command = match offset {
            0 => format!("download {quoted}"),
            offset => format!("download {quoted} {offset}"),
        };
        let (connection, reply) = self.ask(&command, &tried)?;
        let size = size_of(&reply).map_err(|error| error.in_context(tried))?;
        Ok((connection, size))
    }

    fn front_sum(&mut self, name: &str, length: u64) -> Result<Reply, ClientError> {
        self.sum_of(name, Some(length))
    }

    fn keep(&mut self, connection: BlockingConnection) {
        self.server.keep(connection);
    }

    fn tried(&self, verb: &str, what: &str) -> String {
        format!("cannot {verb} {what} on {}", self.peer())
    }

    fn limits(&self) -> ClientLimits {
        *self.server.limits()
    }
}

fn size_of(reply: &str) -> Result<u64, ExchangeError> {
    // `parse` would accept `+5`.
    let digits = reply.bytes().all(|byte| byte.is_ascii_digit());
    match reply.parse() {
        Ok(size) if digits => Ok(size),
        _ => Err(ExchangeError::NotAReply(format!("OK {reply}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_digits_are_a_size() {
        assert_eq!(size_of("12").unwrap(), 12);
        for wrong in ["", "+5", "-5", "5 MB", "99999999999999999999"] {
            assert!(size_of(wrong).is_err(), "{wrong}");
        }
    }
}
