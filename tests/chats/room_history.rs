//! The messages that a new member is shown: `loket room` and no textbook client, also over a real
//! nats-server.

use super::link::wait_for_link;
use crate::support::guest::Guest;
use crate::support::nats::Nats;
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
