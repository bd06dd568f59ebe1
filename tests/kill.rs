//! A server that is killed at any moment of any upload leaves the old file or the new one, whole.
//! Cuts no power: what the disk itself forgets is beyond a test (see the order in `upload.rs`).
//!
//! `LOKET_KILLS` sets how often, `LOKET_SEED` where; `scripts/soak kills` sets both.

mod support;

use std::collections::BTreeMap;
use std::io::Read;
use std::time::{Duration, Instant};
use support::file_service::{FILE_SERVICES, FileService};
use support::{BOTH_WAYS, Client, Server, noise};

const KILLS: u64 = 20;

/// Random numbers that a failure can be repeated with.
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

/// One connection that stores one name again and again, each time with other bytes.
struct Conversation {
    client: Client,
    name: String,
    versions: Vec<Vec<u8>>,
    words: Vec<u8>,
    said: usize,
    heard: Vec<u8>,
}

impl Conversation {
    fn begin(
        server: &Server,
        service: FileService,
        name: String,
        versions: Vec<Vec<u8>>,
    ) -> Conversation {
        let mut words = Vec::new();
        for body in &versions {
            words.extend(service.upload(&name, body));
        }
        Conversation {
            client: server.connect(service.name()),
            name,
            versions,
            words,
            said: 0,
            heard: Vec::new(),
        }
    }

    fn say(&mut self, most: usize) -> usize {
        let piece = &self.words[self.said..];
        let piece = &piece[..piece.len().min(most)];
        self.client.send(piece);
        self.said += piece.len();
        piece.len()
    }

    /// Hears what comes until something does, or the end.
    fn hear(&mut self) -> bool {
        let mut bytes = [0; 4096];
        match self.client.0.read(&mut bytes) {
            Ok(0) | Err(_) => false,
            Ok(count) => {
                self.heard.extend_from_slice(&bytes[..count]);
                true
            }
        }
    }

    /// How many versions the server has promised to keep: every second line says so.
    fn promised(&self) -> usize {
        let heard = String::from_utf8_lossy(&self.heard);
        assert!(!heard.contains("ERROR"), "{heard}");
        heard.matches('\n').count() / 2
    }

    fn is_over(&self) -> bool {
        self.promised() == self.versions.len()
    }
}

/// When the server is killed.
enum Moment {
    /// So many bytes have been sent, of all conversations together.
    Said(usize),
    /// All has been sent, and so many answers have come.
    Answered(usize),
    /// So long after all has been sent.
    After(Duration),
}

impl Moment {
    fn draw(dice: &mut Dice, total: usize, versions: usize) -> Moment {
        match dice.below(4) {
            0 => Moment::Said(dice.below(total as u64 + 1) as usize),
            1 => Moment::Answered(dice.below(versions as u64 + 1) as usize),
            _ => Moment::After(Duration::from_micros(dice.below(3_000))),
        }
    }

    /// Sends and hears until the moment has come.
    fn reach(&self, conversations: &mut [Conversation], dice: &mut Dice) {
        let mut left = match self {
            Moment::Said(bytes) => *bytes,
            _ => usize::MAX,
        };
        while left > 0 {
            let mut said = 0;
            for conversation in &mut *conversations {
                let most = 1 + dice.below(64 << 10) as usize;
                let count = conversation.say(most.min(left));
                said += count;
                left -= count;
            }
            if said == 0 {
                break;
            }
        }
        match self {
            Moment::Said(_) => {}
            Moment::Answered(wanted) => {
                for conversation in &mut *conversations {
                    let before = |conversation: &Conversation| conversation.promised() < *wanted;
                    while before(conversation) && !conversation.is_over() && conversation.hear() {}
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

/// One to three versions of up to 300 KB, now and then of 3 MB.
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

/// How the kills met the uploads: a show that meets only one kind shows little.
#[derive(Debug, Default)]
struct Met {
    promised: usize,
    new_without_a_promise: usize,
    old: usize,
    hidden_names_swept: usize,
}

/// A name is as it was, or as it was to be, and that if it was promised.
fn judge(conversation: &Conversation, found: &Files, before: &Files, met: &mut Met) {
    let name = &conversation.name;
    let kept = conversation.promised();
    let found = found.get(name);
    let new = &conversation.versions[kept.saturating_sub(1)..];
    let is_new = found.is_some_and(|found| new.contains(found));
    let is_old = kept == 0 && found == before.get(name);
    let length = found.map(Vec::len);
    assert!(is_new || is_old, "{name}: {length:?} bytes, {kept} kept");
    match (kept, is_new) {
        (1.., _) => met.promised += 1,
        (0, true) => met.new_without_a_promise += 1,
        (0, false) => met.old += 1,
    }
}

fn kill_once(server: &mut Server, flags: &[&str], dice: &mut Dice, bytes: &[u8], met: &mut Met) {
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
    let total = conversations.iter().map(|one| one.words.len()).sum();
    let moment = Moment::draw(dice, total, 2);
    moment.reach(&mut conversations, dice);
    server.kill();
    for conversation in &mut conversations {
        // What had left the server before it died still arrives.
        while conversation.hear() {}
    }
    let mut left = server.files();
    let all = left.len();
    left.retain(|name, _| !name.starts_with(".loket-"));
    met.hidden_names_swept += all - left.len();
    server.start_again(flags);
    let found = server.files();
    assert_eq!(left.len(), found.len(), "debris: {:?}", found.keys());
    assert!(left == found, "a start changes no file");
    for conversation in &conversations {
        judge(conversation, &found, &before, met);
        before.remove(&conversation.name);
    }
    for name in before.keys() {
        assert!(found.get(name) == before.get(name), "{name} is not theirs");
    }
    for name in found.keys().filter(|name| name.starts_with("new")) {
        std::fs::remove_file(server.root().join(name)).expect("a file");
    }
}

#[test]
fn after_a_kill_every_file_is_the_old_or_the_new_one() {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    let seed = number("LOKET_SEED").unwrap_or(7);
    let kills = number("LOKET_KILLS").unwrap_or(KILLS);
    println!("LOKET_SEED={seed} LOKET_KILLS={kills}");
    let (mut dice, mut met) = (Dice(seed), Met::default());
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
            kill_once(&mut server, flags, &mut dice, &bytes, &mut met);
        }
    }
    println!("{met:?}");
}
