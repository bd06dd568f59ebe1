//! Opens a local file that is to be sent, and sends exactly as many bytes as were announced.
//! Does not announce them: what the header looks like is the conversation's business.

use super::connection::Connection;
use super::error::{ClientError, Trouble, reason};
use super::limits::ClientLimits;
use super::progress::Progress;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

/// A regular file and the size it had when it was opened.
#[derive(Debug)]
pub struct Source {
    file: File,
    size: u64,
    shown: String,
}

impl Source {
    /// Opens the file, if it is one whose size can be known.
    pub fn open(path: &Path) -> Result<Source, ClientError> {
        let shown = path.display().to_string();
        let cannot = |why: String| ClientError::failure(format!("cannot read {shown}: {why}"));
        let unreadable = |error: io::Error| {
            let way_out = match error.kind() {
                io::ErrorKind::NotFound => "is the name spelt right?",
                _ => "may you read it?",
            };
            cannot(format!("{}; {way_out}", reason(&error)))
        };
        // Asked before it is opened: opening a FIFO would wait for a writer for ever.
        let kind = fs::metadata(path).map_err(unreadable)?;
        if kind.is_dir() {
            return Err(cannot(
                "it is a folder; name the files in it, for example with FOLDER/*".to_owned(),
            ));
        }
        if !kind.is_file() {
            return Err(cannot(
                "it is no regular file; copy what it holds to a file and send that".to_owned(),
            ));
        }
        let file = File::open(path).map_err(unreadable)?;
        let size = file.metadata().map_err(unreadable)?.len();
        Ok(Source { file, size, shown })
    }

    /// The size to announce.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Sends the bytes. A file that has grown since is cut at the announced size; one that has
    /// shrunk fails, and the connection is then of no further use.
    pub fn send(self, connection: &mut Connection, limits: &ClientLimits) -> Result<(), Trouble> {
        let mut progress = Progress::new(&self.shown, self.size, limits);
        let mut body = self.file.take(self.size);
        let mut buffer = vec![0; limits.body_piece];
        let mut sent = 0;
        while sent < self.size {
            let count = match body.read(&mut buffer) {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    return Err(Trouble::Local(format!(
                        "cannot read on after {sent} of {} bytes: {}; nothing was stored",
                        self.size,
                        reason(&error)
                    )));
                }
            };
            if count == 0 {
                return Err(Trouble::Local(format!(
                    "the file shrank from {} to {sent} bytes while it was being sent; \
                     nothing was stored, send it again",
                    self.size
                )));
            }
            connection.send(&buffer[..count])?;
            sent += count as u64;
            progress.advance(count);
        }
        Ok(())
    }
}
