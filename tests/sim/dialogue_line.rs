//! Random conversations of the line dialect: pipelined commands and their answers.

use super::script::{Fault, NO_DATA, NoPause, Script, Service};
use crate::memory::random::Random;
use loket::session::close_reason::CloseReason;
use loket::wire::SEPARATOR;
use loket::wire::follows::Timer;
use loket::wire::names::WireLimits;
use std::collections::BTreeMap;

/// Files that all peers may read and none changes.
pub fn shared_files() -> Vec<(String, Vec<u8>)> {
    let content = |length: usize| (0..length).map(|at| (at % 251) as u8).collect();
    [("none", 0), ("one", 1), ("some", 90), ("more", 700)]
        .into_iter()
        .flat_map(|(name, length)| {
            let content: Vec<u8> = content(length);
            [
                (name.to_owned(), content.clone()),
                (format!("all/{name}"), content),
            ]
        })
        .collect()
}

/// Writes one conversation.
pub struct Writer<'a> {
    pub random: &'a Random,
    pub script: Script,
    pub limits: WireLimits,
    /// The prefix of this peer's file names.
    pub own: String,
    /// The files as this peer sees them.
    pub files: BTreeMap<String, Vec<u8>>,
    /// The first line is typed key by key.
    typed: bool,
    next_name: usize,
}

impl<'a> Writer<'a> {
    /// An empty conversation.
    pub fn new(
        random: &'a Random,
        service: Service,
        limits: WireLimits,
        own: String,
    ) -> Writer<'a> {
        let shared = shared_files().into_iter();
        let deep = |name: &String| name.starts_with("all/") == (service == Service::Files);
        Writer {
            random,
            script: Script::new(service),
            limits,
            files: shared.filter(|(name, _)| deep(name)).collect(),
            own,
            typed: false,
            next_name: 0,
        }
    }

    /// One of the few names of this peer.
    pub fn own_name(&self) -> String {
        format!(
            "{}{}",
            self.own,
            self.random.pick(&["a", "b", "c d", "e 7"])
        )
    }

    /// A new name.
    pub fn fresh_name(&mut self) -> String {
        self.next_name += 1;
        format!("{}x{}", self.own, self.next_name)
    }

    /// A name for a read command: own, shared or unknown.
    pub fn asked_name(&self) -> String {
        match self.random.below(3) {
            0 => self.own_name(),
            1 => {
                let names: Vec<_> = self.files.keys().cloned().collect();
                self.random.pick(&names)
            }
            _ => format!("{}missing", self.own),
        }
    }

    /// The length of a body.
    pub fn length(&self) -> usize {
        match self.random.below(6) {
            0 => self.random.below(3),
            1..=3 => self.random.within(3..=60),
            4 => self.random.within(61..=250),
            _ => self.random.within(251..=900),
        }
    }

    /// From here on the peer's file has this content.
    pub fn keep(&mut self, name: &str, body: &[u8]) {
        self.script.stored.push((name.to_owned(), body.to_vec()));
        self.files.insert(name.to_owned(), body.to_vec());
    }

    /// A file that is shorter than its reported length.
    pub fn shrunk_file(&mut self) -> (String, Vec<u8>, usize) {
        let (name, length) = (self.fresh_name(), self.random.within(1..=300));
        // In a folder that is never listed.
        let name = format!("cut-{name}");
        let (content, ends) = (self.random.body(length), self.random.below(length));
        self.script
            .initial_files
            .push((name.clone(), content.clone()));
        self.script
            .faults
            .push((name.clone(), Fault::Ends(ends as u64)));
        (name, content, ends)
    }

    /// Adds the final content of the peer's files.
    pub fn finish(mut self) -> Script {
        let own = self.own.clone();
        let names = self.script.stored.iter().map(|(name, _)| name.clone());
        let final_files = names.filter(|name| name.starts_with(&own));
        self.script.final_files = final_files
            .map(|name| {
                let content = self.files.get(&name).cloned();
                (name, content)
            })
            .collect();
        self.script
    }

    fn line_end(&self) -> &'static str {
        self.random.pick(&["\n", "\n", "\r\n"])
    }

    /// Sometimes the peer types its first line, beside files named like prefixes of its names.
    fn may_type(&mut self) {
        self.typed = self.random.chance(40);
        let beginnings = ["c", "e", "e "].map(|end| format!("{}{end}", self.own));
        for name in beginnings.into_iter().filter(|_| self.typed) {
            let content = b"another file".to_vec();
            self.script.untouched.push((name.clone(), content.clone()));
            self.files.insert(name, content);
        }
    }

    /// A line. The first one has no pause that would complete it as a bare unit, or is typed.
    fn line(&mut self, text: &str) {
        let line = format!("{text}{}", self.line_end());
        match (self.script.input.is_empty(), self.typed) {
            (true, true) if !text.is_empty() => self.script.type_keys(line),
            (true, _) => self.script.say_at_once(line),
            (false, _) => self.script.say(line),
        }
    }
}

/// A peer of the files service.
pub fn files(random: &Random, limits: WireLimits, number: usize) -> Script {
    let own = format!("p{number}/");
    let mut writer = Writer::new(random, Service::Files, limits, own);
    writer.may_type();
    for _ in 0..random.within(1..=16) {
        if writer.script.is_over {
            break;
        }
        writer.files_command();
        if !writer.script.is_over && random.chance(15) {
            writer.script.await_replies();
        }
    }
    writer.after_the_end();
    writer.finish()
}

/// A peer of the transfer service.
pub fn transfer(random: &Random, limits: WireLimits, number: usize) -> Script {
    let own = format!("p{number}-");
    let mut writer = Writer::new(random, Service::Transfer, limits, own);
    writer.may_type();
    for _ in 0..random.within(1..=11) {
        if writer.script.is_over {
            break;
        }
        writer.transfer_command();
        if !writer.script.is_over && random.chance(15) {
            writer.script.await_replies();
        }
    }
    writer.after_the_end();
    writer.finish()
}

/// Whether this may be a complete command with a name.
fn names_a_file(typed: &str) -> bool {
    let name = typed.split_once(' ').map_or("", |(_, name)| name.trim());
    !name.is_empty() && !name.ends_with('/')
}

impl Writer<'_> {
    /// Sends bytes after the end of the conversation.
    pub fn after_the_end(&mut self) {
        if self.script.is_over && !self.script.is_cut {
            let length = self.random.pick(&[0, 0, 20, 200]);
            let rest = self.random.body(length);
            self.script.say(rest);
        }
    }

    /// The peer disconnects in the middle of typing.
    fn vanish(&mut self) {
        let command = format!(
            "{} {}",
            self.random.pick(&["rm", "upload"]),
            self.own_name()
        );
        let typed = self.random.within(2..=command.len() - 1);
        self.script.type_keys(&command[..typed]);
        // Before silence refuses the partial command.
        let within = Timer::PartialCommand;
        let bytes = 0..typed + 1;
        self.script.no_pauses.push(NoPause { bytes, within });
        let why = match command.starts_with("upload") && names_a_file(&command[..typed]) {
            true => NO_DATA,
            false => "ERROR the connection ended in the middle; nothing was done\n",
        };
        self.script.expect_later(why);
        self.script.end(CloseReason::Refused);
        self.script.is_cut = true;
    }

    fn files_command(&mut self) {
        if self.typed && self.script.input.is_empty() && self.random.chance(20) {
            return self.vanish();
        }
        match self.random.below(24) {
            0..=6 => self.upload(),
            7..=11 => self.download(),
            12..=13 => self.size(),
            14..=15 => self.remove(),
            16..=18 => self.list(),
            19 => self.line(""),
            20 => {
                self.line("byebye");
                self.script.expect("OK\n");
                self.script.end(CloseReason::Goodbye);
            }
            21 => self.faulty_upload(),
            22 => self.shrunk_download(),
            _ => self.broken(
                "ERROR ",
                "unknown command nonsense; the words are \
                ls, size, sum, rm, mv, mkdir, download, upload, byebye",
            ),
        }
    }

    fn upload(&mut self) {
        let (name, length) = (self.own_name(), self.length());
        let body = self.random.body(length);
        match self.random.chance(50) {
            true => self.line(&format!("upload \"{name}\" {length}")),
            false => self.line(&format!("upload {name} {length}")),
        }
        self.script.expect("OK\n");
        if self.cut_body(&body, "ERROR ") {
            return;
        }
        self.script.say_body(&body);
        self.script.expect("OK File Berhasil Dibuat\n");
        self.keep(&name, &body);
    }

    /// Sometimes the peer ends its stream in the middle of a body.
    fn cut_body(&mut self, body: &[u8], error: &str) -> bool {
        if body.is_empty() || !self.random.chance(8) {
            return false;
        }
        let (came, length) = (self.random.below(body.len()), body.len());
        let start = self.script.input.len();
        self.script.say(&body[..came]);
        self.script.bodies.push(start..start + length);
        let why = format!("{error}only {came} of {length} bytes came; nothing is stored\n");
        self.script.expect_later(why);
        self.script.end(CloseReason::Refused);
        self.script.is_cut = true;
        true
    }

    fn faulty_upload(&mut self) {
        let (name, length) = (self.fresh_name(), self.random.within(1..=300));
        let body = self.random.body(length);
        self.line(&format!("upload \"{name}\" {length}"));
        self.script.expect("OK\n");
        self.spoil(&name, &body, "ERROR ");
    }

    /// The store fails in the middle of a body, or at the commit.
    fn spoil(&mut self, name: &str, body: &[u8], error: &str) {
        let (fault, why) = if self.random.chance(60) {
            let at = self.random.below(body.len()) as u64;
            (Fault::Full(at), "there is no space left for the file")
        } else {
            (Fault::Denied, "the server has no permission for it")
        };
        self.script.faults.push((name.to_owned(), fault));
        self.script.say_body(body);
        self.script.expect_later(format!("{error}{why}\n"));
        self.script.end(CloseReason::Refused);
    }

    fn download(&mut self) {
        let name = self.asked_name();
        let Some(content) = self.files.get(&name).cloned() else {
            self.line(&format!("download \"{name}\""));
            return self.script.expect("ERROR File Tidak Ditemukan\n");
        };
        let from = match self.random.below(4) {
            0 => self.random.below(content.len() + 2),
            _ => 0,
        };
        match from {
            0 => self.line(&format!("download \"{name}\"")),
            _ => self.line(&format!("download \"{name}\" {from}")),
        }
        if from > content.len() {
            let why = format!("ERROR the file has only {} bytes\n", content.len());
            return self.script.expect(why);
        }
        self.script.expect(format!("OK {}\n", content.len() - from));
        self.script.expect_body(&content[from..]);
    }

    fn shrunk_download(&mut self) {
        let (name, content, ends) = self.shrunk_file();
        self.line(&format!("download \"{name}\""));
        self.script.expect(format!("OK {}\n", content.len()));
        self.script.expect_body(&content[..ends]);
        self.script.end(CloseReason::BodyCut);
    }

    fn size(&mut self) {
        let name = self.asked_name();
        self.line(&format!("size {name}"));
        match self.files.get(&name).map(Vec::len) {
            Some(bytes) => {
                let megabytes = bytes as f64 / 1_048_576.0;
                self.script
                    .expect(format!("OK {bytes} {megabytes:.2} MB\n"));
            }
            None => self.script.expect("ERROR File Tidak Ditemukan\n"),
        }
    }

    fn remove(&mut self) {
        let name = self.own_name();
        self.line(&format!("rm {name}"));
        match self.files.remove(&name) {
            Some(_) => self.script.expect("OK File Berhasil Dihapus\n"),
            None => self.script.expect("ERROR File Tidak Ditemukan\n"),
        }
    }

    fn list(&mut self) {
        let folder = self.random.pick(&["all/", self.own.as_str()]).to_owned();
        self.line(&format!("ls {}", folder.trim_end_matches('/')));
        let names = self.files.keys();
        let names = names.filter_map(|name| name.strip_prefix(&folder));
        let listing: String = names.map(|name| format!("{name}\n")).collect();
        if listing.is_empty() {
            return self.script.expect("ERROR there is no such folder\n");
        }
        self.script
            .expect(format!("OK {}\n{listing}", listing.len()));
    }

    /// A command that ends the conversation: unknown, too long, or cut.
    fn broken(&mut self, error: &str, unknown: &str) {
        let unit = self.limits.unit;
        // A typed wrong word is refused at its first key.
        self.typed = false;
        match self.random.below(3) {
            0 => {
                self.line("nonsense");
                self.script.expect(format!("{error}{unknown}\n"));
            }
            1 => {
                let long = "x".repeat(unit + 1);
                match self.script.input.is_empty() {
                    true => self.script.say_at_once(long),
                    false => self.script.say(long),
                }
                self.script.say("x".repeat(self.random.below(300)));
                let why = format!("{error}more than {unit} bytes without a line end\n");
                self.script.expect_later(why);
            }
            _ if self.script.input.is_empty() => return,
            _ => {
                self.script.say("rm ");
                let why = "the connection ended in the middle; nothing was done\n";
                self.script.expect_later(format!("{error}{why}"));
                self.script.is_cut = true;
            }
        }
        self.script.end(CloseReason::Refused);
    }

    fn transfer_command(&mut self) {
        match self.random.below(18) {
            0..=5 => self.send(),
            6..=10 => self.receive(),
            11 => self.line(""),
            12 | 13 => self.faulty_send(),
            14 => self.shrunk_receive(),
            15 | 16 => self.resume(),
            _ => self.broken(
                "ERROR: ",
                "unknown command nonsense; the words are SEND, RECEIVE, RESUME and SUM",
            ),
        }
    }

    /// A command word, which is answered before its line end has arrived.
    fn word(&mut self, word: &str) {
        let (taken, owed) = (self.script.input.len(), self.script.expected.len());
        self.script
            .expect_early(taken + word.len(), owed + "OK".len());
        self.line(word);
        self.script.expect("OK\n");
    }

    fn send_header(&mut self, name: &str, length: usize) {
        self.word("SEND");
        self.line("any name");
        self.line(&format!("some/where/{name}{SEPARATOR}{length}"));
    }

    fn send(&mut self) {
        let (name, length) = (self.own_name(), self.length());
        let body = self.random.body(length);
        self.send_header(&name, length);
        if self.cut_body(&body, "ERROR: ") {
            return;
        }
        self.script.say_body(&body);
        self.script.expect(format!("OK {length}\n"));
        self.keep(&name, &body);
    }

    fn faulty_send(&mut self) {
        let (name, length) = (self.fresh_name(), self.random.within(1..=300));
        let body = self.random.body(length);
        self.send_header(&name, length);
        self.spoil(&name, &body, "ERROR: ");
    }

    fn receive(&mut self) {
        let name = self.asked_name();
        self.word("RECEIVE");
        self.line(&name);
        match self.files.get(&name).cloned() {
            Some(content) => {
                self.script
                    .expect(format!("{name}{SEPARATOR}{}\n", content.len()));
                self.script.expect_body(&content);
            }
            None => self.script.expect("ERROR: File not found\n"),
        }
    }

    fn resume(&mut self) {
        let name = self.asked_name();
        let content = self.files.get(&name).cloned();
        let from = self.random.below(content.as_ref().map_or(0, Vec::len) + 2);
        self.line("RESUME");
        self.script.expect("OK\n");
        self.line(&format!("some/where/{name}{SEPARATOR}{from}"));
        match content {
            None => self.script.expect("ERROR: File not found\n"),
            Some(content) if from > content.len() => {
                let why = format!("ERROR: the file has only {} bytes\n", content.len());
                self.script.expect(why);
            }
            Some(content) => {
                let rest = &content[from..];
                self.script
                    .expect(format!("{name}{SEPARATOR}{}\n", rest.len()));
                self.script.expect_body(rest);
            }
        }
    }

    fn shrunk_receive(&mut self) {
        let (name, content, ends) = self.shrunk_file();
        self.word("RECEIVE");
        self.line(&name);
        self.script
            .expect(format!("{name}{SEPARATOR}{}\n", content.len()));
        self.script.expect_body(&content[..ends]);
        self.script.end(CloseReason::BodyCut);
    }
}
