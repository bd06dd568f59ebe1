//! Runs a program in a pseudo-terminal of tmux: sends keys and reads the screen.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Much longer than any step of a test: a test that reaches it hangs.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Printed after the client has exited, if the terminal modes are those from before.
pub const RESTORED: &str = "terminal restored";

/// The program under test.
pub const LOKET: &str = env!("CARGO_BIN_EXE_loket");

/// A terminal of 100 columns and 60 rows. Dropping it kills its programs.
pub struct Terminal(TempDir);

impl Terminal {
    /// Starts the client in a terminal. Returns none, and prints so, if tmux is missing.
    pub fn start(test: &str, arguments: &[&str]) -> Option<Terminal> {
        let quoted: Vec<String> = arguments
            .iter()
            .map(|argument| format!("'{argument}'"))
            .collect();
        // The trap: the shell survives a Ctrl-C that is meant for the client.
        let script = format!(
            "trap : INT; env -u LOKET_ROOM_PASSWORD {LOKET} {}; echo status $?; \
             if stty -a | grep -q -e ' -echo ' -e ' -icanon' -e ' echonl'; \
             then echo terminal broken; else echo {RESTORED}; fi; exec cat",
            quoted.join(" ")
        );
        Terminal::open(test, &["tmux"], &["sh", "-c", &script])
    }

    /// Starts a shell with job control in a terminal.
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

    /// The temporary folder of this terminal.
    pub fn folder(&self) -> &Path {
        self.0.path()
    }

    /// Types text.
    pub fn keys(&self, text: &str) {
        self.tmux(&["send-keys", "-l", "--", text]);
    }

    /// Presses the key with this tmux name, for example Enter, C-c or Left.
    pub fn press(&self, key: &str) {
        self.tmux(&["send-keys", key]);
    }

    /// Types a line and Enter.
    pub fn enter(&self, line: &str) {
        self.keys(line);
        self.press("Enter");
    }

    /// The rows of the screen without trailing blanks and without empty rows at the end.
    pub fn rows(&self) -> Vec<String> {
        let screen = self.tmux(&["capture-pane", "-p"]);
        let text = screen.trim_end();
        text.lines().map(|row| row.trim_end().to_owned()).collect()
    }

    /// Waits until the rows of the screen meet a condition.
    #[track_caller]
    pub fn wait_until(&self, what: &str, condition: impl Fn(&[String]) -> bool) -> Vec<String> {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let rows = self.rows();
            if condition(&rows) {
                return rows;
            }
            assert!(
                Instant::now() < deadline,
                "the screen never showed {what}:\n{}",
                rows.join("\n")
            );
        }
    }

    /// Waits until these are the last rows of the screen.
    #[track_caller]
    pub fn expect_end(&self, wanted: &[&str]) -> Vec<String> {
        self.wait_until(&wanted.join("\n"), |rows| {
            rows.len() >= wanted.len() && rows[rows.len() - wanted.len()..] == *wanted
        })
    }

    /// Waits for a row that contains the text. Returns the rest of the row.
    #[track_caller]
    pub fn find(&self, text: &str) -> String {
        let rows = self.wait_until(text, |rows| rows.iter().any(|row| row.contains(text)));
        let rest = rows.iter().find_map(|row| row.split_once(text));
        rest.expect("the row contains it").1.to_owned()
    }

    /// Starts a server with only the talk service in the shell. Returns its address.
    pub fn serve(&self, flags: &str) -> String {
        let root = self.folder().join("root");
        let only_talk = "--echo off --transfer off --files off --talk 0 --http off --room off";
        self.enter(&format!(
            "clear; {LOKET} serve {only_talk} --root {} {flags}",
            root.display()
        ));
        self.wait_until("ready", |rows| rows.iter().any(|row| row == "ready"));
        self.find("talk listening on tcp ")
    }

    /// Runs a tmux command. Returns its output.
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
