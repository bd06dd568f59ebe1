//! A download that is broken off is continued, and never with the bytes of another file.
//! `LOKET_KILLS` sets the number of kills.

use crate::fake_server::{FakeServer, Script, names_in, replies, run, start, wait};
use crate::support::{Server, eventually, noise};
use loket::wire::text::hex;
use sha2::{Digest, Sha256};
use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;

const KILLS: usize = 24;
const SIZE: usize = 2 << 20;
/// More than the server sends before the bytes of a file.
const HEADER: usize = 1 << 10;

/// A service, and the command that gets the file `a` from it; an address follows.
type Getting = (&'static str, &'static [&'static str]);

const GETTINGS: [Getting; 2] = [
    ("files", &["files", "download", "a", "--at"]),
    ("transfer", &["receive", "a", "--from"]),
];

/// Gets `a`, and kills the client after it got about this number of bytes of the server.
fn get_and_kill(server: &Server, (service, command): Getting, folder: &Path, most: usize) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = listener.local_addr().expect("an address").to_string();
    let mut child = start(folder, &[command, &[&at]].concat());
    let (mut client, _) = listener.accept().expect("the client connects");
    let mut upstream = TcpStream::connect(server.address(service)).expect("a server");
    let (mut commands, mut to_server) = (
        client.try_clone().expect("a descriptor"),
        upstream.try_clone().expect("a descriptor"),
    );
    let forward = std::thread::spawn(move || {
        let _ = std::io::copy(&mut commands, &mut to_server);
        let _ = to_server.shutdown(Shutdown::Write);
    });
    let mut buffer = vec![0; 32 * 1024];
    let mut passed = 0;
    while passed < most {
        let count = upstream.read(&mut buffer).expect("the server answers");
        if count == 0 || client.write_all(&buffer[..count]).is_err() {
            break;
        }
        passed += count;
    }
    if passed > HEADER {
        // A client that is killed before it has written anything has nothing to continue.
        eventually("the client has written some bytes", || bytes_in(folder) > 0);
    }
    child.kill().expect("our child");
    wait(child);
    forward.join().expect("it ends with the connection");
}

/// The bytes of all files in a folder.
fn bytes_in(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).expect("a folder");
    let lengths = entries.map(|it| it.and_then(|it| it.metadata()).map_or(0, |it| it.len()));
    lengths.sum()
}

#[test]
fn a_download_that_is_killed_again_and_again_is_the_same_file() {
    let kills = std::env::var("LOKET_KILLS").ok();
    let kills = kills.and_then(|kills| kills.parse().ok()).unwrap_or(KILLS);
    let server = Server::start(&[]);
    let data = noise(SIZE);
    fs::write(server.root().join("a"), &data).expect("room");
    let (mut seed, mut resumed) = (7_u64, [0, 0]);
    for round in 0..kills.div_ceil(4) {
        let (service, command) = GETTINGS[round % 2];
        let folder = tempfile::tempdir().expect("a folder");
        for _ in 0..4 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            // In the first rounds, four parts are less than the file.
            let range = if round < GETTINGS.len() {
                SIZE / 5
            } else {
                SIZE
            };
            let most = (seed >> 33) as usize % range;
            get_and_kill(&server, (service, command), folder.path(), most);
        }
        let at = server.address(service).to_string();
        let ended = run(folder.path(), &[command, &[&at]].concat());
        assert_eq!(ended.status, Some(0), "{}", ended.err);
        resumed[round % 2] += usize::from(ended.err.contains("continued after"));
        assert!(fs::read(folder.path().join("a")).expect("a file") == data);
        assert_eq!(names_in(folder.path()), ["a"]);
    }
    assert!(!resumed.contains(&0), "resumed: {resumed:?}");
}

/// Leaves the hidden file of a download into this folder, with the first half of `data`.
fn broken_off(folder: &Path, data: &[u8]) {
    let half = data[..data.len() / 2].to_vec();
    let head = format!("OK {}\n", data.len());
    let server = FakeServer::once(move |peer| {
        peer.expect("download \"a\"\n");
        peer.send([head.as_bytes(), &half].concat());
    });
    server.run(folder, &["files", "download", "a", "--at"]);
    assert_eq!(names_in(folder).len(), 1);
}

#[test]
fn a_file_that_was_changed_is_downloaded_anew() {
    let server = Server::start(&[]);
    let data = noise(100_000);
    for (change, (service, command)) in [(0, GETTINGS[0]), (0, GETTINGS[1])]
        .into_iter()
        .chain(GETTINGS.map(|getting| (data.len() / 2 - 1, getting)))
    {
        let mut changed = data.clone();
        changed[change] ^= 1;
        let at = server.address(service).to_string();
        for length in [data.len(), 10] {
            let folder = tempfile::tempdir().expect("a folder");
            broken_off(folder.path(), &data);
            fs::write(server.root().join("a"), &changed[..length]).expect("room");
            let ended = run(folder.path(), &[command, &[&at]].concat());
            ended.expect(0, &format!("saved a, {length} bytes\n"), "");
            assert!(fs::read(folder.path().join("a")).expect("a file") == changed[..length]);
        }
    }
}

#[test]
fn a_server_without_the_word_is_asked_for_the_whole_file() {
    let folder = tempfile::tempdir().expect("a folder");
    broken_off(folder.path(), b"0123456789");
    let refusal = "ERROR unknown command sum; the words are ls\n";
    let server = FakeServer::new(vec![
        replies(&[("sum \"a\" 5\n", refusal)], false),
        replies(&[("download \"a\"\n", "OK 3\nnew")], true),
    ]);
    let ended = server.run(folder.path(), &["files", "download", "a", "--at"]);
    ended.expect(0, "saved a, 3 bytes\n", "");
    assert_eq!(names_in(folder.path()), ["a"]);

    let folder = tempfile::tempdir().expect("a folder");
    broken_off(folder.path(), b"0123456789");
    let refusal = "ERROR: unknown command SUM; the words are SEND and RECEIVE\n";
    let server = FakeServer::new(vec![
        replies(&[("SUM\na<SEPARATOR>5\n", refusal)], false),
        replies(&[("RECEIVE\na\n", "OK\na<SEPARATOR>4\nnew2")], true),
    ]);
    let ended = server.run(folder.path(), &["receive", "a", "--from"]);
    ended.expect(0, "saved a, 4 bytes\n", "");
    assert_eq!(names_in(folder.path()), ["a"]);
}

#[test]
fn receive_keeps_what_it_has_unless_the_user_says_no() {
    let data = b"0123456789";
    let [half, whole] =
        [&data[..5], data].map(|bytes| format!("OK\nOK {}\n", hex(&Sha256::digest(bytes))));
    let folder = tempfile::tempdir().expect("a folder");
    let cut = [("RECEIVE\na\n", "OK\na<SEPARATOR>10\n01234")];
    let receive = |server: FakeServer| server.run(folder.path(), &["receive", "a", "--from"]);
    receive(FakeServer::closes_after(&cut)).expect_failure(1, &["after 5 of 10 bytes"]);
    let busy = "OK\nERROR: too much is open at this moment; try again later\n";
    let ended = receive(FakeServer::closes_after(&[("SUM\na<SEPARATOR>5\n", busy)]));
    ended.expect_failure(1, &["too much is open", "--no-resume begins anew"]);
    let ended = receive(FakeServer::plays(&[
        ("SUM\na<SEPARATOR>5\n", &half),
        ("RESUME\na<SEPARATOR>5\n", "OK\na<SEPARATOR>5\n56789"),
        ("SUM\na<SEPARATOR>10\n", &whole),
    ]));
    ended.expect(
        0,
        "saved a, 10 bytes\n",
        "continued after 5 bytes of an earlier download\n",
    );
    assert_eq!(fs::read(folder.path().join("a")).expect("saved"), data);

    let server = FakeServer::closes_after(&cut);
    let ended = server.run(folder.path(), &["receive", "--no-resume", "a", "--from"]);
    ended.expect_failure(1, &["after 5 of 10 bytes"]);
    assert_eq!(names_in(folder.path()), ["a"]);
}

/// Runs a download of `a`, which fails with these words and leaves the hidden file with `kept`.
fn fails_and_keeps(folder: &Path, scripts: Vec<Script>, words: &str, kept: &[u8]) {
    let server = FakeServer::new(scripts);
    let ended = server.run(folder, &["files", "download", "a", "--at"]);
    ended.expect_failure(1, &[words]);
    let names = names_in(folder);
    assert_eq!(names.len(), 1, "{names:?}");
    assert!(names[0].ends_with(".part"), "{names:?}");
    assert_eq!(fs::read(folder.join(&names[0])).expect("kept"), kept);
}

#[test]
fn an_error_of_sum_keeps_what_was_downloaded() {
    let data = b"0123456789";
    let [half, whole] =
        [&data[..5], data].map(|bytes| format!("OK {}\n", hex(&Sha256::digest(bytes))));
    for (answer, words) in [
        (
            "ERROR too much is open at this moment; try again later\n",
            "--no-resume begins anew",
        ),
        ("ERROR File Tidak Ditemukan\n", "File Tidak Ditemukan"),
        ("", "closed the connection"),
        ("hello\n", "is not a reply of this service"),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        broken_off(folder.path(), data);
        let before = replies(&[("sum \"a\" 5\n", answer)], false);
        fails_and_keeps(folder.path(), vec![before], words, &data[..5]);
        let after = replies(
            &[
                ("sum \"a\" 5\n", &half),
                ("download \"a\" 5\n", "OK 5\n56789"),
                ("sum \"a\" 10\n", answer),
            ],
            false,
        );
        fails_and_keeps(folder.path(), vec![after], words, data);
        let server = FakeServer::plays(&[
            ("sum \"a\" 10\n", &whole),
            ("download \"a\" 10\n", "OK 0\n"),
            ("sum \"a\" 10\n", &whole),
        ]);
        let ended = server.run(folder.path(), &["files", "download", "a", "--at"]);
        ended.expect(
            0,
            "saved a, 10 bytes\n",
            "continued after 10 bytes of an earlier download\n",
        );
        assert_eq!(fs::read(folder.path().join("a")).expect("saved"), data);
    }
}

#[test]
fn an_upload_is_verified() {
    let server = Server::start(&[]);
    let folder = tempfile::tempdir().expect("a folder");
    for size in [0, 10, 2_000_000] {
        fs::write(folder.path().join("a"), noise(size)).expect("room");
        let at = server.address("files").to_string();
        let ended = run(
            folder.path(),
            &["files", "upload", "a", "--verify", "--at", &at],
        );
        assert_eq!(ended.status, Some(0), "{}", ended.err);
        assert!(ended.out.contains("verified a, SHA-256 "), "{}", ended.out);
    }
    fs::write(folder.path().join("a"), "abc").expect("room");
    let steps = [
        ("upload \"a\" 3\n", "OK\n"),
        ("abc", "OK File Berhasil Dibuat\n"),
        ("sum \"a\"\n", "OK 00\n"),
    ];
    let ended =
        FakeServer::plays(&steps).run(folder.path(), &["files", "upload", "a", "--verify", "--at"]);
    ended.expect_failure(1, &["the SHA-256 there is 00 instead of ba7816bf"]);
}
