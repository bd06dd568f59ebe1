//! Several servers with one room, over a real nats-server, and over brokers that misbehave.

use crate::support::guest::Guest;
use crate::support::nats::{Nats, Program};
use crate::support::{Server, eventually};
use rustix::process::Signal;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};

/// A server with this link, once it is up.
fn linked(nats: &Nats, flags: &[&str]) -> Server {
    let server = Server::start(&[&["--link", &nats.url()], flags].concat());
    wait_for_link(&server, 1);
    server
}

/// Waits until the link has come up this number of times.
#[track_caller]
pub fn wait_for_link(server: &Server, times: usize) {
    eventually("the link is up", || {
        // The log is written at the end of a round.
        server.connect("echo").send("hi").expect("hi");
        server.log().matches("link: connected to").count() >= times
    });
}

/// Expects this message behind notices of members that join: servers keep no common order.
#[track_caller]
fn expect_behind_joins(guest: &Guest, wanted: &str) {
    let mut got = guest.message();
    while got.ends_with(" bergabung ke chatroom.") {
        got = guest.message();
    }
    assert_eq!(got, wanted);
}

fn metric(server: &Server, name: &str) -> u64 {
    let page = server.ask("http", "GET /-/metrics HTTP/1.0\r\n\r\n");
    let line = page.lines().find_map(|line| line.strip_prefix(name));
    line.expect("a metric").trim().parse().expect("a number")
}

#[test]
fn members_of_linked_servers_get_each_line_once_and_in_order() {
    let Some(nats) = Nats::start("members_of_linked_servers_get_each_line_once_and_in_order")
    else {
        return;
    };
    let servers = [0; 3].map(|_| linked(&nats, &["--room-rate", "1000"]));
    let ani = Guest::member(&servers[0], "ani");
    let budi = Guest::member(&servers[1], "budi");
    let citra = Guest::member(&servers[2], "citra");
    for number in 0..200 {
        ani.send(format!("line {number}"));
    }
    for guest in [&ani, &budi, &citra] {
        for number in 0..200 {
            expect_behind_joins(guest, &format!("ani: line {number}"));
        }
    }
    budi.send("exit");
    for guest in [&ani, &citra] {
        expect_behind_joins(guest, "budi telah keluar dari chatroom.");
    }
    eventually("the counters are sampled", || {
        metric(&servers[0], "loket_link_up") == 1
            && metric(&servers[0], "loket_link_messages_total{event=\"sent\"}") > 200
            && metric(&servers[1], "loket_link_messages_total{event=\"received\"}") > 200
    });
    // Rooms with another name do not meet them.
    let apart = linked(&nats, &["--room-name", "other"]);
    let dewi = Guest::member(&apart, "dewi");
    ani.send("last");
    expect_behind_joins(&ani, "ani: last");
    dewi.send("own").expect("dewi: own");
    ani.expect_nothing();
}

#[test]
fn a_name_is_unique_on_linked_servers_and_free_again_when_it_is_left() {
    let test = "a_name_is_unique_on_linked_servers_and_free_again_when_it_is_left";
    let Some(nats) = Nats::start(test) else {
        return;
    };
    let servers = [linked(&nats, &[]), linked(&nats, &[])];
    let ani = Guest::member(&servers[0], "Ani");
    let other = Guest::of(&servers[1]);
    other.give_password();
    other.send("USERNAME ani").expect("USERNAME TAKEN");
    ani.send("exit");
    eventually("the name is free", || {
        other.send("USERNAME ani").message() == "USERNAME OK"
    });
    // The names of a server that ends are free at once.
    servers[1].signal(Signal::TERM);
    let again = Guest::of(&servers[0]);
    again.give_password();
    eventually("the name is free", || {
        again.send("USERNAME ani").message() == "USERNAME OK"
    });
}

#[test]
fn the_members_of_a_server_that_ends_leave_on_the_others() {
    let Some(nats) = Nats::start("the_members_of_a_server_that_ends_leave_on_the_others") else {
        return;
    };
    let (stays, ends) = (linked(&nats, &[]), linked(&nats, &[]));
    let ani = Guest::member(&stays, "ani");
    let _budi = Guest::member(&ends, "budi");
    ani.expect("budi bergabung ke chatroom.");
    ends.signal(Signal::TERM);
    ani.expect("budi telah keluar dari chatroom.");
}

#[test]
fn a_program_speaks_only_under_names_that_it_owns() {
    let Some(nats) = Nats::start("a_program_speaks_only_under_names_that_it_owns") else {
        return;
    };
    let servers = [linked(&nats, &[]), linked(&nats, &[])];
    let ani = Guest::member(&servers[0], "ani");
    let _budi = Guest::member(&servers[1], "budi");
    ani.expect("budi bergabung ke chatroom.");
    let mut program = Program::of(&nats);
    program.claim("Robot", "r2");
    let server = program.owner("budi");
    for name in ["bot", "budi", "ani"] {
        for sender in [None, Some("r2"), Some(&*server)] {
            let sender = sender.map(|sender| ("Loket-Server", sender));
            let headers: Vec<_> = sender.into_iter().chain([("Loket-Name", name)]).collect();
            program.say(&headers, "forged");
        }
    }
    program.say(&[("Loket-Name", "robot")], "beep");
    ani.expect("robot: beep");
    program.release("robot");
    program.say(&[("Loket-Name", "robot")], "forged");
    program.claim("bot", "r2");
    program.say(&[("Loket-Name", "bot"), ("Loket-Server", "r2")], "boop");
    ani.expect("bot: boop");
    // A member cannot have the name of a program.
    let guest = Guest::of(&servers[1]);
    guest.give_password();
    guest.send("USERNAME Bot").expect("USERNAME TAKEN");
    eventually("the log has it", || {
        servers[0].connect("echo").send("hi").expect("hi");
        servers[0]
            .log()
            .contains("its sender does not own the name")
    });
}

#[test]
fn a_dead_broker_stops_nothing_here_and_losses_are_shown_once_the_link_is_back() {
    let test = "a_dead_broker_stops_nothing_here_and_losses_are_shown_once_the_link_is_back";
    let Some(mut nats) = Nats::start(test) else {
        return;
    };
    let servers = [linked(&nats, &[]), linked(&nats, &[])];
    let ani = Guest::member(&servers[0], "ani");
    let budi = Guest::member(&servers[1], "budi");
    ani.expect("budi bergabung ke chatroom.");
    // A server counts what it misses from the first message on that it gets of another one.
    ani.send("begin").expect("ani: begin");
    expect_behind_joins(&budi, "ani: begin");
    nats.stop();
    let begin = Instant::now();
    for number in 0..10 {
        ani.send(format!("stopped {number}"));
        ani.expect(&format!("ani: stopped {number}"));
        servers[0].connect("echo").send("hi").expect("hi");
    }
    assert!(begin.elapsed() < Duration::from_secs(5));
    nats.kill();
    eventually("the link is lost", || {
        servers[0].connect("echo").send("hi").expect("hi");
        servers[0].log().contains("link: lost")
    });
    ani.send("alone").expect("ani: alone");
    servers[0].rests(300);
    nats.start_again();
    for server in &servers {
        wait_for_link(server, 2);
    }
    expect_behind_joins(&budi, "(11 messages from other servers were lost)");
    ani.send("again").expect("ani: again");
    budi.expect("ani: again");
    let failed = servers[0].log().matches("no connection to").count();
    assert!(failed <= 2, "each reason is logged once: {failed}");
}

#[test]
fn a_broker_that_sends_garbage_costs_its_connection_and_is_not_dialled_in_a_storm() {
    let broker = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = broker.local_addr().expect("an address").port();
    let server = Server::start(&["--link", &format!("nats://127.0.0.1:{port}")]);
    let begin = Instant::now();
    for turn in 0..6 {
        let (mut socket, _) = broker.accept().expect("the server");
        let garbage: &[u8] = match turn % 3 {
            0 => b"HTTP/1.1 400 Bad Request\r\n\r\n",
            1 => b"INFO {\"max_payload\":-1}\r\n",
            _ => b"MSG a 1 99999999999999999999\r\n",
        };
        let _ = socket.write_all(garbage);
        let mut rest = Vec::new();
        let _ = socket.read_to_end(&mut rest);
        assert_eq!(rest, b"", "nothing is said to such a broker");
        server.connect("echo").send("hi").expect("hi");
    }
    // Pauses of at least 50, 100, 200, 400 and 800 ms lie between them.
    assert!(begin.elapsed() > Duration::from_millis(1_500));
    let guest = Guest::of(&server);
    guest.give_password();
    guest.send("USERNAME ani").expect("USERNAME TAKEN");
    eventually("the reason is logged", || {
        let log = server.log();
        log.contains("cannot join: no answer about its name over the link")
    });
    assert!(
        server.log().contains("the broker does not speak NATS"),
        "{}",
        server.log()
    );
}

#[test]
fn a_bad_link_is_an_error_that_does_not_show_its_password() {
    let ended = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_loket"));
        command.arg("serve").args(args).env("LOKET_QUIET", "true");
        let output = command.output().expect("loket starts");
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8(text).expect("text");
        assert!(!text.contains("s3cret"), "{text}");
        (output.status.code(), text)
    };
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().join("root");
    let root = ["--root", root.to_str().expect("text"), "--room=0"];
    for (url, why) in [
        ("http://u:s3cret@h", "begins with nats://"),
        ("nats://u:s3cret@h:99999", "write nats://HOST"),
        (
            "nats://u:s3cret@no-such-host.invalid",
            "cannot find the host",
        ),
    ] {
        let (status, text) = ended(&[&root[..], &["--link", url]].concat());
        assert_eq!(status, Some(2), "{text}");
        assert!(text.contains(why), "{text}");
    }
    let (status, text) = ended(&["--link=nats://h", "--room=off", "--talk=off", "--echo=0"]);
    assert_eq!(status, Some(2), "{text}");
    assert!(text.contains("the room is off"), "{text}");
    let (status, text) = ended(&["--link=nats://u:s3cret@h", "--print-config"]);
    assert_eq!(status, Some(0));
    assert!(text.contains("#link = \"...\""), "{text}");
    let (status, text) = ended(&["--link=nats://h", "--room-name=a.b"]);
    assert_eq!(status, Some(2));
    assert!(text.contains("ASCII letters"), "{text}");
}
