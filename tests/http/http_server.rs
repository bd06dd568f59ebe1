//! The HTTP service and its owner: token, names, warnings, health, metrics and access log.

use crate::support;
use crate::support::{Prepared, Server, eventually};
use std::process::Command;

/// The answer to a request on a connection of its own.
fn ask(server: &Server, method: &str, target: &str, fields: &str) -> String {
    let head = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n{fields}");
    server.ask("http", format!("{head}Connection: close\r\n\r\n"))
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or(answer)
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}

/// The value of a metric, named with its labels.
#[track_caller]
fn metric(server: &Server, name: &str) -> u64 {
    let page = ask(server, "GET", "/-/metrics", "");
    let mut lines = body(&page).lines();
    let line = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let value = line.unwrap_or_else(|| panic!("no {name} in {page}"));
    value.parse().expect("a whole number")
}

#[test]
fn a_token_in_a_file_is_needed_on_loopback_and_is_printed_nowhere() {
    let mut prepared = Prepared::new();
    let file = prepared.folder().join("token");
    std::fs::write(&file, "kq3-Zp7\nnot this\n").expect("room");
    let flag = prepared.command.arg("--http-token-file");
    flag.arg(&file).arg("-vv");
    let server = prepared.launch();
    server.put("name", "text");
    assert_eq!(status(&ask(&server, "GET", "/name", "")), "200");
    let token = "Authorization: Bearer kq3-Zp7\r\n";
    for (method, target, fields, done) in [
        ("MKCOL", "/new", "", "201"),
        ("MOVE", "/name", "Destination: /new/name\r\n", "201"),
        ("DELETE", "/new/name", "", "204"),
    ] {
        let refused = ask(&server, method, target, fields);
        assert_eq!(status(&refused), "401", "{method}");
        let challenge = "\r\nWWW-Authenticate: Basic ";
        assert!(refused.contains(challenge), "{refused}");
        let with_token = format!("{fields}{token}");
        // A page of another site may not, with the token neither.
        let from_other = format!("{with_token}Sec-Fetch-Site: cross-site\r\n");
        let refused = ask(&server, method, target, &from_other);
        assert_eq!(status(&refused), "403", "{method}");
        let answer = ask(&server, method, target, &with_token);
        assert_eq!(status(&answer), done, "{answer}");
    }
    assert_eq!(server.made_token, None);
    assert!(!server.log().contains("kq3-Zp7"), "{}", server.log());
}

#[test]
fn beyond_loopback_a_token_is_generated_printed_and_warned_about() {
    let server = Server::start(&["--host", "0.0.0.0"]);
    let token = server.made_token.as_deref().expect("it is printed");
    assert!(token.len() >= 12);
    let warns = |flag| server.log().contains(flag);
    eventually("the log names a flag", || warns("--http-token-file FILE"));
    assert!(warns("--http off") && !warns(token), "{}", server.log());
    let server = Server::start(&[]);
    assert_eq!(server.made_token, None);
}

#[test]
fn a_server_of_http_alone_does_not_warn_of_changes_by_every_machine() {
    let mut prepared = Prepared::alone("http");
    prepared.command.args(["--host", "0.0.0.0"]);
    let server = prepared.launch();
    eventually("the log has the warnings", || {
        server.log().contains("the token of http")
    });
    assert!(!server.log().contains("every machine"), "{}", server.log());
}

#[test]
fn read_only_refuses_a_change_with_the_right_token() {
    let server = Server::start(&["--host", "0.0.0.0", "--read-only"]);
    server.put("name", "text");
    let token = server.made_token.as_deref().expect("it is printed");
    let fields =
        format!("Authorization: Bearer {token}\r\nContent-Length: 0\r\nDestination: /new\r\n");
    for (method, target) in [
        ("PUT", "/name"),
        ("DELETE", "/name"),
        ("MOVE", "/name"),
        ("MKCOL", "/new"),
    ] {
        let refused = ask(&server, method, target, &fields);
        assert_eq!(status(&refused), "403", "{refused}");
        assert!(refused.contains("--read-only"), "{refused}");
    }
    assert_eq!(server.got("name"), b"text");
    assert!(!server.root().join("new").exists());
}

#[test]
fn an_unusable_token_or_name_is_refused_before_anything_is_opened() {
    let folder = tempfile::tempdir().expect("a folder");
    let blank = folder.path().join("blank");
    std::fs::write(&blank, "two words\n").expect("room");
    let blank = blank.to_str().expect("text");
    let root = folder.path().join("root");
    for (flags, word) in [
        (["--http-token-file", "/nowhere"], "/nowhere"),
        (["--http-token-file", "/dev/null"], "not usable"),
        (["--http-token-file", blank], "without blanks"),
        (["--http-name", "name:80"], "without a port"),
        (["--http-name", ""], "without a port"),
        (["--http-name", "a b"], "without a port"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_loket"));
        let command = command.args(["serve", "--root"]).arg(&root).args(flags);
        let ended = command.output().expect("it runs");
        let text = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(2), "{flags:?}: {text}");
        assert!(text.contains(word), "{flags:?}: {text}");
        assert!(!root.exists());
    }
}

#[test]
fn a_name_of_the_server_is_served_and_another_is_not() {
    let server = Server::start(&["--http-name", "one.example", "--http-name", "two.example"]);
    let of = |host: &str| {
        let asked = format!("GET /-/health HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        status(&server.ask("http", asked)).to_owned()
    };
    assert_eq!(of("one.example"), "200");
    assert_eq!(of("Two.Example:8000"), "200");
    assert_eq!(of("three.example"), "421");
}

#[test]
fn files_of_the_root_cannot_run_in_a_browser_as_pages_of_this_server() {
    let server = Server::start(&[]);
    server.put("page.html", "<script>1</script>");
    let answer = ask(&server, "GET", "/page.html", "");
    assert!(
        answer.contains("\r\nX-Content-Type-Options: nosniff\r\n"),
        "{answer}"
    );
    assert!(
        answer.contains("\r\nContent-Security-Policy: sandbox\r\n"),
        "{answer}"
    );
    let crossed = ask(
        &server,
        "DELETE",
        "/page.html",
        "Origin: http://evil.example\r\n",
    );
    assert_eq!(status(&crossed), "403");
    let crossed = ask(
        &server,
        "DELETE",
        "/page.html",
        "Sec-Fetch-Site: cross-site\r\n",
    );
    assert_eq!(status(&crossed), "403");
    let own = ask(
        &server,
        "DELETE",
        "/page.html",
        "Sec-Fetch-Site: same-origin\r\n",
    );
    assert_eq!(status(&own), "204");
}

#[test]
fn a_replaced_file_is_served_anew_to_pipelined_requests() {
    let server = Server::start(&["--no-sync"]);
    server.put("name", "old");
    let get = "GET /name HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let put = "PUT /name HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nnew";
    let answers = server.ask("http", format!("{get}{get}{put}{get}{put}{get}"));
    let bodies: Vec<_> = answers
        .match_indices("\r\n\r\n")
        .map(|(at, _)| &answers[at + 4..])
        .collect();
    let begins: Vec<_> = bodies
        .iter()
        .map(|body| &body[..body.len().min(3)])
        .collect();
    assert_eq!(begins, ["old", "old", "HTT", "new", "HTT", "new"]);
}

#[test]
fn health_is_answered_without_the_root() {
    let server = Server::start(&[]);
    std::fs::rename(server.root(), server.root().with_extension("away")).expect("renamed");
    let answer = ask(&server, "GET", "/-/health", "");
    assert_eq!((status(&answer), body(&answer)), ("200", "ok\n"));
    let head = ask(&server, "HEAD", "/-/health", "");
    assert_eq!((status(&head), body(&head)), ("200", ""));
    assert!(head.contains("\r\nContent-Length: 3\r\n"), "{head}");
    assert_eq!(status(&ask(&server, "DELETE", "/-/health", "")), "405");
}

#[test]
fn metrics_count_connections_requests_and_bytes() {
    let server = Server::start(&[]);
    server.put("name", vec![b'x'; 100_000]);
    let echo = "loket_connections{service=\"echo\",state=\"parked\"}";
    let mut client = server.connect("echo");
    client.send("hello").expect("hello");
    eventually("the turn of the echo is over", || {
        metric(&server, echo) == 1
    });
    assert_eq!(
        metric(
            &server,
            "loket_accepted_connections_total{service=\"echo\"}"
        ),
        1
    );
    drop(client);
    eventually("the echo is closed", || metric(&server, echo) == 0);
    let ended = "loket_closed_connections_total{reason=\"end of stream\"}";
    assert!(metric(&server, ended) >= 1);
    for target in ["/name", "/nothing", "/nothing"] {
        ask(&server, "GET", target, "");
    }
    let requests = "loket_http_requests_total{method=\"GET\",status=\"4xx\"}";
    assert_eq!(metric(&server, requests), 2);
    assert!(metric(&server, "loket_sent_bytes_total{via=\"file\"}") == 100_000);
    assert!(metric(&server, "loket_turns_total{end=\"parked\"}") > 0);
    assert!(metric(&server, "loket_rounds_total") > 0);
    let page = ask(&server, "GET", "/-/metrics", "");
    let kind = "\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n";
    assert!(page.contains(kind), "{page}");
}

#[test]
fn metrics_show_the_members_of_the_room() {
    let server = Server::start(&[]);
    let guest = support::guest::Guest::of(&server);
    guest.enter("one");
    eventually("the next second is sampled", || {
        metric(&server, "loket_room_members") == 1
    });
}

#[test]
fn each_request_is_one_line_of_the_log_without_its_token() {
    let server = Server::start(&["-v"]);
    server.put("name", "text");
    ask(
        &server,
        "GET",
        "/name?download",
        "Authorization: Bearer kq3-Zp7\r\n",
    );
    ask(&server, "PUT", "/n%20%1b", "Content-Length: 0\r\n");
    server.ask("http", "GET /\x1b[2J HTTP/1.1\r\n\r\n");
    let line = |beginning: &str| {
        let log = server.log();
        let mut lines = log.lines().filter(|line| line.contains(beginning));
        let line = lines.next().map(str::to_owned);
        assert!(lines.next().is_none(), "one line: {log}");
        line
    };
    eventually("the lines are written", || line("http: - ").is_some());
    let get = line("http: GET /name?download 200 4 B ").expect("a line");
    assert!(get.contains(" ms 127.0.0.1:"), "{get}");
    assert!(
        line("http: PUT /n%20%1b 400 ").is_some(),
        "{}",
        server.log()
    );
    assert!(!server.log().contains("kq3-Zp7") && !server.log().contains('\x1b'));
    let quiet = Server::start(&[]);
    ask(&quiet, "GET", "/nothing", "");
    assert!(!quiet.log().contains("http: GET"), "{}", quiet.log());
}
