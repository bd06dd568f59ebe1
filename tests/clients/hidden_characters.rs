//! Hidden characters reach no screen, make no second name, and start no log line.
//! Which characters are hidden is tested in `wire/text.rs`.

use crate::fake_server::{FakeServer, run, run_with};
use crate::support::guest::Guest;
use crate::support::{Prepared, ROOM_PASSWORD, Server, eventually};
use std::fs::File;
use std::process::{Command, Stdio};

/// One of each kind: bidirectional marks, zero width, fillers, a selector, a tag.
const HIDDEN: &str =
    "\u{200e}\u{61c}\u{200b}\u{200d}\u{ad}\u{3164}\u{115f}\u{2800}\u{fe0f}\u{e0041}";

#[test]
fn names_that_look_the_same_are_one_name_in_the_room() {
    let server = Server::start(&[]);
    let amy = Guest::member(&server, "Am\u{e9}lie");
    for hidden in HIDDEN.chars() {
        let guest = Guest::of(&server);
        guest.give_password();
        for name in [
            format!("am{hidden}e\u{301}LIE"),
            hidden.to_string().repeat(2),
        ] {
            guest
                .send(format!("USERNAME {name}"))
                .expect("USERNAME TAKEN");
        }
    }
    drop(amy);
}

#[test]
fn a_name_is_used_without_its_hidden_characters() {
    let server = Server::start(&[]);
    let guest = Guest::of(&server);
    let name = format!("b{HIDDEN}udi");
    guest.give_password();
    guest.send(format!("USERNAME {name}")).expect("USERNAME OK");
    guest.expect("budi bergabung ke chatroom.");
    guest.send(format!("{name}: hi")).expect("budi: hi");
    guest.send(format!("USERNAME {name}")).expect("USERNAME OK");
}

#[test]
fn the_room_client_removes_hidden_characters_from_its_name() {
    let server = Server::start(&[]);
    let at = server.address("room").to_string();
    let name = format!("b{HIDDEN}udi");
    let login = ["--name", &name, "--password", ROOM_PASSWORD];
    let arguments = [&["room", "--at", &at][..], &login].concat();
    let folder = tempfile::tempdir().expect("a folder");
    let ended = run_with(
        folder.path(),
        &arguments,
        format!("a{HIDDEN}b\n").as_bytes(),
    );
    ended.expect(0, "budi bergabung ke chatroom.\nbudi: ab\n", "");
}

#[test]
fn hidden_characters_reach_neither_members_nor_the_operator() {
    let mut server = Server::start(&[]);
    let guest = Guest::member(&server, "budi");
    let message = format!("a{HIDDEN}\u{202e}\u{9b}b");
    guest.send(&message).expect("budi: ab");
    assert_eq!(server.shown_until("budi: "), "budi: ab");
    server.connect("talk").send(format!("{message}\n"));
    assert_eq!(server.shown_until("Client 1: "), "Client 1: ab");
}

#[test]
fn the_name_of_a_folder_cannot_start_a_log_line() {
    let mut prepared = Prepared::new();
    let name = format!("r\nWARN forged\r\u{9b}{HIDDEN}");
    let root = prepared.folder().join(name);
    let log = File::create(prepared.folder().join("log")).expect("a log file");
    prepared.command = Command::new(env!("CARGO_BIN_EXE_loket"));
    prepared
        .command
        .args([
            "serve",
            "--echo",
            "0",
            "--transfer",
            "off",
            "--files",
            "off",
        ])
        .args(["--talk", "off", "--http", "off", "--room", "off", "--root"])
        .arg(&root)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log);
    let server = prepared.launch();
    // The log is written once a round, and a client causes one.
    server.connect("echo").send("a").expect("a");
    let shown = "/r\\nWARN forged\\r\\u{9b}\\u{200e}\\u{61c}\\u{200b}";
    eventually("it is logged", || server.log().contains(shown));
    let log = server.log();
    let raw = |letter: char| "\r\u{9b}".contains(letter) || HIDDEN.contains(letter);
    assert!(!log.contains(raw) && !log.contains("\nWARN"), "{log:?}");
}

#[test]
fn answers_of_a_server_and_file_names_cannot_control_the_terminal() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = FakeServer::new(vec![
        Box::new(|peer| {
            peer.expect("ls\n");
            let names = format!("a{HIDDEN}b\n");
            peer.send(format!("OK {}\n{names}", names.len()));
        }),
        Box::new(|peer| {
            peer.expect("rm \"a\"\n");
            peer.send("ERROR no\rOK \u{202e}ko\n");
        }),
    ]);
    let at = server.address.clone();
    run(folder.path(), &["files", "ls", "--at", &at]).expect(0, "ab\n", "");
    let words =
        format!("cannot remove a on {at}: the server answered: ERROR no\\rOK \\u{{202e}}ko\n");
    run(folder.path(), &["files", "rm", "a", "--at", &at]).expect(1, "", &words);
    server.finish();
    let ended = run(
        folder.path(),
        &["send", "x\nsent x, 5 bytes\u{202e}", "--to", "127.0.0.1:1"],
    );
    assert_eq!(ended.err.lines().count(), 1, "{ended:?}");
    ended.expect_failure(1, &["cannot read x\\nsent x, 5 bytes\\u{202e}: "]);
}

#[test]
fn lines_of_the_operator_cannot_control_the_terminal_of_a_talk_client() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = FakeServer::once(|peer| peer.send(format!("a{HIDDEN}b\n")));
    let ended = run(folder.path(), &["talk", "--at", &server.address]);
    assert_eq!(ended.out, "ab\n", "{ended:?}");
    server.finish();
}
