//! The log as text and as JSON, in a file and in the journal: one event is one line with its
//! priority, whatever clients send.

use crate::support::guest::Guest;
use crate::support::{Prepared, Server, eventually};
use loket::wire::text::is_hidden;
use serde_json::Value;
use std::io::{Read, Seek};
use std::os::unix::fs::MetadataExt;

/// Would be lines of their own, of another priority, or control the terminal.
const FORGED: &str = "x\u{2028}<3>WARN forged\u{202e}\u{1b}[31m\u{85}\\\",\"level\":\"ERROR";

/// A server at level debug. In the journal means that `JOURNAL_STREAM` is its standard error.
fn start(format: &str, journal: bool) -> Server {
    let mut prepared = Prepared::new();
    let log = std::fs::metadata(prepared.folder().join("log")).expect("a log");
    let inode = log.ino() + u64::from(!journal);
    let stream = format!("{}:{inode}", log.dev());
    let command = prepared.command.env("JOURNAL_STREAM", stream);
    command.args(["-v", "--log-format", format]);
    prepared.launch()
}

/// Has each service log something about a client, and returns the log.
fn misuse(server: &Server) -> String {
    let addresses = ["files", "transfer", "http", "echo"].map(|service| {
        let mut client = server.connect(service);
        let name = FORGED.replace('"', "\\\"");
        match service {
            "files" => client.send(format!("upload \"{name}\" 5\nab")),
            "transfer" => client.send(format!("SEND\n{FORGED}\n{FORGED}<SEPARATOR>5\nab")),
            "http" => client.send(format!("PUT /{FORGED} HTTP/1.1\r\nHost: a\r\n\r\n")),
            _ => client.send("hello").expect("hello"),
        };
        client.finish();
        client.rest();
        client.0.local_addr().expect("an address").to_string()
    });
    let guest = Guest::of(server);
    guest.give_password();
    let name = format!("USERNAME a\nb{FORGED}");
    guest.send(&name).expect("USERNAME TAKEN");
    let is_there = |log: &str| {
        addresses.iter().all(|address| log.contains(address)) && log.contains("invalid name")
    };
    eventually("each client is named", || is_there(&server.log()));
    server.log()
}

#[test]
fn no_client_can_forge_a_log_line_and_each_has_its_priority() {
    for (format, journal) in [
        ("text", false),
        ("text", true),
        ("json", false),
        ("json", true),
    ] {
        let server = start(format, journal);
        let log = misuse(&server);
        let hidden = |character| character != '\n' && is_hidden(character);
        assert!(!log.contains(hidden), "{log:?}");
        for line in log.lines() {
            let level = ["WARN", "INFO", "DEBUG"].map(|level| format!("\"level\":\"{level}\""));
            let is_of = |number: usize| line.contains(&level[number]);
            let (priority, rest) = match journal {
                true => line.split_at(3),
                false => ("", line),
            };
            match format {
                "text" => assert!(rest.starts_with('['), "{line}"),
                _ => assert!(rest.starts_with("{\"time\":\"2"), "{line}"),
            }
            match (journal, format) {
                (false, _) => {}
                (true, "json") => {
                    let expected = ["<4>", "<6>", "<7>"];
                    let is_right = |number: usize| is_of(number) && priority == expected[number];
                    assert!((0..3).any(is_right), "{line}");
                }
                (true, _) => assert!(["<4>", "<6>", "<7>"].contains(&priority), "{line}"),
            }
        }
        for (text, priority) in [
            ("invalid name", "<4>"),
            ("upload", "<6>"),
            ("opened", "<7>"),
        ] {
            let mut lines = log.lines().filter(|line| line.contains(text)).peekable();
            assert!(lines.peek().is_some(), "{text}: {log}");
            let is_right = |line: &str| line.starts_with(priority) == journal;
            assert!(lines.all(is_right), "{text}: {log}");
        }
    }
}

#[test]
fn json_lines_name_service_peer_and_reason() {
    let server = start("json", false);
    let log = misuse(&server);
    let mut shown = Vec::new();
    for line in log.lines() {
        let line: Value = serde_json::from_str(line).expect(line);
        for field in ["time", "level", "target", "message"] {
            assert!(line[field].is_string(), "{field}: {line}");
        }
        let field = |name: &str| line[name].as_str().unwrap_or("none").to_owned();
        let host = field("peer").split(':').next().map(str::to_owned);
        let fields = ["level", "service", "reason"].map(field);
        shown.push((fields.join(" "), host.expect("one part")));
    }
    let is_shown = |wanted: &str| {
        let is_it =
            |(fields, host): &(String, String)| fields.starts_with(wanted) && host == "127.0.0.1";
        shown.iter().any(is_it)
    };
    for wanted in [
        "DEBUG echo end of stream",
        "INFO files the name holds a control character",
        "INFO transfer the name holds a control character",
        "WARN room sent an invalid name",
    ] {
        assert!(is_shown(wanted), "{wanted}: {shown:#?}");
    }
}

/// Runs `loket serve` with these flags and variables, which must fail; returns standard error.
fn fails(flags: &[&str], variables: &[(&str, &str)], journal: bool) -> String {
    let mut prepared = Prepared::new();
    let mut log = tempfile::tempfile().expect("a file");
    let about = log.metadata().expect("ours");
    let inode = about.ino() + u64::from(!journal);
    prepared.command.args(flags).envs(variables.iter().copied());
    let stream = format!("{}:{inode}", about.dev());
    prepared.command.env("JOURNAL_STREAM", stream);
    let stderr = log.try_clone().expect("a descriptor");
    let ended = prepared.command.stderr(stderr).status();
    assert_eq!(ended.expect("it starts").code(), Some(2), "{flags:?}");
    let mut text = String::new();
    log.rewind().expect("a file");
    log.read_to_string(&mut text).expect("text");
    text
}

#[test]
fn a_start_that_fails_is_one_line_of_the_log() {
    for (flags, variables, why) in [
        (&["--host", "192.0.2.1"][..], &[][..], "192.0.2.1"),
        (&["--spin", "many"], &[], "invalid value 'many'"),
        (&["--nothing"], &[], "'--nothing'"),
        (&["--config", "/nowhere"], &[], "/nowhere"),
        (&[], &[("LOKET_SPIN", "many")], "LOKET_SPIN"),
        (
            &["--host", "192.0.2.1"],
            &[("RUST_LOG", "off")],
            "192.0.2.1",
        ),
    ] {
        let json = |log: &str| {
            assert_eq!(log.lines().count(), 1, "{log}");
            let line: Value = serde_json::from_str(log).expect("an object");
            assert_eq!(
                (&line["level"], &line["target"]),
                (&"ERROR".into(), &"loket".into())
            );
            assert!(
                line["time"]
                    .as_str()
                    .is_some_and(|time| time.ends_with('Z')),
                "{line}"
            );
            assert!(
                line["message"]
                    .as_str()
                    .is_some_and(|text| text.contains(why)),
                "{line}"
            );
        };
        json(&fails(
            &[&["--log-format", "json"], flags].concat(),
            variables,
            false,
        ));
        json(&fails(
            &[&["--log-format=json"], flags].concat(),
            variables,
            false,
        ));
        let from_variable = [&[("LOKET_LOG_FORMAT", "json")], variables].concat();
        json(&fails(flags, &from_variable, false));
        let journal = fails(flags, variables, true);
        assert!(
            journal.starts_with("<3>[loket] ") && journal.contains(why),
            "{journal}"
        );
        assert_eq!(journal.lines().count(), 1, "{journal}");
    }
}
