//! The standard set of loads writes its report, and leaves no process running when terminated.

use crate::measure;
use crate::standard;
use crate::support::eventually;
use clap::Parser;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// For the test that starts this program again: the folder of the set.
const FOLDER: &str = "LOKET_LOAD_SET";

fn plan(out: &Path, flags: &[&str]) -> Result<standard::Plan, clap::Error> {
    let out = out.to_str().expect("a plain name");
    let words = [&["load", "--quick", "--out", out][..], flags].concat();
    standard::Plan::try_parse_from(words)
}

/// The processes whose command line contains the folder, as folders of proc(5).
fn processes_of(folder: &Path) -> Vec<PathBuf> {
    let folder = folder.to_str().expect("a plain name");
    let entries = fs::read_dir("/proc").expect("/proc").flatten();
    let is_of = |process: &PathBuf| {
        let line = fs::read(process.join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(folder)
    };
    entries.map(|entry| entry.path()).filter(is_of).collect()
}

fn has_roots(folder: &Path) -> bool {
    let names = fs::read_dir(folder).expect("the folder").flatten();
    names
        .map(|entry| entry.file_name())
        .any(|name| name.to_string_lossy().starts_with("root."))
}

#[test]
fn the_report_has_the_results_and_the_commands_to_repeat_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let plan = plan(folder.path(), &["churn", "room"]).expect("valid flags");
    assert_eq!(standard::run(&plan), Ok(()));
    let report = fs::read_to_string(folder.path().join("report.md")).expect("a report");
    for words in [
        "**Errors: none in 3 runs.**",
        "![latency](latency.svg)",
        "## Churn",
        "## Room",
        "(churn.svg)",
        "loket load room -m 20 -r 100 --password load -d 1",
        "| processor | ",
    ] {
        assert!(report.contains(words), "{words}: {report}");
    }
    for name in ["churn.svg", "churn.json", "latency.svg"] {
        assert!(folder.path().join(name).exists(), "{name}");
    }
    assert!(!has_roots(folder.path()));
    assert!(processes_of(folder.path()).is_empty());
}

/// Not a test, but what the test below terminates.
#[test]
#[ignore = "runs until it is terminated"]
fn a_long_set() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    measure::stop_on_signals().expect("signals");
    let plan = plan(Path::new(&folder), &["--seconds", "300", "echo"]).expect("valid flags");
    let ended = standard::run(&plan);
    assert!(ended.is_err(), "{ended:?}");
}

#[test]
fn a_terminated_set_leaves_no_process_running() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = std::env::current_exe().expect("this program");
    let mut running = Command::new(program)
        .args([
            "--exact",
            "load_set::a_long_set",
            "--ignored",
            "--nocapture",
        ])
        .env(FOLDER, folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("this program");
    let descriptors =
        |process: &PathBuf| fs::read_dir(process.join("fd")).map_or(0, Iterator::count);
    eventually("50 connections are open", || {
        let mut processes = processes_of(folder.path()).into_iter();
        processes.any(|process| descriptors(&process) > 50)
    });
    kill_process(Pid::from_child(&running), Signal::TERM).expect("a signal");
    let ended = running.wait().expect("its status");
    assert!(ended.success(), "{ended:?}");
    eventually("the server has ended", || {
        processes_of(folder.path()).is_empty()
    });
    assert!(!has_roots(folder.path()));
    assert!(!folder.path().join("report.md").exists());
}

#[test]
fn wrong_flags_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    for flags in [&["--seconds", "0"][..], &["nothing"], &["--out"]] {
        assert!(plan(folder.path(), flags).is_err(), "{flags:?}");
    }
}
