//! Members of the room in browser tabs, beside textbook clients and `loket room`.

use crate::support::guest::{Guest, host};
use crate::support::python::{PythonClient, python};
use crate::support::tab::{Tab, begin_post, status_and_text};
use crate::support::{Client, Prepared, ROOM_PASSWORD, Server, skip};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

fn join(name: &str, password: &str) -> Value {
    json!({"join": {"name": name, "password": password}})
}

fn begin(server: &Server, tab: &Tab, mut fields: Value) -> Client {
    fields["tab"] = json!(tab.id);
    begin_post(server, "room", "Host: localhost\r\n", &fields)
}

/// Sends a request of a tab; returns the status and the text of the answer.
#[track_caller]
fn post(server: &Server, tab: &Tab, fields: Value) -> (u16, String) {
    status_and_text(&mut begin(server, tab, fields))
}

/// The tab of a page that has lost its connection after this event.
#[track_caller]
fn open_after(server: &Server, last: &str) -> Tab {
    let fields = format!("Last-Event-ID: {last}\r\n");
    Tab::open_by(server.connect("http"), "room", &fields)
}

/// A tab that is a member, after its own notice.
#[track_caller]
fn member(server: &Server, name: &str) -> Tab {
    let mut tab = Tab::open(server, "room");
    enter(server, &mut tab, name);
    tab
}

#[track_caller]
fn enter(server: &Server, tab: &mut Tab, name: &str) {
    assert_eq!(post(server, tab, join(name, ROOM_PASSWORD)).0, 204);
    let joined = tab.event("room");
    assert_eq!(joined["joined"], name);
    let members = joined["members"].as_array().expect("a list");
    assert!(members.contains(&json!(name)), "{members:?}");
    tab.expect("room", json!({"entered": name}));
}

#[track_caller]
fn say(server: &Server, tab: &Tab, line: &str) -> u16 {
    post(server, tab, json!({"line": line})).0
}

#[test]
fn tabs_udp_clients_and_loket_room_see_each_other() {
    let mut server = Server::start(&[]);
    let mut amy = member(&server, "amy");
    let bob = Guest::member(&server, "bob");
    amy.expect("room", json!({"entered": "bob"}));
    let mut room = Command::new(env!("CARGO_BIN_EXE_loket"))
        .args(["room", "--name", "cy", "--password", ROOM_PASSWORD, "--at"])
        .arg(server.address("room").to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("loket starts");
    let mut shown = BufReader::new(room.stdout.take().expect("piped")).lines();
    let mut keys = room.stdin.take().expect("piped");
    let mut next = || shown.next().expect("a line").expect("text");
    assert_eq!(next(), "cy bergabung ke chatroom.");
    amy.expect("room", json!({"entered": "cy"}));
    bob.expect("cy bergabung ke chatroom.");
    assert_eq!(say(&server, &amy, "halo semua ☀"), 204);
    bob.expect("amy: halo semua ☀").send("bob: halo amy");
    bob.expect("bob: halo amy");
    assert_eq!(next(), "amy: halo semua ☀");
    assert_eq!(next(), "bob: halo amy");
    keys.write_all(b"hai\n").expect("taken");
    bob.expect("cy: hai");
    for (line, from) in [
        ("amy: halo semua ☀", "amy"),
        ("bob: halo amy", "bob"),
        ("cy: hai", "cy"),
    ] {
        amy.expect("room", json!({"line": line, "from": from}));
    }
    drop(keys);
    assert!(room.wait().expect("our child").success());
    amy.expect("room", json!({"left": "cy"}));
    assert_eq!(post(&server, &amy, json!({"leave": true})).0, 204);
    assert!(amy.event("room")["out"].is_string());
    bob.expect("cy telah keluar dari chatroom.");
    bob.expect("amy telah keluar dari chatroom.");
    server.shown_until("amy: halo semua ☀");
    server.shown_until("amy telah keluar dari chatroom.");
}

#[test]
fn course_clients_chat_while_a_tab_listens() {
    if !python("course_clients_chat_while_a_tab_listens") {
        return;
    }
    let server = Server::start(&[]);
    let mut tab = member(&server, "amy");
    PythonClient::start(&server, "textbook", "room", &["pair", ROOM_PASSWORD]).passes();
    let lines: Vec<Value> = (0..24).map(|_| tab.event("room")).collect();
    assert_eq!(lines[0], json!({"entered": "ani"}));
    assert_eq!(lines[1], json!({"entered": "budi"}));
    assert_eq!(
        lines[3],
        json!({"line": "budi: halo semua", "from": "budi"})
    );
    assert_eq!(lines[22], json!({"left": "budi"}));
    assert_eq!(lines[23], json!({"line": "ani: sendiri", "from": "ani"}));
}

#[test]
fn a_request_to_join_is_answered_with_its_outcome() {
    let server = Server::start(&["--room-per-address", "3"]);
    let holder = Guest::from(&server, host(2));
    holder.enter("bob");
    let other = member(&server, "cy");
    let tab = Tab::open(&server, "room");
    let answer = |fields| post(&server, &tab, fields);
    let right = |name: &str| join(name, ROOM_PASSWORD);
    assert_eq!(answer(json!({"line": "hi"})).0, 409, "not a member yet");
    assert_eq!(answer(join("amy", "wrong")).0, 403);
    // The name of a tab is refused at once; that of a silent UDP client after a probe.
    assert_eq!(answer(right("CY")), (409, "the name is taken".to_owned()));
    assert_eq!(answer(right("Bob")), (409, "the name is taken".to_owned()));
    holder.expect("cy bergabung ke chatroom.").expect(" ");
    assert_eq!(answer(right("a b")).0, 400);
    assert_eq!(answer(json!({"join": "amy"})).0, 400);
    assert_eq!(answer(json!({"leave": false})).0, 400);
    assert_eq!(answer(right("amy")).0, 204);
    assert_eq!(answer(right("amy")).0, 409, "it is a member");
    assert_eq!(answer(json!({"line": " \u{202e}\u{7} "})).0, 400);
    assert_eq!(answer(json!({"line": "x".repeat(1_100)})).0, 413);
    let second = member(&server, "dea");
    let late = Tab::open(&server, "room");
    let (status, text) = post(&server, &late, right("eva"));
    assert!(status == 409 && text.contains("full"), "{status} {text}");
    assert_eq!(second.post(&server, "operator", json!({"line": "x"})), 409);
    drop(other);
    // A network with too many wrong passwords learns that.
    let denied = |_: &usize| post(&server, &late, join("eva", "no")).0 == 403;
    assert_eq!((0..30).take_while(denied).count(), 9, "one came before");
    let (status, text) = post(&server, &late, right("eva"));
    assert!(status == 429 && text.contains("too many"), "{text}");
    assert_eq!(say(&server, &tab, "members stay"), 204);
}

#[test]
fn messages_of_a_tab_follow_the_rules_of_the_room() {
    let server = Server::start(&[]);
    let mut amy = member(&server, "amy");
    let bob = Guest::from(&server, host(2));
    bob.enter("bob");
    amy.expect("room", json!({"entered": "bob"}));
    for (said, relayed) in [
        ("bob: i am bob", "amy: bob: i am bob"),
        ("amy: me", "amy: me"),
        ("a\u{1b}[2J\u{202e}b\nbob: c", "amy: a[2Jb bob: c"),
        ("PASSWORD sesame", "amy: PASSWORD sesame"),
        ("USERNAME amy", "amy: USERNAME amy"),
        ("<b>x</b>\"\\", "amy: <b>x</b>\"\\"),
    ] {
        assert_eq!(say(&server, &amy, said), 204, "{said}");
        bob.expect(relayed);
        amy.expect("room", json!({"line": relayed, "from": "amy"}));
    }
    assert_eq!(
        say(&server, &amy, " eXit "),
        204,
        "as in the client of the course"
    );
    bob.expect("amy telah keluar dari chatroom.");
    assert!(amy.event("room")["out"].is_string());
    assert_eq!(say(&server, &amy, "hello"), 409);
    enter(&server, &mut amy, "amy");
}

#[test]
fn a_tab_has_the_name_that_the_room_has_made_of_its_words() {
    for (words, name) in [
        ("Amy\u{2764}\u{fe0f}", "Amy\u{2764}"),
        (" bob ", "bob"),
        ("ca\u{200b}t", "cat"),
    ] {
        let server = Server::start(&[]);
        let mut tab = Tab::open(&server, "room");
        assert_eq!(post(&server, &tab, join(words, ROOM_PASSWORD)).0, 204);
        tab.expect("room", json!({"joined": name, "members": [name]}));
        tab.expect("room", json!({"entered": name}));
        assert_eq!(say(&server, &tab, "hi"), 204);
        let line = format!("{name}: hi");
        tab.expect("room", json!({"line": line, "from": name}));
    }
}

#[test]
fn what_is_said_while_a_tab_is_no_member_is_not_for_it() {
    let server = Server::start(&[]);
    let bob = Guest::from(&server, host(2));
    bob.enter("bob");
    let mut amy = member(&server, "amy");
    bob.expect("amy bergabung ke chatroom.");
    assert_eq!(post(&server, &amy, json!({"leave": true})).0, 204);
    amy.expect("room", json!({"out": "you left the room"}));
    bob.expect("amy telah keluar dari chatroom.");
    bob.send("secret").expect("bob: secret");
    enter(&server, &mut amy, "amy");
    bob.expect("amy bergabung ke chatroom.").send("hello");
    amy.expect("room", json!({"line": "bob: hello", "from": "bob"}));
}

#[test]
fn a_message_above_the_rate_is_refused_and_not_relayed() {
    let server = Server::start(&["--room-rate", "1"]);
    let amy = member(&server, "amy");
    let bob = Guest::from(&server, host(2));
    bob.enter("bob");
    let posts: Vec<_> = (0..20)
        .map(|number| begin(&server, &amy, json!({"line": format!("{number}")})))
        .collect();
    let answers: Vec<String> = posts.into_iter().map(|mut post| post.text()).collect();
    let is = |code: &'static str| move |answer: &&String| answer.split(' ').nth(1) == Some(code);
    let (sent, refused) = (
        answers.iter().filter(is("204")).count(),
        answers.iter().filter(is("429")).count(),
    );
    // A burst of two, and one a second. If the machine pauses for seconds, more are relayed.
    assert!(
        sent + refused == 20 && (2..15).contains(&sent),
        "{answers:?}"
    );
    drop(amy);
    let relayed = std::iter::from_fn(|| Some(bob.message()));
    let relayed = relayed.take_while(|text| text != "amy telah keluar dari chatroom.");
    assert_eq!(relayed.count(), sent);
}

#[test]
fn a_tab_that_is_closed_or_killed_leaves_at_once() {
    let server = Server::start(&[]);
    let bob = Guest::from(&server, host(2));
    bob.enter("bob");
    for number in 0..6 {
        let amy = member(&server, "amy");
        bob.expect("amy bergabung ke chatroom.");
        match number % 2 {
            0 => drop(amy),
            _ => amy.reset(),
        }
        bob.expect("amy telah keluar dari chatroom.");
    }
    let mut curl = Command::new("curl");
    let url = format!("http://{}/-/events?room", server.address("http"));
    curl.args(["-sN", &url]).stdout(Stdio::piped());
    let Ok(mut curl) = curl.spawn() else {
        return skip("a_tab_that_is_closed_or_killed_leaves_at_once", "no curl");
    };
    let mut shown = BufReader::new(curl.stdout.take().expect("piped")).lines();
    let hello = shown.find_map(|line| {
        let data: Value = serde_json::from_str(line.ok()?.strip_prefix("data: ")?).ok()?;
        Some(data["tab"].as_str()?.to_owned())
    });
    let mut other = Tab::open(&server, "room");
    other.id = hello.expect("an id");
    assert_eq!(post(&server, &other, join("amy", ROOM_PASSWORD)).0, 204);
    bob.expect("amy bergabung ke chatroom.");
    curl.kill().expect("our child");
    curl.wait().expect("our child");
    bob.expect("amy telah keluar dari chatroom.");
}

#[test]
fn a_page_that_connects_again_takes_its_place_and_gets_what_it_missed() {
    let server = Server::start(&["--room-rate", "1000"]);
    let bob = Guest::from(&server, host(2));
    bob.enter("bob");
    let mut amy = member(&server, "amy");
    bob.expect("amy bergabung ke chatroom.").send("one");
    amy.expect("room", json!({"line": "bob: one", "from": "bob"}));
    bob.expect("bob: one").send("two").expect("bob: two");
    // The server does not know yet that the first connection is broken.
    let mut again = open_after(&server, &amy.last);
    bob.expect("amy telah keluar dari chatroom.");
    bob.send("three").expect("bob: three");
    assert_eq!(post(&server, &again, join("amy", ROOM_PASSWORD)).0, 204);
    again.expect("room", json!({"joined": "amy", "members": ["amy", "bob"]}));
    for line in ["bob: two", "bob: three"] {
        again.expect("room", json!({"line": line, "from": "bob"}));
    }
    again.expect("room", json!({"entered": "amy"}));
    amy.expect("room", json!({"line": "bob: two", "from": "bob"}));
    assert_eq!(amy.rest(), "", "the old connection is closed");
    // Of more lines than are kept, the page gets the number.
    let last = again.last.clone();
    drop(again);
    bob.expect("amy bergabung ke chatroom.");
    bob.expect("amy telah keluar dari chatroom.");
    for number in 0..250 {
        bob.send(format!("{number}"))
            .expect(&format!("bob: {number}"));
    }
    let mut late = open_after(&server, &last);
    assert_eq!(post(&server, &late, join("amy", ROOM_PASSWORD)).0, 204);
    late.expect("room", json!({"joined": "amy", "members": ["amy", "bob"]}));
    // Kept are 200 lines with its own notice; it also missed its own end.
    late.expect("room", json!({"gap": 52, "members": ["amy", "bob"]}));
    late.expect("room", json!({"line": "bob: 51", "from": "bob"}));
    let mut other = open_after(&server, "nonsense");
    other.expect("room", json!({"gap": null}));
}

#[test]
fn a_tab_that_joins_gets_the_last_messages_and_one_that_was_there_only_what_it_missed() {
    let server = Server::start(&["--room-history", "2"]);
    let bob = Guest::from(&server, host(2));
    bob.enter("bob");
    for line in ["one", "two", "three"] {
        bob.send(line).expect(&format!("bob: {line}"));
    }
    let two = json!({"line": "bob: two", "from": "bob"});
    let three = json!({"line": "bob: three", "from": "bob"});
    let enter_with = |tab: &mut Tab, lines: &[&Value]| {
        assert_eq!(post(&server, tab, join("amy", ROOM_PASSWORD)).0, 204);
        tab.expect("room", json!({"joined": "amy", "members": ["amy", "bob"]}));
        for line in lines {
            tab.expect("room", (*line).clone());
        }
        tab.expect("room", json!({"entered": "amy"}));
    };
    let mut amy = Tab::open(&server, "room");
    enter_with(&mut amy, &[&two, &three]);
    // Messages of before have no ids: the page begins again behind its join notice.
    let mut again = open_after(&server, &amy.last);
    enter_with(&mut again, &[]);
    assert_eq!(post(&server, &again, json!({"leave": true})).0, 204);
    again.expect("room", json!({"out": "you left the room"}));
    enter_with(&mut again, &[&two, &three]);
}

#[test]
fn many_members_are_listed_in_parts() {
    let server = Server::start(&["--room-per-address", "1000"]);
    let guests: Vec<Guest> = (0..230)
        .map(|number| {
            let guest = Guest::from(&server, host(2 + number % 50));
            guest.enter(&format!("n{number}"));
            guest
        })
        .collect();
    let mut tab = Tab::open(&server, "room");
    assert_eq!(post(&server, &tab, join("amy", ROOM_PASSWORD)).0, 204);
    let mut parts = Vec::new();
    while parts.iter().sum::<usize>() < guests.len() + 1 {
        let event = tab.event("room");
        parts.push(event["members"].as_array().map_or(0, Vec::len));
    }
    assert_eq!(parts.iter().max(), Some(&100), "{parts:?}");
}

#[test]
fn without_a_room_a_tab_is_told_so() {
    let server = Prepared::alone("http").launch();
    let mut tab = Tab::open(&server, "room");
    tab.expect("room", json!({"out": "the room service is off"}));
    assert_eq!(post(&server, &tab, join("amy", "x")).0, 409);
    // A server that drains does not wait for tabs.
    server.signal(rustix::process::Signal::TERM);
    assert_eq!(tab.rest(), "");
}
