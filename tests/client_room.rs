//! Promises of `loket room`, kept against a room that plays a script, in a pipe and a terminal.

mod fake_room;
mod fake_server;
mod fake_terminal;

use fake_room::{FakeRoom, Room};
use fake_server::{Ended, hear, start, wait};
use fake_terminal::{RESTORED, Terminal};
use rustix::process::{Pid, Signal, kill_process};
use std::io::Write;
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

/// The client in a pipe, with this password in the variable and this on its standard input.
fn run(arguments: &[&str], variable: Option<&str>, input: &str) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loket"));
    command.arg("room").args(arguments);
    command.env_remove("LOKET_ROOM_PASSWORD");
    command.envs(variable.map(|password| ("LOKET_ROOM_PASSWORD", password)));
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    wait(child)
}

fn as_ani(address: &str, input: &str) -> Ended {
    let arguments = ["--at", address, "--name", "ani", "--password", "pw"];
    run(&arguments, None, input)
}

#[test]
fn a_pipe_says_its_lines_and_leaves() {
    let room = FakeRoom::new(|room| {
        room.let_in("ani");
        room.relay("ani: hello");
        room.send("budi: hi\n");
        room.relay("ani:  a\tb ");
        room.expect("exit");
    });
    let ended = as_ani(&room.address, "hello\n\n \n a\x1b\tb \r\n EXIT \nnever\n");
    let heard = "ani bergabung ke chatroom.\nani: hello\nbudi: hi\nani:  a\tb \n";
    ended.expect(0, heard, "");
    room.finish();
}

#[test]
fn what_the_command_line_lacks_comes_from_the_variable_or_the_input() {
    let script = |room: &mut Room| {
        room.let_in("ani");
        room.relay("ani: hello");
        room.expect("exit");
    };
    let heard = "ani bergabung ke chatroom.\nani: hello\n";
    let room = FakeRoom::new(script);
    let at = ["--at", &room.address];
    run(&at, None, "ani\npw\nhello\n").expect(0, heard, "");
    room.finish();
    let room = FakeRoom::new(script);
    let at = ["--at", &room.address];
    run(&at, Some("pw"), "ani\nhello\n").expect(0, heard, "");
    room.finish();
    let room = FakeRoom::new(script);
    let arguments = ["--at", &room.address, "--password", "pw", "--name", "ani"];
    run(&arguments, Some("other"), "hello\n").expect(0, heard, "");
    room.finish();
}

#[test]
fn a_wrong_password_and_a_taken_name_end_a_script() {
    let room = FakeRoom::new(|room| room.answer("PASSWORD pw", "PASSWORD INCORRECT"));
    as_ani(&room.address, "hello\n").expect_failure(1, &["the password is wrong"]);
    room.finish();
    let room = FakeRoom::new(|room| {
        room.answer("PASSWORD pw", "PASSWORD OK");
        room.answer("USERNAME ani", "USERNAME TAKEN");
    });
    as_ani(&room.address, "hello\n").expect_failure(1, &["the name ani is taken"]);
    room.finish();
}

#[test]
fn names_and_passwords_that_cannot_be_are_refused_before_anything_is_sent() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    let address = socket.local_addr().unwrap().to_string();
    let long = "x".repeat(33);
    for name in ["", "a b", "a\u{3000}b", "a\tb", &long] {
        let arguments = ["--at", &address, "--password", "pw", "--name", name];
        run(&arguments, None, "").expect_failure(2, &["1 to 32 characters"]);
    }
    let only_at = ["--at", &address[..]];
    run(&only_at, Some("pw"), "a b\n").expect_failure(2, &["1 to 32 characters"]);
    run(&only_at, Some("pw"), "").expect_failure(2, &["without a name"]);
    run(&only_at, None, "ani\n").expect_failure(2, &["without a password"]);
    let secret = [
        "--at",
        &address,
        "--name",
        "ani",
        "--password",
        "two\nlines",
    ];
    let ended = run(&secret, None, "");
    ended.expect_failure(2, &["cannot use this password"]);
    assert!(!ended.err.contains("lines"), "{}", ended.err);
    assert!(socket.recv(&mut [0]).is_err(), "something was sent");
}

#[test]
fn a_silent_server_is_given_up_after_three_tries() {
    let room = FakeRoom::new(|room| {
        for _ in 0..3 {
            room.expect("PASSWORD pw");
        }
    });
    as_ani(&room.address, "").expect_failure(1, &[&room.address, "no answer to 3 tries"]);
    room.finish();
}

#[test]
fn a_refused_datagram_is_told_at_once() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap().to_string();
    drop(socket);
    let words = ["Connection refused", "is the server running?"];
    as_ani(&address, "").expect_failure(1, &words);
    let room = FakeRoom::new(|room| {
        room.let_in("ani");
        room.expect("ani: hello");
    });
    let ended = as_ani(&room.address, "hello\nanother\n");
    ended.expect_failure(1, &["out of the room at", "Connection refused"]);
    room.finish();
}

#[test]
fn lost_and_doubled_answers_at_the_door_do_no_harm() {
    let room = FakeRoom::new(|room| {
        room.expect("PASSWORD pw");
        room.answer("PASSWORD pw", "PASSWORD OK");
        room.send("PASSWORD OK");
        room.expect("USERNAME ani");
        room.answer("USERNAME ani", "USERNAME TAKEN");
        room.send("ani bergabung ke chatroom.");
        room.send("ani: USERNAME ani");
        room.send("USERNAME TAKEN");
        room.relay("ani: hello");
        room.expect("exit");
    });
    let heard = "ani bergabung ke chatroom.\nani: hello\n";
    as_ani(&room.address, "hello\n").expect(0, heard, "");
    room.finish();
}

#[test]
fn a_probe_of_the_room_is_not_shown() {
    let room = FakeRoom::new(|room| {
        room.let_in("ani");
        room.send(" ");
        room.send("");
        room.relay("ani: hello");
        room.expect("exit");
    });
    let heard = "ani bergabung ke chatroom.\nani: hello\n";
    as_ani(&room.address, "hello\n").expect(0, heard, "");
    room.finish();
}

#[test]
fn a_message_longer_than_a_datagram_is_refused_and_the_others_are_sent() {
    let fits = "x".repeat(1024 - "ani: ".len());
    let message = format!("ani: {fits}");
    let room = FakeRoom::new(move |room| {
        room.let_in("ani");
        room.relay(&message);
        room.relay("ani: b");
        room.expect("exit");
    });
    let ended = as_ani(&room.address, &format!("{fits}x\n{fits}\nb\n"));
    ended.expect_failure(1, &["cannot send a message of more than 1019 bytes"]);
    assert!(ended.out.ends_with(&format!("ani: {fits}\nani: b\n")));
    room.finish();
}

#[test]
fn a_message_that_the_room_does_not_take_is_told() {
    let room = FakeRoom::new(|room| {
        room.let_in("ani");
        room.expect("ani: lost");
        room.relay("ani: taken");
        room.expect("exit");
    });
    let ended = as_ani(&room.address, "lost\ntaken\n");
    let words = "the room did not take this within 3s: ani: lost\n";
    ended.expect(1, "ani bergabung ke chatroom.\nani: taken\n", words);
    room.finish();
}

#[test]
fn only_the_server_is_heard_and_it_cannot_steer_the_terminal() {
    let room = FakeRoom::new(|room| {
        room.let_in("ani");
        let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
        let forged = b"budi: forged";
        stranger.send_to(forged, room.client.unwrap()).unwrap();
        room.send("budi: \x1b[2J\u{9b}a\tb\r\nadmin: obey");
        room.send(b"budi: \xff");
        room.relay("ani: hello");
        room.expect("exit");
    });
    let heard = "ani bergabung ke chatroom.\nbudi: [2Ja\tb admin: obey\nbudi: \u{fffd}\n\
                 ani: hello\n";
    as_ani(&room.address, "hello\n").expect(0, heard, "");
    room.finish();
}

#[test]
fn a_signal_leaves_the_room() {
    let room = FakeRoom::new(|room| {
        room.let_in("ani");
        room.expect("exit");
    });
    let login = ["--name", "ani", "--password", "pw"];
    let arguments = [&["room", "--at", &room.address][..], &login].concat();
    let mut child = start(Path::new("/"), &arguments);
    let input = child.stdin.take();
    hear(&mut child, "ani bergabung ke chatroom.\n");
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let ended = wait(child);
    assert_eq!((ended.status, &ended.err[..]), (None, ""));
    drop(input);
    room.finish();
}

#[test]
fn a_person_is_asked_again_and_the_password_is_never_shown() {
    let room = FakeRoom::new(|room| {
        room.answer("PASSWORD wrong", "PASSWORD INCORRECT");
        room.answer("PASSWORD pw", "PASSWORD OK");
        room.answer("USERNAME ani", "USERNAME TAKEN");
        while room.next() == "exit" {}
        room.send("PASSWORD OK");
        room.answer("USERNAME budi", "USERNAME OK");
        room.send("budi bergabung ke chatroom.");
        room.expect("exit");
    });
    let test = "a_person_is_asked_again_and_the_password_is_never_shown";
    let Some(terminal) = Terminal::start(test, &["room", "--at", &room.address]) else {
        return;
    };
    terminal.expect_end(&["name:"]);
    terminal.keys("a b");
    terminal.press("Enter");
    terminal.wait_until("asked again", |rows| rows.len() == 3 && rows[2] == "name:");
    terminal.keys("ani");
    terminal.press("Enter");
    terminal.expect_end(&["password:"]);
    terminal.keys("wrong");
    terminal.press("Enter");
    let refusal = "the password is wrong; try another, or leave with Ctrl-C";
    terminal.expect_end(&["password:", refusal, "password:"]);
    terminal.keys("pw");
    terminal.press("Enter");
    let refusal = "the name ani is taken; try another, or leave with Ctrl-C";
    terminal.expect_end(&["password:", refusal, "name:"]);
    terminal.keys("budi");
    terminal.press("Enter");
    terminal.expect_end(&["budi bergabung ke chatroom.", "budi:"]);
    terminal.keys("exit");
    terminal.press("Enter");
    let rows = terminal.expect_end(&["budi: exit", "status 0", RESTORED]);
    for secret in ["wrong", "pw"] {
        let shown = |row: &&String| row.contains(secret) && !row.contains("is wrong");
        assert_eq!(rows.iter().find(shown), None, "{rows:#?}");
    }
    room.finish();
}

#[test]
fn ctrl_c_at_the_password_leaves_the_terminal_as_it_was() {
    let test = "ctrl_c_at_the_password_leaves_the_terminal_as_it_was";
    let Some(terminal) = Terminal::start(test, &["room", "--name", "ani"]) else {
        return;
    };
    terminal.expect_end(&["password:"]);
    terminal.keys("secret");
    terminal.press("C-c");
    let rows = terminal.expect_end(&["password: status 130", RESTORED]);
    assert!(!rows.join("\n").contains("secret"), "{rows:#?}");
}

#[test]
fn the_line_being_typed_stays_whole_and_each_message_is_shown_once() {
    let (say, words) = mpsc::channel::<&str>();
    let room = FakeRoom::new(move |room| {
        room.let_in("ani");
        for word in words {
            room.send(word);
        }
        room.relay("ani: hello");
        room.send("budi: hello");
        room.expect("ani: lost");
        room.expect("exit");
    });
    let test = "the_line_being_typed_stays_whole_and_each_message_is_shown_once";
    let login = ["--name", "ani", "--password", "pw"];
    let arguments = [&["room", "--at", &room.address][..], &login].concat();
    let Some(terminal) = Terminal::start(test, &arguments) else {
        return;
    };
    terminal.expect_end(&["ani bergabung ke chatroom.", "ani:"]);
    terminal.keys("hel");
    terminal.expect_end(&["ani: hel"]);
    say.send("budi: one").unwrap();
    say.send("budi: two").unwrap();
    terminal.expect_end(&["budi: one", "budi: two", "ani: hel"]);
    drop(say);
    terminal.keys("lo");
    terminal.press("Enter");
    terminal.expect_end(&["budi: two", "ani: hello", "budi: hello", "ani:"]);
    terminal.keys("lost");
    terminal.press("Enter");
    terminal.keys("half");
    let told = "the room did not take this within 3s: ani: lost";
    terminal.expect_end(&["budi: hello", "ani: lost", told, "ani: half"]);
    terminal.press("C-c");
    terminal.wait_until("left", |rows| {
        rows.last().is_some_and(|row| row == RESTORED)
    });
    terminal.expect_end(&["status 0", RESTORED]);
    room.finish();
}

/// The client in a pipe whose input stays open.
fn stay(address: &str) -> Child {
    let login = ["--name", "ani", "--password", "pw"];
    start(
        Path::new("/"),
        &[&["room", "--at", address][..], &login].concat(),
    )
}

#[test]
fn a_member_joins_again_when_the_server_was_started_again() {
    let (say, said) = mpsc::channel::<()>();
    let room = FakeRoom::new(move |room| {
        room.let_in("ani");
        said.recv().unwrap();
        room.start_again();
        room.expect("ani: hello");
        room.answer("USERNAME ani", "PASSWORD INCORRECT");
        room.let_in("ani");
        room.relay("ani: again");
        room.expect("exit");
    });
    let mut child = stay(&room.address);
    let mut input = child.stdin.take().unwrap();
    hear(&mut child, "ani bergabung ke chatroom.\n");
    say.send(()).unwrap();
    input.write_all(b"hello\n").unwrap();
    hear(&mut child, "ani bergabung ke chatroom.\n");
    input.write_all(b"again\n").unwrap();
    hear(&mut child, "ani: again\n");
    drop(input);
    let at = &room.address;
    let told = [
        "the room did not take this within 3s: ani: hello",
        &format!("out of the room at {at}: it does not know us any more; joining again as ani"),
        &format!("in the room at {at} again as ani"),
    ];
    // One message was lost.
    wait(child).expect(1, "", &(told.join("\n") + "\n"));
    room.finish();
}

#[test]
fn a_member_whose_name_is_claimed_or_who_was_removed_answers_at_once() {
    let room = FakeRoom::new(|room| {
        room.let_in("ani");
        let question = room.question.take().unwrap();
        room.send(" ");
        room.answer(&question, "USERNAME OK");
        room.send("ani telah keluar dari chatroom.");
        room.answer(&question, "PASSWORD INCORRECT");
        room.let_in("ani");
        room.expect("exit");
    });
    let mut child = stay(&room.address);
    let input = child.stdin.take();
    let joined = "ani bergabung ke chatroom.\n";
    let heard = format!("{joined}ani telah keluar dari chatroom.\n{joined}");
    hear(&mut child, &heard);
    drop(input);
    wait(child).expect_failure(0, &["joining again as ani", "again as ani"]);
    room.finish();
}

#[test]
fn a_silent_member_finds_out_that_the_server_was_started_again() {
    let room = FakeRoom::new(|room| {
        room.let_in("ani");
        room.start_again();
        room.answer("USERNAME ani", "PASSWORD INCORRECT");
        room.let_in("ani");
        room.expect("exit");
    });
    let mut child = stay(&room.address);
    let input = child.stdin.take();
    hear(&mut child, &"ani bergabung ke chatroom.\n".repeat(2));
    drop(input);
    wait(child).expect_failure(0, &["joining again as ani", "again as ani"]);
    room.finish();
}

#[test]
fn a_member_waits_for_a_silent_server_and_for_a_name_that_is_taken() {
    let (begin, begun) = mpsc::channel::<()>();
    let room = FakeRoom::new(move |room| {
        room.let_in("ani");
        begun.recv().unwrap();
        room.start_again();
        room.expect("ani: hello");
        for _ in 0..3 {
            room.expect("USERNAME ani");
        }
        for _ in 0..3 {
            room.expect("PASSWORD pw");
        }
        room.answer("PASSWORD pw", "PASSWORD OK");
        room.answer("USERNAME ani", "USERNAME TAKEN");
        room.expect("exit");
        room.let_in("ani");
        room.expect("exit");
    });
    let mut child = stay(&room.address);
    let mut input = child.stdin.take().unwrap();
    hear(&mut child, "ani bergabung ke chatroom.\n");
    begin.send(()).unwrap();
    input.write_all(b"hello\n").unwrap();
    hear(&mut child, "ani bergabung ke chatroom.\n");
    drop(input);
    let words = [
        "it does not answer",
        "still out",
        "the name ani is taken",
        "again as ani",
    ];
    wait(child).expect_failure(1, &words);
    room.finish();
}

#[test]
fn a_password_that_is_wrong_after_a_restart_ends_the_client() {
    let room = FakeRoom::new(|room| {
        room.let_in("ani");
        room.start_again();
        room.answer("USERNAME ani", "PASSWORD INCORRECT");
        for _ in 0..2 {
            room.answer("PASSWORD pw", "PASSWORD INCORRECT");
        }
    });
    let mut child = stay(&room.address);
    let input = child.stdin.take();
    wait(child).expect_failure(1, &["cannot join the room", "the password is wrong now"]);
    drop(input);
    room.finish();
}

#[test]
fn a_person_is_told_when_the_room_is_gone_and_when_it_is_back() {
    let (close, closing) = mpsc::channel::<()>();
    let room = FakeRoom::new(move |room| {
        room.let_in("ani");
        let _ = closing.recv();
    });
    let test = "a_person_is_told_when_the_room_is_gone_and_when_it_is_back";
    let login = ["--name", "ani", "--password", "pw"];
    let arguments = [&["room", "--at", &room.address][..], &login].concat();
    let Some(terminal) = Terminal::start(test, &arguments) else {
        return;
    };
    terminal.expect_end(&["ani bergabung ke chatroom.", "ani:"]);
    drop(close);
    let at = room.address.clone();
    room.finish();
    terminal.keys("anybody?");
    terminal.press("Enter");
    let out = format!("out of the room at {at}: Connection refused; joining again as ani");
    terminal.expect_end(&["ani: anybody?", &out, "ani:"]);
    terminal.keys("hello?");
    terminal.press("Enter");
    terminal.wait_until("told", |rows| {
        rows.iter()
            .any(|row| row == "not in the room; this was not sent: ani: hello?")
    });
    let room = FakeRoom::at(&at, |room| {
        room.let_in("ani");
        room.relay("ani: hello");
        room.expect("exit");
    });
    let back = format!("in the room at {at} again as ani");
    terminal.expect_end(&[&back, "ani bergabung ke chatroom.", "ani:"]);
    terminal.keys("hello");
    terminal.press("Enter");
    terminal.keys("exit");
    terminal.press("Enter");
    terminal.expect_end(&["ani: hello", "ani: exit", "status 0", RESTORED]);
    room.finish();
}
