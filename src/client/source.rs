//! Opens a local file that is to be sent, and sends exactly as many bytes as were announced.
//! Does not announce them: what the header looks like is the conversation's business.

use super::connection::Connection;
use super::error::{ClientError, Trouble, reason};
use super::limits::ClientLimits;
use super::progress::Progress;
use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::path::Path;

/// A regular file and the size it had when it was opened.
#[derive(Debug)]
pub struct Source {
    /// Read up to the end of `head`.
    file: File,
    /// All of it, or nothing of a file that is longer than one piece.
    head: Vec<u8>,
    size: u64,
    shown: String,
}

impl Source {
    /// Opens the file, if it is one whose size can be known. Files of /proc report none, and those
    /// of /sys too many: the size of what fits one piece is what could be read.
    pub fn open(path: &Path, limits: &ClientLimits) -> Result<Source, ClientError> {
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
        let mut file = File::open(path).map_err(unreadable)?;
        let reported = file.metadata().map_err(unreadable)?.len();
        let most = limits.body_piece as u64;
        let mut head = Vec::new();
        let mut beginning = file.by_ref().take(most);
        beginning.read_to_end(&mut head).map_err(unreadable)?;
        let mut source = Source {
            file,
            size: head.len() as u64,
            head,
            shown: shown.clone(),
        };
        if source.size == most && reported > most {
            // It is read while it is sent.
            source.file.rewind().map_err(unreadable)?;
            source.head.clear();
            source.size = reported;
        } else if source.size == most && source.has_more() {
            return Err(cannot(format!(
                "it reports {reported} bytes and has more; copy it (cat FILE > COPY) and send that"
            )));
        }
        Ok(source)
    }

    /// Whether there is something behind what was read.
    fn has_more(&mut self) -> bool {
        matches!(self.file.read(&mut [0]), Ok(1))
    }

    /// The size to announce.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// What to tell when all was sent: a file that has grown since it was opened, like a log, is on
    /// the server as it was then.
    pub fn growth(&mut self) -> Option<String> {
        let (shown, size) = (self.shown.clone(), self.size);
        self.has_more().then(|| {
            format!("{shown} grew while it was being sent; the server has its first {size} bytes")
        })
    }

    /// Sends the bytes. A file that has grown since is cut at the announced size; one that has
    /// shrunk fails, and the connection is then of no further use.
    pub fn send(
        &mut self,
        connection: &mut Connection,
        limits: &ClientLimits,
    ) -> Result<(), Trouble> {
        let mut progress = Progress::new(&self.shown, self.size, limits);
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn size(path: &Path) -> Result<u64, ClientError> {
        let limits = ClientLimits {
            body_piece: 1000,
            ..ClientLimits::short()
        };
        Source::open(path, &limits).map(|source| source.size())
    }

    #[test]
    fn the_size_is_what_can_be_read_whatever_is_reported() {
        let proc = Path::new("/proc/version");
        let read = fs::read(proc).unwrap();
        assert_eq!(fs::metadata(proc).unwrap().len(), 0);
        assert_eq!(size(proc).unwrap(), read.len() as u64);
        // It reports a page.
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
        // Longer than the piece of this test on every system.
        let path = Path::new("/proc/self/smaps");
        let error = size(path).unwrap_err();
        let words = "cannot read /proc/self/smaps: it reports 0 bytes and has more";
        assert!(error.to_string().starts_with(words), "{error}");
    }

    #[test]
    fn what_is_no_regular_file_is_refused_and_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        let kind = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, kind, mode, 0).unwrap();
        for (path, words) in [
            (folder.path(), "it is a folder"),
            (&fifo, "it is no regular file"),
            (Path::new("/dev/zero"), "it is no regular file"),
        ] {
            let error = size(path).unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
        }
    }

    #[test]
    fn a_file_that_grew_is_found_out_at_its_end() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"abc").unwrap();
        let mut source = Source::open(file.path(), &ClientLimits::short()).unwrap();
        assert_eq!(source.growth(), None);
        file.write_all(b"def").unwrap();
        let told = source.growth().unwrap();
        assert!(
            told.contains("grew") && told.contains("first 3 bytes"),
            "{told}"
        );
    }
}
