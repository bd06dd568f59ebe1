//! The root folder is removed, moved, unmounted or restored while it is served.

use crate::support;
use crate::support::{CREATED, Server, eventually, tree};
use std::path::Path;
use std::process::Command;

const REMOVED: &str =
    "ERROR the folder that is served was removed; the server must be started again\n";

/// A server whose root holds `a` and `dir/b`.
fn prepared() -> Server {
    let server = Server::start(&[]);
    fill(&server.root());
    server
}

fn fill(root: &Path) {
    std::fs::create_dir_all(root.join("dir")).expect("folders");
    std::fs::write(root.join("a"), "inside").expect("a file");
    std::fs::write(root.join("dir/b"), "deeper").expect("a file");
}

/// Sends one command; returns the complete answer.
fn files(server: &Server, command: &str) -> String {
    let mut client = server.connect("files");
    client.send(format!("{command}\n")).finish();
    client.text()
}

fn warnings(server: &Server, text: &str) -> usize {
    server.log().matches(text).count()
}

fn every_answer_names_the_removed_root(server: &Server) {
    for command in [
        "download a",
        "size a",
        "size dir/b",
        "rm a",
        "ls",
        "ls dir",
        "upload a 3\nnew",
        "upload dir/b 3\nnew",
    ] {
        assert_eq!(files(server, command), REMOVED, "{command}");
    }
    let transfer = REMOVED.replace("ERROR", "ERROR:");
    for command in ["RECEIVE\na\n", "SEND\nx\nx<SEPARATOR>1\nx"] {
        let mut client = server.connect("transfer");
        client.send(command).finish();
        let answer = client.text();
        assert_eq!(answer, format!("OK\n{transfer}"), "{command}");
    }
    server.connect("echo").send("on").expect("on");
}

#[test]
fn every_answer_reports_a_removed_root_and_the_operator_is_warned_once() {
    let server = prepared();
    std::fs::remove_dir_all(server.root()).expect("removed");
    every_answer_names_the_removed_root(&server);
    eventually("it is logged", || warnings(&server, "is gone") == 1);
    // A new folder with this name is not the one that was opened at start.
    fill(&server.root());
    let wanted = tree(&server.root());
    every_answer_names_the_removed_root(&server);
    every_answer_names_the_removed_root(&server);
    eventually("it is logged", || warnings(&server, "another folder") == 1);
    assert_eq!(warnings(&server, "is gone"), 1);
    assert_eq!(tree(&server.root()), wanted);
}

#[test]
fn a_running_upload_is_answered_that_the_root_was_removed() {
    let server = prepared();
    let mut client = server.connect("files");
    client.send("upload new 3\n").expect("OK\n");
    std::fs::remove_dir_all(server.root()).expect("removed");
    std::fs::create_dir(server.root()).expect("a folder");
    client.send("new").expect(REMOVED).rest();
    eventually("it is logged", || warnings(&server, "another folder") == 1);
    assert!(server.contents().is_empty());
}

#[test]
fn a_moved_root_is_still_served_and_the_operator_is_warned() {
    let server = prepared();
    let root = server.root();
    let away = root.with_file_name("away");
    for round in 1..=2 {
        std::fs::rename(&root, &away).expect("moved");
        assert_eq!(files(&server, "upload new 3\nnew"), CREATED);
        assert_eq!(files(&server, "download a"), "OK 6\ninside");
        assert_eq!(files(&server, "ls"), "OK 11\na\ndir/\nnew\n");
        assert!(away.join("new").exists() && !root.exists());
        eventually("it is logged", || warnings(&server, "is gone") == round);
        std::fs::rename(&away, &root).expect("moved back");
        // Downloads detect it as well.
        assert_eq!(files(&server, "download a"), "OK 6\ninside");
        assert_eq!(files(&server, "download a"), "OK 6\ninside");
        eventually("it is logged", || warnings(&server, "is back") == round);
    }
    assert_eq!(warnings(&server, "is gone"), 2);
}

#[test]
fn the_operator_is_warned_of_a_moved_root_by_downloads_alone() {
    let server = prepared();
    std::fs::rename(server.root(), server.root().with_file_name("away")).expect("moved");
    eventually("it is logged", || {
        assert_eq!(files(&server, "download a"), "OK 6\ninside");
        warnings(&server, "is gone") == 1
    });
}

#[test]
fn the_operator_is_warned_when_the_root_is_unmounted_and_mounted_again() {
    const NAME: &str = "the_operator_is_warned_when_the_root_is_unmounted";
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().join("root");
    let kept = folder.path().join("kept");
    fill(&kept);
    std::fs::create_dir(&root).expect("a folder");
    let run = |words: &[&str]| {
        let done = Command::new(words[0]).args(&words[1..]).output();
        done.is_ok_and(|done| done.status.success())
    };
    let (at, from) = (root.to_str().expect("text"), kept.to_str().expect("text"));
    let mount = || run(&["mount", "--bind", from, at]);
    if !mount() {
        support::skip(NAME, "no mount");
        return;
    }
    let server = Server::start_in(folder, &[]);
    assert_eq!(files(&server, "download a"), "OK 6\ninside");
    assert!(run(&["umount", "-l", at]));
    assert_eq!(files(&server, "ls"), "OK 7\na\ndir/\n");
    eventually("it is logged", || warnings(&server, "another folder") == 1);
    assert!(mount());
    assert_eq!(files(&server, "ls"), "OK 7\na\ndir/\n");
    eventually("it is logged", || warnings(&server, "is back") == 1);
    assert!(run(&["umount", "-l", at]));
}
