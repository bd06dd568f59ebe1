//! File systems that lack what ext4 has: the next best way keeps the promises, or the start is
//! refused.
//!
//! bindfs(1) has neither `O_TMPFILE` nor `RENAME_NOREPLACE`; strace(1) takes away more.

use crate::support::mount::{Mount, PLAIN};
use crate::support::{CREATED, Client, NO_FILE, REMOVED, Server, rooted, skip};
use std::path::Path;
use std::process::Command;

fn has_strace(test: &str) -> bool {
    let is_here = Command::new("strace").arg("-V").output().is_ok();
    if !is_here {
        skip(test, "no strace(1)");
    }
    is_here
}

/// The words before a program whose calls of this name fail.
fn without<'a>(call: &'a str, inject: &'a str) -> Vec<&'a str> {
    let fixed = ["strace", "-Dfqqo/dev/null", "-e", call, "-e", inject];
    fixed.to_vec()
}

/// A folder with a mount of bindfs at `root`; `None`: the test is skipped.
fn mounted(test: &str) -> Option<(tempfile::TempDir, tempfile::TempDir, Mount)> {
    let (behind, folder) = (tempfile::tempdir().expect("a folder"), rooted());
    let root = rustix::process::geteuid().is_root();
    let mount = root.then(|| Mount::new(PLAIN, behind.path(), &folder.path().join("root")));
    match mount.unwrap_or_else(|| Err("only root can mount".to_owned())) {
        Ok(mount) => Some((behind, folder, mount)),
        Err(reason) => {
            skip(test, &reason);
            None
        }
    }
}

fn status(client: &mut Client, head: &str, body: &str) -> String {
    let length = body.len();
    client.send(format!(
        "{head}\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{body}"
    ));
    let line = client.line();
    while client.line() != "\r\n" {}
    line.split(' ').nth(1).expect("a status").to_owned()
}

#[test]
fn without_a_rename_that_keeps_files_nothing_is_replaced_either() {
    let test = "without_a_rename_that_keeps_files_nothing_is_replaced_either";
    let Some((behind, folder, mount)) = mounted(test) else {
        return;
    };
    let inside = mount.inside();
    let inside: Vec<&str> = inside.split(' ').collect();
    let server = Server::start_under(&inside, folder, &[]);
    let mut http = server.connect("http");
    let new = "PUT /new HTTP/1.1\r\nIf-None-Match: *";
    assert_eq!(status(&mut http, new, "one"), "201");
    // The second answer has a body.
    assert_eq!(status(&mut server.connect("http"), new, "two"), "412");
    assert_eq!(status(&mut http, "PUT /a HTTP/1.1", "one"), "201");
    assert_eq!(status(&mut http, "PUT /a HTTP/1.1", "two"), "204");
    let mut files = server.connect("files");
    files
        .send("mv a new\n")
        .expect("ERROR the name is taken already\n");
    files.send("mv a b\n").expect("OK the name is changed\n");
    files
        .send("size new\nsize b\n")
        .expect("OK 3 0.00 MB\nOK 3 0.00 MB\n");
    let read = |name: &str| std::fs::read_to_string(behind.path().join(name)).expect("a file");
    assert_eq!(
        (read("new"), read("b")),
        ("one".to_owned(), "two".to_owned())
    );
}

#[test]
fn a_removed_file_that_is_still_read_is_not_listed() {
    let test = "a_removed_file_that_is_still_read_is_not_listed";
    let Some((behind, folder, mount)) = mounted(test) else {
        return;
    };
    let inside = mount.inside();
    let inside: Vec<&str> = inside.split(' ').collect();
    std::fs::write(behind.path().join("big"), vec![7; 32 << 20]).expect("room");
    let server = Server::start_under(&inside, folder, &[]);
    let mut reader = server.connect("files");
    reader
        .send("download big\n")
        .expect(format!("OK {}\n", 32 << 20));
    let mut files = server.connect("files");
    files.send("rm big\n").expect(REMOVED);
    let left: Vec<_> = std::fs::read_dir(behind.path())
        .expect("a folder")
        .collect();
    let [Ok(left)] = &left[..] else {
        panic!("bindfs hides the file: {left:?}");
    };
    let hidden = left.file_name().into_string().expect("text");
    files.send("ls\n").expect("OK 0\n");
    files
        .send(format!("size {hidden}\nrm {hidden}\n"))
        .expect(NO_FILE)
        .expect(NO_FILE);
}

/// The exit status and the log of a server that does not start.
fn refused(words: &[&str], root: &Path) -> (Option<i32>, String) {
    let ports = [
        "--echo=0",
        "--transfer=0",
        "--files=0",
        "--talk=0",
        "--http=0",
        "--room=0",
    ];
    let output = Command::new("timeout")
        .arg("20")
        .args(words)
        .args([env!("CARGO_BIN_EXE_loket"), "serve", "--root"])
        .arg(root)
        .args(ports)
        .output()
        .expect("it runs");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "",
        "nothing is announced"
    );
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

#[test]
fn a_file_system_that_cannot_keep_a_promise_is_refused_at_start() {
    let test = "a_file_system_that_cannot_keep_a_promise_is_refused_at_start";
    if !has_strace(test) {
        return;
    }
    let cases = [
        (
            "linkat",
            "inject=linkat:error=EPERM",
            "neither linkat nor renameat2",
            "--read-only",
        ),
        (
            "renameat",
            "inject=renameat:error=EXDEV",
            "in one step",
            "--read-only",
        ),
        (
            "fsync",
            "inject=fsync:error=EINVAL",
            "make a new name durable",
            "--no-sync",
        ),
    ];
    let Some((behind, folder, mount)) = mounted(test) else {
        return;
    };
    let (root, inside) = (folder.path().join("root"), mount.inside());
    let inside: Vec<&str> = inside.split(' ').collect();
    for (call, inject, missing, flag) in cases {
        let words = [&inside[..], &without(call, inject)].concat();
        let (code, log) = refused(&words, &root);
        let shown = root.display().to_string();
        for part in [&*shown, missing, flag, "--root DIR"] {
            assert!(log.contains(part), "{call}, {part}: {log}");
        }
        assert_eq!(code, Some(2), "{log}");
        let left = std::fs::read_dir(behind.path()).expect("a folder").count();
        assert_eq!(left, 0, "{call}");
    }
    std::fs::write(behind.path().join("a"), "content").expect("room");
    let words = [&inside[..], &without(cases[0].0, cases[0].1)].concat();
    let server = Server::start_under(&words, folder, &["--read-only"]);
    let mut files = server.connect("files");
    files
        .send("ls\ndownload a\n")
        .expect("OK 2\na\nOK 7\ncontent");
}

#[test]
fn without_openat2_names_stay_beneath_the_root() {
    let test = "without_openat2_names_stay_beneath_the_root";
    if !has_strace(test) {
        return;
    }
    // No such call, and one without RESOLVE_CACHED, which is older.
    for error in ["ENOSYS", "EINVAL:when=1"] {
        let folder = rooted();
        std::fs::write(folder.path().join("secret"), "secret").expect("room");
        let inject = format!("inject=openat2:error={error}");
        let server = Server::start_under(&without("openat2", &inject), folder, &[]);
        let outside = server.root().join("../secret");
        std::os::unix::fs::symlink(outside, server.root().join("out")).expect("a link");
        let mut files = server.connect("files");
        files.send("upload a 3\nabc").expect(CREATED);
        files.send("mkdir d\n").expect("OK the folder is made\n");
        files.send("mv a d/b\n").expect("OK the name is changed\n");
        files.send("download d/b\n").expect("OK 3\nabc");
        for name in ["out", "../secret", "d/../../secret", "d/../out"] {
            files.send(format!("download {name}\n")).expect(NO_FILE);
        }
        files.send("rm d/b\n").expect(REMOVED);
        files.send("ls d\n").expect("OK 0\n");
    }
}
