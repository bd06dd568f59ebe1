//! The windows in a browser, beside the operator's terminal and talk clients over TCP.

use crate::support;
use crate::support::guest::Guest;
use crate::support::python::{PythonClient, python};
use crate::support::tab::{Tab, begin_post, post, status_and_text};
use crate::support::{Client, Prepared, ROOM_PASSWORD, Server, eventually, skip};
use rustix::process::Signal;
use serde_json::json;
use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, Command, Stdio};

/// A server with a client over TCP, an operator and client 2 in one tab, an operator in another.
struct Chat {
    server: Server,
    keys: ChildStdin,
    line_client: Client,
    tab: Tab,
    other: Tab,
}

impl Chat {
    fn new() -> Chat {
        let (mut server, keys) = Server::operated(&[]);
        let line_client = server.connect("talk");
        server.shown_until("Client 1 connected");
        let mut tab = Tab::open(&server, "operator&client");
        // What was shown before is in the window, too.
        assert!(tab.line().starts_with("Client 1 connected from 127.0.0.1:"));
        assert_eq!(tab.event("talk"), json!({"you": 2}));
        let shown = tab.line();
        assert!(shown.starts_with("Client 2 connected from 127.0.0.1:"));
        assert_eq!(server.shown(), shown);
        let other = Tab::open(&server, "operator");
        Chat {
            server,
            keys,
            line_client,
            tab,
            other,
        }
    }
}

#[test]
fn clients_over_tcp_and_in_tabs_appear_alike_on_the_terminal_and_in_windows() {
    let Chat {
        mut server,
        mut line_client,
        mut tab,
        mut other,
        ..
    } = Chat::new();
    let listed = other.event("roster");
    let clients = listed["clients"].as_array().expect("a list");
    let numbers: Vec<_> = clients.iter().map(|client| client["id"].clone()).collect();
    assert_eq!(numbers, [json!(1), json!(2)]);
    assert_eq!(listed["more"], json!(false));
    line_client.send("halo\r\n");
    assert_eq!(server.shown(), "Client 1: halo");
    assert_eq!(
        tab.post(&server, "talk", json!({"line": "selamat pagi ☀"})),
        204
    );
    assert_eq!(server.shown(), "Client 2: selamat pagi ☀");
    for window in [&mut tab, &mut other] {
        while window.line() != "Client 1: halo" {}
        assert_eq!(window.line(), "Client 2: selamat pagi ☀");
    }
}

#[test]
fn operators_at_the_terminal_and_in_windows_write_to_the_same_clients() {
    let Chat {
        mut server,
        mut keys,
        mut line_client,
        mut tab,
        mut other,
    } = Chat::new();
    while !other.line().starts_with("Client 2 connected") {}
    other.event("roster");
    // The terminal to all clients and to one; the windows see what it wrote.
    keys.write_all(b"from the terminal\n/to 2 for two\n")
        .expect("taken");
    line_client.expect("from the terminal\n");
    assert_eq!(tab.event("talk"), json!({"line": "from the terminal"}));
    assert_eq!(tab.event("talk"), json!({"line": "for two"}));
    assert_eq!(other.line(), "> from the terminal");
    assert_eq!(other.line(), "> /to 2 for two");

    // A window to all clients and to one; the terminal and the other window see it.
    assert_eq!(
        other.post(&server, "operator", json!({"line": "from a window"})),
        204
    );
    assert_eq!(
        other.post(&server, "operator", json!({"to": 1, "line": "for one"})),
        204
    );
    line_client.expect("from a window\nfor one\n");
    assert_eq!(tab.event("talk"), json!({"line": "from a window"}));
    assert_eq!(server.shown(), "> from a window");
    assert_eq!(server.shown(), "> /to 1 for one");
    // Questions and mistakes are answered to their author.
    assert_eq!(
        other.post(&server, "operator", json!({"to": 77, "line": "x"})),
        204
    );
    assert_eq!(other.line(), "> from a window");
    assert_eq!(other.line(), "> /to 1 for one");
    assert_eq!(
        other.line(),
        "there is no client 77; /list shows the clients"
    );

    assert_eq!(other.post(&server, "operator", json!({"kick": 2})), 204);
    assert_eq!(
        tab.event("talk"),
        json!({"closed": "closed by the operator"})
    );
    assert_eq!(other.event("roster"), json!({"left": 2}));
    assert_eq!(server.shown(), "> /kick 2");
    assert_eq!(server.shown(), "Client 2 disconnected");
    assert_eq!(tab.post(&server, "talk", json!({"line": "x"})), 409);
    drop(line_client);
    assert_eq!(server.shown(), "Client 1 disconnected");
    assert_eq!(other.line(), "> /kick 2");
    assert_eq!(other.line(), "Client 2 disconnected");
    assert_eq!(other.line(), "Client 1 disconnected");
}

#[test]
fn a_course_client_chats_with_an_operator_in_a_tab() {
    let test = "a_course_client_chats_with_an_operator_in_a_tab";
    if !python(test) {
        return;
    }
    let server = Server::start(&[]);
    let mut tab = Tab::open(&server, "operator");
    let texts = ["halo, ada orang?", "ada, selamat pagi ☀"];
    let client = PythonClient::start(&server, "textbook", "talk", &texts);
    assert!(tab.line().starts_with("Client 1 connected from "));
    for _ in 0..2 {
        assert_eq!(tab.line(), "Client 1: halo, ada orang?");
        assert_eq!(
            tab.post(&server, "operator", json!({"line": texts[1]})),
            204
        );
        assert_eq!(tab.line(), format!("> {}", texts[1]));
    }
    assert_eq!(tab.line(), "Client 1 disconnected");
    client.passes();
}

#[test]
fn the_window_works_without_a_terminal() {
    let folder = support::rooted();
    let shell = ["sh", "-c", "exec \"$0\" \"$@\" <&- 2>&-"];
    let mut server = Server::start_under(&shell, folder, &[]);
    // Nothing reads standard output any more: the next line ends the console.
    let (nothing, _) = std::io::pipe().expect("a pipe");
    let nothing = std::process::ChildStdout::from(std::os::fd::OwnedFd::from(nothing));
    server.screen = BufReader::new(nothing);
    let mut tab = Tab::open(&server, "operator");
    let mut client = server.connect("talk");
    for number in 1..=3 {
        client.send(format!("{number}\n"));
        let wanted = format!("Client 1: {number}");
        while tab.line() != wanted {}
        assert_eq!(
            tab.post(&server, "operator", json!({"line": "answer"})),
            204
        );
        client.expect("answer\n");
        assert_eq!(tab.line(), "> answer");
    }
    // Another one finds all of it.
    let mut later = Tab::open(&server, "operator");
    assert!(later.line().starts_with("Client 1 connected"));
    assert_eq!(later.line(), "Client 1: 1");
}

#[test]
fn a_server_without_talk_says_so() {
    let server = Prepared::alone("http").launch();
    let mut tab = Tab::open(&server, "client&operator");
    assert_eq!(tab.event("roster"), json!({"clients": [], "more": false}));
    assert_eq!(
        tab.event("talk"),
        json!({"closed": "the talk service is off"})
    );
    assert_eq!(tab.post(&server, "talk", json!({"line": "x"})), 409);
    assert_eq!(tab.post(&server, "operator", json!({"line": "x"})), 204);
    assert_eq!(tab.line(), "the talk service is off: there are no clients");
}

#[test]
fn tabs_are_counted_and_logged_and_end_with_the_server() {
    let mut server = Server::start(&["-v"]);
    let count = |server: &Server| {
        let page = server.ask("http", "GET /-/metrics HTTP/1.0\r\n\r\n");
        let value = page
            .lines()
            .find_map(|line| line.strip_prefix("loket_http_tabs "));
        value.expect("a metric").to_owned()
    };
    let (first, second) = (Tab::open(&server, "client"), Tab::open(&server, ""));
    assert_eq!(count(&server), "2");
    drop(first);
    eventually("a tab is closed", || count(&server) == "1");
    let log = server.log();
    assert!(log.contains("http: GET /-/events?client 200 0 B"), "{log}");
    assert!(!log.contains(&second.id), "the id is a secret");
    // A tab has no end, and does not delay that of the server.
    server.signal(Signal::TERM);
    assert!(server.wait().success());
    drop(second);
}

#[test]
fn a_tab_that_stalls_costs_bounded_memory() {
    let server = Server::start(&[]);
    let mut stalled: Vec<Tab> = (0..10).map(|_| Tab::open(&server, "operator")).collect();
    let mut reads = Tab::open(&server, "operator");
    let before = server.memory();
    let mut client = server.connect("talk");
    let line = "x".repeat(1_000);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..3_000 {
                client.send(format!("{number} {line}\n"));
            }
            client.finish().rest();
        });
        let mut missed = 0;
        loop {
            let data = reads.event("operator");
            missed += data["gap"].as_u64().unwrap_or(0);
            if data["line"] == "Client 1 disconnected" {
                break;
            }
        }
        assert!(missed < 3_000, "it has read some");
    });
    let grown = server.memory().saturating_sub(before);
    assert!(grown < 2 << 20, "{grown} bytes for ten tabs");
    // They go on with what is left, and know what is missing.
    let mut gap = 0;
    while gap == 0 {
        gap = stalled[0].event("operator")["gap"].as_u64().unwrap_or(0);
    }
    assert!(gap > 1_000, "{gap}");
}

/// A server on loopback whose token is in a file.
fn with_token() -> Server {
    let mut prepared = Prepared::new();
    let file = prepared.folder().join("token");
    std::fs::write(&file, "kq3-Zp7\n").expect("room");
    prepared.command.arg("--http-token-file").arg(&file);
    prepared.launch()
}

/// The status of a request for events.
fn open(server: &Server, lines: &str, query: &str) -> u16 {
    let mut stream = server.connect("http");
    stream.send(format!("GET /-/events?{query} HTTP/1.1\r\n{lines}\r\n"));
    let line = stream.line();
    let status = line.split(' ').nth(1).expect("a status");
    status.parse().expect("a number")
}

#[test]
fn who_may_open_a_tab_and_post() {
    let server = with_token();
    let port = server.address("http").port();
    assert_eq!(
        server.window.as_deref(),
        Some(&*format!("http://127.0.0.1:{port}/-/app/#token=TOKEN")),
        "a token of a file is not printed"
    );
    let right = "Authorization: Bearer kq3-Zp7\r\n";
    let tab = Tab::open_by(server.connect("http"), "client&operator", right);
    let open = |lines: &str, query: &str| open(&server, lines, query);
    let hosts = [
        ("localhost", true),
        ("127.0.0.1:8000", true),
        ("evil.example", false),
    ];
    let sites = [
        ("", true),
        ("Origin: http://HOST\r\n", true),
        ("Origin: http://other.example\r\n", false),
        ("Origin: null\r\n", false),
        (
            "Sec-Fetch-Site: same-origin\r\nOrigin: http://HOST\r\n",
            true,
        ),
        ("Sec-Fetch-Site: same-site\r\n", false),
        ("Sec-Fetch-Site: cross-site\r\n", false),
    ];
    let tokens = [(right, true), ("", false)];
    for (host, own_host) in hosts {
        for (site, own_site) in sites {
            for (token, has_token) in tokens {
                let site = site.replace("HOST", host);
                let lines = format!("Host: {host}\r\n{site}{token}");
                let wanted = |needs_token: bool, done: u16| match () {
                    () if !own_host => 421,
                    () if !own_site => 403,
                    () if needs_token && !has_token => 401,
                    () => done,
                };
                for (query, needs_token) in [
                    ("client", false),
                    ("room", false),
                    ("operator", true),
                    ("client&operator", true),
                    ("", false),
                ] {
                    assert_eq!(
                        open(&lines, query),
                        wanted(needs_token, 200),
                        "{lines}{query}"
                    );
                }
                let body = json!({"tab": tab.id, "line": "x"});
                for (endpoint, needs_token) in [("talk", false), ("operator", true)] {
                    let status = post(&server, endpoint, &lines, &body);
                    assert_eq!(status, wanted(needs_token, 204), "{lines}{endpoint}");
                }
                for (query, needs_token) in [("room", false), ("loop", true)] {
                    let endpoint = format!("events?{query}");
                    for opens in [true, false] {
                        let body = json!({"tab": tab.id, "open": opens});
                        let status = post(&server, &endpoint, &lines, &body);
                        assert_eq!(status, wanted(needs_token, 204), "{lines}{endpoint}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_tab_opens_and_closes_streams_on_its_connection() {
    let server = Server::start(&[]);
    let watcher = Guest::member(&server, "watcher");
    let mut tab = Tab::open(&server, "");
    let switch =
        |tab: &Tab, name: &str, fields| tab.post(&server, &format!("events?{name}"), fields);
    let open = || json!({"open": true});
    for name in ["operator", "client", "room", "loop"] {
        assert_eq!(switch(&tab, name, open()), 204, "{name}");
        assert_eq!(tab.event("opened"), json!({"stream": name}));
        assert_eq!(switch(&tab, name, open()), 409, "{name} is open already");
    }
    assert_eq!(tab.event("talk"), json!({"you": 1}));
    // The lines of the room are between those of the clients.
    while !tab.line().starts_with("Client 1 connected") {}
    let join = json!({"join": {"name": "ani", "password": ROOM_PASSWORD}});
    assert_eq!(tab.post(&server, "room", join.clone()), 204);
    watcher.expect("ani bergabung ke chatroom.");
    // Each ends alone.
    assert_eq!(switch(&tab, "loop", json!({"open": false})), 204);
    assert_eq!(switch(&tab, "client", json!({"open": false})), 204);
    while !tab.line().starts_with("Client 1 disconnected") {}
    assert_eq!(tab.post(&server, "talk", json!({"line": "x"})), 409);
    assert_eq!(tab.post(&server, "room", json!({"line": "halo"})), 204);
    watcher.expect("ani: halo");
    assert_eq!(switch(&tab, "room", json!({"open": false})), 204);
    watcher.expect("ani telah keluar dari chatroom.");
    // What is opened again is new.
    assert_eq!(switch(&tab, "client", open()), 204);
    assert_eq!(
        tab.until(|kind, data| (kind == "talk").then(|| data["you"].clone())),
        2
    );
    assert_eq!(switch(&tab, "room", open()), 204);
    assert_eq!(tab.post(&server, "room", join), 204);
    watcher.expect("ani bergabung ke chatroom.");
}

#[test]
fn a_stream_goes_on_behind_the_last_event_that_a_page_names() {
    let server = Server::start(&[]);
    let mut client = server.connect("talk");
    let mut tab = Tab::open(&server, "operator");
    assert!(tab.line().starts_with("Client 1 connected"));
    client.send("satu\n");
    assert_eq!(tab.line(), "Client 1: satu");
    let last = tab.last.clone();
    client.send("dua\n");
    assert_eq!(tab.line(), "Client 1: dua");
    let mut other = Tab::open(&server, "");
    let fields = json!({"open": true, "last": last});
    assert_eq!(other.post(&server, "events?operator", fields), 204);
    assert_eq!(other.line(), "Client 1: dua");
}

#[test]
fn wrong_requests_to_open_a_stream_are_refused_with_the_reason() {
    let server = Server::start(&[]);
    let tab = Tab::open(&server, "client");
    let answer = |query: &str, mut fields: serde_json::Value| {
        fields["tab"] = json!(tab.id);
        let endpoint = format!("events{query}");
        status_and_text(&mut begin_post(
            &server,
            &endpoint,
            "Host: localhost\r\n",
            &fields,
        ))
    };
    let one = "the query must name one stream, for example POST /-/events?room";
    for query in ["", "?", "?rooms", "?room&loop"] {
        assert_eq!(
            answer(query, json!({"open": true})),
            (400, one.into()),
            "{query}"
        );
    }
    let fields = "the JSON object must have the fields `tab` and `open`";
    for wrong in [
        json!({}),
        json!({"open": 1}),
        json!({"open": true, "last": 1}),
        json!({"open": true, "line": "x"}),
        json!({"open": false, "last": "x"}),
    ] {
        let (status, text) = answer("?room", wrong.clone());
        assert!(
            status == 400 && text.starts_with(fields),
            "{wrong}: {status} {text}"
        );
    }
    let not_open = (409, "the tab does not watch `room`".into());
    assert_eq!(answer("?room", json!({"open": false})), not_open);
    let is_open = (409, "the tab watches `client` already".into());
    assert_eq!(answer("?client", json!({"open": true})), is_open);
}

#[test]
fn an_exposed_server_without_a_token_shows_strangers_no_loop() {
    let mut prepared = Prepared::alone("http");
    let flags = ["--host", "0.0.0.0", "--read-only"];
    prepared.command.args(flags);
    let server = prepared.launch();
    assert_eq!((&server.made_token, &server.window), (&None, &None));
    let host = "Host: localhost\r\n";
    for query in ["loop", "operator", "client&loop"] {
        assert_eq!(open(&server, host, query), 403, "{query}");
    }
    let trace = json!({"tab": "x", "trace": 1});
    assert_eq!(post(&server, "operator", host, &trace), 403);
    let opened = json!({"tab": "x", "open": true});
    assert_eq!(post(&server, "events?loop", host, &opened), 403);
    // The page asks for this one first.
    assert_eq!(open(&server, host, ""), 200);
}

#[test]
fn wrong_tokens_for_a_tab_are_counted() {
    let server = with_token();
    let wrong = "Host: localhost\r\nAuthorization: Bearer no\r\n";
    assert_eq!(open(&server, wrong, "operator"), 401);
    let is_ignored = || open(&server, wrong, "operator") == 429;
    eventually("the network is ignored", is_ignored);
    assert_eq!(open(&server, wrong, "client"), 200, "it needs no token");
}

#[test]
fn curl_shows_the_events() {
    let server = Server::start(&[]);
    let url = format!("http://{}/-/events?operator", server.address("http"));
    let mut command = Command::new("curl");
    let command = command.args(["-sN", &url]).stdout(Stdio::piped());
    let Ok(mut curl) = command.spawn() else {
        return skip("curl_shows_the_events", "no curl");
    };
    let mut lines = BufReader::new(curl.stdout.take().expect("piped")).lines();
    let mut until = |wanted: &str| {
        lines
            .by_ref()
            .any(|line| line.expect("text").contains(wanted))
    };
    assert!(until("event: hello"));
    server.connect("talk").send("halo\n").finish().rest();
    assert!(until("\"line\":\"Client 1: halo\""));
    curl.kill().expect("our child");
    curl.wait().expect("our child");
}
