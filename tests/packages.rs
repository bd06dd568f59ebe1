//! The files of the packages: man pages, completions, and what the unit starts.

mod support;

use std::process::{Command, Stdio};
use support::skip;

const TOP: &str = env!("CARGO_MANIFEST_DIR");

#[test]
fn man_pages_and_completions_are_complete_and_correct() {
    let folder = tempfile::tempdir().expect("a folder");
    let loket = Command::new(env!("CARGO_BIN_EXE_loket"))
        .arg("assets")
        .arg(folder.path())
        .status();
    assert!(loket.expect("it starts").success());
    let made = std::fs::read_dir(folder.path()).expect("a folder");
    let mut names: Vec<_> = made.map(|entry| entry.expect("an entry").path()).collect();
    names.sort();
    let text = |name: &str| std::fs::read_to_string(folder.path().join(name)).expect(name);
    assert!(text("loket-serve.1").contains("http\\-token\\-file"));
    for completions in ["loket.bash", "loket.fish", "_loket"] {
        assert!(
            text(completions).contains("http-token-file"),
            "{completions}"
        );
    }
    names.retain(|name| name.extension().is_some_and(|end| end == "1"));
    assert!(names.len() > 10, "{names:?}");
    let lint = Command::new("mandoc")
        .args(["-T", "lint"])
        .args(&names)
        .output();
    let Ok(lint) = lint else {
        return skip(
            "man_pages_and_completions_are_complete_and_correct",
            "no mandoc",
        );
    };
    assert_eq!(String::from_utf8_lossy(&lint.stdout), "");
}

#[test]
fn the_settings_of_the_unit_change_nothing_and_need_no_token() {
    let folder = support::rooted();
    let file = std::fs::read_to_string(format!("{TOP}/scripts/loket.toml")).expect("a file");
    let unit = std::fs::read_to_string(format!("{TOP}/scripts/loket.service")).expect("a unit");
    assert!(unit.contains("\nExecStart=loket serve --config /etc/loket.toml\n"));
    let own = folder.path().join("loket.toml");
    std::fs::write(&own, file).expect("room");
    let mut child = Command::new(env!("CARGO_BIN_EXE_loket"))
        .args(["serve", "--config"])
        .arg(&own)
        .args([
            "--echo=0",
            "--transfer=0",
            "--files=0",
            "--http=0",
            "--root",
        ])
        .arg(folder.path().join("root"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let output = std::io::BufReader::new(child.stdout.take().expect("piped"));
    let lines = std::io::BufRead::lines(output).map(|line| line.expect("text"));
    let lines: Vec<String> = lines.take_while(|line| line != "ready").collect();
    child.kill().expect("ours");
    child.wait().expect("ours");
    let names: Vec<_> = lines
        .iter()
        .map(|line| line.split(' ').next().expect("a word"))
        .collect();
    assert_eq!(
        names,
        ["echo", "transfer", "files", "http"],
        "no token: {lines:?}"
    );
}
