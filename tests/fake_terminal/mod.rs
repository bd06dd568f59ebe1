//! Runs a client in a real pseudo-terminal, types its keys and reads its screen, through tmux.
//! Knows no client and no protocol.
#![allow(dead_code, reason = "every test file uses a part of it")]

use std::process::{Command, Output};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Far beyond what anything here takes: a test that reaches it hangs.
const DEADLINE: Duration = Duration::from_secs(60);

/// What the terminal says when the client has ended and left it as it was.
pub const RESTORED: &str = "terminal restored";

/// A terminal of 100 columns and 60 rows. Dropping it ends it.
pub struct Terminal(TempDir);

impl Terminal {
    /// Starts the client in a terminal. Without tmux the test is skipped, and says so.
    pub fn start(test: &str, arguments: &[&str]) -> Option<Terminal> {
        let terminal = Terminal(tempfile::tempdir().unwrap());
        if Command::new("tmux").arg("-V").output().is_err() {
            eprintln!("SKIPPED {test}: no tmux");
            return None;
        }
        let quoted: Vec<String> = arguments
            .iter()
            .map(|argument| format!("'{argument}'"))
            .collect();
        // The shell outlives a Ctrl-C that was meant for the client.
        let script = format!(
            "trap : INT; env -u LOKET_ROOM_PASSWORD {} {}; echo status $?; \
             if stty -a | grep -q -e ' -echo ' -e ' -icanon' -e ' echonl'; \
             then echo terminal broken; else echo {RESTORED}; fi; exec cat",
            env!("CARGO_BIN_EXE_loket"),
            quoted.join(" ")
        );
        let size = ["-x", "100", "-y", "60"];
        let mut command = terminal.tmux(&["-f", "/dev/null", "new-session", "-d"]);
        command.args(size).args(["sh", "-c", &script]);
        checked(command.output().unwrap());
        Some(terminal)
    }

    /// Types this text.
    pub fn keys(&self, text: &str) {
        checked(self.run(&["send-keys", "-l", "--", text]));
    }

    /// Presses a key by its name in tmux: Enter, C-c, C-d, Left.
    pub fn press(&self, key: &str) {
        checked(self.run(&["send-keys", key]));
    }

    /// The rows of the screen without the blanks at their ends; the empty ones at its end left out.
    pub fn rows(&self) -> Vec<String> {
        let screen = checked(self.run(&["capture-pane", "-p"]));
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

    fn tmux(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("tmux");
        command.arg("-u").arg("-S").arg(self.0.path().join("tmux"));
        command.args(arguments).env_remove("TMUX");
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.tmux(arguments).output().unwrap()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.run(&["kill-server"]);
    }
}

#[track_caller]
fn checked(output: Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "tmux: {error}");
    String::from_utf8(output.stdout).unwrap()
}
