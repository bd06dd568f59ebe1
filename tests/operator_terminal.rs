//! The operator at a real terminal: what arrives never tears the line, and the shell gets it back.
//! Needs tmux; what is typed into a pipe is tested elsewhere.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// Far beyond what anything here takes: a test that reaches it hangs.
const DEADLINE: Duration = Duration::from_secs(20);

/// A shell in a terminal of 80 columns. Dropping it ends it and what runs in it.
struct Desk(tempfile::TempDir);

impl Desk {
    /// A shell with job control, or nothing without tmux and bash.
    fn open(test: &str) -> Option<Desk> {
        for (program, flag) in [("tmux", "-V"), ("bash", "--version")] {
            if Command::new(program).arg(flag).output().is_err() {
                eprintln!("SKIPPED {test}: no {program}");
                return None;
            }
        }
        let desk = Desk(tempfile::tempdir().expect("a folder"));
        let size = ["-d", "-x", "80", "-y", "30"];
        let shell = [
            "env",
            "-u",
            "LOKET_ROOM_PASSWORD",
            "PS1=$ ",
            "bash",
            "--norc",
        ];
        let start = [&["-f", "/dev/null", "new-session"][..], &size, &shell].concat();
        desk.tmux(&start);
        desk.shows("the shell", |rows| {
            rows.last().is_some_and(|row| row == "$")
        });
        Some(desk)
    }

    fn tmux(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "tmux: {error}");
        String::from_utf8(output.stdout).expect("text")
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new("tmux");
        command.arg("-u").arg("-S").arg(self.0.path().join("tmux"));
        command
            .args(arguments)
            .env_remove("TMUX")
            .output()
            .expect("tmux")
    }

    fn types(&self, text: &str) {
        self.tmux(&["send-keys", "-l", "--", text]);
    }

    fn presses(&self, key: &str) {
        self.tmux(&["send-keys", key]);
    }

    fn enters(&self, text: &str) {
        self.types(text);
        self.presses("Enter");
    }

    #[track_caller]
    fn shows(&self, what: &str, holds: impl Fn(&[String]) -> bool) -> Vec<String> {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let screen = self.tmux(&["capture-pane", "-p"]);
            let rows = screen.trim_end().lines();
            let rows: Vec<String> = rows.map(|row| row.trim_end().to_owned()).collect();
            if holds(&rows) {
                return rows;
            }
            assert!(
                Instant::now() < deadline,
                "never {what}:\n{}",
                rows.join("\n")
            );
        }
    }

    /// The last rows of the screen are these.
    #[track_caller]
    fn ends_with(&self, wanted: &[&str]) {
        self.shows(&wanted.join(" / "), |rows| {
            rows.ends_with(&wanted.map_owned())
        });
    }

    /// Starts the server in the shell; says where talk listens.
    fn serve(&self, flags: &str) -> String {
        let root = self.0.path().join("root");
        let (program, root) = (env!("CARGO_BIN_EXE_loket"), root.display());
        let only_talk = "--echo off --transfer off --files off --talk 0 --room off";
        let line = format!("clear; {program} serve {only_talk} --root {root} {flags}");
        self.enters(&line);
        let rows = self.shows("ready", |rows| rows.iter().any(|row| row == "ready"));
        let beginning = "talk listening on tcp ";
        let address = rows.iter().find_map(|row| row.split_once(beginning));
        address.expect("announced").1.to_owned()
    }

    /// A client that the screen has told of.
    fn client(&self, address: &str) -> TcpStream {
        let client = TcpStream::connect(address).expect("a connection");
        client.set_read_timeout(Some(DEADLINE)).expect("an option");
        self.shows("the client", |rows| {
            rows.iter().any(|row| row.contains("Client 1 has come"))
        });
        client
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let _ = self.run(&["kill-server"]);
    }
}

/// Rows to compare with.
trait Rows {
    fn map_owned(&self) -> Vec<String>;
}

impl Rows for &[&str] {
    fn map_owned(&self) -> Vec<String> {
        self.iter().map(|row| (*row).to_owned()).collect()
    }
}

fn hears(client: &mut TcpStream, wanted: &str) {
    let mut got = vec![0; wanted.len()];
    client.read_exact(&mut got).expect("the operator's words");
    assert_eq!(String::from_utf8_lossy(&got), wanted);
}

#[test]
fn a_half_typed_line_is_not_torn_by_what_arrives() {
    let Some(desk) = Desk::open("a_half_typed_line_is_not_torn_by_what_arrives") else {
        return;
    };
    // Log lines come to the same terminal.
    let address = desk.serve("-v");
    let mut client = desk.client(&address);
    desk.types("half a li");
    desk.shows("the line", |rows| {
        rows.last().is_some_and(|row| row == "> half a li")
    });
    for number in 0..5 {
        writeln!(client, "message {number}").expect("taken");
        let wanted = format!("Client 1: message {number}");
        desk.ends_with(&[&wanted, "> half a li"]);
        drop(TcpStream::connect(&address).expect("a connection"));
        let gone = format!("Client {} has gone", number + 2);
        let told = |rows: &[String]| {
            rows.contains(&gone)
                && rows.iter().any(|row| row.contains("talk: closed"))
                && rows.last().is_some_and(|row| row == "> half a li")
        };
        desk.shows("its coming and going, and the log", told);
    }
    desk.enters("ne");
    hears(&mut client, "half a line\n");
    desk.ends_with(&["> half a line", ">"]);
}

#[test]
fn keys_edit_the_line_and_the_history_comes_back() {
    let Some(desk) = Desk::open("keys_edit_the_line_and_the_history_comes_back") else {
        return;
    };
    let address = desk.serve("");
    let mut client = desk.client(&address);
    desk.types("wrold");
    for key in ["Left", "Left", "Left", "BSpace", "Right", "DC"] {
        desk.presses(key);
    }
    desk.ends_with(&["> wod"]);
    desk.presses("C-u");
    desk.enters("d");
    hears(&mut client, "dd\n");
    desk.types("dra");
    desk.presses("Up");
    desk.ends_with(&["> dd"]);
    desk.presses("Down");
    desk.enters("ft ñ€");
    hears(&mut client, "draft ñ€\n");
}

#[test]
fn a_narrower_terminal_shows_the_part_around_the_cursor() {
    let Some(desk) = Desk::open("a_narrower_terminal_shows_the_part_around_the_cursor") else {
        return;
    };
    desk.serve("");
    desk.types(&"0123456789".repeat(6));
    desk.shows("the line", |rows| {
        rows.last().is_some_and(|row| row.len() == 62)
    });
    desk.tmux(&["resize-window", "-x", "40", "-y", "30"]);
    desk.shows("a short row", |rows| {
        rows.last()
            .is_some_and(|row| row.starts_with("> ") && row.len() <= 39)
    });
}

#[test]
fn the_shell_gets_its_terminal_back() {
    let Some(desk) = Desk::open("the_shell_gets_its_terminal_back") else {
        return;
    };
    desk.serve("");
    desk.types("unfinished");
    desk.ends_with(&["> unfinished"]);
    desk.presses("C-c");
    desk.ends_with(&["$"]);
    desk.enters("clear; echo status $?; stty -a | grep -oE ' icanon| echo ' | wc -l");
    desk.ends_with(&["status 0", "2", "$"]);
}

#[test]
fn a_stopped_terminal_does_not_keep_the_server_from_ending() {
    let Some(desk) = Desk::open("a_stopped_terminal_does_not_keep_the_server_from_ending") else {
        return;
    };
    let address = desk.serve("");
    desk.presses("C-s");
    drop(TcpStream::connect(&address).expect("a connection"));
    desk.presses("C-c");
    let deadline = Instant::now() + DEADLINE;
    while TcpStream::connect(&address).is_ok() {
        assert!(Instant::now() < deadline, "it never ends");
    }
    desk.presses("C-q");
    desk.shows("the shell", |rows| {
        rows.last().is_some_and(|row| row == "$")
    });
}

#[test]
fn after_a_stop_and_fg_the_line_is_there_again() {
    let Some(desk) = Desk::open("after_a_stop_and_fg_the_line_is_there_again") else {
        return;
    };
    let address = desk.serve("");
    let mut client = desk.client(&address);
    desk.types("half a li");
    desk.ends_with(&["> half a li"]);
    desk.presses("C-z");
    desk.shows("the shell", |rows| {
        rows.last().is_some_and(|row| row == "$") && rows.iter().any(|row| row.contains("Stopped"))
    });
    writeln!(client, "meanwhile").expect("taken");
    desk.enters("fg");
    desk.ends_with(&["Client 1: meanwhile", "> half a li"]);
    desk.enters("ne");
    hears(&mut client, "half a line\n");
}

#[test]
fn in_the_background_it_runs_on_and_in_the_foreground_it_listens() {
    let Some(desk) = Desk::open("in_the_background_it_runs_on_and_in_the_foreground_it_listens")
    else {
        return;
    };
    let address = desk.serve("&");
    let mut client = desk.client(&address);
    desk.enters("clear; echo the shell goes on; jobs");
    desk.shows("a running job", |rows| {
        rows.iter().any(|row| row.contains("Running"))
    });
    writeln!(client, "hello").expect("taken");
    desk.shows("the message", |rows| {
        rows.iter().any(|row| row.contains("Client 1: hello"))
    });
    desk.enters("fg");
    desk.shows("the job", |rows| {
        rows.iter().any(|row| row.contains("serve"))
    });
    desk.enters("from the foreground");
    hears(&mut client, "from the foreground\n");
}

#[test]
fn a_trace_on_the_terminal_comes_to_rest() {
    let Some(desk) = Desk::open("a_trace_on_the_terminal_comes_to_rest") else {
        return;
    };
    let address = desk.serve("--trace");
    desk.client(&address);
    desk.types("typed");
    let mut before = Vec::new();
    for _ in 0..100 {
        let rows = desk.shows("the line", |rows| {
            rows.last().is_some_and(|row| row == "> typed")
        });
        if rows == before {
            return;
        }
        before = rows;
        std::thread::park_timeout(Duration::from_millis(200));
    }
    panic!("it never comes to rest:\n{}", before.join("\n"));
}
