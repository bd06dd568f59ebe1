//! Unchanged textbook clients are served: each upload and download is exact, 20 times out of 20.

use crate::support::python::{interpreter, python};
use crate::support::{BOTH_WAYS, Server, eventually, noise, roomy_folder};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// The number of repetitions of each client.
const TIMES: usize = 20;

/// Longer than any textbook client needs on a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A textbook client fails if it is not scheduled between header and data for longer than this gap.
/// The default of 20 ms is too short for many parallel downloads on a busy machine.
const WIDE_GAP: [&str; 2] = ["--bare-gap", "250"];

/// Files that are difficult for textbook servers and clients.
static KINDS: LazyLock<[(&str, Vec<u8>); 7]> = LazyLock::new(|| {
    [
        ("empty.txt", Vec::new()),
        ("three.txt", b"abc".to_vec()),
        ("digits.txt", b"12345 hello".to_vec()),
        ("zeros.txt", b"0000".to_vec()),
        ("middle.bin", noise(200_000)),
        ("big.bin", noise(3 << 20)),
        ("big-digits.txt", only_digits(3 << 20)),
    ]
});

fn only_digits(length: usize) -> Vec<u8> {
    noise(length).iter().map(|byte| b'0' + byte % 10).collect()
}

/// A server, and local copies of all test files.
struct TextbookServer {
    loket: Server,
    local: tempfile::TempDir,
}

/// A running Python client. Dropping it kills the process by its id.
struct CourseClient {
    child: Child,
    what: String,
}

impl TextbookServer {
    fn start(flags: &[&str]) -> TextbookServer {
        let folder = roomy_folder(1 << 30);
        std::fs::create_dir(folder.path().join("root")).expect("a root");
        let local = roomy_folder(1 << 30);
        for (kind, data) in KINDS.iter() {
            std::fs::write(local.path().join(kind), data).expect("room");
        }
        TextbookServer {
            loket: Server::start_in(folder, flags),
            local,
        }
    }

    /// Starts a client for one test file.
    fn client(&self, service: &str, script: &[&str], kind: &str, order: &str) -> CourseClient {
        let path = self.local.path().join(kind);
        let path = path.to_str().expect("a path");
        let times = TIMES.to_string();
        self.run(service, script, &[kind, path, &times, order])
    }

    /// Starts `script[0] HOST PORT script[1..] arguments`.
    fn run(&self, service: &str, script: &[&str], arguments: &[&str]) -> CourseClient {
        let address = self.loket.address(service);
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/textbook");
        let child = Command::new(interpreter())
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
        CourseClient { child, what }
    }

    /// Waits until the root contains exactly the uploads of all repetitions, byte for byte.
    fn expect_all_stored(&self) {
        let root = self.loket.root();
        let wanted = KINDS.len() * TIMES;
        // A file is visible only when it is complete, so counting is enough.
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

    /// Copies all test files into the root.
    fn add_files(&self) {
        for (kind, _) in KINDS.iter() {
            let to = self.loket.root().join(kind);
            std::fs::copy(self.local.path().join(kind), to).expect("room");
        }
    }
}

impl CourseClient {
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

impl Drop for CourseClient {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One server for each way to move file contents, or none without Python.
fn servers(test: &str) -> Vec<TextbookServer> {
    if !python(test) {
        return Vec::new();
    }
    BOTH_WAYS
        .map(|way| TextbookServer::start(&[&WIDE_GAP, way].concat()))
        .into()
}

/// Runs one client for each file and server in parallel; each repeats 20 times.
fn one_after_another(servers: &[TextbookServer], service: &str, script: &[&str]) {
    let mut clients = Vec::new();
    for server in servers {
        for (kind, _) in KINDS.iter() {
            clients.push(server.client(service, script, kind, "in-turn"));
        }
    }
    clients.into_iter().for_each(CourseClient::passes);
}

/// Runs 20 connections in parallel for one file after another.
fn in_parallel(servers: &[TextbookServer], service: &str, script: &[&str]) {
    for server in servers {
        for (kind, _) in KINDS.iter() {
            server.client(service, script, kind, "together").passes();
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
        let servers = servers("uploads_one_after_another_are_exact");
        one_after_another(&servers, service, script);
        servers.iter().for_each(TextbookServer::expect_all_stored);
    }
}

#[test]
fn parallel_uploads_are_exact() {
    for (service, script, _) in CLIENTS {
        let servers = servers("parallel_uploads_are_exact");
        in_parallel(&servers, service, script);
        servers.iter().for_each(TextbookServer::expect_all_stored);
    }
}

#[test]
fn downloads_are_exact() {
    let servers = servers("downloads_are_exact");
    servers.iter().for_each(TextbookServer::add_files);
    for (service, _, script) in CLIENTS {
        one_after_another(&servers, service, script);
        in_parallel(&servers, service, script);
    }
}

#[test]
fn the_default_gap_serves_20_downloads_out_of_20() {
    if !python("the_default_gap_serves_20_downloads_out_of_20") {
        return;
    }
    let server = TextbookServer::start(&[]);
    server.add_files();
    // On a busy machine a client may miss its 20 ms: then another series of 20 is tried.
    let served = (0..5).any(|_| {
        let script = ["transfer_download.py"];
        let mut client = server.client("transfer", &script, "digits.txt", "in-turn");
        client.status().success()
    });
    assert!(served, "no series of 20 downloads succeeded");
}

#[test]
fn every_command_of_the_textbook_shell_is_answered() {
    for server in servers("every_command_of_the_textbook_shell_is_answered") {
        let root = server.loket.root();
        std::fs::write(root.join("a.txt"), "abc").expect("room");
        std::fs::write(root.join("two.bin"), vec![0; 2 << 20]).expect("room");
        server
            .run("files", &["files_shell.py", "session"], &[])
            .passes();
        let stored = std::fs::read(root.join("new.txt")).expect("stored");
        assert_eq!(stored, b"fresh");
    }
}

#[test]
fn textbook_echo_clients_get_their_bytes_back() {
    for server in servers("textbook_echo_clients_get_their_bytes_back") {
        let times = TIMES.to_string();
        for order in ["in-turn", "together"] {
            server
                .run("echo", &["echo.py"], &["hello", &times, order])
                .passes();
        }
    }
}
