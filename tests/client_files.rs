//! Promises of `loket files` with a command, kept against a server that plays a script.
//! Starts no real server.

mod fake_server;

use fake_server::{FakeServer, Nobody, names_in, noise, run, start, wait};
use std::fs::{self, File};
use tempfile::tempdir;

#[test]
fn answers_are_printed_without_the_protocol_around_them() {
    for (arguments, command, answer, printed) in [
        (&["ls"][..], "ls\n", "OK 8\na b\nsub/\n", "a b\nsub/\n"),
        (&["ls"], "ls\n", "OK 0\n", ""),
        (&["ls", "sub 1"], "ls \"sub 1\"\n", "OK 1\na", "a\n"),
        (
            &["size", "a 1"],
            "size \"a 1\"\n",
            "OK 12345 0.01 MB\n",
            "12345 0.01 MB\n",
        ),
        (
            &["rm", "a"],
            "rm \"a\"\n",
            "OK File Berhasil Dihapus\n",
            "File Berhasil Dihapus\n",
        ),
    ] {
        let server = FakeServer::once(move |peer| {
            peer.expect(command);
            peer.send(answer);
            peer.expect_end();
        });
        let arguments = [&["files", "--at", &server.address], arguments].concat();
        run(&std::env::temp_dir(), &arguments).expect(0, printed, "");
        server.finish();
    }
}

#[test]
fn nothing_from_a_server_can_steer_the_terminal() {
    let server = FakeServer::once(|peer| {
        peer.expect("ls\n");
        peer.send("OK 15\n\x1b[2Ja\u{9b}b\r\n\t\u{e9}\x07\n");
        peer.expect_end();
    });
    let ended = run(
        &std::env::temp_dir(),
        &["files", "ls", "--at", &server.address],
    );
    ended.expect(0, "[2Jab\n\té\n", "");
    server.finish();

    let server = FakeServer::once(|peer| {
        peer.expect("rm \"a\"\n");
        peer.send("ERROR \x1b]0;gone\x07\n");
    });
    let ended = run(
        &std::env::temp_dir(),
        &["files", "rm", "a", "--at", &server.address],
    );
    ended.expect_failure(1, &["ERROR \\u{1b}]0;gone\\u{7}\n"]);
    server.finish();
}

#[test]
fn a_no_is_told_with_what_was_tried() {
    let server = FakeServer::once(|peer| {
        peer.expect("rm \"a\"\n");
        peer.send("ERROR File Tidak Ditemukan\n");
        peer.expect_end();
    });
    let ended = run(
        &std::env::temp_dir(),
        &["files", "rm", "a", "--at", &server.address],
    );
    let wanted = format!(
        "cannot remove a on {}: the server answered: ERROR File Tidak Ditemukan\n",
        server.address
    );
    ended.expect(1, "", &wanted);
    server.finish();
}

#[test]
fn what_is_no_answer_is_never_taken_for_one() {
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
        let server = FakeServer::once(move |peer| {
            peer.expect(match word {
                "ls" => "ls\n".to_owned(),
                _ => format!("{word} \"a\"\n"),
            });
            peer.send(answer);
        });
        let mut arguments = vec!["files", "--at", &server.address, word];
        if word != "ls" {
            arguments.push("a");
        }
        let ended = run(&std::env::temp_dir(), &arguments);
        ended.expect_failure(1, &["cannot "]);
        server.finish();
    }
}

#[test]
fn a_listing_into_a_closed_pipe_ends_quietly() {
    let server = FakeServer::once(|peer| {
        peer.expect("ls\n");
        peer.send("OK 2000000\n");
        peer.send("a\n".repeat(500_000));
        // Held until the client has met the closed pipe and left.
        peer.read_away();
    });
    let mut child = start(
        &std::env::temp_dir(),
        &["files", "ls", "--at", &server.address],
    );
    drop(child.stdout.take());
    wait(child).expect(0, "", "");
    server.finish();
}

#[test]
fn a_download_goes_where_it_is_told_to() {
    let folder = tempdir().unwrap();
    fs::create_dir(folder.path().join("sub")).unwrap();
    for (name, output, saved) in [
        ("deep/a b", None, "a b"),
        ("a", Some("c d"), "c d"),
        ("a", Some("sub"), "sub/a"),
    ] {
        let body = noise(300_000);
        let sent = body.clone();
        let server = FakeServer::once(move |peer| {
            peer.expect(format!("download \"{name}\"\n"));
            peer.send("OK 300000\n");
            peer.send(sent);
            peer.expect_end();
        });
        let mut arguments = vec!["files", "download", name, "--at", &server.address];
        arguments.extend(output.iter().flat_map(|path| ["-o", path]));
        let printed = format!("saved {saved}, 300000 bytes\n");
        run(folder.path(), &arguments).expect(0, &printed, "");
        assert!(fs::read(folder.path().join(saved)).unwrap() == body);
        server.finish();
    }
    assert_eq!(names_in(folder.path()), ["a b", "c d", "sub"]);
    assert_eq!(names_in(&folder.path().join("sub")), ["a"]);
}

#[test]
fn a_broken_download_leaves_the_old_file_and_nothing_beside_it() {
    let folder = tempdir().unwrap();
    fs::write(folder.path().join("a"), "old").unwrap();
    for (answer, words) in [
        ("OK 10\nabc", "after 3 of 10 bytes"),
        ("ERROR File Tidak Ditemukan\n", "File Tidak Ditemukan"),
        ("File Tidak Ditemukan", "closed the connection"),
        ("OK -1\n", "no reply of this service"),
    ] {
        let server = FakeServer::once(move |peer| {
            peer.expect("download \"a\"\n");
            peer.send(answer);
        });
        let ended = run(
            folder.path(),
            &["files", "download", "a", "--at", &server.address],
        );
        ended.expect_failure(1, &["cannot download a", words]);
        assert_eq!(names_in(folder.path()), ["a"], "{answer:?}");
        assert_eq!(fs::read(folder.path().join("a")).unwrap(), b"old");
        server.finish();
    }
}

#[test]
fn a_download_that_has_no_place_is_not_asked_for() {
    let folder = tempdir().unwrap();
    let nobody = Nobody::new();
    let address = nobody.address();
    for (output, words) in [
        ("gone/a", "the folder gone"),
        ("/dev/null", "no regular file"),
    ] {
        let arguments = ["files", "download", "a", "-o", output, "--at", &address];
        run(folder.path(), &arguments).expect_failure(1, &["cannot save", words]);
    }
    nobody.was_not_called();
}

#[test]
fn an_upload_announces_its_size_and_waits_to_be_let_in() {
    let folder = tempdir().unwrap();
    let body = noise(700_000);
    fs::write(folder.path().join("a 1"), &body).unwrap();
    for (name, stored) in [(None, "a 1"), (Some("b/c"), "b/c")] {
        let body = body.clone();
        let server = FakeServer::once(move |peer| {
            peer.expect(format!("upload \"{stored}\" 700000\n"));
            peer.send("OK\n");
            peer.expect(&body);
            peer.send("OK File Berhasil Dibuat\n");
            peer.expect_end();
        });
        let mut arguments = vec!["files", "upload", "a 1", "--at", &server.address];
        arguments.extend(name.iter().flat_map(|name| ["--as", name]));
        let printed = format!("File Berhasil Dibuat\nsent {stored}, 700000 bytes\n");
        run(folder.path(), &arguments).expect(0, &printed, "");
        server.finish();
    }
}

#[test]
fn a_refused_upload_is_told_in_the_servers_words_before_and_under_way() {
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
        let ended = run(
            folder.path(),
            &["files", "upload", "big", "--at", &server.address],
        );
        ended.expect_failure(1, &["cannot upload big", "ERROR too large"]);
        server.finish();
    }
}
