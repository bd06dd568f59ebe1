//! The protocol of the room over real sockets, for members and strangers.

use crate::support;
use crate::support::guest::{Guest, host, unreachable};
use crate::support::{Prepared, ROOM_PASSWORD, Server, eventually, pause};
use std::net::{SocketAddr, UdpSocket};

#[test]
fn the_password_comes_before_the_name() {
    let server = Server::start(&[]);
    let guest = Guest::of(&server);
    guest.send("USERNAME budi").expect("PASSWORD INCORRECT");
    guest.send("PASSWORD wrong").expect("PASSWORD INCORRECT");
    guest.send("USERNAME budi").expect("PASSWORD INCORRECT");
    guest
        .send(format!("PASSWORD {ROOM_PASSWORD}x"))
        .expect("PASSWORD INCORRECT");
    guest.send("PASSWORD ").expect("PASSWORD INCORRECT");
    check_invalid_name(&server, &guest);
    guest.enter("budi");
    // A stranger gets an answer only to a command of the protocol.
    let stranger = Guest::of(&server);
    stranger.send("hello").send("exit").send("budi: hello");
    stranger.send([b'x'; 1025]).send(vec![0xff; 65_507]);
    stranger.send("PASSWORD x").expect("PASSWORD INCORRECT");
    stranger.expect_nothing();
}

/// An invalid name is refused, and the log gives the reason.
fn check_invalid_name(server: &Server, guest: &Guest) {
    let right = format!("PASSWORD {ROOM_PASSWORD}");
    guest.send(right).expect("PASSWORD OK");
    guest.send("USERNAME a b").expect("USERNAME TAKEN");
    eventually("the reason is logged", || {
        server.log().contains("sent an invalid name")
    });
}

#[test]
fn the_answer_arrives_before_the_notice_and_both_before_any_message() {
    let server = Server::start(&[]);
    let first = Guest::member(&server, "first");
    for number in 0..50 {
        let name = format!("n{number}");
        let guest = Guest::member(&server, &name);
        first.expect(&format!("{name} bergabung ke chatroom."));
        guest.send("exit");
        first.expect(&format!("{name} telah keluar dari chatroom."));
        drop(guest);
    }
}

#[test]
fn a_message_has_at_most_1024_bytes_in_both_directions() {
    let server = Server::start(&[]);
    let ani = Guest::member(&server, "ani");
    let full = format!("ani: {}", "x".repeat(1019));
    ani.send(&full).expect(&full);
    ani.send("x".repeat(1024)).expect(&full);
    // No character is cut: one byte is left, and the next character has two.
    ani.send("é".repeat(512))
        .expect(&format!("ani: {}", "é".repeat(509)));
    // A longer message is cut, but not within a character.
    ani.send([b'x'; 1025]).expect(&full);
    ani.send([b'x'; 65_000]).expect(&full);
    let name_and_text = format!("ani: {}é", "x".repeat(1018));
    ani.send(name_and_text + " and more")
        .expect(&format!("ani: {}", "x".repeat(1018)));
}

#[test]
fn messages_over_the_rate_are_dropped_and_counted() {
    let server = Server::start(&["--room-rate", "1"]);
    let ani = Guest::member(&server, "ani");
    let budi = Guest::member(&server, "budi");
    ani.expect("budi bergabung ke chatroom.");
    for number in 0..30 {
        ani.send(format!("{number}"));
    }
    budi.send("mine").send("exit");
    let mut relayed = 0;
    while budi.message() != "budi: mine" {
        relayed += 1;
    }
    // A burst of two, and one a second. If the machine pauses for seconds, more are relayed.
    assert!((2..20).contains(&relayed), "{relayed}");
    eventually("it is counted", || {
        server.log().contains("datagrams were dropped")
    });
}

#[test]
fn an_address_with_too_many_wrong_passwords_is_ignored_and_others_are_not() {
    let server = Server::start(&[]);
    let inside = Guest::from(&server, host(2));
    inside.enter("inside");
    let limit = loket::config::room::ROOM.strangers.wrong.failures;
    for _ in 0..limit {
        Guest::from(&server, host(2))
            .send("PASSWORD x")
            .expect("PASSWORD INCORRECT");
    }
    let late = Guest::from(&server, host(2));
    // One request a second is answered, and with INCORRECT even if the password is right.
    let right = format!("PASSWORD {ROOM_PASSWORD}");
    late.send(&right).expect("PASSWORD INCORRECT").send(&right);
    Guest::from(&server, host(3)).enter("other");
    inside
        .expect("other bergabung ke chatroom.")
        .send("hello")
        .expect("inside: hello");
    late.expect_nothing();
    let message = "127.0.0.2 sent too many wrong passwords";
    eventually("it is logged", || server.log().contains(message));
    assert_eq!(server.log().matches(message).count(), 1);
}

#[test]
fn a_member_with_a_closed_port_is_removed_and_the_others_get_every_copy() {
    for flags in [&[][..], &["--host", "::1"]] {
        if flags.len() > 1 && UdpSocket::bind("[::1]:0").is_err() {
            support::skip(
                "a_member_with_a_closed_port_is_removed_and_the_others_get_every_copy",
                "no IPv6",
            );
            continue;
        }
        let server = Server::start(flags);
        let staying: Vec<Guest> = ["a", "b", "c"]
            .map(|name| Guest::member(&server, name))
            .into();
        let leaving = ["x", "y", "z"].map(|name| {
            // No other test opens the ports of this address again.
            let guest = match flags {
                [] => Guest::from(&server, host(9)),
                _ => Guest::of(&server),
            };
            guest.enter(name);
            guest
        });
        drop(leaving);
        let left = |text: &&String| text.ends_with("telah keluar dari chatroom.");
        let mut heard = Vec::new();
        // The kernel limits ICMP errors (icmp(7)): another message brings others. Without a pause,
        // it may be above the rate of the room, and be dropped.
        while heard.iter().filter(left).count() < 3 {
            heard.push(staying[0].send("hello").message());
            pause();
        }
        staying[1].send("still");
        let mut copies: Vec<Vec<String>> = staying
            .iter()
            .map(|guest| {
                let copies = std::iter::from_fn(|| Some(guest.message()));
                copies.take_while(|text| text != "b: still").collect()
            })
            .collect();
        copies[0].extend(heard);
        for texts in &mut copies {
            texts.retain(|text| !text.ends_with("bergabung ke chatroom."));
            texts.sort();
        }
        assert_eq!(copies[0].iter().filter(left).count(), 3, "{copies:?}");
        assert!(copies.iter().all(|texts| *texts == copies[0]), "{copies:?}");
    }
}

#[test]
fn icmp_errors_of_the_network_remove_no_member() {
    let server = Server::start(&[]);
    let ani = Guest::member(&server, "ani");
    let icmp = socket2::Protocol::ICMPV4;
    let raw = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::RAW, Some(icmp));
    let Ok(raw) = raw else {
        support::skip("icmp_errors_of_the_network_remove_no_member", "not root");
        return;
    };
    let to: SocketAddr = ([127, 0, 0, 1], 0).into();
    let from = ani.0.local_addr().expect("bound");
    // Many more than fit into the socket buffer.
    for _ in 0..2000 {
        let report = unreachable(1, server.address("room"), from, "");
        raw.send_to(&report, &to.into()).expect("sent");
    }
    for number in 0..30 {
        ani.send(format!("{number}"))
            .expect(&format!("ani: {number}"));
    }
}

#[test]
fn the_operator_sees_what_the_server_of_the_course_prints() {
    let mut server = Server::start(&[]);
    let ani = Guest::member(&server, "ani");
    ani.send("hello").send("exit");
    for line in [
        "ani bergabung ke chatroom.",
        "ani: hello",
        "ani telah keluar dari chatroom.",
    ] {
        assert_eq!(server.shown(), line);
    }
}

#[test]
fn a_password_from_a_file_or_a_variable_is_in_no_log_and_no_command_line() {
    for source in ["file", "variable"] {
        let mut prepared = Prepared::without_password();
        prepared.command.arg("-vv");
        let file = prepared.folder().join("password");
        std::fs::write(&file, "from far away\r\nnot this\n").expect("room");
        match source {
            "file" => prepared.command.arg("--room-password-file").arg(&file),
            _ => prepared.command.env("LOKET_ROOM_PASSWORD", "from far away"),
        };
        let server = prepared.launch();
        let guest = Guest::of(&server);
        guest.send("PASSWORD not this").expect("PASSWORD INCORRECT");
        guest.send("PASSWORD from far away").expect("PASSWORD OK");
        assert_eq!(server.made_password, None);
        let words = std::fs::read(format!("/proc/{}/cmdline", server.id())).expect("alive");
        assert!(!String::from_utf8_lossy(&words).contains("from far away"));
        assert!(!server.log().contains("from far away"));
    }
}

#[test]
fn blanks_crlf_and_a_byte_order_mark_in_a_password_file_are_ignored() {
    for text in [
        &b"\xef\xbb\xbfsesam\r\n"[..],
        b"sesam \t\r\nsecond line",
        b"  sesam",
        b"\xef\xbb\xbf sesam ",
    ] {
        let mut prepared = Prepared::without_password();
        let file = prepared.folder().join("password");
        std::fs::write(&file, text).expect("room");
        prepared.command.arg("--room-password-file").arg(&file);
        let server = prepared.launch();
        let guest = Guest::of(&server);
        guest.send("PASSWORD sesam").expect("PASSWORD OK");
    }
}

#[test]
fn a_password_is_generated_if_none_is_given() {
    let start = || {
        let mut prepared = Prepared::without_password();
        prepared.command.arg("-vv");
        prepared.launch()
    };
    let (server, other) = (start(), start());
    let password = server.made_password.clone().expect("announced");
    assert!(password.len() >= 12 && server.made_password != other.made_password);
    let guest = Guest::of(&server);
    guest
        .send(format!("PASSWORD {password}"))
        .expect("PASSWORD OK");
    assert!(!server.log().contains(&password));
}

#[test]
fn an_empty_or_unreadable_password_is_refused() {
    use std::os::unix::ffi::OsStrExt;
    let unreadable = std::ffi::OsStr::from_bytes(b"\xff");
    for (flags, variable) in [
        (&["--room-password", ""][..], None),
        (&["--room-password", " \t "], None),
        (&["--room-password-file", "/dev/null"], None),
        (&["--room-password-file", "/nowhere"], None),
        (&[], Some(std::ffi::OsStr::new(""))),
        (&[], Some(unreadable)),
    ] {
        let mut prepared = Prepared::without_password();
        prepared.command.args(flags);
        if let Some(value) = variable {
            prepared.command.env("LOKET_ROOM_PASSWORD", value);
        }
        let status = prepared.command.status().expect("it starts");
        assert_eq!(status.code(), Some(2), "{flags:?} {variable:?}");
    }
}
