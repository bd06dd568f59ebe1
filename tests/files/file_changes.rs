//! `sum`, `mkdir` and `mv` of the files service.

use crate::support::{BOTH_WAYS, NO_FILE, Server, noise, tree};
use sha2::{Digest, Sha256};
use std::os::unix::fs::symlink;
use std::path::Path;

const MADE: &str = "OK the folder is made\n";
const RENAMED: &str = "OK the name is changed\n";
const TAKEN: &str = "ERROR the name is taken already\n";
const NO_FOLDER: &str = "ERROR there is no such folder\n";

fn files(server: &Server, command: &str) -> String {
    server.ask("files", format!("{command}\n"))
}

fn sum(bytes: &[u8]) -> String {
    let digits: Vec<String> = (Sha256::digest(bytes).iter())
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("OK {}\n", digits.concat())
}

#[test]
fn sum_is_the_sha_256_of_a_file_or_of_its_front() {
    let data = noise(2_000_000);
    for way in BOTH_WAYS {
        let server = Server::start(way);
        std::fs::write(server.root().join("a b"), &data).expect("room");
        std::fs::write(server.root().join("empty"), "").expect("room");
        assert_eq!(files(&server, "sum a b"), sum(&data));
        assert_eq!(files(&server, "sum empty"), sum(b""));
        for length in [0, 1, 1 << 20, (1 << 20) + 1, data.len()] {
            let answer = files(&server, &format!("sum \"a b\" {length}"));
            assert_eq!(answer, sum(&data[..length]), "{length}");
        }
        assert_eq!(
            files(&server, "sum empty 1"),
            "ERROR the file has only 0 bytes\n"
        );
        assert_eq!(files(&server, "sum none"), NO_FILE);
        // The bare dialect has no number.
        assert_eq!(server.ask("files", "sum empty"), &sum(b"")[3..67]);
        // Other commands follow, also pipelined ones.
        let answer = files(&server, "sum empty\nsum a b\nsize empty");
        assert_eq!(answer, sum(b"") + &sum(&data) + "OK 0 0.00 MB\n");
    }
}

#[test]
fn mkdir_makes_one_folder_below_one_that_exists() {
    let server = Server::start(&[]);
    std::fs::write(server.root().join("file"), "").expect("room");
    assert_eq!(files(&server, "mkdir a"), MADE);
    assert_eq!(files(&server, "mkdir a/b c/"), MADE);
    assert_eq!(
        files(&server, "upload a/b c/d 1\nx\nls a/b c"),
        "OK\nOK File Berhasil Dibuat\nOK 2\nd\n"
    );
    for taken in ["a", "a/", "a/b c", "file", "file/", ".", "/", "a/.."] {
        assert_eq!(files(&server, &format!("mkdir {taken}")), TAKEN, "{taken}");
    }
    for missing in ["none/a", "/a", "../a", "a/../../b"] {
        assert_eq!(
            files(&server, &format!("mkdir {missing}")),
            NO_FOLDER,
            "{missing}"
        );
    }
    let answer = files(&server, "mkdir .loket-1.part");
    assert_eq!(answer, "ERROR the name cannot be used\n");
    assert!(!server.root().join("../a").exists());
}

/// A server with some files, folders and links.
fn with_names() -> Server {
    let server = Server::start(&[]);
    std::fs::create_dir_all(server.root().join("dir/deep")).expect("folders");
    for name in ["a", "b", "x 1", "dir/c", "dir/deep/d"] {
        std::fs::write(server.root().join(name), name).expect("room");
    }
    for (target, link) in [("a", "link"), ("dir", "dirlink")] {
        symlink(target, server.root().join(link)).expect("a link");
    }
    server
}

#[test]
fn mv_renames_a_file_or_a_folder() {
    let server = with_names();
    for (old, new) in [
        ("a", "a2"),
        ("a2", "dir/a3"),
        ("dir/c", "c"),
        ("dir/deep", "deep"),
        ("\"x 1\"", "\"y 2\""),
        ("\"y 2\"", "z"),
        ("z", "\"x 1\""),
        ("link", "link2"),
        ("deep/", "deeper/"),
        ("deeper", "deep/"),
        ("dirlink/", "dirlink2/"),
    ] {
        assert_eq!(
            files(&server, &format!("mv {old} {new}")),
            RENAMED,
            "{old} {new}"
        );
    }
    let content = |name: &str| std::fs::read(server.root().join(name)).expect(name);
    for (name, was) in [
        ("dir/a3", "a"),
        ("c", "dir/c"),
        ("deep/d", "dir/deep/d"),
        ("x 1", "x 1"),
    ] {
        assert_eq!(content(name), was.as_bytes(), "{name}");
    }
    assert!(server.root().join("link2").is_symlink());
}

#[test]
fn mv_replaces_nothing() {
    let server = with_names();
    let before = tree(&server.root());
    for (names, answer) in [
        ("b a", TAKEN),
        ("b dir", TAKEN),
        ("b b", TAKEN),
        ("none new", NO_FILE),
        ("../outside new", NO_FILE),
        (".loket-1.part new", NO_FILE),
        ("b ../new", NO_FOLDER),
        ("b none/new", NO_FOLDER),
        ("b .loket-1.part", "ERROR the name cannot be used\n"),
        (
            "dir dir/deep/er",
            "ERROR a folder cannot be moved into itself\n",
        ),
        ("dir dir/", TAKEN),
        ("b dir/", TAKEN),
        ("b .", TAKEN),
        ("b /", TAKEN),
        (". new", "ERROR the name cannot be used\n"),
        ("b/ new", NO_FILE),
        (
            "b new/",
            "ERROR only the name of a folder may end with a slash\n",
        ),
    ] {
        assert_eq!(files(&server, &format!("mv {names}")), answer, "{names}");
    }
    for unclear in ["b", "b c d", "\"b\" \"c\" \"d\"", "\"b\"\"c\"", "b \"c d"] {
        let answer = files(&server, &format!("mv {unclear}"));
        assert!(answer.starts_with("ERROR mv needs two names"), "{answer}");
    }
    assert_eq!(tree(&server.root()), before);
}

#[test]
fn mv_without_a_line_end_renames_nothing() {
    let server = with_names();
    let before = tree(&server.root());
    for half in ["mv a b", "mv a new", "mv a dir/new", "mv \"a\" \"new\""] {
        let mut client = server.connect("files");
        client.send(half);
        client.expect("ERROR the command is not finished; end it with a line feed\n");
        let answer = server.ask("files", half);
        let cut = "ERROR the connection ended in the middle; nothing was done\n";
        assert_eq!(answer, cut, "{half}");
    }
    assert_eq!(tree(&server.root()), before);
    let mut late = server.connect("files");
    late.send("mv a new");
    server.settle();
    late.send("\n").expect(RENAMED);
}

#[test]
fn a_read_only_server_changes_no_names() {
    let server = Server::start(&["--read-only"]);
    std::fs::write(server.root().join("a"), "a").expect("room");
    let refused = "ERROR this server is read-only\n";
    assert_eq!(
        files(&server, "mkdir b\nmv a b\nsum a"),
        [refused, refused, &sum(b"a")].concat()
    );
    assert!(Path::new(&server.root().join("a")).exists());
}
