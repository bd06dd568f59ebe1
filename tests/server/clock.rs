//! Setting the system clock back a day moves no deadline of the server. The real clock is not set:
//! a preloaded library returns another time to the server.

use crate::support;
use crate::support::{Prepared, Server, eventually};
use std::path::Path;
use std::process::Command;

/// The clock functions of the C library, minus a day once a file exists.
const OTHER_TIME: &str = r#"
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static time_t back(void) {
    const char *file = getenv("CLOCK_SET_BACK");
    return file && access(file, F_OK) == 0 ? 24 * 60 * 60 : 0;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int failed = syscall(SYS_clock_gettime, clock, now);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec -= back();
    return failed;
}

int gettimeofday(struct timeval *now, void *zone) {
    int failed = syscall(SYS_gettimeofday, now, zone);
    if (!failed)
        now->tv_sec -= back();
    return failed;
}

time_t time(time_t *result) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (result)
        *result = now.tv_sec;
    return now.tv_sec;
}
"#;

fn compile(folder: &Path) -> Option<std::path::PathBuf> {
    let (source, library) = (folder.join("other_time.c"), folder.join("other_time.so"));
    std::fs::write(&source, OTHER_TIME).expect("a file");
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .args([&library, &source])
        .output();
    compiled
        .is_ok_and(|output| output.status.success())
        .then_some(library)
}

/// Makes the server log a line. Returns its timestamp.
fn logged_time(server: &Server) -> String {
    let before = server.log().matches("rejected: ").count();
    let mut time = String::new();
    eventually("a refused connection is logged", || {
        server.connect("files").rest();
        let log = server.log();
        let mut lines = log.lines().filter(|line| line.contains("rejected: "));
        let last = lines.next_back().unwrap_or("");
        time = last.split(' ').next().expect("a word").to_owned();
        log.matches("rejected: ").count() > before
    });
    time
}

#[test]
fn a_clock_that_is_set_back_moves_no_deadline() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(library) = compile(folder.path()) else {
        support::skip(
            "a_clock_that_is_set_back_moves_no_deadline",
            "no C compiler",
        );
        return;
    };
    let set_back = folder.path().join("set-back");
    let mut prepared = Prepared::new();
    prepared
        .command
        .env("LD_PRELOAD", library)
        .env("CLOCK_SET_BACK", &set_back)
        .args(["--idle-timeout", "2", "--max-per-address", "2"]);
    let server = prepared.launch();
    let mut talk = server.connect("talk");
    talk.send("one of two allowed connections");
    let mut idle = server.connect("echo");
    idle.send("x").expect("x");
    let before = logged_time(&server);
    std::fs::write(&set_back, "").expect("a file");
    // Its deadline is still to come, and this test does not wait for a day.
    assert_eq!(idle.rest(), b"");
    let mut bare = server.connect("files");
    bare.send("size nothing").expect("File Tidak Ditemukan");
    let after = logged_time(&server);
    assert!(
        after < before,
        "logged at {after}, and before that at {before}"
    );
    assert_eq!(bare.rest(), b"", "the idle timeout of a bare connection");
}
