//! A server that is killed at any moment of an upload leaves the old file or the new one, whole.
//! A power failure is not tested; `src/store/upload.rs` explains the order of the writes.
//!
//! `LOKET_KILLS` sets the number of kills, `LOKET_SEED` their moments; `scripts/soak kills` sets
//! both.

use crate::support::file_service::{FILE_SERVICES, FileService};
use crate::support::{BOTH_WAYS, Client, Server, eventually, noise};
use std::collections::BTreeMap;
use std::io::Read;
use std::time::{Duration, Instant};

const KILLS: u64 = 20;

/// Random numbers from a seed, so that a failure can be repeated.
struct Dice(u64);

impl Dice {
    /// A number below `end`.
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// One connection that uploads several versions of one file.
struct Conversation {
    client: Client,
    name: String,
    versions: Vec<Vec<u8>>,
    bytes_to_send: Vec<u8>,
    sent: usize,
    received: Vec<u8>,
}

impl Conversation {
    fn begin(
        server: &Server,
        service: FileService,
        name: String,
        versions: Vec<Vec<u8>>,
    ) -> Conversation {
        let mut bytes_to_send = Vec::new();
        for body in &versions {
            bytes_to_send.extend(service.upload(&name, body));
        }
        Conversation {
            client: server.connect(service.name()),
            name,
            versions,
            bytes_to_send,
            sent: 0,
            received: Vec::new(),
        }
    }

    fn send(&mut self, most: usize) -> usize {
        let piece = &self.bytes_to_send[self.sent..];
        let piece = &piece[..piece.len().min(most)];
        self.client.send(piece);
        self.sent += piece.len();
        piece.len()
    }

    /// Reads once; false at the end of the stream.
    fn receive(&mut self) -> bool {
        let mut bytes = [0; 4096];
        match self.client.0.read(&mut bytes) {
            Ok(0) | Err(_) => false,
            Ok(count) => {
                self.received.extend_from_slice(&bytes[..count]);
                true
            }
        }
    }

    /// The number of versions that the server has acknowledged: every second line is one.
    fn acknowledged(&self) -> usize {
        let received = String::from_utf8_lossy(&self.received);
        assert!(!received.contains("ERROR"), "{received}");
        received.matches('\n').count() / 2
    }

    fn is_done(&self) -> bool {
        self.acknowledged() == self.versions.len()
    }
}

/// When the server is killed.
enum Moment {
    /// This number of bytes has been sent, in all conversations together.
    Sent(usize),
    /// Everything has been sent, and each conversation has this number of answers.
    Answered(usize),
    /// This time after everything has been sent.
    After(Duration),
}

impl Moment {
    fn draw(dice: &mut Dice, total: usize, versions: usize) -> Moment {
        match dice.below(4) {
            0 => Moment::Sent(dice.below(total as u64 + 1) as usize),
            1 => Moment::Answered(dice.below(versions as u64 + 1) as usize),
            _ => Moment::After(Duration::from_micros(dice.below(3_000))),
        }
    }

    /// Sends and receives until that moment.
    fn reach(&self, conversations: &mut [Conversation], dice: &mut Dice) {
        let mut left = match self {
            Moment::Sent(bytes) => *bytes,
            _ => usize::MAX,
        };
        while left > 0 {
            let mut sent = 0;
            for conversation in &mut *conversations {
                let most = 1 + dice.below(64 << 10) as usize;
                let count = conversation.send(most.min(left));
                sent += count;
                left -= count;
            }
            if sent == 0 {
                break;
            }
        }
        match self {
            Moment::Sent(_) => {}
            Moment::Answered(wanted) => {
                for conversation in &mut *conversations {
                    let before =
                        |conversation: &Conversation| conversation.acknowledged() < *wanted;
                    while before(conversation) && !conversation.is_done() && conversation.receive()
                    {
                    }
                }
            }
            Moment::After(delay) => {
                let begin = Instant::now();
                while begin.elapsed() < *delay {
                    std::hint::spin_loop();
                }
            }
        }
    }
}

/// One to three versions of up to 300 KB, sometimes of 3 MB.
fn versions(dice: &mut Dice, bytes: &[u8]) -> Vec<Vec<u8>> {
    let most = match dice.below(6) {
        0 => 3_000_000,
        1 | 2 => 100,
        _ => 300_000,
    };
    (0..=dice.below(3))
        .map(|_| {
            let length = dice.below(most) as usize;
            let at = dice.below((bytes.len() - length) as u64) as usize;
            bytes[at..at + length].to_vec()
        })
        .collect()
}

type Files = BTreeMap<String, Vec<u8>>;

/// The states in which the kills found the uploads, to see that a run covers all of them.
#[derive(Debug, Default)]
struct Outcomes {
    acknowledged: usize,
    new_without_acknowledgement: usize,
    old: usize,
    partial_files_removed: usize,
}

/// The file is the old or a new version, and not older than the last acknowledged one.
fn check(conversation: &Conversation, found: &Files, before: &Files, outcomes: &mut Outcomes) {
    let name = &conversation.name;
    let kept = conversation.acknowledged();
    let found = found.get(name);
    let new = &conversation.versions[kept.saturating_sub(1)..];
    let is_new = found.is_some_and(|found| new.contains(found));
    let is_old = kept == 0 && found == before.get(name);
    let length = found.map(Vec::len);
    assert!(is_new || is_old, "{name}: {length:?} bytes, {kept} kept");
    match (kept, is_new) {
        (1.., _) => outcomes.acknowledged += 1,
        (0, true) => outcomes.new_without_acknowledgement += 1,
        (0, false) => outcomes.old += 1,
    }
}

fn kill_once(
    server: &mut Server,
    flags: &[&str],
    dice: &mut Dice,
    bytes: &[u8],
    outcomes: &mut Outcomes,
) {
    let mut before = server.files();
    let mut conversations = Vec::new();
    for slot in 0..6 {
        let service = FILE_SERVICES[slot % 2];
        let name = match slot {
            0..4 => format!("old{slot}"),
            _ => format!("new{slot}"),
        };
        let versions = versions(dice, bytes);
        conversations.push(Conversation::begin(server, service, name, versions));
    }
    let total = conversations
        .iter()
        .map(|one| one.bytes_to_send.len())
        .sum();
    let moment = Moment::draw(dice, total, 2);
    moment.reach(&mut conversations, dice);
    server.kill();
    for conversation in &mut conversations {
        // Answers that the server sent before it died still arrive.
        while conversation.receive() {}
    }
    let mut left = server.files();
    let all = left.len();
    left.retain(|name, _| !name.starts_with(".loket-"));
    outcomes.partial_files_removed += all - left.len();
    server.start_again(flags);
    eventually("partial files are removed", || {
        left.len() == server.files().len()
    });
    let found = server.files();
    assert!(left == found, "a start changes no file");
    for conversation in &conversations {
        check(conversation, &found, &before, outcomes);
        before.remove(&conversation.name);
    }
    for name in before.keys() {
        assert!(found.get(name) == before.get(name), "{name} was changed");
    }
    for name in found.keys().filter(|name| name.starts_with("new")) {
        std::fs::remove_file(server.root().join(name)).expect("a file");
    }
}

#[test]
fn after_a_kill_every_file_is_the_old_or_the_new_version() {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    let seed = number("LOKET_SEED").unwrap_or(7);
    let kills = number("LOKET_KILLS").unwrap_or(KILLS);
    println!("LOKET_SEED={seed} LOKET_KILLS={kills}");
    let (mut dice, mut outcomes) = (Dice(seed), Outcomes::default());
    let bytes = noise(4_000_000);
    let ways = [
        BOTH_WAYS[0],
        BOTH_WAYS[1],
        &["--no-sync"],
        &["--no-sync", "--plain-bodies"],
    ];
    for flags in ways {
        let mut server = Server::start(flags);
        for slot in 0..4 {
            server.put(format!("old{slot}"), "old");
        }
        for _ in 0..kills.div_ceil(ways.len() as u64) {
            kill_once(&mut server, flags, &mut dice, &bytes, &mut outcomes);
        }
    }
    println!("{outcomes:?}");
}
