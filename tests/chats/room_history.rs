//! The messages that a new member is shown: `loket room` and no textbook client, also over a real
//! nats-server.

use super::link::wait_for_link;
use crate::support::guest::Guest;
use crate::support::nats::{Nats, Program};
use crate::support::{ROOM_PASSWORD, Server, eventually};
use std::process::{Command, Stdio};

/// What `loket room` shows that joins and leaves at once.
fn shown_to(server: &Server, name: &str) -> Vec<String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loket"));
    command.args(["room", "--at", &server.address("room").to_string()]);
    command.args(["--name", name, "--password", ROOM_PASSWORD]);
    let output = command.stdin(Stdio::null()).output().expect("loket starts");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("text");
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    assert_eq!(lines.remove(0), format!("{name} bergabung ke chatroom."));
    lines
}

#[test]
fn loket_room_shows_the_last_messages_and_a_textbook_client_gets_none() {
    let server = Server::start(&["--room-history", "3"]);
    assert_eq!(shown_to(&server, "early"), [""; 0]);
    let ani = Guest::member(&server, "ani");
    for number in 0..5 {
        let line = format!("ani: {number}");
        ani.send(&line).expect(&line);
    }
    assert_eq!(shown_to(&server, "budi"), ["ani: 2", "ani: 3", "ani: 4"]);
    ani.expect("budi bergabung ke chatroom.");
    let citra = Guest::member(&server, "citra");
    ani.expect("budi telah keluar dari chatroom.");
    // The answer to a name without blanks is as ever, also if it is sent again.
    citra.send("USERNAME citra").expect("USERNAME OK");
    citra.send("citra: hi").expect("citra: hi");
    let off = Server::start(&[]);
    let ani = Guest::member(&off, "ani");
    ani.send("hi").expect("ani: hi");
    assert_eq!(shown_to(&off, "budi"), [""; 0]);
}

#[test]
fn messages_outlive_their_servers_and_are_shown_on_others() {
    let Some(nats) = Nats::start("messages_outlive_their_servers_and_are_shown_on_others") else {
        return;
    };
    let start = || {
        let server = Server::start(&["--link", &nats.url(), "--room-history", "3"]);
        wait_for_link(&server, 1);
        server
    };
    let (first, second) = (start(), start());
    let ani = Guest::member(&first, "ani");
    let budi = Guest::member(&second, "budi");
    ani.expect("budi bergabung ke chatroom.");
    for number in 0..5 {
        for (guest, line) in [
            (&ani, format!("ani: {number}")),
            (&budi, format!("budi: {number}")),
        ] {
            guest.send(&line);
            for guest in [&ani, &budi] {
                guest.expect(&line);
            }
        }
    }
    let wanted = ["budi: 3", "ani: 4", "budi: 4"];
    assert_eq!(shown_to(&first, "citra"), wanted);
    assert_eq!(shown_to(&second, "dewi"), wanted);
    drop((first, second));
    let third = start();
    let mut number = 0;
    eventually("the messages are read", || {
        number += 1;
        shown_to(&third, &format!("eka{number}")) == wanted
    });
}

#[test]
fn a_stream_that_does_not_take_the_messages_is_named_in_the_log() {
    let Some(nats) = Nats::start("a_stream_that_does_not_take_the_messages_is_named_in_the_log")
    else {
        return;
    };
    let mut program = Program::of(&nats);
    let mut ask = |call: &str, subject: &str| {
        let api = format!("$JS.API.STREAM.{call}.loket_history_room");
        let config = format!(r#"{{"name": "loket_history_room", "subjects": ["{subject}"]}}"#);
        let answer = program.ask(&api, &config);
        assert!(answer.get("error").is_none(), "{answer}");
        answer
    };
    let warning = "the stream loket_history_room does not take loket.history.room";
    ask("CREATE", "something.else");
    let server = Server::start(&["--link", &nats.url(), "--room-history", "3"]);
    let ani = Guest::member(&server, "ani");
    ani.send("ani: hi").expect("ani: hi");
    eventually("the log names it", || {
        server.connect("echo").send("hi").expect("hi");
        server.log().contains(warning)
    });
    // What was said before is stored as soon as the stream takes it.
    ask("UPDATE", "loket.history.*");
    eventually("the message is stored", || {
        ask("INFO", "")["state"]["messages"] == 1
    });
    assert_eq!(shown_to(&server, "budi"), ["ani: hi"]);
    assert_eq!(server.log().matches(warning).count(), 1);
}

#[test]
fn a_stream_that_the_broker_does_not_create_is_named_in_the_log() {
    let Some(nats) = Nats::start("a_stream_that_the_broker_does_not_create_is_named_in_the_log")
    else {
        return;
    };
    // Each subject belongs to one stream at most.
    let taken = r#"{"name": "taken", "subjects": ["loket.history.>"]}"#;
    let answer = Program::of(&nats).ask("$JS.API.STREAM.CREATE.taken", taken);
    assert!(answer.get("error").is_none(), "{answer}");
    let server = Server::start(&["--link", &nats.url(), "--room-history", "3"]);
    eventually("the log names it", || {
        server.connect("echo").send("hi").expect("hi");
        let log = server.log();
        log.contains("the broker does not create the stream loket_history_room")
            && log.contains("subjects overlap with an existing stream")
    });
    // The room is served without it.
    Guest::member(&server, "ani").send("hi").expect("ani: hi");
}
