//! What is no command is refused by its own name, and only what can become one is waited for.
//! Cuts no conversation at every place: `any_cutting.rs` does.

mod support;

use std::fs::{create_dir, write};
use support::{Client, Server};

/// The whole answer, to what was sent last.
#[track_caller]
fn answer(mut client: Client) -> String {
    let reply = String::from_utf8(client.rest()).expect("text");
    assert!(reply.starts_with("ERROR"), "{reply}");
    assert!(reply.lines().count() == 1 && reply.len() < 300, "{reply}");
    assert!(!reply.trim_end().contains(char::is_control), "{reply:?}");
    reply
}

fn sent(mut client: Client, unit: impl AsRef<[u8]>) -> Client {
    client.send(unit);
    client
}

#[test]
fn an_unknown_bare_word_is_named_and_not_called_unfinished() {
    let server = Server::start(&[]);
    let long = "x".repeat(4_000);
    let asked = [
        ("files", "lss", "lss"),
        ("files", "LS", "LS"),
        ("files", "exit", "exit"),
        ("files", "connme", "connme"),
        ("files", "get a b", "get"),
        ("files", "byebye now", "byebye now"),
        ("files", "\u{1b}[2Jdir\u{7}", "[2Jdir"),
        ("files", &long, "xxx..."),
        ("transfer", "send", "send"),
        ("transfer", "SENDa.txt", "SENDa.txt"),
        ("transfer", "exit", "exit"),
        ("transfer", "\u{1b}]0;x", "]0;x"),
    ];
    // All wait for the same silence.
    let clients = asked.map(|(service, unit, _)| sent(server.connect(service), unit));
    for ((service, unit, shown), client) in asked.into_iter().zip(clients) {
        let reply = answer(client);
        let words = match service {
            "files" => "the words are ls, size, rm, download, upload, byebye",
            _ => "the words are SEND and RECEIVE",
        };
        let named = reply.contains("unknown command ") && reply.contains(&format!("{shown}; "));
        assert!(named && reply.contains(words), "{unit:?}: {reply}");
    }
}

#[test]
fn a_typed_wrong_word_is_named_whole() {
    let server = Server::start(&[]);
    for (service, typed) in [("files", "LS\r\n"), ("transfer", "exit")] {
        let mut client = server.connect(service);
        for key in typed.bytes() {
            client.send([key]);
            support::pause();
        }
        let reply = answer(client);
        let named = format!("unknown command {}; ", typed.trim_end());
        assert!(reply.contains(&named), "{typed:?}: {reply}");
    }
}

#[test]
fn a_bare_client_that_was_served_gets_the_same_words() {
    let server = Server::start(&[]);
    write(server.root().join("a"), "abc").expect("room");
    let mut client = server.connect("files");
    client.send("ls").expect("a");
    client.send("exit").expect("ERROR unknown command exit; ");
    assert!(
        !client.rest().ends_with(b"\n"),
        "a bare client has no lines"
    );
}

#[test]
fn an_unknown_word_and_the_end_of_the_stream_are_answered_with_the_word() {
    let server = Server::start(&[]);
    for (service, unit) in [("files", "lss"), ("files", "LS\r"), ("transfer", "receive")] {
        let mut client = server.connect(service);
        client.send(unit).finish();
        let reply = String::from_utf8(client.rest()).expect("text");
        let word = unit.trim_end();
        assert!(
            reply.contains(&format!("unknown command {word};")),
            "{reply}"
        );
    }
}

#[test]
fn what_can_still_become_a_command_is_told_to_end_it() {
    let server = Server::start(&[]);
    let asked = [
        ("files", "l"),
        ("files", "byeb"),
        ("files", "rm "),
        ("files", "download photos/"),
        ("files", "size caf\u{e9}/"),
        ("files", "ls photos/\r"),
        ("transfer", "RECEI"),
        ("transfer", "SEN\r"),
    ];
    let clients = asked.map(|(service, unit)| sent(server.connect(service), unit));
    for ((_, unit), client) in asked.into_iter().zip(clients) {
        let reply = answer(client);
        assert!(
            reply.contains("end it with a line feed"),
            "{unit:?}: {reply}"
        );
    }
}

#[test]
fn a_name_that_is_no_text_is_named_in_both_dialects() {
    let server = Server::start(&[]);
    let mut asked = Vec::new();
    for end in ["", "\n"] {
        for (service, before, name, shown) in [
            (
                "files",
                "size ",
                &b"caf\xe9.txt"[..],
                "not UTF-8 text: caf\u{fffd}.txt",
            ),
            (
                "files",
                "rm ",
                b"\xff\xfea",
                "not UTF-8 text: \u{fffd}\u{fffd}a",
            ),
            (
                "files",
                "download ",
                b"a\x1b[2Jb",
                "a control character: a[2Jb",
            ),
            ("files", "ls ", b"a\0b", "a control character: ab"),
            ("files", "rm ", b"caf\xe9", "not UTF-8 text: caf\u{fffd}"),
            ("files", "upload ", b"\xe9", "not UTF-8 text: \u{fffd}"),
            (
                "transfer",
                "RECEIVE",
                b"caf\xe9.txt",
                "not UTF-8 text: caf\u{fffd}.txt",
            ),
            ("transfer", "RECEIVE", b"a\0b", "a control character: ab"),
            (
                "transfer",
                "RECEIVE",
                b"caf\xe9",
                "not UTF-8 text: caf\u{fffd}",
            ),
        ] {
            let mut client = server.connect(service);
            if service == "transfer" {
                client
                    .send(format!("{before}{end}"))
                    .expect(format!("OK{end}"));
            } else {
                client.send(before);
            }
            let client = sent(client, [name, end.as_bytes()].concat());
            asked.push((client, shown));
        }
    }
    for (client, shown) in asked {
        let reply = answer(client);
        assert!(reply.contains(shown), "{shown}: {reply}");
    }
}

#[test]
fn a_character_that_comes_in_two_packets_is_waited_for() {
    let server = Server::start(&[]);
    write(server.root().join("caf\u{e9}"), "abc").expect("room");
    let mut client = server.connect("files");
    client.send(b"size caf\xc3");
    support::pause();
    client.send(b"\xa9\n").expect("OK 3 0.00 MB\n");
}

#[test]
fn the_root_is_listed_by_all_its_names() {
    let server = Server::start(&[]);
    create_dir(server.root().join("photos")).expect("room");
    write(server.root().join("a"), "abc").expect("room");
    let mut line = server.connect("files");
    for root in ["", " /", " .", " ./", " //", " \"/\""] {
        line.send(format!("ls{root}\n"))
            .expect("OK 10\na\nphotos/\n");
        let mut bare = server.connect("files");
        bare.send(format!("ls{root}")).expect("a\nphotos/");
    }
    for outside in ["..", "/..", "/photos", "/etc"] {
        line.send(format!("ls {outside}\n"))
            .expect("ERROR there is no such folder\n");
    }
}

#[test]
fn ls_with_an_option_says_that_it_has_none() {
    let server = Server::start(&[]);
    create_dir(server.root().join("-x")).expect("room");
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
