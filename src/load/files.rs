//! Asks a files service for everything that it can do with one file.

use super::expect::{Script, Step};
use super::requests::{Heard, Requests};
use super::settings::FilesCommand;
use crate::session::outbox::Outbox;
use clap::ValueEnum;

const NOT_FOUND: &str = "File Tidak Ditemukan";

/// The one file of one connection.
pub struct Files {
    script: Script,
    name: String,
    size: u64,
    only: Option<FilesCommand>,
    /// Where in the pattern its content begins, for the version that was uploaded last.
    at: u64,
    next: usize,
    /// Whether the server has it, if all went well.
    there: bool,
    /// Whether the server may have it, however it went.
    left: bool,
    doing: Doing,
}

/// What the answer that is awaited will say of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    /// Nothing new.
    Asking,
    /// It is gone.
    Removing,
    /// It is gone, or never was there.
    ClearingAway,
}

impl Files {
    /// A file of this name and size.
    pub fn new(
        script: Script,
        name: String,
        size: u64,
        only: Option<FilesCommand>,
        at: u64,
    ) -> Files {
        Files {
            script,
            name,
            size,
            only,
            at,
            // It is there from the beginning.
            next: 1,
            there: false,
            left: false,
            doing: Doing::Asking,
        }
    }

    fn request(&mut self, command: FilesCommand, out: &mut Outbox) -> Vec<Step> {
        let Files { name, size, .. } = self;
        let (name, size) = (name.clone(), *size);
        self.doing = Doing::Asking;
        match command {
            FilesCommand::Upload => {
                self.at += 1_009;
                self.there = true;
                self.left = true;
                out.bytes(format!("upload {name} {size}\n").as_bytes());
                self.script.pattern().send(self.at, size, out);
                ["OK", "OK File Berhasil Dibuat"]
                    .map(|line| Step::Line(line.to_owned()))
                    .into()
            }
            FilesCommand::Size => {
                out.bytes(format!("size {name}\n").as_bytes());
                vec![Step::Beginning(format!("OK {size} "))]
            }
            FilesCommand::List => {
                out.bytes(b"ls\n");
                vec![Step::Listing(name)]
            }
            FilesCommand::Download => {
                out.bytes(format!("download {name}\n").as_bytes());
                let body = Step::Body {
                    at: self.at,
                    length: size,
                };
                vec![Step::Line(format!("OK {size}")), body]
            }
            FilesCommand::Remove => {
                self.there = false;
                self.doing = Doing::Removing;
                out.bytes(format!("rm {name}\n").as_bytes());
                vec![Step::Line("OK File Berhasil Dihapus".to_owned())]
            }
        }
    }
}

impl Requests for Files {
    fn greet(&mut self, out: &mut Outbox) -> bool {
        out.bytes(format!("size {}\n", self.name).as_bytes());
        self.script
            .expect([Step::Line(format!("ERROR {NOT_FOUND}"))]);
        true
    }

    fn prepare(&mut self, out: &mut Outbox) {
        let steps = self.request(FilesCommand::Upload, out);
        self.script.expect(steps);
    }

    fn ask(&mut self, out: &mut Outbox) -> usize {
        let command = self.only.unwrap_or_else(|| {
            // A lane whose connection broke may have lost its file.
            let next = if self.there { self.next } else { 0 };
            let commands = FilesCommand::value_variants();
            self.next = (next + 1) % commands.len();
            commands[next]
        });
        let mut steps = Vec::new();
        if command != FilesCommand::Upload && !self.there {
            steps = self.request(FilesCommand::Upload, out);
        }
        steps.append(&mut self.request(command, out));
        self.script.expect(steps);
        command as usize
    }

    fn hear(&mut self, input: &[u8]) -> (usize, Heard) {
        let (taken, heard) = self.script.hear(input);
        let is_gone = match (self.doing, &heard) {
            (Doing::Removing | Doing::ClearingAway, Heard::Answer) => true,
            (Doing::ClearingAway, Heard::Refused(words)) => words.ends_with(NOT_FOUND),
            _ => false,
        };
        if !is_gone {
            return (taken, heard);
        }
        self.left = false;
        self.forget();
        (taken, Heard::Answer)
    }

    fn leaves(&self) -> Option<&str> {
        self.left.then_some(&self.name)
    }

    fn clean_up(&mut self, out: &mut Outbox) {
        let steps = self.request(FilesCommand::Remove, out);
        self.doing = Doing::ClearingAway;
        self.script.expect(steps);
    }

    fn forget(&mut self) {
        self.doing = Doing::Asking;
        self.script.forget();
    }
}
