//! `loket send` and `loket receive` against a scripted server.

use crate::fake_server::{FakeServer, UnusedAddress, names_in, noise, replies, run};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tempfile::tempdir;

/// More than both socket buffers hold, so that the writer has not finished when the reader answers.
const MORE_THAN_BUFFERS: u64 = 64 << 20;

fn sparse(path: &Path) {
    File::create(path)
        .unwrap()
        .set_len(MORE_THAN_BUFFERS)
        .unwrap();
}

#[test]
fn files_are_sent_byte_for_byte_over_one_connection() {
    let folder = tempdir().unwrap();
    let body = noise(700_000);
    fs::write(folder.path().join("a b.bin"), &body).unwrap();
    fs::write(folder.path().join("empty"), "").unwrap();
    let server = FakeServer::once(move |peer| {
        peer.expect("SEND\na b.bin\na b.bin<SEPARATOR>700000\n");
        peer.send("OK\n");
        peer.expect(&body);
        peer.send("OK 700000\n");
        peer.expect("SEND\nempty\nempty<SEPARATOR>0\n");
        peer.send("OK\nOK 0\n");
        peer.expect_end();
    });
    let ended = server.run(folder.path(), &["send", "a b.bin", "empty", "--to"]);
    ended.expect(0, "sent a b.bin, 700000 bytes\nsent empty, 0 bytes\n", "");
}

#[test]
fn a_single_file_can_be_stored_under_another_name() {
    let folder = tempdir().unwrap();
    fs::write(folder.path().join("a"), "abc").unwrap();
    let server =
        FakeServer::closes_after(&[("SEND\nb c\nb c<SEPARATOR>3\n", "OK\n"), ("abc", "OK 3\n")]);
    server
        .run(folder.path(), &["send", "a", "--as", "b c", "--to"])
        .expect(0, "sent b c, 3 bytes\n", "");

    let unused = UnusedAddress::new();
    let arguments = ["send", "a", "a", "--as", "b", "--to", &unused.address()];
    run(folder.path(), &arguments).expect_failure(2, &["--as b", "one at a time"]);
    unused.assert_no_connection();
}

#[test]
fn a_file_that_cannot_be_sent_does_not_stop_the_rest() {
    let folder = tempdir().unwrap();
    fs::create_dir(folder.path().join("photos")).unwrap();
    fs::write(folder.path().join("a"), "abc").unwrap();
    let server = FakeServer::plays(&[("SEND\na\na<SEPARATOR>3\n", "OK\n"), ("abc", "OK 3\n")]);
    let ended = server.run(folder.path(), &["send", "photos", "gone", "a", "--to"]);
    ended.expect(
        1,
        "sent a, 3 bytes\n",
        "cannot read photos: it is a folder; name the files in it, for example with FOLDER/*\n\
         cannot read gone: No such file or directory; is the name spelt right?\n\
         2 of 3 files were not sent\n",
    );
}

#[test]
fn a_fifo_is_refused_without_waiting_for_a_writer() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &path,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    let unused = UnusedAddress::new();
    let ended = run(folder.path(), &["send", "pipe", "--to", &unused.address()]);
    ended.expect_failure(1, &["cannot read pipe", "not a regular file"]);
    unused.assert_no_connection();
}

#[test]
fn a_refused_file_is_reported_and_the_next_one_uses_a_new_connection() {
    let folder = tempdir().unwrap();
    fs::write(folder.path().join("a"), "abc").unwrap();
    fs::write(folder.path().join("b"), "de").unwrap();
    let server = FakeServer::new(vec![
        Box::new(|peer| {
            peer.expect("SEND\na\na<SEPARATOR>3\n");
            peer.send("ERROR a is in the way\n");
            peer.finish_writing();
            peer.discard_rest();
        }),
        replies(
            &[("SEND\nb\nb<SEPARATOR>2\n", "OK\n"), ("de", "OK 2\n")],
            true,
        ),
    ]);
    let wanted = format!(
        "cannot send a to {}: the server answered: ERROR a is in the way\n\
         1 of 2 files were not sent\n",
        server.address
    );
    let ended = server.run(folder.path(), &["send", "a", "b", "--to"]);
    ended.expect(1, "sent b, 2 bytes\n", &wanted);
}

#[test]
fn an_error_line_is_received_while_the_body_is_being_sent() {
    let folder = tempdir().unwrap();
    sparse(&folder.path().join("big"));
    let server = FakeServer::once(|peer| {
        peer.expect(format!("SEND\nbig\nbig<SEPARATOR>{MORE_THAN_BUFFERS}\n"));
        peer.send("OK\n");
        peer.expect([0; 1000]);
        peer.send("ERROR the disk is full\n");
        // Closed with unread bytes: the next write of the client fails with ECONNRESET.
    });
    let ended = server.run(folder.path(), &["send", "big", "--to"]);
    ended.expect_failure(1, &["cannot send big", "ERROR the disk is full"]);
}

#[test]
fn an_answer_with_another_size_is_a_failure() {
    let folder = tempdir().unwrap();
    fs::write(folder.path().join("a"), "abc").unwrap();
    for answer in ["OK 2\n", "OK\n", "OK 3 bytes\n", "fine\n", "OK 3"] {
        let server =
            FakeServer::closes_after(&[("SEND\na\na<SEPARATOR>3\n", "OK\n"), ("abc", answer)]);
        let ended = server.run(folder.path(), &["send", "a", "--to"]);
        ended.expect_failure(1, &["cannot send a"]);
        assert_eq!(ended.out, "", "{answer}");
    }
}

#[test]
fn a_file_that_shrinks_while_it_is_sent_fails_and_one_that_grows_is_cut() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("big");
    sparse(&path);
    let server = FakeServer::once({
        let path = path.clone();
        move |peer| {
            peer.expect(format!("SEND\nbig\nbig<SEPARATOR>{MORE_THAN_BUFFERS}\n"));
            File::options()
                .write(true)
                .open(path)
                .unwrap()
                .set_len(10)
                .unwrap();
            peer.send("OK\n");
            assert_eq!(peer.discard_rest(), 10);
        }
    });
    let ended = server.run(folder.path(), &["send", "big", "--to"]);
    ended.expect_failure(1, &["cannot send big", "shrank", "to 10 bytes"]);

    fs::write(&path, "abc").unwrap();
    let server = FakeServer::once(move |peer| {
        peer.expect("SEND\nbig\nbig<SEPARATOR>3\n");
        let mut file = OpenOptions::new().append(true).open(path).unwrap();
        file.write_all(b"def").unwrap();
        peer.send("OK\n");
        peer.expect("abc");
        peer.send("OK 3\n");
        peer.expect_end();
    });
    let ended = server.run(folder.path(), &["send", "big", "--to"]);
    let message = "big grew while it was being sent; the server has its first 3 bytes\n";
    ended.expect(0, "sent big, 3 bytes\n", message);
}

#[test]
fn a_proc_file_that_reports_size_zero_is_sent_whole() {
    let body = fs::read("/proc/version").unwrap();
    let folder = tempdir().unwrap();
    let size = body.len();
    let server = FakeServer::once(move |peer| {
        peer.expect(format!("SEND\nversion\nversion<SEPARATOR>{size}\n"));
        peer.send("OK\n");
        peer.expect(&body);
        peer.send(format!("OK {size}\n"));
        peer.expect_end();
    });
    let ended = server.run(folder.path(), &["send", "/proc/version", "--to"]);
    ended.expect(0, &format!("sent version, {size} bytes\n"), "");
}

#[test]
fn a_replaced_file_keeps_its_permissions_and_a_link_is_followed() {
    let folder = tempdir().unwrap();
    let file = folder.path().join("private");
    fs::write(&file, "old").unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
    std::os::unix::fs::symlink("private", folder.path().join("a")).unwrap();
    for (arguments, request, header) in [
        (
            &["receive", "a", "--from"][..],
            "RECEIVE\na\n",
            "OK\na<SEPARATOR>3\n",
        ),
        (
            &["files", "download", "a", "--at"],
            "download \"a\"\n",
            "OK 3\n",
        ),
    ] {
        let server = FakeServer::once(move |peer| {
            peer.expect(request);
            peer.send(format!("{header}new"));
        });
        server
            .run(folder.path(), arguments)
            .expect(0, "saved a, 3 bytes\n", "");
        assert!(folder.path().join("a").is_symlink());
        assert_eq!(fs::read(&file).unwrap(), b"new");
        assert_eq!(
            fs::metadata(&file).unwrap().permissions().mode() & 0o7777,
            0o640
        );
    }
}

#[test]
fn files_are_received_byte_for_byte_under_the_requested_name() {
    let folder = tempdir().unwrap();
    let body = noise(700_000);
    let sent = body.clone();
    let server = FakeServer::once(move |peer| {
        peer.expect("RECEIVE\nphotos/a b\n");
        peer.send("OK\n../../outside<SEPARATOR>700000\n");
        peer.send(&sent);
        peer.expect("RECEIVE\nERROR\n");
        peer.send("OK\nERROR<SEPARATOR>0\n");
        peer.expect_end();
    });
    let ended = server.run(folder.path(), &["receive", "photos/a b", "ERROR", "--from"]);
    ended.expect(0, "saved a b, 700000 bytes\nsaved ERROR, 0 bytes\n", "");
    assert!(fs::read(folder.path().join("a b")).unwrap() == body);
    assert_eq!(names_in(folder.path()), ["ERROR", "a b"]);
}

#[test]
fn a_missing_file_is_reported_and_the_rest_uses_the_same_connection() {
    let folder = tempdir().unwrap();
    let server = FakeServer::plays(&[
        ("RECEIVE\ngone\n", "OK\nERROR: File not found\n"),
        ("RECEIVE\na\n", "OK\na<SEPARATOR>3\nabc"),
    ]);
    let wanted = format!(
        "cannot receive gone from {}: the server answered: ERROR: File not found\n\
         1 of 2 files were not received\n",
        server.address
    );
    let ended = server.run(folder.path(), &["receive", "gone", "a", "--from"]);
    ended.expect(1, "saved a, 3 bytes\n", &wanted);
    assert_eq!(names_in(folder.path()), ["a"]);
}

#[test]
fn a_failed_download_keeps_the_old_file_and_leaves_no_other() {
    let folder = tempdir().unwrap();
    fs::write(folder.path().join("a"), "old").unwrap();
    for (answer, words) in [
        ("OK\na<SEPARATOR>10\nabc", "after 3 of 10 bytes"),
        ("OK\na<SEPARATOR>10\n", "after 0 of 10 bytes"),
        ("OK\na<SEPARATOR>1", "closed the connection"),
        ("OK\na<SEPARATOR>ten\nabc", "not a reply of this service"),
        ("OK\nabc\n", "not a reply of this service"),
        (
            "OK\na<SEPARATOR>99999999999999999999\nabc",
            "not a reply of this service",
        ),
        ("OK\na<SEPARATOR>18446744073709551615\nabc", "after 3 of"),
        (
            "HTTP/1.1 400 Bad Request\r\n\r\n",
            "`HTTP/1.1 400 Bad Request`",
        ),
        ("ERROR busy\n", "ERROR busy"),
        ("", "closed the connection"),
    ] {
        let server = FakeServer::closes_after(&[("RECEIVE\na\n", answer)]);
        let ended = server.run(folder.path(), &["receive", "--no-resume", "a", "--from"]);
        ended.expect_failure(1, &["cannot receive a", words]);
        assert_eq!(names_in(folder.path()), ["a"], "{answer:?}");
        assert_eq!(fs::read(folder.path().join("a")).unwrap(), b"old");
    }
}

#[test]
fn the_output_folder_must_exist_before_anything_is_requested() {
    let folder = tempdir().unwrap();
    let unused = UnusedAddress::new();
    let arguments = ["receive", "a", "-o", "gone", "--from", &unused.address()];
    run(folder.path(), &arguments).expect_failure(1, &["cannot save in gone", "no such folder"]);
    unused.assert_no_connection();

    fs::create_dir(folder.path().join("there")).unwrap();
    let server = FakeServer::closes_after(&[("RECEIVE\na\n", "OK\na<SEPARATOR>3\nabc")]);
    server
        .run(folder.path(), &["receive", "a", "-o", "there", "--from"])
        .expect(0, "saved there/a, 3 bytes\n", "");
    assert_eq!(fs::read(folder.path().join("there/a")).unwrap(), b"abc");
}

#[test]
fn names_that_cannot_be_saved_or_would_replace_each_other_are_a_usage_error() {
    let folder = tempdir().unwrap();
    let unused = UnusedAddress::new();
    for names in [
        &[".."][..],
        &["folder/"],
        &["a\nRECEIVE"],
        &[""],
        &["a/x", "b/x"],
    ] {
        let address = unused.address();
        let arguments = [&["receive", "--from", &address], names].concat();
        run(folder.path(), &arguments).expect_failure(2, &[]);
    }
    unused.assert_no_connection();
}
