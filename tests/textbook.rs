//! Textbook clients, unchanged, are served: every upload and download is exact, 20 times out of 20.

mod support;

use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};
use support::{BOTH_WAYS, Server, eventually, noise, roomy_folder, skip};

/// How often every client does its work.
const TIMES: usize = 20;

/// No textbook client needs longer, however slow the machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A textbook client breaks when it is kept from the processor for longer than the gap between
/// header and data: what many downloads side by side prove must not hang on 20 ms of a busy
/// machine.
const WIDE_GAP: [&str; 2] = ["--bare-gap", "250"];

/// Files that textbook servers and clients stumble over.
static KINDS: LazyLock<[(&str, Vec<u8>); 7]> = LazyLock::new(|| {
    [
        ("empty.txt", Vec::new()),
        ("three.txt", b"abc".to_vec()),
        ("digits.txt", b"12345 hello".to_vec()),
        ("zeros.txt", b"0000".to_vec()),
        ("middle.bin", noise(200_000)),
        ("big.bin", noise(8 << 20)),
        ("big-digits.txt", only_digits(8 << 20)),
    ]
});

fn only_digits(length: usize) -> Vec<u8> {
    noise(length).iter().map(|byte| b'0' + byte % 10).collect()
}

/// A server, the kinds of files beside its root, and the way to the Python clients.
struct Lesson {
    server: Server,
    local: tempfile::TempDir,
}

/// A running Python client. Dropping it kills the process by its id.
struct Pupil {
    child: Child,
    what: String,
}

impl Lesson {
    fn start(flags: &[&str]) -> Lesson {
        let folder = roomy_folder(1 << 30);
        std::fs::create_dir(folder.path().join("root")).expect("a root");
        let local = roomy_folder(1 << 30);
        for (kind, data) in KINDS.iter() {
            std::fs::write(local.path().join(kind), data).expect("room");
        }
        Lesson {
            server: Server::start_in(folder, flags),
            local,
        }
    }

    /// Starts a client on one kind of file.
    fn pupil(&self, service: &str, script: &[&str], kind: &str, order: &str) -> Pupil {
        let path = self.local.path().join(kind);
        let path = path.to_str().expect("a path");
        let times = TIMES.to_string();
        self.run(service, script, &[kind, path, &times, order])
    }

    /// Starts `script[0] HOST PORT script[1..] arguments`.
    fn run(&self, service: &str, script: &[&str], arguments: &[&str]) -> Pupil {
        let address = self.server.address(service);
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/textbook");
        let child = Command::new("python3")
            .arg("-B") // leaves no __pycache__ in the sources
            .arg(format!("{folder}/{}", script[0]))
            .args([address.ip().to_string(), address.port().to_string()])
            .args(&script[1..])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("python3 starts");
        let what = format!("{script:?} {arguments:?}");
        Pupil { child, what }
    }

    /// Every repetition of every kind stands in the root, byte for byte, and nothing else.
    fn all_are_stored(&self) {
        let root = self.server.root();
        let wanted = KINDS.len() * TIMES;
        // A file is invisible until it is whole, so the number says it all.
        eventually("every upload is stored", || {
            std::fs::read_dir(&root).expect("the root").count() == wanted
        });
        for (kind, data) in KINDS.iter() {
            for number in 0..TIMES {
                let stored = std::fs::read(root.join(format!("{number}-{kind}")));
                let same = stored.expect("stored under its name") == *data;
                assert!(same, "{number}-{kind} differs");
            }
        }
    }

    /// Every kind stands in the root.
    fn offer(&self) {
        for (kind, _) in KINDS.iter() {
            let to = self.server.root().join(kind);
            std::fs::copy(self.local.path().join(kind), to).expect("room");
        }
    }
}

impl Pupil {
    fn status(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("our child") {
                return status;
            }
            assert!(Instant::now() < deadline, "{} never ends", self.what);
            std::thread::park_timeout(Duration::from_millis(2));
        }
    }

    fn passes(mut self) {
        let status = self.status();
        assert!(status.success(), "{} failed: {status}", self.what);
    }
}

impl Drop for Pupil {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether there is a Python to run the clients; without one the test counts as skipped.
fn python(test: &str) -> bool {
    let found = Command::new("python3")
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !found {
        skip(test, "no python3");
    }
    found
}

/// One server for each way in which bodies can move, or none without the clients.
fn lessons(test: &str) -> Vec<Lesson> {
    if !python(test) {
        return Vec::new();
    }
    BOTH_WAYS
        .map(|way| Lesson::start(&[&WIDE_GAP, way].concat()))
        .into()
}

/// One client for each kind, 20 times in turn: kinds and ways side by side.
fn in_turn(lessons: &[Lesson], service: &str, script: &[&str]) {
    let mut pupils = Vec::new();
    for lesson in lessons {
        for (kind, _) in KINDS.iter() {
            pupils.push(lesson.pupil(service, script, kind, "in-turn"));
        }
    }
    pupils.into_iter().for_each(Pupil::passes);
}

/// Twenty clients at once, kind after kind.
fn at_once(lessons: &[Lesson], service: &str, script: &[&str]) {
    for lesson in lessons {
        for (kind, _) in KINDS.iter() {
            lesson.pupil(service, script, kind, "together").passes();
        }
    }
}

/// A service and its textbook client, to upload and to download.
const CLIENTS: [(&str, &[&str], &[&str]); 2] = [
    (
        "transfer",
        &["transfer_upload.py"],
        &["transfer_download.py"],
    ),
    (
        "files",
        &["files_shell.py", "upload"],
        &["files_shell.py", "download"],
    ),
];

#[test]
fn uploads_one_after_another_are_exact() {
    for (service, script, _) in CLIENTS {
        let lessons = lessons("uploads_one_after_another_are_exact");
        in_turn(&lessons, service, script);
        lessons.iter().for_each(Lesson::all_are_stored);
    }
}

#[test]
fn parallel_uploads_are_exact() {
    for (service, script, _) in CLIENTS {
        let lessons = lessons("parallel_uploads_are_exact");
        at_once(&lessons, service, script);
        lessons.iter().for_each(Lesson::all_are_stored);
    }
}

#[test]
fn downloads_are_exact() {
    let lessons = lessons("downloads_are_exact");
    lessons.iter().for_each(Lesson::offer);
    for (service, _, script) in CLIENTS {
        in_turn(&lessons, service, script);
        at_once(&lessons, service, script);
    }
}

#[test]
fn the_default_gap_serves_20_downloads_out_of_20() {
    if !python("the_default_gap_serves_20_downloads_out_of_20") {
        return;
    }
    let lesson = Lesson::start(&[]);
    lesson.offer();
    // On a busy machine a client may sleep through its 20 ms: another series of 20 then counts.
    let served = (0..5).any(|_| {
        let script = ["transfer_download.py"];
        let mut pupil = lesson.pupil("transfer", &script, "digits.txt", "in-turn");
        pupil.status().success()
    });
    assert!(served, "no series of 20 downloads went well");
}

#[test]
fn every_command_of_the_textbook_shell_is_answered() {
    for lesson in lessons("every_command_of_the_textbook_shell_is_answered") {
        let root = lesson.server.root();
        std::fs::write(root.join("a.txt"), "abc").expect("room");
        std::fs::write(root.join("two.bin"), vec![0; 2 << 20]).expect("room");
        lesson
            .run("files", &["files_shell.py", "session"], &[])
            .passes();
        let stored = std::fs::read(root.join("new.txt")).expect("stored");
        assert_eq!(stored, b"fresh");
    }
}

#[test]
fn textbook_echo_clients_get_their_bytes_back() {
    for lesson in lessons("textbook_echo_clients_get_their_bytes_back") {
        let times = TIMES.to_string();
        for order in ["in-turn", "together"] {
            lesson
                .run("echo", &["echo.py"], &["hello", &times, order])
                .passes();
        }
    }
}
