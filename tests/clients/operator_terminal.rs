//! The terminal of the operator: log lines, shell job control, and Ctrl-S.
//! Line editing is tested in `terminals.rs`, together with the clients.

use crate::fake_terminal::{DEADLINE, Terminal};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Connects a client and waits until the screen shows it.
fn client(terminal: &Terminal, address: &str) -> TcpStream {
    let client = TcpStream::connect(address).expect("a connection");
    client.set_read_timeout(Some(DEADLINE)).expect("an option");
    terminal.find("Client 1 connected");
    client
}

#[test]
fn client_lines_and_log_lines_do_not_tear_the_typed_line() {
    let Some(terminal) = Terminal::shell("client_lines_and_log_lines_do_not_tear_the_typed_line")
    else {
        return;
    };
    // The log goes to the same terminal.
    let address = terminal.serve("-v");
    let mut client = client(&terminal, &address);
    terminal.keys("half a li");
    terminal.expect_end(&["> half a li"]);
    for number in 0..5 {
        writeln!(client, "message {number}").expect("taken");
        let wanted = format!("Client 1: message {number}");
        terminal.expect_end(&[&wanted, "> half a li"]);
        drop(TcpStream::connect(&address).expect("a connection"));
        let gone = format!("Client {} disconnected", number + 2);
        let is_shown = |rows: &[String]| {
            rows.contains(&gone)
                && rows.iter().any(|row| row.contains(": closed"))
                && rows.last().is_some_and(|row| row == "> half a li")
        };
        terminal.wait_until("the connection and its log line", is_shown);
    }
}

#[test]
fn a_terminal_stopped_by_ctrl_s_does_not_block_shutdown() {
    let test = "a_terminal_stopped_by_ctrl_s_does_not_block_shutdown";
    let Some(terminal) = Terminal::shell(test) else {
        return;
    };
    let address = terminal.serve("");
    terminal.press("C-s");
    drop(TcpStream::connect(&address).expect("a connection"));
    terminal.press("C-c");
    let deadline = Instant::now() + DEADLINE;
    while TcpStream::connect(&address).is_ok() {
        assert!(Instant::now() < deadline, "the server never exits");
    }
    terminal.press("C-q");
    terminal.expect_end(&["$"]);
}

#[test]
fn the_server_serves_in_the_background_and_reads_keys_in_the_foreground() {
    let test = "the_server_serves_in_the_background_and_reads_keys_in_the_foreground";
    let Some(terminal) = Terminal::shell(test) else {
        return;
    };
    let address = terminal.serve("&");
    let mut client = client(&terminal, &address);
    terminal.enter("clear; echo the shell goes on; jobs");
    terminal.find("Running");
    writeln!(client, "hello").expect("taken");
    terminal.find("Client 1: hello");
    terminal.enter("fg");
    terminal.find("serve");
    terminal.enter("from the foreground");
    let mut received = [0; "from the foreground\n".len()];
    client
        .read_exact(&mut received)
        .expect("the line of the operator");
    assert_eq!(received, *b"from the foreground\n");
}

#[test]
fn a_trace_on_the_terminal_does_not_trace_its_own_output_forever() {
    let Some(terminal) =
        Terminal::shell("a_trace_on_the_terminal_does_not_trace_its_own_output_forever")
    else {
        return;
    };
    let address = terminal.serve("--trace");
    client(&terminal, &address);
    terminal.keys("typed");
    let mut before = Vec::new();
    for _ in 0..100 {
        let rows = terminal.expect_end(&["> typed"]);
        if rows == before {
            return;
        }
        before = rows;
        std::thread::park_timeout(Duration::from_millis(200));
    }
    panic!("the screen never stops changing:\n{}", before.join("\n"));
}
