//! The shell of `loket files`, with commands from a pipe, against a scripted server.

use crate::fake_server::{FakeServer, expect_output, names_in, replies, start, wait};
use std::fs;
use std::io::Write;
use tempfile::tempdir;

const SHELL: [&str; 2] = ["files", "--at"];

#[test]
fn the_seven_commands_do_what_their_one_shot_forms_do() {
    let folder = tempdir().unwrap();
    fs::write(folder.path().join("my file"), "abc").unwrap();
    let created = "OK File Berhasil Dibuat\n";
    let server = FakeServer::new(vec![
        replies(
            &[
                ("ls\n", "OK 2\na\n"),
                ("size \"a b\"\n", "OK 5 0.00 MB\n"),
                ("upload \"my file\" 3\n", "OK\n"),
                ("abc", created),
                ("upload \"b\" 3\n", "OK\n"),
                ("abc", created),
            ],
            true,
        ),
        replies(
            &[
                ("download \"a b\"\n", "OK 5\nhello"),
                ("download \"a\"\n", "OK 0\n"),
                ("rm \"a\"\n", "OK File Berhasil Dihapus\n"),
                ("byebye\n", "OK\n"),
            ],
            false,
        ),
    ]);
    let script = b"ls\n\nsize \"a b\"\nupload 'my file'\nupload \"my file\" b\nconnme\n\
        download \"a b\"\ndownload a \"c d\"\nrm a\nbyebye\nrm never\n";
    server.run_with(folder.path(), &SHELL, script).expect(
        0,
        "a\n5 0.00 MB\nFile Berhasil Dibuat\nsent my file, 3 bytes\n\
         File Berhasil Dibuat\nsent b, 3 bytes\nKoneksi Ditutup\nKoneksi Baru Tersambung\n\
         saved a b, 5 bytes\nsaved c d, 0 bytes\nFile Berhasil Dihapus\n",
        "",
    );
    assert_eq!(names_in(folder.path()), ["a b", "c d", "my file"]);
}

#[test]
fn a_failed_command_prints_one_line_and_the_next_one_runs() {
    let folder = tempdir().unwrap();
    let refused = ("rm \"gone\"\n", "ERROR File Tidak Ditemukan\n");
    let server = FakeServer::plays(&[refused, ("ls\n", "OK 2\na\n")]);
    let script = b"rm gone\nupload gone\nrm \"a\nrm a b\ndir\nls\n";
    let wanted = format!(
        "cannot remove gone on {}: the server answered: ERROR File Tidak Ditemukan\n\
         cannot read gone: No such file or directory; is the name spelt right?\n\
         cannot read the line: the quote \" is never closed; close it\n\
         cannot run rm like this; write: rm NAME (quotes keep blanks together)\n\
         cannot run dir: the commands are ls, rm, mv, mkdir, upload, download, size, sum, \
         byebye, connme and help\n",
        server.address
    );
    server
        .run_with(folder.path(), &SHELL, script)
        .expect(1, "a\n", &wanted);
}

#[test]
fn a_broken_connection_is_replaced_for_the_next_command() {
    let folder = tempdir().unwrap();
    fs::write(folder.path().join("a"), "abc").unwrap();
    let server = FakeServer::new(vec![
        Box::new(|peer| {
            peer.expect("upload \"a\" 3\n");
            peer.send("ERROR read-only\n");
            peer.finish_writing();
            peer.expect_end();
        }),
        replies(&[("download \"b\"\n", "OK 10\nabc")], false),
        replies(&[("ls\n", "OK 2\na\n")], true),
    ]);
    let ended = server.run_with(folder.path(), &SHELL, b"upload a\ndownload b\nls\n");
    ended.expect_failure(1, &["ERROR read-only", "after 3 of 10 bytes"]);
    assert_eq!(ended.err.lines().count(), 2, "{}", ended.err);
    assert_eq!(ended.out, "a\n");
    // What came of b is kept for the next download of it.
    let [part, a] = &names_in(folder.path())[..] else {
        panic!("two files")
    };
    assert!(part.ends_with(".part") && a == "a");
}

#[test]
fn a_connection_closed_between_commands_is_replaced_with_a_notice() {
    let folder = tempdir().unwrap();
    let server = FakeServer::new(vec![
        replies(&[("ls\n", "OK 2\na\n")], false),
        replies(&[("ls\n", "OK 2\nb\n")], true),
    ]);
    let mut child = start(folder.path(), &["files", "--at", &server.address]);
    let mut input = child.stdin.take().unwrap();
    let notice = format!(
        "{} closed the connection; connecting again\n",
        server.address
    );
    input.write_all(b"ls\n").unwrap();
    expect_output(&mut child, "a\n");
    server.wait_for_script();
    input.write_all(b"ls\n").unwrap();
    drop(input);
    wait(child).expect(0, "b\n", &notice);
    server.finish();
}

#[test]
fn the_rest_of_an_overlong_line_is_not_run_as_a_command() {
    let folder = tempdir().unwrap();
    let script = format!("{}rm a\nls\n", "x ".repeat(4096));
    let server = FakeServer::plays(&[("ls\n", "OK 0\n")]);
    let ended = server.run_with(folder.path(), &SHELL, script.as_bytes());
    let message = "cannot run a line of more than 8192 bytes; shorten it\n";
    ended.expect(1, "", message);
}

#[test]
fn help_lists_every_command() {
    let folder = tempdir().unwrap();
    let ended = FakeServer::plays(&[]).run_with(folder.path(), &SHELL, b"help\n");
    for word in [
        "ls", "size", "rm", "download", "upload", "connme", "byebye", "help",
    ] {
        let named = ended.out.lines().any(|line| line.starts_with(word));
        assert!(named, "{word}");
    }
    assert_eq!(ended.status, Some(0), "{}", ended.err);
}
