//! `loket files COMMAND` against a scripted server.

use crate::fake_server;
use crate::fake_server::{FakeServer, UnusedAddress, names_in, noise, run, start, wait};
use std::env::temp_dir;
use std::fs::{self, File};
use tempfile::tempdir;

/// Runs `loket files` with these arguments against this server.
fn files(server: FakeServer, words: &[&str]) -> fake_server::Ended {
    server.run(&temp_dir(), &[&["files"], words, &["--at"]].concat())
}

#[test]
fn answers_are_printed_without_the_protocol() {
    #[rustfmt::skip] // a table
    let table = [
        (&["ls"][..], "ls\n", "OK 8\na b\nsub/\n", "a b\nsub/\n"),
        (&["ls"], "ls\n", "OK 0\n", ""),
        (&["ls", "sub 1"], "ls \"sub 1\"\n", "OK 1\na", "a\n"),
        (&["size", "a 1"], "size \"a 1\"\n", "OK 12345 0.01 MB\n", "12345 0.01 MB\n"),
        (&["rm", "a"], "rm \"a\"\n", "OK File Berhasil Dihapus\n", "File Berhasil Dihapus\n"),
        // Control characters of the server do not reach the terminal.
        (&["ls"], "ls\n", "OK 15\n\x1b[2Ja\u{9b}b\r\n\t\u{e9}\x07\n", "[2Jab\n\té\n"),
    ];
    for (words, command, answer, printed) in table {
        files(FakeServer::plays(&[(command, answer)]), words).expect(0, printed, "");
    }
}

#[test]
fn a_negative_answer_is_reported_with_what_was_tried() {
    let server = FakeServer::plays(&[("rm \"a\"\n", "ERROR File Tidak Ditemukan\n")]);
    let answer = "the server answered: ERROR File Tidak Ditemukan";
    let wanted = format!("cannot remove a on {}: {answer}\n", server.address);
    files(server, &["rm", "a"]).expect(1, "", &wanted);
    let server = FakeServer::closes_after(&[("rm \"a\"\n", "ERROR \x1b]0;gone\x07\n")]);
    let ended = files(server, &["rm", "a"]);
    ended.expect_failure(1, &["ERROR \\u{1b}]0;gone\\u{7}\n"]);
}

#[test]
fn a_malformed_answer_is_a_failure() {
    for (word, answer) in [
        ("ls", "OK 10\nabc\n"),
        ("ls", "OK\n"),
        ("ls", "OK many\n"),
        ("ls", "a\nb\n"),
        ("size", "0.01 MB\n"),
        ("size", "OK 1 0.00"),
        ("rm", "File Berhasil Dihapus\n"),
        ("rm", ""),
    ] {
        let (line, words) = match word {
            "ls" => ("ls\n".to_owned(), &[word][..]),
            _ => (format!("{word} \"a\"\n"), &[word, "a"][..]),
        };
        let server = FakeServer::closes_after(&[(&line, answer)]);
        files(server, words).expect_failure(1, &["cannot "]);
    }
}

#[test]
fn a_listing_into_a_closed_pipe_ends_without_an_error() {
    let server = FakeServer::once(|peer| {
        peer.expect("ls\n");
        peer.send("OK 2000000\n");
        peer.send("a\n".repeat(500_000));
        // Keeps the connection open until the client has failed to write to the pipe and exited.
        peer.discard_rest();
    });
    let mut child = start(&temp_dir(), &["files", "ls", "--at", &server.address]);
    drop(child.stdout.take());
    wait(child).expect(0, "", "");
    server.finish();
}

#[test]
fn a_download_is_saved_under_the_chosen_name() {
    let folder = tempdir().unwrap();
    fs::create_dir(folder.path().join("sub")).unwrap();
    for (name, output, saved) in [
        ("deep/a b", &[][..], "a b"),
        ("a", &["-o", "c d"], "c d"),
        ("a", &["-o", "sub"], "sub/a"),
    ] {
        let body = noise(300_000);
        let sent = body.clone();
        let server = FakeServer::once(move |peer| {
            peer.expect(format!("download \"{name}\"\n"));
            peer.send("OK 300000\n");
            peer.send(sent);
            peer.expect_end();
        });
        let words = [&["files", "download", name], output, &["--at"]].concat();
        let printed = format!("saved {saved}, 300000 bytes\n");
        server.run(folder.path(), &words).expect(0, &printed, "");
        assert!(fs::read(folder.path().join(saved)).unwrap() == body);
    }
    assert_eq!(names_in(folder.path()), ["a b", "c d", "sub"]);
    assert_eq!(names_in(&folder.path().join("sub")), ["a"]);
}

#[test]
fn a_failed_download_keeps_the_old_file_and_leaves_no_other() {
    let folder = tempdir().unwrap();
    fs::write(folder.path().join("a"), "old").unwrap();
    for (answer, words) in [
        ("OK 10\nabc", "after 3 of 10 bytes"),
        ("ERROR File Tidak Ditemukan\n", "File Tidak Ditemukan"),
        ("File Tidak Ditemukan", "closed the connection"),
        ("OK -1\n", "not a reply of this service"),
    ] {
        let server = FakeServer::closes_after(&[("download \"a\"\n", answer)]);
        let arguments = ["files", "download", "a", "--no-resume", "--at"];
        let ended = server.run(folder.path(), &arguments);
        ended.expect_failure(1, &["cannot download a", words]);
        assert_eq!(names_in(folder.path()), ["a"], "{answer:?}");
        assert_eq!(fs::read(folder.path().join("a")).unwrap(), b"old");
    }
}

#[test]
fn a_download_that_cannot_be_saved_is_not_requested() {
    let folder = tempdir().unwrap();
    let unused = UnusedAddress::new();
    let address = unused.address();
    for (output, words) in [
        ("gone/a", "the folder gone"),
        ("/dev/null", "not a regular file"),
    ] {
        let arguments = ["files", "download", "a", "-o", output, "--at", &address];
        run(folder.path(), &arguments).expect_failure(1, &["cannot save", words]);
    }
    unused.assert_no_connection();
}

#[test]
fn an_upload_announces_its_size_and_waits_for_ok() {
    let folder = tempdir().unwrap();
    let body = noise(700_000);
    fs::write(folder.path().join("a 1"), &body).unwrap();
    for (name, stored) in [(&[][..], "a 1"), (&["--as", "b/c"], "b/c")] {
        let body = body.clone();
        let server = FakeServer::once(move |peer| {
            peer.expect(format!("upload \"{stored}\" 700000\n"));
            peer.send("OK\n");
            peer.expect(&body);
            peer.send("OK File Berhasil Dibuat\n");
            peer.expect_end();
        });
        let words = [&["files", "upload", "a 1"], name, &["--at"]].concat();
        let printed = format!("File Berhasil Dibuat\nsent {stored}, 700000 bytes\n");
        server.run(folder.path(), &words).expect(0, &printed, "");
    }
}

#[test]
fn a_refused_upload_is_reported_with_the_error_line_of_the_server() {
    let folder = tempdir().unwrap();
    let size = 64_u64 << 20;
    let big = File::create(folder.path().join("big")).unwrap();
    big.set_len(size).unwrap();
    for first in ["", "OK\n"] {
        let server = FakeServer::once(move |peer| {
            peer.expect(format!("upload \"big\" {size}\n"));
            peer.send(first);
            if !first.is_empty() {
                peer.expect([0; 1000]);
            }
            peer.send("ERROR too large\n");
        });
        let ended = server.run(folder.path(), &["files", "upload", "big", "--at"]);
        ended.expect_failure(1, &["cannot upload big", "ERROR too large"]);
    }
}
