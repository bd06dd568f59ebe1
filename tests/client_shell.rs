//! Promises of the `loket files` shell in a script, kept against a server that plays a script.
//! Starts no real server, and no terminal.

mod fake_server;

use fake_server::{FakeServer, hear, names_in, run_with, start, wait};
use std::fs;
use std::io::Write;
use tempfile::tempdir;

#[test]
fn the_seven_words_do_what_their_one_shots_do() {
    let folder = tempdir().unwrap();
    fs::write(folder.path().join("my file"), "abc").unwrap();
    let server = FakeServer::new(vec![
        Box::new(|peer| {
            peer.expect("ls\n");
            peer.send("OK 2\na\n");
            peer.expect("size \"a b\"\n");
            peer.send("OK 5 0.00 MB\n");
            peer.expect("upload \"my file\" 3\n");
            peer.send("OK\n");
            peer.expect("abc");
            peer.send("OK File Berhasil Dibuat\n");
            peer.expect("upload \"b\" 3\n");
            peer.send("OK\n");
            peer.expect("abc");
            peer.send("OK File Berhasil Dibuat\n");
            peer.expect_end();
        }),
        Box::new(|peer| {
            peer.expect("download \"a b\"\n");
            peer.send("OK 5\nhello");
            peer.expect("download \"a\"\n");
            peer.send("OK 0\n");
            peer.expect("rm \"a\"\n");
            peer.send("OK File Berhasil Dihapus\n");
            peer.expect("byebye\n");
            peer.send("OK\n");
        }),
    ]);
    let script = b"ls\n\nsize \"a b\"\nupload 'my file'\nupload \"my file\" b\nconnme\n\
        download \"a b\"\ndownload a \"c d\"\nrm a\nbyebye\nrm never\n";
    let ended = run_with(folder.path(), &["files", "--at", &server.address], script);
    ended.expect(
        0,
        "a\n5 0.00 MB\nFile Berhasil Dibuat\nsent my file, 3 bytes\n\
         File Berhasil Dibuat\nsent b, 3 bytes\nKoneksi Ditutup\nKoneksi Baru Tersambung\n\
         saved a b, 5 bytes\nsaved c d, 0 bytes\nFile Berhasil Dihapus\n",
        "",
    );
    assert_eq!(names_in(folder.path()), ["a b", "c d", "my file"]);
    server.finish();
}

#[test]
fn a_failed_command_is_one_line_and_the_next_one_runs() {
    let folder = tempdir().unwrap();
    let server = FakeServer::once(|peer| {
        peer.expect("rm \"gone\"\n");
        peer.send("ERROR File Tidak Ditemukan\n");
        peer.expect("ls\n");
        peer.send("OK 2\na\n");
        peer.expect_end();
    });
    let script = b"rm gone\nupload gone\nrm \"a\nrm a b\ndir\nls\n";
    let ended = run_with(folder.path(), &["files", "--at", &server.address], script);
    let wanted = format!(
        "cannot remove gone on {}: the server answered: ERROR File Tidak Ditemukan\n\
         cannot read gone: No such file or directory; is the name spelt right?\n\
         cannot read the line: the quote \" is never closed; close it\n\
         cannot run rm like this; write: rm NAME (quotes keep blanks together)\n\
         cannot run dir: the words are ls, rm, upload, download, size, byebye, connme and help\n",
        server.address
    );
    ended.expect(1, "a\n", &wanted);
    server.finish();
}

#[test]
fn a_connection_that_broke_is_replaced_for_the_next_command() {
    let folder = tempdir().unwrap();
    fs::write(folder.path().join("a"), "abc").unwrap();
    let server = FakeServer::new(vec![
        Box::new(|peer| {
            peer.expect("upload \"a\" 3\n");
            peer.send("ERROR read-only\n");
            peer.finish_writing();
            peer.expect_end();
        }),
        Box::new(|peer| {
            peer.expect("download \"b\"\n");
            peer.send("OK 10\nabc");
        }),
        Box::new(|peer| {
            peer.expect("ls\n");
            peer.send("OK 2\na\n");
            peer.expect_end();
        }),
    ]);
    let script = b"upload a\ndownload b\nls\n";
    let ended = run_with(folder.path(), &["files", "--at", &server.address], script);
    ended.expect_failure(1, &["ERROR read-only", "after 3 of 10 bytes"]);
    assert_eq!(ended.err.lines().count(), 2, "{}", ended.err);
    assert_eq!(ended.out, "a\n");
    assert_eq!(names_in(folder.path()), ["a"]);
    server.finish();
}

#[test]
fn a_server_that_hung_up_in_between_is_called_again_with_a_notice() {
    let folder = tempdir().unwrap();
    let server = FakeServer::new(vec![
        Box::new(|peer| {
            peer.expect("ls\n");
            peer.send("OK 2\na\n");
        }),
        Box::new(|peer| {
            peer.expect("ls\n");
            peer.send("OK 2\nb\n");
            peer.expect_end();
        }),
    ]);
    let mut child = start(folder.path(), &["files", "--at", &server.address]);
    let mut input = child.stdin.take().unwrap();
    let notice = format!(
        "{} closed the connection; connecting again\n",
        server.address
    );
    input.write_all(b"ls\n").unwrap();
    hear(&mut child, "a\n");
    server.wait_for_a_script();
    input.write_all(b"ls\n").unwrap();
    drop(input);
    wait(child).expect(0, "b\n", &notice);
    server.finish();
}

#[test]
fn the_tail_of_an_overlong_line_is_no_command() {
    let folder = tempdir().unwrap();
    let server = FakeServer::once(|peer| {
        peer.expect("ls\n");
        peer.send("OK 0\n");
        peer.expect_end();
    });
    let script = format!("{}rm a\nls\n", "x ".repeat(4096));
    let arguments = ["files", "--at", &server.address];
    let ended = run_with(folder.path(), &arguments, script.as_bytes());
    ended.expect(
        1,
        "",
        "cannot run a line of more than 8192 bytes; shorten it\n",
    );
    server.finish();
}

#[test]
fn help_names_all_the_words() {
    let folder = tempdir().unwrap();
    let server = FakeServer::once(fake_server::Peer::expect_end);
    let ended = run_with(
        folder.path(),
        &["files", "--at", &server.address],
        b"help\n",
    );
    for word in [
        "ls", "size", "rm", "download", "upload", "connme", "byebye", "help",
    ] {
        assert!(
            ended.out.lines().any(|line| line.starts_with(word)),
            "{word}"
        );
    }
    assert_eq!(ended.status, Some(0), "{}", ended.err);
    server.finish();
}
