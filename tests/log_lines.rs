//! The log as text and as JSON, in a file and in the journal: one event is one line with its
//! priority, whatever clients send.

mod support;

use loket::wire::text::is_hidden;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};
use support::guest::Guest;
use support::python::python;
use support::{Prepared, Server, eventually};

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
            let mut lines = log.lines().filter(|line| line.contains(text));
            let is_right = |line: &str| line.starts_with(priority) == journal;
            assert!(lines.all(is_right), "{text}: {log}");
        }
    }
}

#[test]
fn json_lines_are_objects_that_name_service_and_peer() {
    if !python("json_lines_are_objects_that_name_service_and_peer") {
        return;
    }
    let server = start("json", false);
    let log = misuse(&server);
    let script = "import json, sys\n\
        for line in sys.stdin.buffer.read().decode().split('\\n')[:-1]:\n\
        \x20   one = json.loads(line)\n\
        \x20   if ': closed' in one['message']:\n\
        \x20       print(one['level'], one['service'], one['peer'].split(':')[0], one['reason'])";
    let mut child = Command::new("python3")
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 starts");
    let mut input = child.stdin.take().expect("piped");
    input.write_all(log.as_bytes()).expect("it reads");
    drop(input);
    let ended = child.wait_with_output().expect("our child");
    let shown = String::from_utf8(ended.stdout).expect("text");
    assert!(ended.status.success(), "{log}");
    assert!(
        shown.contains("DEBUG echo 127.0.0.1 end of stream"),
        "{shown}"
    );
}

#[test]
fn a_start_that_fails_is_one_line_of_the_log_in_json() {
    let mut prepared = Prepared::new();
    prepared
        .command
        .args(["--log-format", "json", "--host", "192.0.2.1"]);
    let ended = prepared.command.stderr(Stdio::piped()).output();
    let ended = ended.expect("it starts");
    let error = String::from_utf8(ended.stderr).expect("text");
    assert_eq!((ended.status.code(), error.lines().count()), (Some(2), 1));
    assert!(
        error.contains("\"level\":\"ERROR\"") && error.contains("192.0.2.1"),
        "{error}"
    );
}
