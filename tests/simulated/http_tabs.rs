//! Tabs and POST requests as protocols in memory: their events, limits, and any bytes.

use crate::tabs::World;
use loket::config::services::SERVICES;
use loket::services::operator_history::HistoryLimits;
use loket::services::{ServiceLimits, WindowLimits};
use loket::session::close_reason::CloseReason;
use loket::session::session_id::SessionId;
use loket::wire::follows::Timer;
use proptest::prelude::*;
use serde_json::json;

/// The id and the data of the events of this kind.
fn events(text: &str, kind: &str) -> Vec<(String, serde_json::Value)> {
    let begins = format!("event: {kind}\n");
    let events = text.split("\n\n").filter_map(|event| {
        let rest = event.strip_prefix(&begins)?;
        let id = rest.lines().find_map(|line| line.strip_prefix("id: "));
        let data = rest.lines().find_map(|line| line.strip_prefix("data: "));
        let data = serde_json::from_str(data.expect("data")).expect("JSON");
        Some((id.unwrap_or_default().to_owned(), data))
    });
    events.collect()
}

fn data(text: &str, kind: &str) -> Vec<serde_json::Value> {
    events(text, kind)
        .into_iter()
        .map(|(_, data)| data)
        .collect()
}

#[test]
fn a_tab_begins_with_retry_and_hello() {
    let mut world = World::new();
    let tab = world.open("");
    let text = world.read(tab);
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    for field in [
        "Content-Type: text/event-stream",
        "Cache-Control: no-store",
        "Connection: close",
        "X-Content-Type-Options: nosniff",
    ] {
        assert!(head.lines().any(|line| line == field), "{head}");
    }
    assert!(!head.contains("Content-Length"), "{head}");
    assert!(body.starts_with("retry: 2000\n\nevent: hello\n"), "{body}");
    let hello = data(body, "hello").remove(0);
    let id = hello["tab"].as_str().expect("an id");
    assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let wanted = json!({"tab": id, "talk": true, "room": true, "read_only": false});
    assert_eq!(hello, wanted);
}

#[test]
fn a_silent_tab_gets_heartbeats_and_one_that_reads_nothing_is_closed() {
    let mut world = World::new();
    let tab = world.open("operator");
    world.read(tab);
    for _ in 0..3 {
        assert_eq!(world.awaited(tab), Some(Timer::Heartbeat));
        world.silence(tab, Timer::Heartbeat);
        assert_eq!(world.read(tab), ": \n\n");
    }
    world.print("a line");
    world.silence(tab, Timer::Heartbeat);
    assert_eq!(world.closed(tab), Some(CloseReason::SlowReader));
    assert_eq!(world.tabs(), 0);
}

#[test]
fn a_tab_that_lost_its_connection_gets_what_it_missed_or_is_told_how_much() {
    let mut world = World::new();
    let line = |number: usize| format!("line {number}");
    for number in 0..250 {
        world.print(&line(number));
    }
    let lines = |text: &str| -> Vec<(String, String)> {
        let shown = events(text, "operator").into_iter();
        let text = |data: serde_json::Value| data["line"].as_str().map(str::to_owned);
        shown
            .filter_map(|(id, data)| Some((id, text(data)?)))
            .collect()
    };
    let new = world.open("operator");
    let text = world.read(new);
    let all = lines(&text);
    assert_eq!(all.len(), 200, "the last ones");
    assert_eq!((&*all[0].1, &*all[199].1), ("line 50", "line 249"));
    assert!(!text.contains("gap"), "{text}");
    let mut again = |id: &str| {
        let tab = world.open_with("operator", &format!("Last-Event-ID: {id}\r\n"));
        let text = world.read(tab);
        let gaps = data(&text, "operator");
        let gap = gaps.iter().find_map(|data| data.get("gap").cloned());
        (gap, lines(&text).len())
    };
    assert_eq!(again(&all[197].0), (None, 2));
    assert_eq!(again(&all[199].0), (None, 0));
    let (epoch, _) = all[0].0.split_once('-').expect("an epoch");
    assert_eq!(again(&format!("{epoch}-9")), (Some(json!(40)), 200));
    for other in ["2-9", "nonsense", &format!("{epoch}-250")] {
        assert_eq!(again(other), (Some(json!(null)), 200), "{other}");
    }
}

#[test]
fn a_tab_that_reads_slowly_misses_lines_and_costs_bounded_memory() {
    let mut world = World::new();
    let tab = world.open("operator");
    world.read(tab);
    for number in 0..5_000 {
        world.print(&format!("{number} {}", "x".repeat(1_000)));
        assert!(world.unsent(tab) < 20 * 1024, "{}", world.unsent(tab));
    }
    assert_eq!(world.closed(tab), None);
    let text = world.read(tab);
    let shown = data(&text, "operator");
    let gap = shown.iter().find_map(|data| data["gap"].as_u64());
    let lines = shown.iter().filter(|data| data.get("line").is_some());
    assert_eq!(gap.expect("a gap") + lines.count() as u64, 5_000);
    let last = shown.last().expect("lines")["line"].as_str().map(str::len);
    assert_eq!(last, Some(1_005), "the newest line is there");
}

#[test]
fn a_member_in_a_tab_that_reads_slowly_misses_lines_and_costs_bounded_memory() {
    let mut world = World::new();
    let (slow, other) = (world.open("room"), world.open("room"));
    for (tab, name) in [(slow, "amy"), (other, "bob")] {
        let join = json!({"name": name, "password": "sesame"});
        let fields = json!({"tab": world.id(tab), "join": join});
        assert_eq!(world.post("room", &fields), 204);
    }
    let (line, id) = ("x".repeat(1_000), world.id(other));
    for number in 0..600 {
        let fields = json!({"tab": id, "line": format!("{number} {line}")});
        assert_eq!(world.post("room", &fields), 204);
        world.read(other);
        assert!(world.unsent(slow) < 20 * 1024, "{}", world.unsent(slow));
        if number % 10 == 0 {
            world.second();
        }
    }
    let shown = data(&world.read(slow), "room");
    let gap = shown.iter().find_map(|data| data["gap"].as_u64());
    let lines = shown.iter().filter(|data| data.get("line").is_some());
    assert_eq!(gap.expect("a gap") + lines.count() as u64, 600);
    let text = world.read(other) + &world.read(slow);
    assert!(text.is_empty() && world.tabs() == 2, "{text}");
}

#[test]
fn ten_thousand_clients_are_listed_in_parts_and_a_stalled_tab_is_dropped() {
    let mut world = World::new();
    for slot in 0..10_000 {
        world.join(SessionId::new(100_000 + slot, 1));
    }
    let tab = world.open("operator");
    assert!(world.unsent(tab) < 30 * 1024, "{}", world.unsent(tab));
    // One that leaves before it is listed, and one that joins meanwhile.
    world.leave(9_999);
    world.join(SessionId::new(200_000, 1));
    let text = world.read(tab);
    let roster = data(&text, "roster");
    let parts: Vec<_> = roster
        .iter()
        .filter_map(|data| data.get("clients"))
        .collect();
    let sizes: Vec<usize> = parts
        .iter()
        .map(|part| part.as_array().expect("a list").len())
        .collect();
    assert_eq!((sizes.len(), sizes.iter().sum()), (100, 9_999));
    assert!(sizes.iter().all(|size| *size <= 100));
    let more: Vec<_> = roster
        .iter()
        .filter_map(|data| data["more"].as_bool())
        .collect();
    assert_eq!(
        more.iter().filter(|more| !**more).count(),
        1,
        "the last one"
    );
    assert!(roster.contains(&json!({"left": 9_999})));
    assert!(roster.iter().any(|data| data["joined"]["id"] == 10_001));
    // It does not read while clients come and go.
    let mut most = 0;
    for slot in 0..5_000 {
        world.join(SessionId::new(300_000 + slot, 1));
        most = most.max(world.unsent(tab));
    }
    assert_eq!(world.closed(tab), Some(CloseReason::SlowReader));
    assert!(most < 20 * 1024, "{most}");
}

#[test]
fn a_client_above_its_rate_is_delayed_and_then_refused() {
    let mut world = World::new();
    let tab = world.open("client&operator");
    let id = world.id(tab);
    let line = "x".repeat(4_000);
    let mut statuses = Vec::new();
    for _ in 0..8 {
        statuses.push(world.post("talk", &json!({"tab": id, "line": line})));
    }
    assert_eq!(statuses[0], 204);
    assert_eq!(statuses[7], 429, "{statuses:?}");
    assert_eq!(world.awaited(tab), Some(Timer::Pace));
    world.second();
    world.silence(tab, Timer::Pace);
    assert_eq!(world.awaited(tab), Some(Timer::Heartbeat));
    let said = statuses.iter().filter(|status| **status == 204).count();
    let text = world.read(tab);
    let lines = data(&text, "operator");
    let printed = lines.iter().filter(|data| {
        data["line"]
            .as_str()
            .is_some_and(|line| line.contains("xxx"))
    });
    assert_eq!(printed.count(), said);
}

#[test]
fn what_a_post_may_ask_for() {
    let mut world = World::new();
    let (client, operator) = (world.open("client"), world.open("operator"));
    let (client_id, operator_id) = (world.id(client), world.id(operator));
    let (c, o) = (&*client_id, &*operator_id);
    for (endpoint, fields, status) in [
        ("talk", json!({"tab": c, "line": "hi"}), 204),
        ("talk", json!({"tab": c, "line": 5}), 400),
        ("talk", json!({"tab": c}), 400),
        ("talk", json!({"tab": c, "line": "x", "to": 1}), 400),
        ("talk", json!({"tab": o, "line": "x"}), 409),
        ("talk", json!({"tab": 5, "line": "x"}), 400),
        ("talk", json!({"line": "x"}), 400),
        ("talk", json!(["tab"]), 400),
        ("talk", json!({"tab": "", "line": "x"}), 404),
        ("talk", json!({"tab": &c[..31], "line": "x"}), 404),
        ("talk", json!({"tab": format!("{c}0"), "line": "x"}), 404),
        ("operator", json!({"tab": c, "line": "x"}), 409),
        ("operator", json!({"tab": o, "line": "x"}), 204),
        ("operator", json!({"tab": o, "to": 1, "line": "x"}), 204),
        ("operator", json!({"tab": o, "to": -1, "line": "x"}), 400),
        ("operator", json!({"tab": o, "to": "1", "line": "x"}), 400),
        ("operator", json!({"tab": o, "to": 1}), 400),
        ("operator", json!({"tab": o, "kick": 1, "line": "x"}), 400),
        ("operator", json!({"tab": o, "kick": 1}), 204),
        ("talk", json!({"tab": c, "line": "x"}), 409),
    ] {
        assert_eq!(world.post(endpoint, &fields), status, "{endpoint} {fields}");
    }
    let text = world.read(client);
    let talk = data(&text, "talk");
    let wanted = [
        json!({"you": 1}),
        json!({"line": "x"}),
        json!({"line": "x"}),
        json!({"closed": "closed by the operator"}),
    ];
    assert_eq!(talk, wanted);
}

#[test]
fn control_characters_of_a_peer_reach_no_window() {
    let mut world = World::new();
    let tab = world.open("client&operator");
    let id = world.id(tab);
    let line = "a\u{1b}[2Jb\u{202e}c\u{7}\td";
    assert_eq!(world.post("talk", &json!({"tab": id, "line": line})), 204);
    assert_eq!(
        world.post("operator", &json!({"tab": id, "line": line})),
        204
    );
    let two = json!({"tab": id, "line": "one\r\ntwo\n"});
    assert_eq!(world.post("talk", &two), 204);
    let text = world.read(tab);
    for (_, data) in events(&text, "operator")
        .into_iter()
        .chain(events(&text, "talk"))
    {
        let shown = data["line"].as_str().unwrap_or_default();
        let hidden = |c: char| (c.is_control() && c != '\t') || c == '\u{202e}';
        assert!(!shown.contains(hidden), "{shown:?}");
    }
    let lines: Vec<_> = data(&text, "operator");
    let has = |line: &str| lines.iter().any(|data| data["line"] == line);
    assert!(has("Client 1: one") && has("Client 1: two"), "{lines:?}");
}

#[test]
fn a_post_that_waits_is_answered_when_its_tab_closes() {
    let mut world = World::new();
    let tab = world.open("client");
    let id = world.id(tab);
    let post = world.begin_post("talk", &json!({"tab": id, "line": "x"}));
    world.end(tab);
    world.serve();
    let answer = world.read(post);
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
}

/// JSON objects with the fields of the window, and others.
const FIELDS: &str = "\\{\"tab\":TAB(,\"(line|to|kick|trace|join|leave|open|last)\":\
    ([0-9-]{1,22}|\"\\PC{0,40}\"|null|true|\
    \\{\"name\":\"a\",\"password\":\"sesame\"\\}|\\{\\}|\\[\\])){0,3}\\}";

fn cases() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn any_body_gets_one_answer_and_harms_no_tab(
        endpoint in prop_oneof!["talk", "operator", "room", "events\\?(room|client|loop)"],
        body in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..300),
            "[\\[{\"a-z0-9:,.}\\]\\\\ -]{0,300}".prop_map(String::into_bytes),
            FIELDS
                .prop_map(String::into_bytes),
        ],
    ) {
        let mut world = World::new();
        let tab = world.open("client&operator&room");
        let id = format!("\"{}\"", world.id(tab));
        let body = match String::from_utf8(body) {
            Ok(text) => text.replace("TAB", &id).into_bytes(),
            Err(error) => error.into_bytes(),
        };
        let status = world.post_bytes(&endpoint, &body);
        prop_assert!([204, 400, 404, 409].contains(&status), "{}", status);
        prop_assert_eq!(world.closed(tab), None);
        world.read(tab);
        world.silence(tab, Timer::Heartbeat);
        prop_assert_eq!(world.read(tab), ": \n\n");
    }

    #[test]
    fn any_query_and_any_last_event_open_a_tab(query in "[a-z&=%?/]{0,40}", last in "[!-~]{0,40}") {
        let mut world = World::new();
        world.print("a line");
        let tab = world.open_with(&query, &format!("Last-Event-ID: {last}\r\n"));
        prop_assert!(world.read(tab).contains("event: hello\n"));
    }
}

/// What happens in a world of tabs. A number chooses one of the tabs.
#[derive(Debug, Clone)]
enum Happens {
    Open(&'static str),
    Switch(usize, &'static str, bool),
    Talk(usize, usize),
    Command(usize, &'static str),
    Print(usize),
    Joins,
    Leaves(u32),
    Reads(usize),
    Silence(usize, Timer),
    Ends(usize),
    Second,
}

fn happens() -> impl Strategy<Value = Happens> {
    use Happens::*;
    let streams = prop_oneof![
        Just("operator"),
        Just("client"),
        Just("client&operator"),
        Just("")
    ];
    let names = prop_oneof![Just("operator"), Just("client"), Just("room"), Just("loop")];
    let commands = prop_oneof![
        Just("hello"),
        Just("/list"),
        Just("/kick 1"),
        Just("/kick 2"),
        Just("/to 2 x"),
        Just("/nonsense"),
    ];
    prop_oneof![
        2 => streams.prop_map(Open),
        3 => (0..9_usize, names, any::<bool>())
            .prop_map(|(tab, name, opens)| Switch(tab, name, opens)),
        6 => (0..9_usize, 0..3_000_usize).prop_map(|(tab, length)| Talk(tab, length)),
        4 => (0..9_usize, commands).prop_map(|(tab, command)| Command(tab, command)),
        4 => (0..4_000_usize).prop_map(Print),
        2 => Just(Joins),
        1 => (1..20_u32).prop_map(Leaves),
        4 => (0..9_usize).prop_map(Reads),
        1 => (0..9_usize).prop_map(|tab| Silence(tab, Timer::Pace)),
        1 => (0..9_usize).prop_map(|tab| Silence(tab, Timer::Heartbeat)),
        1 => (0..9_usize).prop_map(Ends),
        1 => Just(Second),
    ]
}

/// A tab that reads now and then misses lines.
fn with_short_history() -> World {
    let history = HistoryLimits {
        lines: 5,
        ..SERVICES.window.history
    };
    World::with(ServiceLimits {
        window: WindowLimits {
            history,
            ..SERVICES.window
        },
        ..SERVICES
    })
}

/// A tab of the test, and what it has got so far.
struct Watcher {
    tab: SessionId,
    id: String,
    got: String,
}

impl Watcher {
    /// The lines in the window have the numbers that follow each other, apart from said gaps.
    fn check_lines(&self) {
        let whole = self.got.rfind("\n\n").map_or("", |end| &self.got[..end]);
        let opened = "event: opened\ndata: {\"stream\":\"operator\"}\n\n";
        whole.split(opened).for_each(Watcher::check_stream);
    }

    fn check_stream(text: &str) {
        let mut next = None;
        for (id, data) in events(text, "operator") {
            if let Some(gap) = data["gap"].as_u64() {
                next = next.map(|next: u64| next + gap);
            } else if let Some((_, number)) = id.split_once('-') {
                let number: u64 = number.parse().expect("a number");
                assert!(next.is_none_or(|next| next == number), "{next:?}, {number}");
                next = Some(number + 1);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..cases() })]

    #[test]
    fn whatever_happens_tabs_are_bounded_posts_are_answered_and_gaps_are_said(
        all in proptest::collection::vec(happens(), 1..120)
    ) {
        let mut world = with_short_history();
        let mut watchers: Vec<Watcher> = Vec::new();
        for (at, what) in all.into_iter().enumerate() {
            let count = watchers.len().max(1);
            let tab = |number: usize| {
                let chosen = watchers.get(number % count);
                chosen.map(|it| (it.tab, it.id.clone()))
            };
            match what {
                Happens::Open(query) => {
                    let tab = world.open(query);
                    let (id, got) = (world.id(tab), String::new());
                    watchers.push(Watcher { tab, id, got });
                }
                Happens::Switch(number, name, opens) => if let Some((_, id)) = tab(number) {
                    let fields = json!({"tab": id, "open": opens});
                    let status = world.post(&format!("events?{name}"), &fields);
                    prop_assert!([204, 409].contains(&status), "{}", status);
                }
                Happens::Talk(number, length) => if let Some((_, id)) = tab(number) {
                    let line = format!("{at} {}", "x".repeat(length));
                    let status = world.post("talk", &json!({"tab": id, "line": line}));
                    prop_assert!([204, 409, 429].contains(&status), "{}", status);
                }
                Happens::Command(number, line) => if let Some((_, id)) = tab(number) {
                    let status = world.post("operator", &json!({"tab": id, "line": line}));
                    prop_assert!([204, 409].contains(&status), "{}", status);
                }
                Happens::Print(length) => world.print(&format!("{at} {}", "y".repeat(length))),
                Happens::Joins => world.join(SessionId::new(1_000 + at as u32, 1)),
                Happens::Leaves(id) => world.leave(id),
                Happens::Reads(number) => if let Some((tab, _)) = tab(number) {
                    let text = world.read(tab);
                    watchers[number % count].got.push_str(&text);
                }
                Happens::Silence(number, timer) => if let Some((tab, _)) = tab(number)
                    && world.awaited(tab) == Some(timer)
                {
                    world.silence(tab, timer);
                }
                Happens::Ends(number) => if let Some((tab, _)) = tab(number) {
                    world.end(tab);
                    world.serve();
                }
                Happens::Second => world.second(),
            }
            watchers.retain(|it| {
                let is_open = world.closed(it.tab).is_none();
                if !is_open {
                    it.check_lines();
                }
                is_open
            });
            prop_assert_eq!(world.tabs(), watchers.len());
            for watcher in &watchers {
                prop_assert!(world.unsent(watcher.tab) < 28 * 1024);
            }
        }
        watchers.iter().for_each(Watcher::check_lines);
    }
}
