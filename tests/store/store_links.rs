//! Links into the root are followed, also absolute ones; a list has only entries that can be
//! served.

use crate::support::{CREATED, Client, NO_FILE, NOT_REGULAR, REMOVED, Server, eventually};
use rustix::fs::{CWD, FileType, Mode};
use std::io::Read;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A root with two files in it, and a folder beside it with a secret.
fn prepared() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().join("root");
    std::fs::create_dir_all(root.join("dir/deep")).expect("folders");
    std::fs::create_dir_all(folder.path().join("outside")).expect("a folder");
    std::fs::write(folder.path().join("outside/secret"), "outside").expect("a file");
    std::fs::write(root.join("a"), "inside").expect("a file");
    std::fs::write(root.join("dir/b"), "deeper").expect("a file");
    (folder, root)
}

fn files(client: &mut Client, command: &str) -> String {
    client.send(format!("{command}\n"));
    let head = client.line();
    let Some(length) = head.strip_prefix("OK ") else {
        return head;
    };
    if command.starts_with("size") || command.starts_with("rm") {
        return head;
    }
    let mut body = vec![0; length.trim().parse().expect("a length")];
    client.0.read_exact(&mut body).expect("a body");
    head + &String::from_utf8(body).expect("text")
}

/// Creates absolute links by this path of the root, and their targets.
fn with_absolute_links(root: &Path, named: &Path) {
    for (link, target) in [
        ("file", "a"),
        ("folder", "dir"),
        ("dir/up", "a"),
        ("dir/deep/odd", "dir/../dir//./b"),
        ("root", ""),
        ("chain", "dir/next"),
        ("to-nothing", "nothing"),
        ("over", "dir/../../outside/secret"),
        ("loop", "loop"),
    ] {
        symlink(named.join(target), root.join(link)).expect("a link");
    }
    symlink("../folder/up", root.join("dir/next")).expect("a link");
    symlink("../outside/back", root.join("climbs")).expect("a link");
    symlink(root.join("a"), root.with_file_name("outside/back")).expect("a link");
    let neighbour = PathBuf::from(format!("{}er", named.display()));
    symlink(neighbour.join("secret"), root.join("neighbour")).expect("a link");
    std::fs::create_dir_all(&neighbour).expect("a folder");
    std::fs::write(neighbour.join("secret"), "outside").expect("a file");
}

fn absolute_links_are_followed(server: &Server, root: &Path) {
    let mut client = server.connect("files");
    for (name, body) in [
        ("file", "inside"),
        ("folder/b", "deeper"),
        ("folder/up", "inside"),
        ("dir/deep/odd", "deeper"),
        ("folder/deep/odd", "deeper"),
        ("root/root/folder/b", "deeper"),
        ("chain", "inside"),
        ("folder/../a", "inside"),
    ] {
        let answer = files(&mut client, &format!("download {name}"));
        assert_eq!(answer, format!("OK 6\n{body}"), "{name}");
        let answer = files(&mut client, &format!("size {name}"));
        assert_eq!(answer, "OK 6 0.00 MB\n", "{name}");
    }
    for name in [
        "to-nothing",
        "over",
        "loop",
        "climbs",
        "neighbour",
        "folder/../../outside/secret",
        "root/../outside/secret",
        "file/x",
        "file/",
    ] {
        let answer = files(&mut client, &format!("size {name}"));
        assert_eq!(answer, NO_FILE, "{name}");
    }
    for (folder, list) in [
        ("", "a\nchain\ndir/\nfile\nfolder/\nroot/\n"),
        (" folder", "b\ndeep/\nnext\nup\n"),
        (" dir/", "b\ndeep/\nnext\nup\n"),
        (" root/folder/deep", "odd\n"),
    ] {
        let answer = files(&mut client, &format!("ls{folder}"));
        assert_eq!(answer, format!("OK {}\n{list}", list.len()), "ls{folder}");
    }
    let mut receiving = server.connect("transfer");
    receiving.send("RECEIVE\nfile\n");
    receiving.expect("OK\nfile<SEPARATOR>6\ninside");
    client.send("upload folder/new 3\nnew").expect(CREATED);
    assert_eq!(std::fs::read(root.join("dir/new")).expect("a file"), b"new");
    assert_eq!(files(&mut client, "rm folder/new"), REMOVED);
    // The link itself is removed or replaced.
    assert_eq!(files(&mut client, "rm chain"), REMOVED);
    client.send("upload file 3\nnew").expect(CREATED);
    assert_eq!(std::fs::read(root.join("a")).expect("a file"), b"inside");
    assert!(!root.join("chain").is_symlink() && root.join("dir/next").is_symlink());
}

#[test]
fn an_absolute_link_into_the_root_is_followed_like_a_relative_one() {
    let (folder, root) = prepared();
    with_absolute_links(&root, &root);
    let server = Server::start_in(folder, &[]);
    absolute_links_are_followed(&server, &root);
}

#[test]
fn an_absolute_link_may_use_the_given_or_the_canonical_path_of_the_root() {
    for by_its_true_path in [false, true] {
        let (folder, root) = prepared();
        let real = folder.path().join("real");
        std::fs::rename(&root, &real).expect("moved");
        symlink("real", &root).expect("a link");
        let named = if by_its_true_path { &real } else { &root };
        with_absolute_links(&real, named);
        let server = Server::start_in(folder, &[]);
        absolute_links_are_followed(&server, &real);
    }
}

#[test]
fn a_list_has_only_entries_that_can_be_served() {
    let (folder, root) = prepared();
    for (link, target) in [
        ("to-file", "a"),
        ("to-folder", "dir/deep"),
        ("to-link", "to-folder"),
        ("dir/up", "../a"),
        ("to-nothing", "nothing"),
        ("to-itself", "to-itself"),
        ("to-outside", "../outside/secret"),
        ("to-outer-folder", "../outside"),
        ("far", "/etc/passwd"),
        ("to-pipe", "pipe"),
    ] {
        symlink(target, root.join(link)).expect("a link");
    }
    for (name, kind) in [("pipe", FileType::Fifo), ("socket", FileType::Socket)] {
        rustix::fs::mknodat(CWD, root.join(name), kind, Mode::from_raw_mode(0o666), 0)
            .expect("ours");
    }
    let server = Server::start_in(folder, &[]);
    let mut client = server.connect("files");
    let list = "a\ndir/\nto-file\nto-folder/\nto-link/\n";
    let answer = files(&mut client, "ls");
    assert_eq!(answer, format!("OK {}\n{list}", list.len()));
    assert_eq!(files(&mut client, "ls dir"), "OK 11\nb\ndeep/\nup\n");
    for name in list.lines() {
        let command = if name.ends_with('/') {
            "ls"
        } else {
            "download"
        };
        let answer = files(&mut client, &format!("{command} {name}"));
        assert!(answer.starts_with("OK "), "{command} {name}: {answer}");
    }
    let mut bare = server.connect("files");
    bare.send("ls").expect(list.trim_end());
}

#[test]
fn a_request_for_a_pipe_does_not_wake_its_writer() {
    let (folder, root) = prepared();
    let pipe = root.join("pipe");
    rustix::fs::mknodat(CWD, &pipe, FileType::Fifo, Mode::from_raw_mode(0o666), 0).expect("a pipe");
    symlink("pipe", root.join("link")).expect("a link");
    symlink(&pipe, root.join("absolute")).expect("a link");
    let server = Server::start_in(folder, &[]);
    let mut writer = Command::new("sh")
        .args(["-c", "echo hello > \"$1\"", "sh"])
        .arg(&pipe)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a shell");
    // proc(5): S is sleeping. This shell can only sleep in open(2).
    let sleeps = || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", writer.id())).expect("alive");
        stat.contains(") S ")
    };
    eventually("the writer waits for a reader", sleeps);
    let mut client = server.connect("files");
    for name in ["pipe", "link", "absolute", "dir/../pipe"] {
        for word in ["download", "size", "download"] {
            let answer = files(&mut client, &format!("{word} {name}"));
            assert_eq!(answer, NOT_REGULAR, "{word} {name}");
        }
        let mut receiving = server.connect("transfer");
        let leaf = name.trim_start_matches("dir/../");
        receiving.send(format!("RECEIVE\n{leaf}\n"));
        receiving.expect("OK\nERROR: it is not a regular file\n");
    }
    assert_eq!(
        writer.try_wait().expect("our child"),
        None,
        "it still waits"
    );
    let read = std::fs::read_to_string(&pipe).expect("a pipe");
    assert_eq!(read, "hello\n");
    assert!(writer.wait().expect("our child").success());
}
