//! Random conversations of the bare dialect, and those of echo, talk and the operator.

use super::dialogue_line::{Writer, shared_files};
use super::script::{Fault, NoPause, Script, Service};
use crate::memory::random::Random;
use loket::session::close_reason::CloseReason;
use loket::wire::SEPARATOR;
use loket::wire::follows::Timer;
use loket::wire::names::WireLimits;

/// A peer of echo.
pub fn echo(random: &Random, read_buffer: usize) -> Script {
    let mut script = Script::new(Service::Echo);
    let length = match random.below(4) {
        0 => read_buffer * random.within(1..=5),
        1 => random.below(20),
        _ => random.below(1500),
    };
    let bytes = random.body(length);
    script.say(&bytes);
    script.expect_later(&bytes);
    script
}

/// A peer of the files service that sends no line end.
pub fn files(random: &Random, limits: WireLimits, number: usize) -> Script {
    let own = format!("p{number}/");
    let mut writer = Writer::new(random, Service::Files, limits, own);
    for _ in 0..random.within(0..=5) {
        writer.bare_question();
        writer.script.await_replies();
    }
    match random.below(4) {
        0 => {
            writer.script.say_in_one_call("byebye");
            writer.script.end(CloseReason::Goodbye);
        }
        1 | 2 => writer.bare_upload(),
        _ => {}
    }
    writer.finish()
}

/// A peer of the transfer service that sends no line end.
pub fn transfer(random: &Random, limits: WireLimits, number: usize) -> Script {
    let own = format!("p{number}-");
    let mut writer = Writer::new(random, Service::Transfer, limits, own);
    if random.chance(60) {
        writer.bare_send();
    } else {
        writer.bare_receive();
    }
    writer.finish()
}

impl Writer<'_> {
    fn bare_question(&mut self) {
        let name = self.asked_name();
        let content = self.files.get(&name).cloned();
        match (self.random.below(5), content) {
            (0, _) => {
                self.script.say_in_one_call("ls all");
                let names = shared_files().into_iter();
                let names =
                    names.filter_map(|(name, _)| name.strip_prefix("all/").map(str::to_owned));
                let mut names: Vec<_> = names.collect();
                names.sort_unstable();
                self.script.expect(names.join("\n"));
            }
            (1, _) => {
                self.script
                    .say_in_one_call(format!("rm {}missing", self.own));
                self.script.expect("File Tidak Ditemukan");
            }
            (2, Some(content)) => {
                self.script.say_in_one_call(format!("size {name}"));
                let megabytes = content.len() as f64 / 1_048_576.0;
                self.script.expect(format!("{megabytes:.2} MB"));
            }
            (_, Some(content)) => {
                self.script.say_in_one_call(format!("download {name}"));
                self.script.expect_body(&content);
                // A bare client cannot notice the end of an empty file.
                self.script.await_consumed();
            }
            (_, None) => {
                self.script.say_in_one_call(format!("download {name}"));
                self.script.expect("File Tidak Ditemukan");
            }
        }
    }

    fn bare_upload(&mut self) {
        let (name, length) = (self.fresh_name(), self.length());
        let body = self.random.body(length);
        self.script.say_in_one_call(format!("upload {name}"));
        self.script.await_consumed();
        let start = self.script.input.len();
        self.script.no_pauses.push(NoPause {
            bytes: start - 1..start + 1,
            within: Timer::FirstByte,
        });
        self.script.bodies.push(start..usize::MAX);
        self.script.say(&body);
        if self.random.chance(20) && length > 0 {
            let at = self.random.below(length) as u64;
            self.script.faults.push((name, Fault::Full(at)));
            self.script
                .expect_later("ERROR there is no space left for the file");
            return self.script.end(CloseReason::Refused);
        }
        self.script.expect_later("File Berhasil Dibuat");
        self.keep(&name, &body);
    }

    fn bare_send(&mut self) {
        let (name, length) = (self.fresh_name(), self.length());
        let body = self.random.body(length);
        self.script.say_in_one_call("SEND");
        self.script.expect("OK");
        self.script.await_replies();
        self.script.say(format!("{name}{name}{SEPARATOR}"));
        let start = self.script.input.len();
        self.script.bodies.push(start..usize::MAX);
        self.script.say(format!("{length}"));
        let came = self.random.below(length.max(1));
        if came < length && !is_solved(length, came) && self.random.chance(15) {
            self.script.say(vec![b'x'; came]);
            let why = "ERROR: the size does not fit what came; nothing is stored";
            self.script.expect_later(why);
            return self.script.end(CloseReason::Refused);
        }
        self.script.say(&body);
        if self.random.chance(10) && length > 0 {
            let at = self.random.below(length) as u64;
            self.script.faults.push((name, Fault::Full(at)));
            self.script
                .expect_later("ERROR: there is no space left for the file");
            return self.script.end(CloseReason::Refused);
        }
        self.keep(&name, &body);
    }

    fn bare_receive(&mut self) {
        let name = self.asked_name();
        self.script.say_in_one_call("RECEIVE");
        self.script.expect("OK");
        self.script.await_replies();
        self.script.say_in_one_call(&name);
        match self.files.get(&name).cloned() {
            Some(content) => {
                self.script
                    .expect(format!("{name}{SEPARATOR}{}", content.len()));
                self.script.expect_later(&content);
            }
            None => self.script.expect("ERROR: File not found"),
        }
        if self.random.chance(60) {
            self.script.await_replies();
        }
        self.script.end(CloseReason::Goodbye);
    }
}

/// Whether a prefix of the size's digits fits the bytes that were sent.
fn is_solved(length: usize, came: usize) -> bool {
    let digits = length.to_string();
    (1..=digits.len()).any(|count| {
        let size: usize = digits[..count].parse().expect("digits");
        size + count == digits.len() + came
    })
}

/// A talk client.
pub fn talk(random: &Random, number: usize) -> Script {
    let mut script = Script::new(Service::Talk);
    // Lines, messages without line end, or both.
    let line_ends = random.pick(&[100, 0, 50]);
    for line in 0..random.below(14) {
        let text = match random.below(6) {
            0 => format!("tab\t and \u{1b}[2J of {number}.{line}"),
            1 => format!("ä€😀 {number}.{line}"),
            2 if line_ends == 100 => String::new(),
            _ => format!("{line} words of {number}"),
        };
        let ends = if random.chance(line_ends) { "\n" } else { "" };
        // A line in pieces could be taken for a bare message after the settle window.
        script.say_at_once(format!("{text}{ends}"));
        let shown: String = text.chars().filter(|shown| *shown != '\u{1b}').collect();
        script.messages.push((script.input.len(), shown));
        if ends.is_empty() {
            script.await_consumed();
        }
    }
    script
}

/// The operator.
pub fn operator(random: &Random, clients: usize) -> Script {
    let mut script = Script::new(Service::Operator);
    for line in 0..random.below(40) {
        let id = random.within(1..=clients + 1);
        let text = match random.below(9) {
            0..=3 => format!("line {line} for all"),
            4 | 5 => format!("/to {id} line {line} for one"),
            6 if random.chance(40) => format!("/kick {id}"),
            7 => random
                .pick(&["/list", "/help", "/to 1", "/nonsense", "", "/to"])
                .to_owned(),
            _ => "a".repeat(random.within(1..=60)),
        };
        script.say(format!("{text}\n"));
        script.messages.push((script.input.len(), text));
    }
    script
}
