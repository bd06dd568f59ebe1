//! A run fails beyond its bounds, rises in its ramp, and writes a log of histograms.

use crate::fake_server::{Ended, UnusedAddress, run};
use crate::load_figures::Figures;
use crate::support::Server;
use base64ct::Encoding;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
use loket::cli::load::LoadOptions;
use loket::load::run_state::RunState;
use loket::load::settings::Settings;
use loket::reactor::clock::{Moment, SECOND};
use rustix::time::{ClockId, Timespec, clock_gettime};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

const TWO_SECONDS: Timespec = Timespec {
    tv_sec: 2,
    tv_nsec: 0,
};

fn load(at: &str, flags: &[&str]) -> Ended {
    let folder = tempfile::tempdir().expect("a folder");
    run(
        folder.path(),
        &[&["load", "echo", "--at", at, "-d", "1"], flags].concat(),
    )
}

#[test]
fn a_run_beyond_a_bound_exits_with_1_and_says_which() {
    let server = Server::start(&[]);
    let at = server.address("echo").to_string();
    let within = load(&at, &["--fail-if", "p99=60s,errors=0,lost=0,rate=1"]);
    assert_eq!(within.status, Some(0), "{within:?}");
    assert!(!within.out.contains("FAILED"), "{within:?}");
    let beyond = [
        "-c",
        "2",
        "-r",
        "10",
        "--fail-if",
        "p50=60s,max=1us,rate=1000000",
    ];
    let beyond = load(&at, &beyond);
    assert_eq!(beyond.status, Some(1), "{beyond:?}");
    let failed: Vec<_> = beyond
        .out
        .lines()
        .filter(|line| line.contains("FAILED"))
        .collect();
    assert_eq!(failed.len(), 2, "{beyond:?}");
    assert!(failed[0].contains("the longest latency is "), "{beyond:?}");
    assert!(
        failed[1].contains("10.0 answers a second, fewer than 1,000,000"),
        "{beyond:?}"
    );
}

#[test]
fn a_bound_on_errors_replaces_the_default_of_none() {
    // The third answer is an error, which costs one request and the connection.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = listener.local_addr().expect("an address").to_string();
    thread::spawn(move || {
        let mut number = 0;
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.expect("a client"));
            let mut line = String::new();
            while matches!(stream.read_line(&mut line), Ok(1..)) {
                if line.ends_with("PING\r\n") {
                    number += 1;
                    let answer: &[u8] = if number == 3 {
                        b"-BUSY\r\n"
                    } else {
                        b"+PONG\r\n"
                    };
                    let _ = stream.get_mut().write_all(answer);
                    line.clear();
                }
            }
        }
    });
    let folder = tempfile::tempdir().expect("a folder");
    let flags = [
        "load", "redis", "--at", &at, "-c", "1", "-d", "1", "-r", "20",
    ];
    let ended = run(
        folder.path(),
        &[&flags[..], &["--fail-if", "errors=1"]].concat(),
    );
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(ended.out.contains("-BUSY"), "{ended:?}");
}

/// No coordinated omission: one stall of half a second delays a quarter of the requests.
#[test]
fn a_stall_shows_in_all_requests_that_were_due_in_it() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = listener.local_addr().expect("an address").to_string();
    let (_waits, never) = mpsc::channel::<()>();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        let mut message = [0; 64];
        for number in 0.. {
            if stream.read_exact(&mut message).is_err() {
                return;
            }
            if number == 50 {
                let _ = never.recv_timeout(Duration::from_millis(500));
            }
            let _ = stream.write_all(&message);
        }
    });
    let folder = tempfile::tempdir().expect("a folder");
    let flags = [
        "load", "echo", "--at", &at, "-c", "1", "-r", "200", "-d", "2",
    ];
    let ended = run(
        folder.path(),
        &[&flags[..], &["--fail-if", "p90=200ms"]].concat(),
    );
    assert_eq!(ended.status, Some(1), "{ended:?}");
    assert!(ended.out.contains("FAILED: p90 is "), "{ended:?}");
}

/// An echo of messages of 64 bytes to one client, which calls `before` ahead of each answer.
fn echo_server(mut before: impl FnMut() + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = listener.local_addr().expect("an address").to_string();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        let mut message = [0; 64];
        while stream.read_exact(&mut message).is_ok() {
            before();
            let _ = stream.write_all(&message);
        }
    });
    at
}

#[test]
fn the_ramp_is_sent_and_not_counted() {
    let received = Arc::new(AtomicU64::new(0));
    let counter = received.clone();
    let at = echo_server(move || {
        counter.fetch_add(1, Ordering::Relaxed);
    });
    let flags = ["echo", "--at", &at, "-c", "1", "-r", "300", "--ramp", "1"];
    let figures = Figures::of(&flags);
    figures.all_made("300");
    let seconds = figures.number("seconds");
    assert_eq!(seconds, 1.0, "{}", figures.0);
    // One prepares the connection; the rate rises to 300, so half of them are in the ramp.
    assert_eq!(received.load(Ordering::Relaxed), 1 + 150 + 300);
    let server = Server::start(&[]);
    let at = server.address("echo").to_string();
    Figures::of(&["churn", "--at", &at, "-c", "3", "--ramp", "1"]).all_answered();
}

#[derive(clap::Parser)]
struct Words {
    #[command(flatten)]
    options: LoadOptions,
}

fn second(number: u64) -> Moment {
    Moment(number * SECOND)
}

/// A closed loop of 3 s with one request in flight, a second after its ramp of one second.
fn ramped() -> (Settings, RunState, Moment) {
    let words = ["load", "echo", "-c", "2", "-d", "3", "--ramp", "1"];
    let words = <Words as clap::Parser>::parse_from(words);
    let settings = words.options.settings();
    let mut state = RunState::new(&settings);
    state.begin(&settings, second(0));
    let due = state.take().expect("the first request of the ramp");
    state.now = second(2);
    assert!(!state.begins_to_count(&settings, second(2)));
    assert_eq!((state.next_due(), state.take()), (None, None));
    (settings, state, due)
}

#[test]
fn a_closed_loop_counts_from_the_last_answer_to_its_ramp() {
    let (settings, mut state, due) = ramped();
    state.answered(0, due);
    assert!(state.begins_to_count(&settings, second(2)));
    assert_eq!(state.take(), Some(second(2)));
    assert_eq!(state.wakes_at(), second(5));
    let counts = &state.recorder;
    assert_eq!((counts.in_ramp, counts.asked, counts.answered), (1, 1, 0));
}

#[test]
fn a_slow_answer_to_the_ramp_does_not_prevent_the_run() {
    let (settings, mut state, due) = ramped();
    assert_eq!(state.wakes_at(), second(11));
    state.now = second(11);
    assert!(state.begins_to_count(&settings, second(11)));
    assert_eq!(state.wakes_at(), second(14));
    assert_eq!(state.take(), Some(second(11)));
    state.now = second(12);
    state.answered(0, due);
    let counts = &state.recorder;
    assert_eq!((counts.in_ramp, counts.asked, counts.answered), (1, 1, 0));
}

/// Otherwise the CPU time of a request is shared out to fewer or to more than have used it.
#[test]
fn the_cpu_time_of_the_last_answers_is_counted() {
    let own_cpu = || clock_gettime(ClockId::ThreadCPUTime);
    let mut count = 0;
    let at = echo_server(move || {
        count += 1;
        // One prepares the connection.
        if count < 1 + 5 {
            return;
        }
        let before = own_cpu();
        while own_cpu() - before < TWO_SECONDS {}
    });
    let own = std::process::id().to_string();
    let flags = ["echo", "--at", &at, "-c", "1", "-r", "5", "--server-pid"];
    let figures = Figures::of(&[&flags[..], &[&own]].concat());
    figures.all_made("5");
    let cpu = figures.number("server_cpu_us");
    assert!(cpu >= 2e6, "{cpu}");
}

#[test]
fn the_log_of_histograms_has_every_answer() {
    let server = Server::start(&[]);
    let at = server.address("http").to_string();
    let folder = tempfile::tempdir().expect("a folder");
    let flags = [
        "load", "http", "--mix", "--at", &at, "-r", "100", "-d", "2", "--hlog", "run.hlog",
    ];
    let ended = run(folder.path(), &flags);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let log = std::fs::read(folder.path().join("run.hlog")).expect("the log");
    let intervals = IntervalLogIterator::new(&log).filter_map(|entry| match entry {
        Ok(LogEntry::Interval(interval)) => {
            let tag = interval.tag().expect("a tag").as_str().to_owned();
            let bytes = base64ct::Base64::decode_vec(interval.encoded_histogram());
            let histogram: Histogram<u64> = Deserializer::new()
                .deserialize(&mut &bytes.expect("base64")[..])
                .expect("a histogram");
            Some((tag, histogram.len()))
        }
        Ok(_) => None,
        Err(error) => panic!("{error:?}"),
    });
    let intervals: Vec<(String, u64)> = intervals.collect();
    for kind in ["GET", "PUT"] {
        let of_kind = intervals.iter().filter(|(tag, _)| tag == kind);
        assert!(of_kind.count() >= 2, "{intervals:?}");
    }
    let all: u64 = intervals.iter().map(|(_, count)| count).sum();
    assert_eq!(all, 200, "{intervals:?}");
}

#[test]
fn wrong_bounds_and_ramps_are_refused_before_anything_is_opened() {
    let unused = UnusedAddress::new();
    let at = unused.address();
    for flags in [
        &["--fail-if", "p99=5"][..],
        &["--fail-if", "p95=5ms"],
        &["--fail-if", "errors=0,"],
        &["--fail-if", "errors<1"],
        &["--ramp", "-1"],
        &["--ramp", "1.5"],
        &["--hlog", "no/such/folder/x"],
    ] {
        let ended = load(&at, flags);
        ended.expect_failure(2, &[]);
        assert!(!ended.err.is_empty() && ended.out.is_empty(), "{ended:?}");
    }
    for flags in [
        &["--path", "no-slash"][..],
        &["--path", "/a b"],
        &["--put", "--mix"],
        &["--close", "-p", "2"],
        &["-H", "no colon"],
        &["-H", "Content-Length: 5"],
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let flags = [&["load", "http", "--at", &at], flags].concat();
        run(folder.path(), &flags).expect_failure(2, &[]);
    }
    unused.assert_no_connection();
}
