//! Tabs that watch the loop over sockets: each state as clients cause it.

use crate::support::stalled::Stalled;
use crate::support::tab::Tab;
use crate::support::{Client, Prepared, Server, eventually};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::net::Shutdown;

/// The numbers of states.
const PARKED: u64 = 0;
const REQUEUE: u64 = 1;
const AWAIT_DISK: u64 = 2;
const LINGERING: u64 = 3;

/// A connection as a tab sees it.
#[derive(Debug, Clone)]
struct Seen {
    serial: u64,
    service: String,
    state: u64,
    owed: u64,
}

/// A tab, and the picture that its page makes of the events.
struct Watcher {
    tab: Tab,
    services: Vec<String>,
    conns: BTreeMap<u64, Seen>,
    /// Whether all pieces of the snapshot have come.
    whole: bool,
    /// The last frame.
    frame: Value,
    /// What all frames report together: `in`, `out`, `events`, `rounds`.
    sums: [u64; 4],
    /// The lines of the trace.
    lines: String,
}

fn number(value: &Value) -> u64 {
    value.as_u64().expect("a number")
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

impl Watcher {
    #[track_caller]
    fn open(server: &Server) -> Watcher {
        Watcher::of(Tab::open(server, "loop"))
    }

    fn of(tab: Tab) -> Watcher {
        Watcher {
            tab,
            services: Vec::new(),
            conns: BTreeMap::new(),
            whole: false,
            frame: Value::Null,
            sums: [0; 4],
            lines: String::new(),
        }
    }

    /// Reads the next event, and draws it.
    #[track_caller]
    fn next(&mut self) {
        let (kind, data) = self.tab.next();
        match &*kind {
            "slab" => {
                if data["first"] == true {
                    self.conns.clear();
                }
                let names = list(&data["services"]).iter();
                let names = names.map(|name| name.as_str().expect("text").to_owned());
                self.services = names.collect();
                self.whole = data["more"] == false;
                self.draw(&data);
            }
            "loop" => {
                for slot in list(&data["gone"]) {
                    self.conns.remove(&number(slot));
                }
                let names = ["in", "out", "events", "rounds"];
                let added = self.sums.iter_mut().zip(names);
                added.for_each(|(sum, name)| *sum += number(&data[name]));
                self.draw(&data);
                self.frame = data;
            }
            _ => {
                let lines = data["lines"].as_array().into_iter().flatten();
                let lines = lines.map(|line| format!("{}\n", line.as_str().expect("text")));
                self.lines.extend(lines);
            }
        }
    }

    fn draw(&mut self, data: &Value) {
        for conn in list(&data["conns"]) {
            let field = |place: usize| number(&conn[place]);
            let seen = Seen {
                serial: field(1),
                service: self.services[field(2) as usize].clone(),
                state: field(3),
                owed: field(4),
            };
            self.conns.insert(field(0), seen);
        }
    }

    /// Reads events until `find` returns something.
    #[track_caller]
    fn until<T>(&mut self, what: &str, mut find: impl FnMut(&Watcher) -> Option<T>) -> T {
        let mut found = find(self);
        eventually(what, || {
            if found.is_none() {
                self.next();
                found = find(self);
            }
            found.is_some()
        });
        found.expect("it was found")
    }

    /// Reads events until this holds.
    #[track_caller]
    fn wait(&mut self, what: &str, mut holds: impl FnMut(&Watcher) -> bool) {
        self.until(what, |watcher| holds(watcher).then_some(()));
    }

    /// The connections of a service.
    fn of_service(&self, service: &str) -> impl Iterator<Item = &Seen> {
        let conns = self.conns.values();
        conns.filter(move |conn| conn.service == service)
    }

    /// Reads events until a connection of this service is in this state.
    #[track_caller]
    fn until_state(&mut self, service: &str, state: u64) {
        let what = format!("a connection of {service} is in state {state}");
        self.wait(&what, |watcher| {
            watcher.of_service(service).any(|conn| conn.state == state)
        });
    }

    fn count(&self, service: &str) -> usize {
        self.of_service(service).count()
    }
}

#[test]
fn short_turns_are_seen_with_their_bytes_and_rest_afterwards() {
    let server = Server::start(&[]);
    let mut watcher = Watcher::open(&server);
    let mut client = server.connect("echo");
    client.send("x".repeat(700)).expect("x".repeat(700));
    watcher.wait("the bytes of the echo", |watcher| {
        let [read, written, ..] = watcher.sums;
        watcher.count("echo") == 1 && read >= 700 && written >= 700
    });
    let [_, _, events, rounds] = watcher.sums;
    assert!(events > 0 && rounds > 0, "{events}, {rounds}");
    // The frames themselves keep no picture busy.
    eventually("the picture rests", || {
        let rests = watcher.tab.is_silent(400);
        if !rests {
            watcher.next();
        }
        rests
    });
    client.send("y").expect("y");
    watcher.next();
    let rows = list(&watcher.frame["conns"]).iter();
    let mut rows = rows.filter(|row| watcher.services[number(&row[2]) as usize] == "echo");
    let row = rows.next().expect("the echo");
    assert_eq!((number(&row[4]), number(&row[6])), (0, 2), "{row}");
    assert!(number(&row[5]) >= 1 && number(&row[7]) > 0, "{row}");
    drop(client);
    watcher.wait("it is gone", |watcher| watcher.count("echo") == 0);
}

#[test]
fn downloads_rotate_in_the_bulk_queue() {
    let server = Server::start(&[]);
    server.sparse("big", 8 << 30);
    let mut watcher = Watcher::open(&server);
    let readers: Vec<_> = (0..3)
        .map(|_| {
            let mut client = server.connect("files");
            client.send("download big\n");
            let socket = client.0.try_clone().expect("a descriptor");
            let read =
                move || while client.0.read(&mut [0; 65_536]).is_ok_and(|count| count > 0) {};
            (socket, std::thread::spawn(read))
        })
        .collect();
    let mut requeued = BTreeSet::new();
    watcher.wait("each of them waits for a bulk turn", |watcher| {
        let conns = watcher.conns.iter();
        requeued.extend(
            conns
                .filter(|(_, conn)| conn.state == REQUEUE)
                .map(|(slot, _)| *slot),
        );
        requeued.len() == 3 && watcher.frame["most"][1].as_u64() >= Some(2)
    });
    for (socket, reader) in readers {
        let _ = socket.shutdown(Shutdown::Both);
        reader.join().expect("it ends");
    }
}

#[test]
fn a_slow_reader_is_parked_with_what_it_is_owed() {
    let server = Server::start(&[]);
    let size = 64 << 20;
    server.sparse("big", size);
    let mut watcher = Watcher::open(&server);
    let mut client = server.connect("files");
    client.send("download big\n");
    let is_slow = |watcher: &Watcher| {
        let mut conns = watcher.of_service("files");
        let conn = conns.find(|conn| conn.state == PARKED && conn.owed > size / 2)?;
        Some(conn.serial)
    };
    let serial = watcher.until("it is owed most of the file", is_slow);
    let mut later = Watcher::open(&server);
    let same = later.until("a tab that opens later sees the same", is_slow);
    assert_eq!(same, serial);
}

#[test]
fn a_client_of_a_stopped_disk_awaits_it() {
    let test = "a_client_of_a_stopped_disk_awaits_it";
    let Some(stalled) = Stalled::root(test, &[]) else {
        return;
    };
    std::fs::write(stalled.behind("file"), "inside").expect("room");
    let mut watcher = Watcher::open(&stalled);
    stalled.stop();
    let mut client = stalled.connect("files");
    client.send("download file\n");
    watcher.until_state("files", AWAIT_DISK);
    watcher.wait("one waits", |watcher| watcher.frame["await_disk"] == 1);
    stalled.resume();
    client.expect("OK 6\ninside");
    watcher.until_state("files", PARKED);
}

#[test]
fn a_refused_client_lingers() {
    let server = Server::start(&[]);
    let mut watcher = Watcher::open(&server);
    let mut client = server.connect("files");
    client.send(vec![b'x'; 100_000]);
    watcher.until_state("files", LINGERING);
    client.error();
}

#[test]
fn the_gate_of_the_acceptor_shuts_at_the_limit_and_opens_again() {
    let server = Server::start(&["--max-connections", "3"]);
    let mut watcher = Watcher::open(&server);
    watcher.wait("the gate is open", |it| it.frame["accepting"] == true);
    assert_eq!(watcher.frame["limit"], 3);
    let clients = [(); 2].map(|()| server.connect("echo"));
    watcher.wait("the gate is shut", |it| it.frame["accepting"] == false);
    assert_eq!(watcher.frame["connections"], 3);
    drop(clients);
    watcher.wait("the gate is open again", |it| it.frame["accepting"] == true);
}

#[test]
fn a_snapshot_of_thousands_of_connections_is_complete() {
    let server = Server::start(&[]);
    let clients: Vec<_> = (0..5_000).map(|_| server.connect("echo")).collect();
    server.connect("echo").send("x").expect("x");
    let mut watcher = Watcher::open(&server);
    watcher.wait("all pieces", |watcher| watcher.whole);
    assert!(watcher.count("echo") >= clients.len());
    drop(clients);
    watcher.wait("all are gone", |watcher| watcher.count("echo") == 0);
}

#[test]
fn a_trace_shows_one_connection_without_the_bytes_of_its_peer() {
    let server = Server::start(&[]);
    let mut client = server.connect("echo");
    client.send("one").expect("one");
    let mut watcher = Watcher::open(&server);
    let (slot, serial) = watcher.until("a snapshot", |watcher| {
        let mut conns = watcher.conns.iter();
        let (slot, conn) = conns.find(|(_, conn)| conn.service == "echo")?;
        Some((*slot, conn.serial))
    });
    let trace = |tab: &Tab, conn| tab.post(&server, "operator", json!({"trace": conn}));
    let conn = json!({"slot": slot, "serial": serial});
    assert_eq!(trace(&watcher.tab, conn), 204);
    for wrong in [
        json!(5),
        json!({"slot": 1}),
        json!({"slot": -1, "serial": 1}),
    ] {
        assert_eq!(trace(&watcher.tab, wrong.clone()), 400, "{wrong}");
    }
    client.send("secret").expect("secret");
    watcher.wait("its turn", |watcher| watcher.lines.contains("consumed 6 B"));
    let lines = &watcher.lines;
    let own = format!("conn {serial} ");
    assert!(
        lines.starts_with(&format!("{own}echo: parked, ")),
        "{lines}"
    );
    assert!(
        lines.contains("sends 6 B") && !lines.contains("secret"),
        "{lines}"
    );
    let is_own = |line: &str| line.starts_with("round ") || line.starts_with(&own);
    assert!(lines.lines().all(is_own), "{lines}");
    let other = Tab::open(&server, "operator");
    assert_eq!(trace(&other, Value::Null), 409);
}

#[test]
fn a_tab_that_does_not_read_loses_frames_and_nothing_else() {
    let server = Server::start(&[]);
    let mut clients: Vec<_> = (0..500).map(|_| server.connect("echo")).collect();
    let mut active = Watcher::open(&server);
    let slow = Client::connect_small(server.address("http"));
    let mut slow = Watcher::of(Tab::open_by(slow, "loop", ""));
    // The kernel holds 128 KiB for a peer that does not read.
    let mut bytes = 0;
    eventually("frames of 300 KB", || {
        for client in &mut clients {
            client.send("x").expect("x");
        }
        active.next();
        bytes += active.frame.to_string().len();
        bytes > 300_000
    });
    clients.truncate(7);
    slow.wait("a frame after the gap", |slow| {
        slow.frame["missed"].as_u64() > Some(0)
    });
    slow.wait("the new picture", |slow| {
        slow.count("echo") == 7 && slow.count("http") == 2
    });
}

#[test]
fn the_loop_is_shown_with_the_token_only() {
    let mut prepared = Prepared::new();
    let file = prepared.folder().join("token");
    std::fs::write(&file, "kq3-Zp7\n").expect("room");
    prepared.command.arg("--http-token-file").arg(&file);
    let server = prepared.launch();
    let refused = server.ask(
        "http",
        "GET /-/events?loop HTTP/1.1\r\nHost: localhost\r\n\r\n",
    );
    assert!(refused.starts_with("HTTP/1.1 401 "), "{refused}");
    let token = "Authorization: Bearer kq3-Zp7\r\n";
    let tab = Tab::open_by(server.connect("http"), "loop", token);
    assert_eq!(tab.post(&server, "operator", json!({"trace": null})), 401);
    Watcher::of(tab).wait("a picture", |watcher| watcher.whole);
}
