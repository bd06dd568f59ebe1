//! The documented rules distinguish the two dialects over real sockets as they do in memory.

use crate::memory::scripts::{self, Script};
use crate::memory::{Driver, Step, Way};
use crate::support::{BOTH_WAYS, Client, NO_FOLDER, Server, eventually};
use loket::config::reactor::REACTOR;
use loket::wire::follows::Timer;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const SETTLE_NEVER: [&str; 2] = ["--settle", "60000"];

/// The number of conversations that are played at the same time.
const PLAYERS: usize = 8;

/// A server whose root holds `x` (three bytes).
fn server(flags: &[&str]) -> Server {
    let server = Server::start(flags);
    server.put("x", "abc");
    server
}

/// A server with the initial files of every conversation.
fn with_files(flags: &[&str]) -> Server {
    let server = Server::start(flags);
    std::fs::create_dir_all(server.root().join("photos/old")).expect("room");
    for (name, content) in scripts::files() {
        server.put(&name, content);
    }
    server
}

/// Plays one conversation on a server of its own.
fn play(script: &Script, way: &[&str]) {
    let server = with_files(way);
    let mut client = server.connect(script.service.name());
    for step in &script.steps {
        match step {
            Step::Send(bytes) => drop(client.send(bytes)),
            Step::Reply(wanted) => drop(client.expect(wanted)),
            Step::End => drop(client.finish()),
            Step::Quiet(Timer::Interbyte | Timer::Settle) => server.settle(),
            Step::Quiet(delay) => {
                server.settle();
                std::thread::park_timeout(Duration::from_micros(REACTOR.micros(*delay)));
            }
        }
    }
    // The server may have closed it.
    let _ = client.0.shutdown(std::net::Shutdown::Write);
    assert_eq!(client.text(), "");
    let way = Way::pieces_of(usize::MAX, false);
    let mut driver = Driver::new(script.service, &scripts::files(), &script.faults, way);
    driver.play(&script.steps).expect("shown in any_cutting.rs");
    assert_eq!(server.files(), driver.close().files);
}

#[test]
fn every_conversation_is_the_same_over_sockets_as_in_memory() {
    let all = scripts::sound();
    for way in BOTH_WAYS {
        let next = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..PLAYERS {
                scope.spawn(|| {
                    while let Some(script) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let played = std::panic::AssertUnwindSafe(|| play(script, way));
                        let played = std::panic::catch_unwind(played);
                        assert!(played.is_ok(), "`{}` failed, {way:?}", script.name);
                    }
                });
            }
        });
    }
}

#[test]
fn a_unit_that_ends_in_lf_is_a_line_and_cr_before_it_is_dropped() {
    let server = server(&SETTLE_NEVER);
    for line_end in ["\n", "\r\n"] {
        server
            .connect("files")
            .send(format!("size x{line_end}"))
            .expect("OK 3 0.00 MB\n");
        server
            .connect("transfer")
            .send(format!("RECEIVE{line_end}"))
            .expect("OK\n")
            .send(format!("x{line_end}"))
            .expect("x<SEPARATOR>3\nabc");
    }
}

#[test]
fn transfer_commands_need_no_settle_window() {
    let server = server(&SETTLE_NEVER);
    server.connect("transfer").send("SEND").expect("OK");
    server.connect("transfer").send("RECEIVE").expect("OK");
    let mut slow = server.connect("transfer");
    for byte in b"RECEIVE" {
        slow.send([*byte]);
    }
    slow.expect("OK");
}

fn bare_send(server: &Server) -> Client {
    let mut client = server.connect("transfer");
    client.send("SEND").expect("OK");
    client
}

fn stored(server: &Server, name: &str, data: &[u8]) {
    let path = server.root().join(name);
    eventually("the upload is stored", || {
        std::fs::read(&path).is_ok_and(|stored| stored == data)
    });
}

#[test]
fn a_path_and_its_last_component_are_the_same_name() {
    let server = server(&[]);
    for (path, name) in [
        ("C:\\Users\\Budi\\tugas akhir.doc", "tugas akhir.doc"),
        ("D:\\b.txt", "b.txt"),
        ("dir/c.txt", "c.txt"),
        ("/home/budi/d.txt", "d.txt"),
    ] {
        for second in [name, path] {
            // Without and with a pause between the two.
            for pauses in [false, true] {
                let mut client = bare_send(&server);
                client.send(path);
                if pauses {
                    server.settle();
                }
                client
                    .send(format!("{second}<SEPARATOR>5{:5}", name.len()))
                    .finish();
                let data = format!("{:5}", name.len());
                stored(&server, name, data.as_bytes());
                std::fs::remove_file(server.root().join(name)).expect("stored");
            }
        }
        server.put(name, "abc");
        let mut client = server.connect("transfer");
        client.send("RECEIVE").expect("OK");
        client.send(path).expect(format!("{name}<SEPARATOR>3"));
    }
}

#[test]
fn the_header_gap_applies_to_bare_clients_only() {
    let flags = [&["--bare-gap", "60000"], &[][..]].concat();
    let server = server(&flags);
    // With an endless gap only the header is sent.
    let mut bare = server.connect("transfer");
    bare.send("RECEIVE").expect("OK");
    bare.send("x").expect("x<SEPARATOR>3");
    // A line client gets the body at once.
    server
        .connect("transfer")
        .send("RECEIVE\nx\n")
        .expect("OK\nx<SEPARATOR>3\nabc");
    bare.0.set_nonblocking(true).expect("an option");
    let early = bare.0.peek(&mut [0; 1]).expect_err("none");
    assert_eq!(early.kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn every_name_of_the_root_lists_it() {
    let server = Server::start(&[]);
    std::fs::create_dir(server.root().join("photos")).expect("room");
    server.put("a", "abc");
    let mut line = server.connect("files");
    for root in ["", " /", " .", " ./", " //", " \"/\""] {
        line.send(format!("ls{root}\n"))
            .expect("OK 10\na\nphotos/\n");
        let mut bare = server.connect("files");
        bare.send(format!("ls{root}")).expect("a\nphotos/");
    }
    for outside in ["..", "/..", "/photos", "/etc"] {
        line.send(format!("ls {outside}\n")).expect(NO_FOLDER);
    }
}

#[test]
fn ls_with_an_option_explains_that_it_takes_none() {
    let server = Server::start(&[]);
    std::fs::create_dir(server.root().join("-x")).expect("room");
    let mut line = server.connect("files");
    for option in ["-l", "-la", "--all", "-l photos"] {
        let refused = format!(
            "ERROR there is no such folder: {option}; ls takes the name of a folder, and no options"
        );
        line.send(format!("ls {option}\n"))
            .expect(format!("{refused}\n"));
        let mut bare = server.connect("files");
        bare.send(format!("ls {option}")).expect(&refused);
    }
    line.send("ls -x\n").expect("OK 0\n");
}

#[test]
fn a_character_split_over_two_packets_is_awaited() {
    let server = server(&[]);
    server.put("caf\u{e9}", "abc");
    let mut client = server.connect("files");
    client.send(b"size caf\xc3");
    server.settle();
    client.send(b"\xa9\n").expect("OK 3 0.00 MB\n");
}
