//! The client of the files service: `ls`, `size`, `rm`, `download`, `upload`.

use super::ClientLimits;
use super::connection::{BlockingConnection, Reply};
use super::download::Download;
use super::error::{ClientError, ExchangeError};
use super::names;
use super::output;
use super::reconnector::Reconnector;
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
        let connection = self.server.take()?;
        self.server.keep(connection);
        Ok(())
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

    /// Downloads a file: to `output`, into the folder `output`, or under its own name.
    pub fn download(&mut self, name: &str, output: Option<&Path>) -> Result<(), ClientError> {
        let command = format!("download {}", quote(names::check(name)?));
        let target = match output {
            None => PathBuf::from(names::local_name(name)?),
            Some(folder) if folder.is_dir() => folder.join(names::local_name(name)?),
            Some(path) => path.to_owned(),
        };
        let download = Download::create(&target)?;
        let tried = self.tried("download", name);
        let (mut connection, reply) = self.ask(&command, &tried)?;
        let limits = *self.server.limits();
        let received = size_of(&reply).and_then(|size| {
            download.receive(&mut connection, size, &limits)?;
            Ok(size)
        });
        received
            .and_then(|size| {
                self.server.keep(connection);
                output::saved(&target, size)
            })
            .map_err(|error| error.in_context(tried))
    }

    /// Uploads a file under `name` or its own name.
    pub fn upload(&mut self, file: &Path, name: Option<&str>) -> Result<(), ClientError> {
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
            .map_err(|error| error.in_context(tried))
    }

    /// Sends `byebye` and closes the connection.
    pub fn goodbye(&mut self) -> Result<(), ClientError> {
        let tried = format!("cannot say goodbye to {}", self.peer());
        let (_closed, _) = self.ask("byebye", &tried)?;
        Ok(())
    }

    fn tried(&self, verb: &str, what: &str) -> String {
        format!("cannot {verb} {what} on {}", self.peer())
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
