//! Shows what peers cost each other: many idle ones, hostile ones, and everybody behind a disk.
//! Compares with no other server: `compare.rs` does. `cargo test` has a short proof of each.
//!
//! `cargo bench --bench shows -- [idle|hostile|stalls]... [--runs 5] [--seconds 3] [--only WORDS]`;
//! `--only` picks the stalls and the attacks whose title holds the words. Runs in a network
//! namespace of its own with the congestion control that `--congestion` names, reno by default: bbr
//! paces even loopback, with timers that stop a core for milliseconds. `--congestion system` stays
//! where it is.

mod measure;
mod show;

use measure::place;
use show::Plan;
use std::process::ExitCode;

const USAGE: &str = "usage: cargo bench --bench shows -- [idle|hostile|stalls|all]... \
                     [--runs N] [--seconds S] [--only WORDS] [--congestion NAME]";

const SHOWS: [&str; 3] = ["idle", "hostile", "stalls"];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match words.first().map(String::as_str) {
        Some("pinned") => place::pinned(&words[1..]),
        // `cargo test --all-targets` comes without `--bench` and must not start any load.
        _ if !words.iter().any(|word| word == "--bench") => {
            println!("nothing shown; {USAGE}");
            Ok(())
        }
        Some("entered") => place::entered(&words[1..]).and_then(|words| run(parse(words)?)),
        _ => begin(words),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            eprintln!("shows: {trouble}");
            ExitCode::FAILURE
        }
    }
}

fn begin(words: Vec<String>) -> Result<(), String> {
    let (name, words) = place::take_congestion(&words).unwrap_or(("reno".to_string(), words));
    let asked = parse(&words)?;
    match name.as_str() {
        "system" => run(asked),
        _ => place::enter(&name, &words),
    }
}

fn parse(words: &[String]) -> Result<(Vec<&'static str>, Plan), String> {
    let mut shows = Vec::new();
    let mut plan = Plan {
        runs: 5,
        seconds: 3.0,
        only: String::new(),
    };
    let mut rest = words.iter().map(String::as_str);
    while let Some(word) = rest.next() {
        let mut value = || rest.next().ok_or(format!("{word} needs a value\n{USAGE}"));
        match word {
            "--bench" => {}
            "--runs" => plan.runs = measure::number(word, value()?, 1.0, 100.0)? as usize,
            "--seconds" => plan.seconds = measure::number(word, value()?, 0.1, 60.0)?,
            "--only" => plan.only = value()?.to_string(),
            "all" => shows.extend(SHOWS),
            _ => match SHOWS.iter().find(|&&show| show == word) {
                Some(show) => shows.push(show),
                None => return Err(format!("cannot make out {word:?}\n{USAGE}")),
            },
        }
    }
    if shows.is_empty() {
        shows.extend(SHOWS);
    }
    Ok((shows, plan))
}

fn run((shows, plan): (Vec<&'static str>, Plan)) -> Result<(), String> {
    place::pin_to(place::LOAD_CORE)?;
    measure::stop_on_signals()?;
    place::raise_descriptors()?;
    println!("{}", measure::machine());
    for show in shows {
        let scratch = tempfile::Builder::new()
            .prefix("shows-")
            .tempdir_in(env!("CARGO_TARGET_TMPDIR"))
            .map_err(|e| format!("cannot make a folder in the target folder: {e}"))?;
        match show {
            "idle" => show::idle::show(&plan, scratch.path())?,
            "hostile" => show::hostile::show(&plan, scratch.path())?,
            _ => show::stalls::show(&plan, scratch.path())?,
        }
    }
    Ok(())
}
