//! Runs a program in a real pseudo-terminal, types its keys and reads its screen, through tmux.
#![allow(dead_code, reason = "every test file uses a part of it")]

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Far beyond what anything here takes: a test that reaches it hangs.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// What the terminal says when the client has ended and left it as it was.
pub const RESTORED: &str = "terminal restored";

/// The program that is tested.
pub const LOKET: &str = env!("CARGO_BIN_EXE_loket");

/// A terminal of 100 columns and 60 rows. Dropping it ends it and what runs in it.
pub struct Terminal(TempDir);

impl Terminal {
    /// Starts the client in a terminal. Without tmux the test is skipped, and says so.
    pub fn start(test: &str, arguments: &[&str]) -> Option<Terminal> {
        let quoted: Vec<String> = arguments
            .iter()
            .map(|argument| format!("'{argument}'"))
            .collect();
        // The shell outlives a Ctrl-C that was meant for the client.
        let script = format!(
            "trap : INT; env -u LOKET_ROOM_PASSWORD {LOKET} {}; echo status $?; \
             if stty -a | grep -q -e ' -echo ' -e ' -icanon' -e ' echonl'; \
             then echo terminal broken; else echo {RESTORED}; fi; exec cat",
            quoted.join(" ")
        );
        Terminal::open(test, &["tmux"], &["sh", "-c", &script])
    }

    /// A shell with job control in a terminal.
    pub fn shell(test: &str) -> Option<Terminal> {
        let shell = [
            "env",
            "-u",
            "LOKET_ROOM_PASSWORD",
            "PS1=$ ",
            "bash",
            "--norc",
        ];
        let terminal = Terminal::open(test, &["tmux", "bash"], &shell)?;
        terminal.expect_end(&["$"]);
        Some(terminal)
    }

    fn open(test: &str, needed: &[&str], command: &[&str]) -> Option<Terminal> {
        for program in needed {
            if Command::new(program).arg("-V").output().is_err() {
                eprintln!("SKIPPED {test}: no {program}");
                return None;
            }
        }
        let terminal = Terminal(tempfile::tempdir().unwrap());
        let session = [
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-x",
            "100",
            "-y",
            "60",
        ];
        terminal.tmux(&[&session, command].concat());
        Some(terminal)
    }

    /// A folder of this terminal alone.
    pub fn folder(&self) -> &Path {
        self.0.path()
    }

    /// Types this text.
    pub fn keys(&self, text: &str) {
        self.tmux(&["send-keys", "-l", "--", text]);
    }

    /// Presses a key by its name in tmux: Enter, C-c, C-d, Left.
    pub fn press(&self, key: &str) {
        self.tmux(&["send-keys", key]);
    }

    /// Types a line.
    pub fn enter(&self, line: &str) {
        self.keys(line);
        self.press("Enter");
    }

    /// The rows of the screen without the blanks at their ends; the empty ones at its end left out.
    pub fn rows(&self) -> Vec<String> {
        let screen = self.tmux(&["capture-pane", "-p"]);
        let text = screen.trim_end();
        text.lines().map(|row| row.trim_end().to_owned()).collect()
    }

    /// Waits until the screen is as it should be.
    #[track_caller]
    pub fn wait_until(&self, what: &str, holds: impl Fn(&[String]) -> bool) -> Vec<String> {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let rows = self.rows();
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

    /// Waits until the screen ends in these rows.
    #[track_caller]
    pub fn expect_end(&self, wanted: &[&str]) -> Vec<String> {
        self.wait_until(&wanted.join("\n"), |rows| {
            rows.len() >= wanted.len() && rows[rows.len() - wanted.len()..] == *wanted
        })
    }

    /// Waits for a row that holds this; answers what stands behind it.
    #[track_caller]
    pub fn find(&self, text: &str) -> String {
        let rows = self.wait_until(text, |rows| rows.iter().any(|row| row.contains(text)));
        let behind = rows.iter().find_map(|row| row.split_once(text));
        behind.expect("it was found").1.to_owned()
    }

    /// Starts a server in the shell that serves talk alone; answers its address.
    pub fn serve(&self, flags: &str) -> String {
        let root = self.folder().join("root");
        let only_talk = "--echo off --transfer off --files off --talk 0 --room off";
        self.enter(&format!(
            "clear; {LOKET} serve {only_talk} --root {} {flags}",
            root.display()
        ));
        self.wait_until("ready", |rows| rows.iter().any(|row| row == "ready"));
        self.find("talk listening on tcp ")
    }

    /// Has tmux do this; answers what it prints.
    #[track_caller]
    pub fn tmux(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("tmux");
        command.arg("-u").arg("-S").arg(self.folder().join("tmux"));
        let output = command.args(arguments).env_remove("TMUX").output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "tmux: {error}");
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let socket = self.folder().join("tmux");
        let mut command = Command::new("tmux");
        let _ = command.arg("-S").arg(socket).arg("kill-server").output();
    }
}
