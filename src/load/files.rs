//! Sends all commands of the files service for one file, and checks the answers.

use super::expect::{Expected, ExpectedReplies};
use super::requests::{Checked, Requests};
use super::settings::FilesOperation;
use crate::session::outbox::Outbox;
use clap::ValueEnum;

const NOT_FOUND: &str = "File Tidak Ditemukan";

/// The commands of one worker, for one file.
pub struct FilesRequests {
    replies: ExpectedReplies,
    name: String,
    size: u64,
    only: Option<FilesOperation>,
    /// Offset in the test data of the content that was uploaded last.
    at: u64,
    next: usize,
    /// Whether the file is on the server after all requests sent so far.
    stored: bool,
    /// Whether the file may be on the server, even after errors.
    may_remain: bool,
    awaited: Awaited,
}

/// What the awaited answer says about the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Awaited {
    /// No change.
    Unchanged,
    /// It was removed.
    Removed,
    /// It was removed, or did not exist.
    RemovedOrAbsent,
}

impl FilesRequests {
    /// Commands for a file of this name and size.
    pub fn new(
        replies: ExpectedReplies,
        name: String,
        size: u64,
        only: Option<FilesOperation>,
        at: u64,
    ) -> FilesRequests {
        FilesRequests {
            replies,
            name,
            size,
            only,
            at,
            // The file is uploaded before the run.
            next: 1,
            stored: false,
            may_remain: false,
            awaited: Awaited::Unchanged,
        }
    }

    fn command_request(&mut self, command: FilesOperation, out: &mut Outbox) -> Vec<Expected> {
        let FilesRequests { name, size, .. } = self;
        let (name, size) = (name.clone(), *size);
        self.awaited = Awaited::Unchanged;
        match command {
            FilesOperation::Upload => {
                self.at += 1_009;
                self.stored = true;
                self.may_remain = true;
                out.bytes(format!("upload {name} {size}\n").as_bytes());
                self.replies.data().send(self.at, size, out);
                ["OK", "OK File Berhasil Dibuat"]
                    .map(|line| Expected::Line(line.to_owned()))
                    .into()
            }
            FilesOperation::Size => {
                out.bytes(format!("size {name}\n").as_bytes());
                vec![Expected::Beginning(format!("OK {size} "))]
            }
            FilesOperation::List => {
                out.bytes(b"ls\n");
                vec![Expected::Listing(name)]
            }
            FilesOperation::Download => {
                out.bytes(format!("download {name}\n").as_bytes());
                let body = Expected::Body {
                    at: self.at,
                    length: size,
                };
                vec![Expected::Line(format!("OK {size}")), body]
            }
            FilesOperation::Remove => {
                self.stored = false;
                self.awaited = Awaited::Removed;
                out.bytes(format!("rm {name}\n").as_bytes());
                vec![Expected::Line("OK File Berhasil Dihapus".to_owned())]
            }
        }
    }
}

impl Requests for FilesRequests {
    fn probe(&mut self, out: &mut Outbox) -> bool {
        out.bytes(format!("size {}\n", self.name).as_bytes());
        self.replies
            .expect([Expected::Line(format!("ERROR {NOT_FOUND}"))]);
        true
    }

    fn prepare(&mut self, out: &mut Outbox) {
        let steps = self.command_request(FilesOperation::Upload, out);
        self.replies.expect(steps);
    }

    fn next_request(&mut self, out: &mut Outbox) -> usize {
        let command = self.only.unwrap_or_else(|| {
            // A worker whose connection failed may have no file on the server.
            let next = if self.stored { self.next } else { 0 };
            let commands = FilesOperation::value_variants();
            self.next = (next + 1) % commands.len();
            commands[next]
        });
        let mut steps = Vec::new();
        if command != FilesOperation::Upload && !self.stored {
            steps = self.command_request(FilesOperation::Upload, out);
        }
        steps.append(&mut self.command_request(command, out));
        self.replies.expect(steps);
        command as usize
    }

    fn check(&mut self, input: &[u8]) -> (usize, Checked) {
        let (taken, checked) = self.replies.check(input);
        let is_gone = match (self.awaited, &checked) {
            (Awaited::Removed | Awaited::RemovedOrAbsent, Checked::Answer) => true,
            (Awaited::RemovedOrAbsent, Checked::Refused(words)) => words.ends_with(NOT_FOUND),
            _ => false,
        };
        if !is_gone {
            return (taken, checked);
        }
        self.may_remain = false;
        self.reset();
        (taken, Checked::Answer)
    }

    fn leftover(&self) -> Option<&str> {
        self.may_remain.then_some(&self.name)
    }

    fn clean_up(&mut self, out: &mut Outbox) {
        let steps = self.command_request(FilesOperation::Remove, out);
        self.awaited = Awaited::RemovedOrAbsent;
        self.replies.expect(steps);
    }

    fn reset(&mut self) {
        self.awaited = Awaited::Unchanged;
        self.replies.reset();
    }
}
