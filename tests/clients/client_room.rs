//! `loket room` against a scripted room, in a pipe and in a terminal.

use crate::fake_room::{FakeRoom, Room};
use crate::fake_server::{Ended, expect_output, start, wait};
use crate::fake_terminal::{RESTORED, Terminal};
use rustix::process::{Pid, Signal, kill_process};
use std::io::Write;
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

/// Runs the client in pipes, with this value of LOKET_ROOM_PASSWORD and this standard input.
fn run(arguments: &[&str], password_variable: Option<&str>, input: &str) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loket"));
    command.arg("room").args(arguments);
    command.env_remove("LOKET_ROOM_PASSWORD");
    command.envs(password_variable.map(|password| ("LOKET_ROOM_PASSWORD", password)));
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
fn lines_from_a_pipe_are_sent_and_then_the_client_leaves() {
    let room = FakeRoom::new(|room| {
        room.admit("ani");
        room.relay("ani: hello");
        room.send("budi: hi\n");
        room.relay("ani:  a\tb ");
        room.expect("exit");
    });
    let ended = as_ani(&room.address, "hello\n\n \n a\x1b\tb \r\n EXIT \nnever\n");
    let shown = "ani bergabung ke chatroom.\nani: hello\nbudi: hi\nani:  a\tb \n";
    ended.expect(0, shown, "");
    room.finish();
}

#[test]
fn a_missing_name_or_password_comes_from_the_environment_or_the_input() {
    let script = |room: &mut Room| {
        room.admit("ani");
        room.relay("ani: hello");
        room.expect("exit");
    };
    let shown = "ani bergabung ke chatroom.\nani: hello\n";
    let room = FakeRoom::new(script);
    let at = ["--at", &room.address];
    run(&at, None, "ani\npw\nhello\n").expect(0, shown, "");
    room.finish();
    let room = FakeRoom::new(script);
    let at = ["--at", &room.address];
    run(&at, Some("pw"), "ani\nhello\n").expect(0, shown, "");
    room.finish();
    let room = FakeRoom::new(script);
    let arguments = ["--at", &room.address, "--password", "pw", "--name", "ani"];
    run(&arguments, Some("other"), "hello\n").expect(0, shown, "");
    room.finish();
}

#[test]
fn a_wrong_password_or_a_taken_name_ends_a_client_without_a_terminal() {
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
fn an_invalid_name_or_password_is_refused_before_anything_is_sent() {
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
fn joining_fails_after_three_unanswered_requests() {
    let room = FakeRoom::new(|room| {
        for _ in 0..3 {
            room.expect("PASSWORD pw");
        }
    });
    as_ani(&room.address, "").expect_failure(1, &[&room.address, "no answer to 3 requests"]);
    room.finish();
}

#[test]
fn an_unreachable_server_is_reported_at_once() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap().to_string();
    drop(socket);
    let words = ["Connection refused", "is the server running?"];
    as_ani(&address, "").expect_failure(1, &words);
    let room = FakeRoom::new(|room| {
        room.admit("ani");
        room.expect("ani: hello");
    });
    let ended = as_ani(&room.address, "hello\nanother\n");
    ended.expect_failure(1, &["out of the room at", "Connection refused"]);
    room.finish();
}

#[test]
fn lost_and_duplicate_answers_while_joining_are_tolerated() {
    let room = FakeRoom::new(|room| {
        room.expect("PASSWORD pw");
        room.answer("PASSWORD pw", "PASSWORD OK");
        room.send("PASSWORD OK");
        room.expect("USERNAME ani");
        room.answer("USERNAME ani", "USERNAME TAKEN");
        room.send("ani bergabung ke chatroom.");
        room.send("USERNAME TAKEN");
        room.expect("USERNAME ani");
        room.send("ani: USERNAME ani");
        room.relay("ani: hello");
        room.expect("exit");
    });
    let shown = "ani bergabung ke chatroom.\nani: hello\n";
    as_ani(&room.address, "hello\n").expect(0, shown, "");
    room.finish();
}

#[test]
fn an_empty_datagram_of_the_room_is_not_shown() {
    let room = FakeRoom::new(|room| {
        room.admit("ani");
        room.send(" ");
        room.send("");
        room.relay("ani: hello");
        room.expect("exit");
    });
    let shown = "ani bergabung ke chatroom.\nani: hello\n";
    as_ani(&room.address, "hello\n").expect(0, shown, "");
    room.finish();
}

#[test]
fn a_message_over_the_datagram_limit_is_refused_and_the_others_are_sent() {
    let fits = "x".repeat(1024 - "ani: ".len());
    let message = format!("ani: {fits}");
    let room = FakeRoom::new(move |room| {
        room.admit("ani");
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
fn a_message_that_the_room_does_not_relay_is_reported_as_lost() {
    let room = FakeRoom::new(|room| {
        room.admit("ani");
        room.expect("ani: lost");
        room.relay("ani: taken");
        room.expect("exit");
    });
    let ended = as_ani(&room.address, "lost\ntaken\n");
    let words = "the room did not relay this within 3s: ani: lost\n";
    ended.expect(1, "ani bergabung ke chatroom.\nani: taken\n", words);
    room.finish();
}

#[test]
fn datagrams_of_other_addresses_and_control_characters_are_not_shown() {
    let room = FakeRoom::new(|room| {
        room.admit("ani");
        let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
        let forged = b"budi: forged";
        stranger.send_to(forged, room.client.unwrap()).unwrap();
        room.send("budi: \x1b[2J\u{9b}a\tb\r\nadmin: obey");
        room.send(b"budi: \xff");
        room.relay("ani: hello");
        room.expect("exit");
    });
    let shown = "ani bergabung ke chatroom.\nbudi: [2Ja\tb admin: obey\nbudi: \u{fffd}\n\
                 ani: hello\n";
    as_ani(&room.address, "hello\n").expect(0, shown, "");
    room.finish();
}

#[test]
fn a_signal_sends_exit_to_the_room() {
    let room = FakeRoom::new(|room| {
        room.admit("ani");
        room.send("budi: hi");
        room.expect("exit");
    });
    let login = ["--name", "ani", "--password", "pw"];
    let arguments = [&["room", "--at", &room.address][..], &login].concat();
    let mut child = start(Path::new("/"), &arguments);
    let input = child.stdin.take();
    expect_output(&mut child, "ani bergabung ke chatroom.\nbudi: hi\n");
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let ended = wait(child);
    assert_eq!((ended.status, &ended.err[..]), (None, ""));
    drop(input);
    room.finish();
}

#[test]
fn at_a_terminal_a_refused_answer_is_prompted_again_and_no_password_is_shown() {
    let room = FakeRoom::new(|room| {
        room.answer("PASSWORD wrong", "PASSWORD INCORRECT");
        room.answer("PASSWORD pw", "PASSWORD OK");
        room.answer("USERNAME ani", "USERNAME TAKEN");
        while room.next() == "exit" {}
        room.send("PASSWORD OK");
        room.answer("USERNAME budi", "USERNAME OK");
        room.send("budi bergabung ke chatroom.");
        room.show_no_messages("budi");
        room.expect("exit");
    });
    let test = "at_a_terminal_a_refused_answer_is_prompted_again_and_no_password_is_shown";
    let Some(terminal) = Terminal::start(test, &["room", "--at", &room.address]) else {
        return;
    };
    terminal.expect_end(&["name:"]);
    terminal.keys("a b");
    terminal.press("Enter");
    terminal.wait_until("the second prompt", |rows| {
        rows.len() == 3 && rows[2] == "name:"
    });
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
fn ctrl_c_at_the_password_prompt_restores_the_terminal() {
    let test = "ctrl_c_at_the_password_prompt_restores_the_terminal";
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
fn a_message_does_not_tear_the_typed_line_and_is_shown_once() {
    let (send, messages) = mpsc::channel::<&str>();
    let room = FakeRoom::new(move |room| {
        room.admit("ani");
        for message in messages {
            room.send(message);
        }
        room.relay("ani: hello");
        room.send("budi: hello");
        room.expect("ani: lost");
        room.expect("exit");
    });
    let test = "a_message_does_not_tear_the_typed_line_and_is_shown_once";
    let login = ["--name", "ani", "--password", "pw"];
    let arguments = [&["room", "--at", &room.address][..], &login].concat();
    let Some(terminal) = Terminal::start(test, &arguments) else {
        return;
    };
    terminal.expect_end(&["ani bergabung ke chatroom.", "ani:"]);
    terminal.keys("hel");
    terminal.expect_end(&["ani: hel"]);
    send.send("budi: one").unwrap();
    send.send("budi: two").unwrap();
    terminal.expect_end(&["budi: one", "budi: two", "ani: hel"]);
    drop(send);
    terminal.keys("lo");
    terminal.press("Enter");
    terminal.expect_end(&["budi: two", "ani: hello", "budi: hello", "ani:"]);
    terminal.keys("lost");
    terminal.press("Enter");
    terminal.keys("half");
    let lost = "the room did not relay this within 3s: ani: lost";
    terminal.expect_end(&["budi: hello", "ani: lost", lost, "ani: half"]);
    terminal.press("C-c");
    terminal.wait_until("the exit", |rows| {
        rows.last().is_some_and(|row| row == RESTORED)
    });
    terminal.expect_end(&["status 0", RESTORED]);
    room.finish();
}

/// Starts the client in pipes; its input stays open.
fn start_client(address: &str) -> Child {
    let login = ["--name", "ani", "--password", "pw"];
    start(
        Path::new("/"),
        &[&["room", "--at", address][..], &login].concat(),
    )
}

#[test]
fn a_member_joins_again_after_a_restart_of_the_server() {
    let (restart, restarted) = mpsc::channel::<()>();
    let room = FakeRoom::new(move |room| {
        room.admit("ani");
        restarted.recv().unwrap();
        room.restart();
        room.expect("ani: hello");
        room.answer("USERNAME ani", "PASSWORD INCORRECT");
        room.admit_again("ani");
        room.relay("ani: again");
        room.expect("exit");
    });
    let mut child = start_client(&room.address);
    let mut input = child.stdin.take().unwrap();
    expect_output(&mut child, "ani bergabung ke chatroom.\n");
    restart.send(()).unwrap();
    input.write_all(b"hello\n").unwrap();
    expect_output(&mut child, "ani bergabung ke chatroom.\n");
    input.write_all(b"again\n").unwrap();
    expect_output(&mut child, "ani: again\n");
    drop(input);
    let at = &room.address;
    let messages = [
        "the room did not relay this within 3s: ani: hello",
        &format!(
            "out of the room at {at}: the server has forgotten this client; joining again as ani"
        ),
        &format!("in the room at {at} again as ani"),
    ];
    // Status 1, because one message was lost.
    wait(child).expect(1, "", &(messages.join("\n") + "\n"));
    room.finish();
}

#[test]
fn an_empty_datagram_or_the_own_removal_triggers_a_membership_check() {
    let room = FakeRoom::new(|room| {
        room.admit("ani");
        let check = room.check.take().unwrap();
        room.send(" ");
        room.answer(&check, "USERNAME OK");
        room.send("ani telah keluar dari chatroom.");
        room.answer(&check, "PASSWORD INCORRECT");
        room.admit_again("ani");
        room.expect("exit");
    });
    let mut child = start_client(&room.address);
    let input = child.stdin.take();
    let joined = "ani bergabung ke chatroom.\n";
    let shown = format!("{joined}ani telah keluar dari chatroom.\n{joined}");
    expect_output(&mut child, &shown);
    drop(input);
    wait(child).expect_failure(0, &["joining again as ani", "again as ani"]);
    room.finish();
}

#[test]
fn a_silent_member_detects_a_restart_of_the_server() {
    let room = FakeRoom::new(|room| {
        room.admit("ani");
        room.restart();
        room.answer("USERNAME ani", "PASSWORD INCORRECT");
        room.admit_again("ani");
        room.expect("exit");
    });
    let mut child = start_client(&room.address);
    let input = child.stdin.take();
    expect_output(&mut child, &"ani bergabung ke chatroom.\n".repeat(2));
    drop(input);
    wait(child).expect_failure(0, &["joining again as ani", "again as ani"]);
    room.finish();
}

#[test]
fn joining_again_is_retried_while_the_server_is_silent_or_the_name_is_taken() {
    let (begin, begun) = mpsc::channel::<()>();
    let room = FakeRoom::new(move |room| {
        room.admit("ani");
        begun.recv().unwrap();
        room.restart();
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
        room.admit_again("ani");
        room.expect("exit");
    });
    let mut child = start_client(&room.address);
    let mut input = child.stdin.take().unwrap();
    expect_output(&mut child, "ani bergabung ke chatroom.\n");
    begin.send(()).unwrap();
    input.write_all(b"hello\n").unwrap();
    expect_output(&mut child, "ani bergabung ke chatroom.\n");
    drop(input);
    let words = [
        "the server does not answer",
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
        room.admit("ani");
        room.restart();
        room.answer("USERNAME ani", "PASSWORD INCORRECT");
        for _ in 0..2 {
            room.answer("PASSWORD pw", "PASSWORD INCORRECT");
        }
    });
    let mut child = start_client(&room.address);
    let input = child.stdin.take();
    wait(child).expect_failure(1, &["cannot join the room", "the password is wrong now"]);
    drop(input);
    room.finish();
}

#[test]
fn a_terminal_shows_when_the_room_is_gone_and_when_it_is_back() {
    let (close, closing) = mpsc::channel::<()>();
    let room = FakeRoom::new(move |room| {
        room.admit("ani");
        let _ = closing.recv();
    });
    let test = "a_terminal_shows_when_the_room_is_gone_and_when_it_is_back";
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
    terminal.wait_until("the notice", |rows| {
        rows.iter()
            .any(|row| row == "not in the room; this was not sent: ani: hello?")
    });
    let room = FakeRoom::at(&at, |room| {
        room.admit_again("ani");
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
