//! The commands and answers of the two services that move files.

use super::{BOTH_WAYS, Client, Server, eventually};

/// One of the two services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileService {
    Files,
    Transfer,
}
use FileService::{Files, Transfer};

/// Both of them.
pub const FILE_SERVICES: [FileService; 2] = [Files, Transfer];

/// Runs a test for both services, each with and without `--plain-bodies`, on a new server.
pub fn on_each(flags: &[&str], test: impl Fn(&Server, FileService)) {
    for way in BOTH_WAYS {
        for service in FILE_SERVICES {
            test(&Server::start(&[flags, way].concat()), service);
        }
    }
}

impl FileService {
    /// The name of the service.
    pub fn name(self) -> &'static str {
        match self {
            Files => "files",
            Transfer => "transfer",
        }
    }

    /// What a line client sends before the `size` bytes of an upload; the answer is `OK\n`.
    pub fn upload_head(self, name: &str, size: usize) -> String {
        match self {
            Files => format!("upload {name} {size}\n"),
            Transfer => format!("SEND\n{name}\n{name}<SEPARATOR>{size}\n"),
        }
    }

    /// All that a line client sends for an upload.
    pub fn upload(self, name: &str, data: &[u8]) -> Vec<u8> {
        [self.upload_head(name, data.len()).as_bytes(), data].concat()
    }

    /// The answer to an upload that is stored.
    pub fn stored(self, size: usize) -> String {
        match self {
            Files => "OK File Berhasil Dibuat\n".to_owned(),
            Transfer => format!("OK {size}\n"),
        }
    }

    /// The command of a line client for a download.
    pub fn download(self, name: &str) -> String {
        match self {
            Files => format!("download {name}\n"),
            Transfer => format!("RECEIVE\n{name}\n"),
        }
    }

    /// What the server sends before the `size` bytes of a download.
    pub fn announced(self, name: &str, size: usize) -> String {
        match self {
            Files => format!("OK {size}\n"),
            Transfer => format!("OK\n{name}<SEPARATOR>{size}\n"),
        }
    }

    /// The answer to a download of a missing file.
    pub fn missing(self) -> &'static str {
        match self {
            Files => "ERROR File Tidak Ditemukan\n",
            Transfer => "OK\nERROR: File not found\n",
        }
    }

    /// An error of this service with these words, without a line end.
    pub fn error(self, words: &str) -> String {
        match self {
            Files => format!("ERROR {words}"),
            Transfer => format!("ERROR: {words}"),
        }
    }

    /// Begins an upload, sends `part` of its `size` bytes, and returns once its file is open.
    pub fn begin(self, server: &Server, name: &str, part: &[u8], size: usize) -> Client {
        let before = server.descriptors();
        let mut client = server.connect(self.name());
        client.send(self.upload_head(name, size)).expect("OK\n");
        client.send(part);
        // The connection and the partial file.
        eventually("the upload has begun", || {
            server.descriptors() >= before + 2
        });
        client
    }

    /// Uploads as a textbook client does, without line ends; returns all that is answered.
    pub fn upload_bare(self, server: &Server, name: &str, data: &[u8]) -> String {
        let mut client = server.connect(self.name());
        match self {
            Files => {
                client.send(format!("upload {name}"));
                server.settle();
            }
            Transfer => {
                client.send("SEND").expect("OK");
                client.send(format!("{name}{name}<SEPARATOR>{}", data.len()));
            }
        }
        client.send(data).finish().text()
    }
}
