//! Measures loket against the bare loops, in turn, and prints each run, the medians and the ratio.
//! Proves nothing about correctness beyond byte counts: that is the work of `cargo test`.
//!
//! `cargo bench --bench figures -- [KIND|all]... [--runs 5] [--seconds 3] [--server PATH|bare]
//! [--congestion NAME]`, where KIND is echo, download, upload, idle, room or room-beside-echo;
//! `--server bare` holds the bare loop against itself, which shows the noise; `--congestion reno`
//! runs everything in a network namespace of its own (util-linux `unshare` and iproute2 `ip` make
//! it) whose TCP does not pace, as bbr does.

mod bare;
mod measure;

use measure::dialect::Exchange;
use measure::{Contender, Plan, idle, place};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

const USAGE: &str = "usage: cargo bench --bench figures -- \
                     [echo|download|upload|idle|room|room-beside-echo|all]... \
                     [--runs N] [--seconds S] [--server PATH|bare] [--congestion NAME]";

const KINDS: [&str; 6] = [
    "echo",
    "download",
    "upload",
    "idle",
    "room",
    "room-beside-echo",
];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match words.first().map(String::as_str) {
        Some("bare") => bare::run(&words[1..]),
        Some("pinned") => place::pinned(&words[1..]),
        Some("entered") => place::entered(&words[1..]).and_then(parse_and_measure),
        // `cargo test --all-targets` comes without `--bench` and must not start any load.
        _ if !words.iter().any(|word| word == "--bench") => {
            println!("nothing measured; {USAGE}");
            Ok(())
        }
        _ => match place::take_congestion(&words) {
            Some((name, rest)) => place::enter(&name, &rest),
            None => parse_and_measure(&words),
        },
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            eprintln!("figures: {trouble}");
            ExitCode::FAILURE
        }
    }
}

fn parse_and_measure(words: &[String]) -> Result<(), String> {
    let (kinds, plan) = parse(words)?;
    figures(&kinds, &plan)
}

fn parse(words: &[String]) -> Result<(Vec<&'static str>, Plan), String> {
    let mut kinds = Vec::new();
    let mut plan = Plan {
        runs: 5,
        seconds: 3.0,
        server: Some(PathBuf::from(env!("CARGO_BIN_EXE_loket"))),
    };
    let mut rest = words.iter().map(String::as_str);
    while let Some(word) = rest.next() {
        let mut value = || rest.next().ok_or(format!("{word} needs a value\n{USAGE}"));
        match word {
            "--bench" => {}
            "--runs" => plan.runs = measure::number(word, value()?, 1.0, 100.0)? as usize,
            "--seconds" => plan.seconds = measure::number(word, value()?, 0.1, 60.0)?,
            "--server" => plan.server = Some(value()?).filter(|&v| v != "bare").map(PathBuf::from),
            "all" => kinds.extend(KINDS),
            _ => match KINDS.iter().find(|&&kind| kind == word) {
                Some(kind) => kinds.push(kind),
                None => return Err(format!("cannot make out {word:?}\n{USAGE}")),
            },
        }
    }
    if kinds.is_empty() {
        kinds.extend(KINDS);
    }
    Ok((kinds, plan))
}

fn figures(kinds: &[&str], plan: &Plan) -> Result<(), String> {
    place::pin_to(place::LOAD_CORE)?;
    measure::stop_on_signals()?;
    place::raise_descriptors()?;
    println!("{}", measure::machine());
    for &kind in kinds {
        let scratch = tempfile::Builder::new()
            .prefix("figures-")
            .tempdir_in(env!("CARGO_TARGET_TMPDIR"))
            .map_err(|e| format!("cannot make a folder in the target folder: {e}"))?;
        let contenders = Contender::of(kind, plan, scratch.path())?;
        match kind {
            "idle" => {
                let shape = idle::Shape {
                    connections: 10_000,
                    rest: Duration::from_millis(50),
                };
                let echo = |contender| (contender, Exchange::echo(64));
                let contenders: Vec<_> = contenders.into_iter().map(echo).collect();
                idle::measure(plan, &shape, &contenders, scratch.path())?;
            }
            "room" => {
                measure::room::measure(plan, &contenders, scratch.path())?;
            }
            "room-beside-echo" => {
                measure::room_beside_echo::measure(plan, &contenders, scratch.path())?;
            }
            _ => measure::in_turn(kind, plan, &contenders, scratch.path())?,
        }
    }
    Ok(())
}
