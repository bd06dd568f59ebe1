//! A local file to upload: its size, and exactly that many bytes of it.

use super::ClientLimits;
use super::connection::BlockingConnection;
use super::digest::sha256;
use super::error::{ClientError, ExchangeError, reason};
use super::progress::TransferProgress;
use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::path::Path;

/// A regular file and its size at the time of opening.
#[derive(Debug)]
pub struct UploadFile {
    /// The file, positioned after `head`.
    file: File,
    /// The content of a file that fits into one piece; empty for a longer file.
    head: Vec<u8>,
    size: u64,
    shown: String,
}

impl UploadFile {
    /// Opens a file with a known size. Files of /proc report 0 and files of /sys too much: for a
    /// file that fits into one piece, the size is the number of bytes read.
    pub fn open(path: &Path, limits: &ClientLimits) -> Result<UploadFile, ClientError> {
        let shown = path.display().to_string();
        let cannot = |why: String| ClientError::failure(format!("cannot read {shown}: {why}"));
        let unreadable = |error: io::Error| {
            let advice = match error.kind() {
                io::ErrorKind::NotFound => "is the name spelt right?",
                _ => "do you have read permission?",
            };
            cannot(format!("{}; {advice}", reason(&error)))
        };
        // Checked before opening: open(2) of a FIFO waits for a writer.
        let kind = fs::metadata(path).map_err(unreadable)?;
        if kind.is_dir() {
            return Err(cannot(
                "it is a folder; name the files in it, for example with FOLDER/*".to_owned(),
            ));
        }
        if !kind.is_file() {
            return Err(cannot(
                "it is not a regular file; copy its content to a file and send that".to_owned(),
            ));
        }
        let mut file = File::open(path).map_err(unreadable)?;
        let reported = file.metadata().map_err(unreadable)?.len();
        let most = limits.body_piece as u64;
        let mut head = Vec::new();
        let mut beginning = file.by_ref().take(most);
        beginning.read_to_end(&mut head).map_err(unreadable)?;
        let mut upload = UploadFile {
            file,
            size: head.len() as u64,
            head,
            shown: shown.clone(),
        };
        if upload.size == most && reported > most {
            // Read while it is being sent.
            upload.file.rewind().map_err(unreadable)?;
            upload.head.clear();
            upload.size = reported;
        } else if upload.size == most && upload.has_more() {
            return Err(cannot(format!(
                "it reports {reported} bytes and has more; copy it (cat FILE > COPY) and send that"
            )));
        }
        Ok(upload)
    }

    /// Whether the file continues after the bytes read so far.
    fn has_more(&mut self) -> bool {
        matches!(self.file.read(&mut [0]), Ok(1))
    }

    /// The size to announce.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// A remark for a file that grew while it was being sent, like a log: the server has its first
    /// bytes only.
    pub fn growth(&mut self) -> Option<String> {
        let (shown, size) = (self.shown.clone(), self.size);
        self.has_more().then(|| {
            format!("{shown} grew while it was being sent; the server has its first {size} bytes")
        })
    }

    /// The SHA-256 of the announced number of bytes, read again from the file.
    pub fn sha256(&mut self, limits: &ClientLimits) -> Result<String, ExchangeError> {
        let hashed = match self.head.is_empty() {
            false => sha256(&*self.head, limits.body_piece),
            true => (self.file.rewind())
                .and_then(|()| sha256((&self.file).take(self.size), limits.body_piece)),
        };
        hashed.map_err(|error| {
            let why = reason(&error);
            ExchangeError::Local(format!("cannot read {} again: {why}", self.shown))
        })
    }

    /// Sends the announced number of bytes. A file that grew is cut there. A file that shrank is an
    /// error, after which the connection cannot be used.
    pub fn send(
        &mut self,
        connection: &mut BlockingConnection,
        limits: &ClientLimits,
    ) -> Result<(), ExchangeError> {
        let mut progress = TransferProgress::new(&self.shown, self.size, limits);
        connection.send(&self.head)?;
        progress.advance(self.head.len());
        let mut sent = self.head.len() as u64;
        let mut body = self.file.by_ref().take(self.size - sent);
        let mut buffer = vec![0; limits.body_piece];
        while sent < self.size {
            let count = match body.read(&mut buffer) {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    return Err(ExchangeError::Local(format!(
                        "cannot continue reading after {sent} of {} bytes: {}; nothing was stored",
                        self.size,
                        reason(&error)
                    )));
                }
            };
            if count == 0 {
                return Err(ExchangeError::Local(format!(
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn size(path: &Path) -> Result<u64, ClientError> {
        let limits = ClientLimits {
            body_piece: 1000,
            ..ClientLimits::short()
        };
        UploadFile::open(path, &limits).map(|upload| upload.size())
    }

    #[test]
    fn the_size_of_a_short_file_is_the_number_of_bytes_read() {
        let proc = Path::new("/proc/version");
        let read = fs::read(proc).unwrap();
        assert_eq!(fs::metadata(proc).unwrap().len(), 0);
        assert_eq!(size(proc).unwrap(), read.len() as u64);
        // It reports one page.
        let sys = Path::new("/sys/kernel/mm/transparent_hugepage/enabled");
        match fs::read(sys) {
            Ok(read) => assert_eq!(size(sys).unwrap(), read.len() as u64),
            Err(error) => eprintln!("SKIPPED a part: no {}: {error}", sys.display()),
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        for length in [0, 1, 999, 1000, 1001, 5000] {
            fs::write(&path, vec![1; length]).unwrap();
            assert_eq!(size(&path).unwrap(), length as u64);
        }
    }

    #[test]
    fn a_file_that_reports_less_than_a_piece_and_has_more_is_refused() {
        // Longer than one piece of this test on every system.
        let path = Path::new("/proc/self/smaps");
        let error = size(path).unwrap_err();
        let words = "cannot read /proc/self/smaps: it reports 0 bytes and has more";
        assert!(error.to_string().starts_with(words), "{error}");
    }

    #[test]
    fn only_a_regular_file_is_opened() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        let kind = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, kind, mode, 0).unwrap();
        for (path, words) in [
            (folder.path(), "it is a folder"),
            (&fifo, "it is not a regular file"),
            (Path::new("/dev/zero"), "it is not a regular file"),
        ] {
            let error = size(path).unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
        }
    }

    #[test]
    fn a_file_that_grew_is_reported_at_its_end() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"abc").unwrap();
        let mut upload = UploadFile::open(file.path(), &ClientLimits::short()).unwrap();
        assert_eq!(upload.growth(), None);
        file.write_all(b"def").unwrap();
        let message = upload.growth().unwrap();
        assert!(
            message.contains("grew") && message.contains("first 3 bytes"),
            "{message}"
        );
    }
}
