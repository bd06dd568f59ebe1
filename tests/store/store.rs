//! Nothing outside the root can be reached, and no file inside it can block the server.

use crate::support::{
    BOTH_WAYS, CREATED, NO_FILE, NO_FOLDER, NOT_REGULAR, REMOVED, Server, eventually, skip, tree,
};
use rustix::fs::{CWD, FileType, Mode};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// A root with one file in it, and a folder beside it with a secret.
fn prepared() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().join("root");
    std::fs::create_dir_all(root.join("dir")).expect("folders");
    std::fs::create_dir_all(folder.path().join("outside/dir")).expect("folders");
    for secret in ["outside/secret", "outside/dir/secret"] {
        std::fs::write(folder.path().join(secret), "outside").expect("a file");
    }
    std::fs::write(root.join("a"), "inside").expect("a file");
    std::fs::write(root.join("dir/b"), "deeper").expect("a file");
    (folder, root)
}

/// Sends one command line; returns the complete answer.
fn files(server: &Server, command: &str) -> String {
    server.ask("files", format!("{command}\n"))
}

fn is_refused(answer: &str) -> bool {
    answer.starts_with("ERROR") && answer.ends_with('\n') && answer.matches('\n').count() == 1
}

fn nothing_hidden(root: &Path) -> bool {
    let own = |path: &PathBuf| path.to_string_lossy().contains(".loket-");
    !tree(root).keys().any(own)
}

/// A root with links that lead out of it, and the folder outside.
fn with_links_that_lead_out() -> (tempfile::TempDir, PathBuf) {
    let (folder, root) = prepared();
    let outside = folder.path().join("outside");
    for (link, target) in [
        ("relative", PathBuf::from("../outside/secret")),
        ("absolute", outside.join("secret")),
        ("dir/climbs", PathBuf::from("../../outside/secret")),
        ("chain", PathBuf::from("chain2")),
        ("chain2", PathBuf::from("dir/climbs")),
        ("folder", outside.clone()),
        ("dir/parent", PathBuf::from("../..")),
        ("cwd", PathBuf::from("/proc/self/cwd")),
        ("slash", PathBuf::from("/proc/self/root/etc")),
    ] {
        symlink(target, root.join(link)).expect("a link");
    }
    (folder, outside)
}

#[test]
fn no_link_leads_out_of_the_root() {
    let (folder, outside) = with_links_that_lead_out();
    let server = Server::start_in(folder, &[]);
    let before = tree(&outside);
    for name in [
        "relative",
        "absolute",
        "dir/climbs",
        "chain",
        "chain2",
        "folder/secret",
        "folder/dir/secret",
        "dir/parent/outside/secret",
        "cwd/Cargo.toml",
        "slash/passwd",
        "/proc/self/root/etc/passwd",
        "dir/../../outside/secret",
        "./../outside/secret",
        "folder/../outside/secret",
        "dir/parent/root/a",
    ] {
        for word in ["download", "size"] {
            assert_eq!(
                files(&server, &format!("{word} {name}")),
                NO_FILE,
                "{word} {name}"
            );
        }
        let leaf = name.rsplit('/').next().expect("a name");
        let answer = server.ask("transfer", format!("RECEIVE\n{leaf}\n"));
        if leaf != "a" {
            assert_eq!(answer, "OK\nERROR: File not found\n", "RECEIVE {leaf}");
        }
    }
    assert_eq!(tree(&outside), before);
}

#[test]
fn nothing_outside_the_root_is_changed_or_listed() {
    let (folder, outside) = with_links_that_lead_out();
    let server = Server::start_in(folder, &[]);
    let before = tree(&outside);
    for name in [
        "folder/secret",
        "folder/dir/secret",
        "dir/parent/outside/secret",
        "slash/x",
    ] {
        assert_eq!(files(&server, &format!("rm {name}")), NO_FILE, "rm {name}");
        let answer = files(&server, &format!("upload {name} 3\nnew"));
        assert!(is_refused(&answer), "upload {name}: {answer}");
    }
    for name in [
        "folder",
        "folder/dir",
        "dir/parent",
        "cwd",
        "slash",
        "..",
        "dir/../..",
    ] {
        let answer = files(&server, &format!("ls {name}"));
        assert_eq!(answer, NO_FOLDER, "ls {name}");
    }
    assert_eq!(tree(&outside), before);
}

#[test]
fn links_that_stay_inside_are_followed_to_read() {
    let (folder, root) = prepared();
    for (link, target) in [
        ("link", "a"),
        ("dir/up", "../a"),
        ("d", "dir"),
        ("chain", "d/up"),
    ] {
        symlink(target, root.join(link)).expect("a link");
    }
    let server = Server::start_in(folder, &[]);
    for name in ["link", "dir/up", "d/up", "chain", "d/../a"] {
        assert_eq!(
            files(&server, &format!("download {name}")),
            "OK 6\ninside",
            "{name}"
        );
        assert_eq!(
            files(&server, &format!("size {name}")),
            "OK 6 0.00 MB\n",
            "{name}"
        );
    }
    assert_eq!(files(&server, "ls d"), "OK 5\nb\nup\n");
    assert_eq!(
        server.ask("transfer", "RECEIVE\nlink\n"),
        "OK\nlink<SEPARATOR>6\ninside"
    );
}

#[test]
fn replacing_or_removing_a_link_never_changes_its_target() {
    let (folder, root) = prepared();
    let secret = folder.path().join("outside/secret");
    let server = Server::start_in(folder, &[]);
    for target in ["a", "../outside/secret", "dir", "nowhere", "over"] {
        symlink(target, root.join("over")).expect("a link");
        assert_eq!(files(&server, "rm over"), REMOVED, "{target}");
        symlink(target, root.join("over")).expect("a link");
        assert_eq!(files(&server, "upload over 3\nnew"), CREATED, "{target}");
        let kind = std::fs::symlink_metadata(root.join("over"))
            .expect("it")
            .file_type();
        assert!(kind.is_file(), "{target}");
        assert_eq!(std::fs::read(root.join("over")).expect("it"), b"new");
        std::fs::remove_file(root.join("over")).expect("it");
        symlink(target, root.join("over")).expect("a link");
        let answer = server.ask("transfer", "SEND\nover\nover<SEPARATOR>3\nnew");
        assert_eq!(answer, "OK\nOK 3\n", "{target}");
        assert_eq!(files(&server, "rm over"), REMOVED, "{target}");
    }
    assert_eq!(std::fs::read(root.join("a")).expect("it"), b"inside");
    assert_eq!(std::fs::read(root.join("dir/b")).expect("it"), b"deeper");
    assert_eq!(std::fs::read(secret).expect("it"), b"outside");
}

#[test]
fn a_link_that_changes_during_a_request_does_not_lead_out_of_the_root() {
    let (folder, root) = prepared();
    let outside = folder.path().join("outside");
    let server = Server::start_in(folder, &["--no-sync"]);
    std::fs::create_dir(root.join("safe")).expect("a folder");
    std::fs::write(root.join("safe/secret"), "inside").expect("a file");
    let before = tree(&outside);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut flip = 0_u64;
            while !over.load(Ordering::Relaxed) {
                let target = if flip.is_multiple_of(2) {
                    Path::new("safe")
                } else {
                    &outside
                };
                let _ = std::fs::remove_file(root.join("next"));
                symlink(target, root.join("next")).expect("a link");
                std::fs::rename(root.join("next"), root.join("flip")).expect("renamed");
                flip += 1;
            }
        });
        eventually("the link is there", || root.join("flip").is_symlink());
        let mut client = server.connect("files");
        let mut seen = [0; 2];
        for _ in 0..600 {
            match client.send("download flip/secret\n").line().as_str() {
                "OK 6\n" => {
                    client.expect("inside");
                    seen[0] += 1;
                }
                answer => {
                    assert_ne!(answer, "OK 7\n", "the secret got out");
                    assert!(answer.starts_with("ERROR"), "{answer}");
                    seen[1] += 1;
                }
            }
            client.send("rm flip/none\n").line();
            let listing = client.send("ls flip\n").line();
            match listing.strip_prefix("OK ") {
                Some(length) => {
                    let length: usize = length.trim().parse().expect("a length");
                    let mut names = vec![0; length];
                    std::io::Read::read_exact(&mut client.0, &mut names).expect("names");
                    assert!(
                        !names.windows(4).any(|name| name == b"dir/"),
                        "listed outside"
                    );
                }
                None => assert!(listing.starts_with("ERROR"), "{listing}"),
            }
            let answer = files(&server, "upload flip/new 3\nnew");
            assert!(answer == CREATED || is_refused(&answer), "{answer}");
        }
        over.store(true, Ordering::Relaxed);
        assert!(
            seen[0] > 0 && seen[1] > 0,
            "both targets were met: {seen:?}"
        );
    });
    assert_eq!(tree(&outside), before);
    assert!(nothing_hidden(&root));
}

/// One entry of each type that is not a regular file. Devices need root.
fn strange_things(root: &Path) -> Vec<&'static str> {
    let mode = Mode::from_raw_mode(0o666);
    rustix::fs::mknodat(CWD, root.join("fifo"), FileType::Fifo, mode, 0).expect("a fifo");
    rustix::fs::mknodat(CWD, root.join("socket"), FileType::Socket, mode, 0).expect("a socket");
    let mut names = vec!["fifo", "socket", "dir"];
    for (name, kind, minor) in [
        ("zero", FileType::CharacterDevice, 5),
        ("null", FileType::CharacterDevice, 3),
        ("block", FileType::BlockDevice, 200),
    ] {
        let major = if kind == FileType::BlockDevice { 7 } else { 1 };
        let device = rustix::fs::makedev(major, minor);
        match rustix::fs::mknodat(CWD, root.join(name), kind, mode, device) {
            Ok(()) => names.push(name),
            Err(_) => skip(
                "special_files_are_rejected",
                "devices cannot be created here",
            ),
        }
    }
    names
}

#[test]
fn special_files_are_rejected_and_never_block_the_server() {
    let (folder, root) = prepared();
    let mut names = strange_things(&root);
    symlink("fifo", root.join("tofifo")).expect("a link");
    let server = Server::start_in(folder, &[]);
    let descriptors = server.descriptors();
    for name in names.iter().copied().chain(["tofifo"]) {
        for word in ["download", "size"] {
            let answer = files(&server, &format!("{word} {name}"));
            assert!(is_refused(&answer), "{word} {name}: {answer}");
        }
        let answer = server.ask("transfer", format!("RECEIVE\n{name}\n"));
        assert!(
            answer.starts_with("OK\nERROR: "),
            "RECEIVE {name}: {answer}"
        );
        let answer = files(&server, &format!("ls {name}"));
        assert!(is_refused(&answer) || name == "dir", "ls {name}: {answer}");
    }
    for name in names.drain(..) {
        assert_eq!(
            files(&server, &format!("rm {name}")),
            NOT_REGULAR,
            "rm {name}"
        );
        let answer = files(&server, &format!("upload {name} 3\nnew"));
        assert_eq!(answer, NOT_REGULAR, "upload {name}");
        let answer = server.ask("transfer", format!("SEND\n{name}\n{name}<SEPARATOR>1\nx"));
        assert!(answer.starts_with("OK\nERROR: "), "SEND {name}: {answer}");
        assert!(
            std::fs::symlink_metadata(root.join(name)).is_ok(),
            "{name} is still there"
        );
    }
    eventually("all is closed", || server.descriptors() == descriptors);
    assert_eq!(files(&server, "download a"), "OK 6\ninside");
}

#[test]
fn reserved_names_cannot_be_used() {
    let (folder, root) = prepared();
    let server = Server::start_in(folder, &[]);
    for own in [".loket-1-2.part", ".loket-.part", "dir/.loket-x.part"] {
        std::fs::write(root.join(own), "own").expect("a file");
        for name in [own.to_owned(), format!("./{own}"), format!("dir/../{own}")] {
            for word in ["download", "size", "rm"] {
                assert_eq!(
                    files(&server, &format!("{word} {name}")),
                    NO_FILE,
                    "{word} {name}"
                );
            }
            let answer = files(&server, &format!("upload {name} 1\nx"));
            assert_eq!(answer, "ERROR the name cannot be used\n", "{name}");
        }
    }
    assert_eq!(files(&server, "ls"), "OK 7\na\ndir/\n");
    assert_eq!(files(&server, "ls dir"), "OK 2\nb\n");
    let answer = server.ask("transfer", "RECEIVE\n.loket-1-2.part\n");
    assert_eq!(answer, "OK\nERROR: File not found\n");
    for almost in [".loket-1.partx", "x.loket-1.part", ".loket", ".part"] {
        assert_eq!(
            files(&server, &format!("upload {almost} 1\nx")),
            CREATED,
            "{almost}"
        );
    }
}

#[test]
fn only_part_files_of_a_crash_are_removed_at_start() {
    let (folder, root) = prepared();
    std::fs::create_dir_all(root.join("dir/deep/.loket-folder.part")).expect("folders");
    let beside = folder.path().join("outside/.loket-1-1.part");
    std::fs::write(&beside, "beside").expect("a file");
    symlink("../../outside", root.join("dir/away")).expect("a link");
    for kept in [
        ".hidden",
        "x.part",
        ".loket-1",
        "dir/.loket-x.partial",
        "dir/loket.part",
    ] {
        std::fs::write(root.join(kept), "kept").expect("a file");
    }
    symlink("../a", root.join("dir/.loket-link.part")).expect("a link");
    let wanted = tree(&root);
    for left in [
        ".loket-1-1.part",
        "dir/.loket-9-9.part",
        "dir/deep/.loket-.part",
    ] {
        std::fs::write(root.join(left), "left").expect("a file");
    }
    let server = Server::start_in(folder, &[]);
    eventually("they are removed", || tree(&root) == wanted);
    assert_eq!(std::fs::read(beside).expect("untouched"), b"beside");
    drop(server);
}

#[test]
fn part_files_of_running_processes_are_kept_at_start() {
    let (folder, root) = prepared();
    // As in another container, where the process id is the same.
    let held: Vec<std::fs::File> = [".loket-1-0.part", "dir/.loket-1-0.part"]
        .into_iter()
        .map(|name| {
            let file = std::fs::File::create(root.join(name)).expect("a file");
            file.lock().expect("it is new");
            file
        })
        .collect();
    let wanted = tree(&root);
    for left in [".loket-1-1.part", "dir/.loket-1-1.part"] {
        std::fs::write(root.join(left), "left").expect("a file");
    }
    let mut server = Server::start_in(folder, &[]);
    eventually("they are removed", || tree(&root) == wanted);
    // The lock does not keep another server from removing other part files.
    let mut other = std::process::Command::new(env!("CARGO_BIN_EXE_loket"));
    std::fs::write(root.join(".loket-7-7.part"), "left").expect("a file");
    other.args([
        "serve", "--files", "0", "--room", "off", "--talk", "off", "--http", "off",
    ]);
    other.args(["--echo", "off", "--transfer", "off", "--root"]);
    let null = std::process::Stdio::null;
    let other = other.arg(&root).stdout(null()).stderr(null()).spawn();
    let mut other = other.expect("loket starts");
    eventually("it is removed", || tree(&root) == wanted);
    other.kill().expect("our child");
    other.wait().expect("our child");
    server.kill();
    drop(held);
    server.start_again(&[]);
    eventually("they are removed", || nothing_hidden(&root));
}

#[test]
fn truncating_a_file_during_its_download_closes_only_that_connection() {
    for way in BOTH_WAYS {
        let (folder, root) = prepared();
        let big = std::fs::File::create(root.join("big")).expect("a file");
        big.set_len(64 << 20).expect("sparse");
        let server = Server::start_in(folder, way);
        let mut client = server.connect("files");
        client.send("download big\n").expect("OK 67108864\n");
        big.set_len(1_000).expect("shorter");
        let rest = client.rest();
        assert!(rest.len() < 64 << 20, "the connection is cut");
        assert_eq!(files(&server, "download a"), "OK 6\ninside");
        eventually("it is logged", || server.log().contains("shrank"));
    }
}

#[test]
fn names_that_a_client_cannot_request_are_not_listed() {
    use std::os::unix::ffi::OsStrExt;
    let (folder, root) = prepared();
    for name in [
        &b"line\nfeed"[..],
        b"esc\x1b[2J",
        b"\xff\xfe",
        b"c1\xc2\x9b",
        b"cr\r",
        b"\x7f",
    ] {
        std::fs::write(root.join(std::ffi::OsStr::from_bytes(name)), "x").expect("a file");
    }
    std::fs::write(root.join("with blank é"), "x").expect("a file");
    let server = Server::start_in(folder, &[]);
    assert_eq!(files(&server, "ls"), "OK 21\na\ndir/\nwith blank é\n");
    let mut bare = server.connect("files");
    bare.send("ls").expect("a\ndir/\nwith blank é");
}
