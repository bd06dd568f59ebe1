//! `scripts/load` writes its report, and leaves no process running when it is terminated.

mod support;

use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use support::eventually;

fn script(out: &Path, flags: &[&str]) -> Child {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/load");
    Command::new(script)
        .args(["--binary", env!("CARGO_BIN_EXE_loket")])
        .args(["--quick", "--out"])
        .arg(out)
        .args(flags)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the script")
}

fn missing(test: &str) -> bool {
    for tool in ["awk", "flock", "setpriv", "taskset", "lscpu"] {
        let found = Command::new(tool).arg("--version").output().is_ok();
        if !found {
            eprintln!("SKIPPED {test}: no {tool}");
            return true;
        }
    }
    false
}

/// The number of processes whose command line contains the folder and these words.
fn processes_of(folder: &Path, words: &str) -> usize {
    let folder = folder.to_str().expect("a plain name");
    let holds = |line: &[u8], words: &str| String::from_utf8_lossy(line).contains(words);
    let processes = fs::read_dir("/proc").expect("/proc").flatten();
    processes
        .filter_map(|process| fs::read(process.path().join("cmdline")).ok())
        .filter(|line| holds(line, folder) && holds(line, words))
        .count()
}

fn has_roots(folder: &Path) -> bool {
    let names = fs::read_dir(folder).expect("the folder").flatten();
    names
        .map(|entry| entry.file_name())
        .any(|name| name.to_string_lossy().starts_with("root."))
}

#[test]
fn the_report_has_the_results_and_the_commands_to_repeat_them() {
    if missing("the_report_has_the_results_and_the_commands_to_repeat_them") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let ended = script(folder.path(), &["--seconds", "1", "churn", "room"]).wait_with_output();
    let ended = ended.expect("its output");
    assert!(ended.status.success(), "{ended:?}");
    let report = fs::read_to_string(folder.path().join("report.md")).expect("a report");
    for words in [
        "**Errors: none in 3 runs.**",
        "## Churn",
        "## Room",
        "(churn.svg)",
        "loket load room -m 20 -r 100 -d 1",
        "| CPU | ",
    ] {
        assert!(report.contains(words), "{words}: {report}");
    }
    assert!(folder.path().join("churn.svg").exists());
    assert!(!has_roots(folder.path()));
}

#[test]
fn a_terminated_script_leaves_no_process_running() {
    if missing("a_terminated_script_leaves_no_process_running") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let running = script(folder.path(), &["--seconds", "300", "echo"]);
    // The script forks copies of itself before it starts a generator.
    eventually("a generator runs", || {
        processes_of(folder.path(), "\0load\0echo\0") > 0
    });
    let process = Pid::from_child(&running);
    kill_process(process, Signal::TERM).expect("a signal");
    let ended = running.wait_with_output().expect("its output");
    assert_eq!(ended.status.code(), Some(130), "{ended:?}");
    assert_eq!(processes_of(folder.path(), ""), 0);
    assert!(!has_roots(folder.path()));
    assert!(!folder.path().join("report.md").exists());
}

#[test]
fn wrong_flags_are_refused_before_anything_starts() {
    let folder = tempfile::tempdir().expect("a folder");
    for flags in [&["--seconds", "0"][..], &["nothing"], &["--out"]] {
        let ended = script(folder.path(), flags).wait_with_output();
        let ended = ended.expect("its output");
        assert_eq!(ended.status.code(), Some(2), "{ended:?}");
        assert!(!ended.stderr.is_empty());
    }
}
