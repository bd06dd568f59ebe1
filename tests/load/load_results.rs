//! Result files that cannot be written do not lose the report.

use crate::fake_server::{Ended, UnusedAddress, run};
use crate::support;
use crate::support::Server;
use std::path::Path;

fn load(server: &Server, folder: &Path, flags: &[&str]) -> Ended {
    let at = server.address("echo").to_string();
    let all = [
        "load", "echo", "--at", &at, "-c", "1", "-d", "1", "-r", "10",
    ];
    run(folder, &[&all[..], flags].concat())
}

#[test]
fn the_report_is_printed_even_if_result_files_cannot_be_written() {
    let server = Server::start(&[]);
    let folder = tempfile::tempdir().expect("a folder");
    for (flags, named, other) in [
        (&["--json", "/dev/full"][..], &["/dev/full"][..], None),
        (&["--plot", "/dev/full"], &["/dev/full"], None),
        (
            &["--json", "/dev/full", "--plot", "a.svg"],
            &["/dev/full"],
            Some("a.svg"),
        ),
        (
            &["--plot", "/dev/full", "--json", "a.json"],
            &["/dev/full"],
            Some("a.json"),
        ),
        (
            &["--json", "/dev/full", "--plot", "/dev/full"],
            &["/dev/full", "/dev/full"],
            None,
        ),
    ] {
        let ended = load(&server, folder.path(), flags);
        assert_eq!(ended.status, Some(1), "{ended:?}");
        assert!(ended.out.contains("p99.9"), "{ended:?}");
        let errors: Vec<_> = ended.err.lines().collect();
        assert_eq!(errors.len(), named.len(), "{ended:?}");
        for (line, name) in errors.iter().zip(named) {
            assert!(line.contains(&format!("cannot write {name}: ")), "{line}");
            assert!(line.contains("is the disk full?"), "{line}");
        }
        if let Some(other) = other {
            let written = std::fs::read(folder.path().join(other)).expect("the other file");
            assert!(!written.is_empty(), "{other}");
        }
    }
}

#[test]
fn removing_a_result_file_during_the_run_is_an_error() {
    let server = Server::start(&[]);
    for flag in ["--json", "--plot"] {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("figures");
        let ended = std::thread::scope(|scope| {
            let run = scope.spawn(|| load(&server, folder.path(), &[flag, "figures"]));
            support::eventually("the file is created", || file.exists());
            std::fs::remove_file(&file).expect("it is there");
            run.join().expect("the run")
        });
        assert_eq!(ended.status, Some(1), "{ended:?}");
        assert!(ended.out.contains("p99.9"), "{ended:?}");
        assert!(
            ended.err.contains("cannot write figures: it was removed"),
            "{ended:?}"
        );
    }
}

#[test]
fn a_path_that_cannot_be_written_is_reported_before_the_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let unused = UnusedAddress::new();
    let at = unused.address();
    std::fs::create_dir(folder.path().join("folder")).expect("room");
    for flags in [
        &["--json", "folder"][..],
        &["--plot", "folder"],
        &["--json", "no/such/x.json"],
        &["--json", "same", "--plot", "same"],
        &["--json", "same", "--plot", "./same"],
    ] {
        let all = [&["load", "echo", "--at", &at][..], flags].concat();
        let ended = run(folder.path(), &all);
        ended.expect_failure(2, &["choose another path"]);
        assert_eq!(ended.out, "", "{flags:?}");
    }
    unused.assert_no_connection();
}
