//! `--max-total`: what all files below the root may hold together.

use crate::support;
use crate::support::file_service::{FileService, on_each};
use crate::support::{CREATED, Client, PATIENCE, REMOVED, Server, eventually, noise, tree};
use std::collections::BTreeMap;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

const MOVED: &str = "OK the name is changed\n";

/// A server whose root has a file `old` of 400 bytes.
fn server(total: u64, flags: &[&str]) -> Server {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir_all(folder.path().join("root/dir")).expect("folders");
    std::fs::write(folder.path().join("root/old"), noise(400)).expect("room");
    let total = format!("--max-total={total}");
    Server::start_in(folder, &[&[&*total], flags].concat())
}

fn refusal(limit: u64, free: u64) -> String {
    format!(
        "there is no space left for the file: all files together may have at most {limit} bytes, \
         and {free} are free"
    )
}

/// A gauge of `/-/metrics`.
fn gauge(server: &Server, name: &str) -> Option<u64> {
    let page = server.ask("http", "GET /-/metrics HTTP/1.0\r\n\r\n");
    let mut lines = page.lines();
    let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.map(|value| value.parse().expect("a whole number"))
}

fn held(server: &Server) -> u64 {
    gauge(server, "loket_files_bytes").expect("the files are counted")
}

/// The length of all files, as a fresh walk finds it.
fn on_disk(server: &Server) -> u64 {
    tree(&server.root())
        .values()
        .map(|file| file.len() as u64)
        .sum()
}

fn at_rest(server: &Server) {
    eventually("nothing is reserved", || {
        gauge(server, "loket_files_reserved_bytes") == Some(0)
    });
    assert_eq!(held(server), on_disk(server));
}

fn put_head(name: &str, fields: &str) -> String {
    format!("PUT /{name} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{fields}\r\n")
}

/// An upload over HTTP of which nothing but the head is sent.
fn put_refused(server: &Server, fields: &str, reason: &str) {
    let mut client = server.connect("http");
    let answer = client.send(put_head("new", fields)).text();
    let wanted = "HTTP/1.1 507 Insufficient Storage\r\n";
    assert!(answer.starts_with(wanted), "{fields}: {answer}");
    assert!(answer.ends_with(&format!("\r\n\r\n{reason}\n")), "{answer}");
}

#[test]
fn an_upload_that_cannot_fit_is_refused_before_its_body() {
    for way in support::BOTH_WAYS {
        let server = server(1_000, way);
        let reason = refusal(1_000, 600);
        let mut client = server.connect("files");
        client
            .send("upload new 601\n")
            .expect(format!("ERROR {reason}\n"))
            .rest();
        let mut client = server.connect("transfer");
        client.send("SEND\nnew\nnew<SEPARATOR>601\n");
        client.expect(format!("OK\nERROR: {reason}\n")).rest();
        put_refused(&server, "Content-Length: 601\r\n", &reason);
        put_refused(
            &server,
            "Content-Length: 601\r\nExpect: 100-continue\r\n",
            &reason,
        );
        // A file that is replaced counts until it is.
        let mut client = server.connect("files");
        client
            .send("upload old 601\n")
            .expect(format!("ERROR {reason}\n"));
        let mut client = server.connect("files");
        client
            .send("upload old 600\n")
            .send(noise(600))
            .expect(CREATED);
        client
            .send("upload new 400\n")
            .send(noise(400))
            .expect(CREATED);
        at_rest(&server);
        assert_eq!(held(&server), 1_000);
        // Nothing more fits, not even an empty file.
        client
            .send("upload empty 0\n")
            .expect(format!("ERROR {}\n", refusal(1_000, 0)));
        put_refused(&server, "Content-Length: 0\r\n", &refusal(1_000, 0));
        put_refused(
            &server,
            "Transfer-Encoding: chunked\r\n",
            &refusal(1_000, 0),
        );
        let mut bare = server.connect("files");
        bare.send("upload new")
            .expect(format!("ERROR {}", refusal(1_000, 0)));
        let mut bare = server.connect("transfer");
        bare.send("SEND")
            .expect("OK")
            .send("newnew<SEPARATOR>5hello");
        bare.expect(format!("ERROR: {}", refusal(1_000, 0)));
        at_rest(&server);
    }
}

#[test]
fn uploads_under_way_count_until_they_end() {
    on_each(&["--max-total", "1000"], |server, service| {
        let error = |free| format!("{}\n", service.error(&refusal(1_000, free)));
        let first = service.begin(server, "first", &noise(10), 700);
        let mut second = server.connect(service.name());
        second.send(service.upload_head("second", 301));
        if service == FileService::Transfer {
            second.expect("OK\n");
        }
        second.expect(error(300));
        let mut third = service.begin(server, "third", &noise(10), 300);
        // The first is given up, and the third is stored.
        drop(first);
        eventually("its bytes are free", || {
            gauge(server, "loket_files_reserved_bytes") == Some(300)
        });
        third.send(&noise(300)[10..]).expect(service.stored(300));
        at_rest(server);
        assert_eq!(held(server), 300);
    });
}

#[test]
fn an_upload_of_unknown_size_that_becomes_too_long_fails_with_the_reason() {
    for way in support::BOTH_WAYS {
        for length in [601, 300_000] {
            let server = server(1_000, way);
            let before = tree(&server.root());
            let mut bare = server.connect("files");
            bare.send("upload old");
            support::pause();
            let _ = bare.0.write_all(&noise(length));
            let text = bare.text();
            assert!(text.starts_with("ERROR there is no space left"), "{text}");
            assert!(text.contains("at most 1000 bytes, and "), "{text}");
            let mut bare = server.connect("transfer");
            bare.send("SEND").expect("OK");
            let _ = bare
                .0
                .write_all(format!("oldold<SEPARATOR>{length}").as_bytes());
            let _ = bare.0.write_all(&vec![b'x'; length]);
            let text = bare.finish().text();
            assert!(text.starts_with("ERROR: there is no space left"), "{text}");
            let mut client = server.connect("http");
            client.send(put_head("old", "Transfer-Encoding: chunked\r\n"));
            let half = length / 2;
            for chunk in [half, length - half] {
                let _ = client.0.write_all(format!("{chunk:x}\r\n").as_bytes());
                let _ = client.0.write_all(&noise(chunk));
                let _ = client.0.write_all(b"\r\n");
            }
            let answer = client.text();
            assert!(answer.starts_with("HTTP/1.1 507 "), "{answer}");
            assert_eq!(tree(&server.root()), before);
            at_rest(&server);
        }
        // The first bytes of the data look like its size until the stream ends.
        for (total, answer) in [
            (404, format!("ERROR: {}", refusal(404, 4))),
            (405, String::new()),
        ] {
            let server = server(total, way);
            let mut bare = server.connect("transfer");
            bare.send("SEND")
                .expect("OK")
                .send("newnew<SEPARATOR>577777");
            assert_eq!(bare.finish().text(), answer);
            at_rest(&server);
        }
        // What fits is stored.
        let server = server(1_000, way);
        let mut client = server.connect("http");
        client.send(put_head("a", "Transfer-Encoding: chunked\r\n"));
        client
            .send("12c\r\n")
            .send(noise(300))
            .send("\r\n0\r\n\r\n");
        assert_eq!(client.line(), "HTTP/1.1 201 Created\r\n");
        let stored = FileService::Files.upload_bare(&server, "b", &noise(300));
        assert_eq!(stored, "File Berhasil Dibuat");
        at_rest(&server);
        assert_eq!(held(&server), 1_000);
    }
}

/// A file of random length with a random name.
struct Choice(u64);

impl Choice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % end
    }

    fn name(&mut self) -> String {
        let folder = if self.below(3) == 0 { "dir/" } else { "" };
        format!("{folder}f{}", self.below(4))
    }
}

/// A random command with its data; the connection may break in the middle of it.
fn random_change(server: &Server, random: &mut Choice) {
    let (name, length) = (random.name(), random.below(1_500) as usize);
    let data = noise(length);
    match random.below(8) {
        0 => _ = server.ask("files", format!("rm {name}\n")),
        1 => _ = server.ask("files", format!("mv {name} {}\n", random.name())),
        2 => _ = server.ask("files", FileService::Files.upload(&name, &data)),
        3 => _ = server.ask("transfer", FileService::Transfer.upload(&name, &data)),
        4 => {
            let mut client = server.connect("files");
            client
                .send(format!("upload {name} {length}\n"))
                .send(&data[..length / 2]);
            if random.below(2) == 0 {
                client.reset()
            } else {
                drop(client)
            }
        }
        5 => {
            let mut client = server.connect("http");
            client.send(put_head(&name, &format!("Content-Length: {length}\r\n")));
            let _ = client.0.write_all(&data);
            client.line();
        }
        6 => {
            let fields = "If-None-Match: *\r\nTransfer-Encoding: chunked\r\n";
            let mut client = server.connect("http");
            client
                .send(put_head(&name, fields))
                .send(format!("{:x}\r\n", length + 1));
            let _ = client.0.write_all(&data);
            let end: &[u8] = if random.below(3) == 0 {
                b""
            } else {
                b"x\r\n0\r\n\r\n"
            };
            let _ = client.0.write_all(end);
            let _ = client.0.shutdown(std::net::Shutdown::Write);
            client.rest();
        }
        _ => {
            let mut client = server.connect("transfer");
            client.send("SEND").expect("OK");
            let name = name.rsplit('/').next().expect("a name").to_owned();
            let _ = client
                .0
                .write_all(format!("{name}{name}<SEPARATOR>{length}").as_bytes());
            // The data begins with digits.
            let _ = client.0.write_all(&vec![b'7'; length]);
            client.finish().rest();
        }
    }
}

#[test]
fn after_any_changes_the_count_is_what_a_fresh_walk_finds() {
    const TOTAL: u64 = 4_000;
    for seed in 0..4 {
        let server = server(TOTAL, &[]);
        let mut random = Choice(seed);
        for _ in 0..8 {
            std::thread::scope(|scope| {
                for _ in 0..3 {
                    let (server, mut random) = (&server, Choice(random.below(1 << 30)));
                    scope.spawn(move || (0..5).for_each(|_| random_change(server, &mut random)));
                }
            });
            assert!(on_disk(&server) <= TOTAL);
            at_rest(&server);
        }
        assert!(server.files().len() > 1, "seed {seed} stores files");
    }
}

#[test]
fn files_that_others_remove_make_room_before_an_upload_is_refused() {
    let server = server(1_000, &[]);
    let mut client = server.connect("files");
    client
        .send("upload new 600\n")
        .send(noise(600))
        .expect(CREATED);
    std::fs::remove_file(server.root().join("old")).expect("ours");
    // Another server receives this one.
    let part = server.root().join("dir/.loket-1-1.part");
    std::fs::write(&part, noise(500)).expect("room");
    std::fs::write(server.root().join("dir/other"), noise(100)).expect("room");
    // Files are counted again at most once in ten seconds. New folders and names do not prevent it.
    let changes = AtomicBool::new(true);
    std::thread::scope(|scope| {
        let (server, changes) = (&server, &changes);
        let change = move |number: usize| {
            std::fs::write(server.root().join(format!("a{number}")), "").expect("room");
            let mut client = server.connect("files");
            let begin = Instant::now();
            while changes.load(Ordering::Relaxed) && begin.elapsed() < 2 * PATIENCE {
                client.send("mkdir m\n").line();
                let (old, new) = (format!("a{number}"), format!("b{number}"));
                client.send(format!("mv {old} {new}\nmv {new} {old}\n"));
                client.expect(MOVED).expect(MOVED);
            }
        };
        // With eight clients, one of them is always about to change a name.
        for number in 0..8 {
            scope.spawn(move || change(number));
        }
        await_room(server, part);
        changes.store(false, Ordering::Relaxed);
    });
    at_rest(&server);
    assert_eq!(held(&server), 1_000);
}

/// Uploads fit once the files are counted; until then they are refused with the figures.
#[track_caller]
fn await_room(server: &Server, part: PathBuf) {
    let mut answers = BTreeMap::new();
    eventually("the upload fits", || {
        support::pause();
        let mut client = server.connect("files");
        let answer = client.send("upload more 300\n").line();
        if answer == "OK\n" {
            client.send(noise(300)).expect("OK File Berhasil Dibuat\n");
            return true;
        }
        *answers.entry(answer).or_insert(0) += 1;
        false
    });
    let refused = format!("ERROR {}\n", refusal(1_000, 0));
    std::fs::remove_file(part).expect("no server has removed it");
    assert!(
        answers.keys().all(|answer| *answer == refused),
        "{answers:?}"
    );
}

#[test]
fn a_limit_below_what_the_files_hold_is_warned_of_and_refuses_uploads_only() {
    for total in [0, 399, 400] {
        let server = server(total, &[]);
        let warning = format!("the files hold 400 bytes, and --max-total allows {total}: every");
        eventually("it is warned of", || server.log().contains(&warning));
        let error = format!("ERROR {}\n", refusal(total, 0));
        assert_eq!(server.ask("files", "upload empty 0\n"), error);
        let mut client = server.connect("files");
        client
            .send("download old\n")
            .expect("OK 400\n")
            .expect(noise(400));
        client
            .send("mv old dir/old\nrm dir/old\n")
            .expect(MOVED)
            .expect(REMOVED);
        at_rest(&server);
        let free = format!("upload new {total}\n");
        if total > 0 {
            client
                .send(free)
                .send(noise(total as usize))
                .expect(CREATED);
        }
    }
}

#[test]
fn each_name_of_a_file_counts_and_links_and_part_files_do_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().join("root");
    std::fs::create_dir_all(root.join("a/b")).expect("folders");
    std::fs::write(root.join("file"), noise(100)).expect("room");
    std::fs::hard_link(root.join("file"), root.join("a/b/second")).expect("a link");
    std::os::unix::fs::symlink("file", root.join("symbolic")).expect("a link");
    std::fs::write(root.join("a/.loket-1-1.part"), noise(50)).expect("room");
    std::fs::File::create(root.join("hole"))
        .expect("room")
        .set_len(1_000)
        .expect("room");
    let server = Server::start_in(folder, &["--max-total", "5000"]);
    eventually("the files are counted", || {
        gauge(&server, "loket_files_bytes").is_some()
    });
    assert_eq!(held(&server), 1_200);
    assert_eq!(gauge(&server, "loket_files_limit_bytes"), Some(5_000));
    let mut client = server.connect("files");
    for (command, left) in [("rm symbolic", 1_200), ("rm file", 1_100), ("rm hole", 100)] {
        client.send(format!("{command}\n")).expect(REMOVED);
        assert_eq!(held(&server), left, "{command}");
    }
    // Replacing a link frees nothing.
    std::os::unix::fs::symlink("a/b/second", server.root().join("symbolic")).expect("a link");
    client
        .send("upload symbolic 7\n")
        .send(noise(7))
        .expect(CREATED);
    at_rest(&server);
    assert_eq!(held(&server), 107);
}

#[test]
fn files_too_deep_for_a_path_are_counted_and_swept() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().join("root");
    // Each round moves all there is into a new folder: 30 names of 200 bytes at the end.
    let name = |level| format!("{level:0200}");
    std::fs::create_dir_all(root.join(name(0))).expect("a folder");
    std::fs::write(root.join(name(0)).join("deep"), noise(300)).expect("room");
    let part = root.join(name(0)).join(".loket-deep@1-1.part");
    std::fs::write(&part, noise(50)).expect("room");
    let held_open = std::fs::File::open(root.join(name(0))).expect("a folder");
    for level in 1..30 {
        let around = root.join(name(level));
        std::fs::create_dir_all(around.join("side")).expect("a folder");
        std::fs::write(around.join("side/file"), noise(1)).expect("room");
        std::fs::rename(root.join(name(level - 1)), around.join(name(level - 1))).expect("free");
    }
    let flags = ["--max-total", "1000", "--node", "deep"];
    let server = Server::start_in(folder, &flags);
    eventually("the files are counted", || {
        gauge(&server, "loket_files_bytes").is_some()
    });
    assert_eq!(held(&server), 329);
    let below = format!("/proc/self/fd/{}", held_open.as_raw_fd());
    let left: Vec<_> = std::fs::read_dir(below)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    assert_eq!(left, ["deep"]);
    let mut client = server.connect("files");
    client.send("upload new 7\n").send(noise(7)).expect(CREATED);
    assert_eq!(held(&server), 336);
}

#[test]
fn without_a_limit_nothing_is_counted() {
    let server = Server::start(&[]);
    let mut client: Client = server.connect("files");
    client.send("upload a 7\n").send(noise(3));
    eventually("the upload is reserved", || {
        gauge(&server, "loket_files_reserved_bytes") == Some(7)
    });
    assert_eq!(gauge(&server, "loket_files_bytes"), None);
    assert_eq!(gauge(&server, "loket_files_limit_bytes"), None);
}
