//! Echo latency during large transfers, and the throughput that the echo costs them.
//! The goals are absolute: no other server here syncs uploads to disk.

use super::Suite;
use super::goal::GoalResult;
use crate::measure::Contender;
use crate::measure::background_load::{self, Load, Transferred};
use crate::measure::download::{self, Shape};
use crate::measure::scheduled_echo::{self, Run, ScheduledEcho};
use crate::measure::server::Server;
use crate::measure::table::median;
use std::path::Path;
use std::time::Duration;

const TRANSFERS: usize = 8;
/// Small, so that commits happen all the time.
const UPLOAD: u64 = 16 << 20;
const MAX_P99_US: f64 = 500.0;
const MIN_THROUGHPUT: f64 = 0.95;

const HOT: Shape = Shape {
    connections: TRANSFERS,
    size: 64 << 20,
    name: "hot.bin",
};
const COLD: &str = "cold.bin";

/// The loads during the echo, in the order of the report.
const LABELS: [&str; 4] = ["nothing", "8 downloads", "8 durable uploads", "a cold file"];

pub fn compare(suite: &mut Suite) -> Result<(), String> {
    let wanted = |label: &&str| suite.wants(&workload(label));
    if !LABELS[1..].iter().any(wanted) {
        return Ok(());
    }
    let root = suite.folder("latency")?;
    let cold = Shape {
        connections: 1,
        size: (suite.scaled(1_024) as u64) << 20,
        name: COLD,
    };
    download::prepare(&root, &HOT)?;
    download::prepare(&root, &cold)?;
    let server = Server::start(&Contender::loket("files", &root, &[]), &suite.scratch)?;
    download::check(&server, &root, &HOT)?;
    let echo = ScheduledEcho::connect(server.address("echo")?)?;
    let seconds = suite.plan.seconds;
    println!("\n{}", title(seconds));
    scheduled_echo::print_header();
    let mut runs: [Vec<Run>; 4] = Default::default();
    let mut rates: [Vec<f64>; 4] = Default::default();
    let mut undisturbed = Vec::new();
    for round in 1..=suite.plan.runs {
        for (index, label) in LABELS.into_iter().enumerate() {
            if index > 0 && !suite.wants(&workload(label)) {
                continue;
            }
            let mut moved = Transferred::default();
            let run = scheduled_echo::undisturbed(&server, round, label, || {
                let (times, meanwhile) = measure(&server, &root, &echo, label, seconds)?;
                moved = meanwhile;
                Ok(times)
            })?;
            runs[index].push(run);
            rates[index].push(moved.rate());
            if label == "8 downloads" {
                let mut loads = [downloads(&server)?];
                let alone = background_load::without_echo(&echo, &mut loads, seconds)?.rate();
                println!("{:>6}  without echo {alone:.2} GiB/s", "");
                undisturbed.push(alone);
            }
            scheduled_echo::wait_until_idle(&server)?;
        }
    }
    report(suite, &runs, rates.map(median), median(undisturbed));
    Ok(())
}

/// The name of a row in the table of goals.
fn workload(label: &str) -> String {
    format!("echo during {label}")
}

fn title(seconds: f64) -> String {
    format!("latency: 1000 echoes/s of 64 bytes on a schedule, {seconds} s per run")
}

fn downloads(server: &Server) -> Result<Load, String> {
    Load::downloads(server.at, TRANSFERS, &format!("download {}", HOT.name))
}

/// Echo latencies in microseconds during one load, and the data that the load transferred.
fn measure(
    server: &Server,
    root: &Path,
    echo: &ScheduledEcho,
    label: &str,
    seconds: f64,
) -> Result<(Vec<f64>, Transferred), String> {
    match label {
        "8 downloads" => background_load::echo_during(echo, &mut [downloads(server)?], seconds),
        "8 durable uploads" => {
            let uploads = Load::uploads(server.at, TRANSFERS, UPLOAD)?;
            background_load::echo_during(echo, &mut [uploads], seconds)
        }
        "a cold file" => background_load::echo_during_each(echo, seconds, || {
            background_load::make_cold(&root.join(COLD))?;
            Load::downloads(server.at, 1, &format!("download {COLD}"))
        }),
        _ => {
            let times = echo.run(Duration::from_secs_f64(seconds), || Ok(()))?;
            Ok((times, Transferred::default()))
        }
    }
}

fn report(suite: &mut Suite, runs: &[Vec<Run>; 4], rates: [f64; 4], alone: f64) {
    let mut rows = Vec::new();
    let mut results = Vec::new();
    for ((label, runs), rate) in LABELS.into_iter().zip(runs).zip(rates) {
        if runs.is_empty() {
            continue;
        }
        let medians = scheduled_echo::medians(runs);
        scheduled_echo::print_row("median", label, medians, "");
        let core_wait = median(runs.iter().map(|run| run.core_wait).collect()) * 100.0;
        let count = runs.iter().filter(|run| run.is_disturbed()).count();
        let disturbed = match count {
            0 => "no".to_string(),
            count => format!("{count} of {} runs", runs.len()),
        };
        let mut row = vec![label.to_string()];
        row.extend(medians.map(|micros| format!("{micros:.0}")));
        row.push(match label {
            "nothing" => String::new(),
            _ => format!("{rate:.2}"),
        });
        row.push(format!("{disturbed} ({core_wait:.2} %)"));
        rows.push(row);
        if label != "nothing" {
            results.push(GoalResult {
                workload: workload(label),
                against: String::new(),
                goal: format!("p99 ≤ {MAX_P99_US} us"),
                found: format!("{:.0} us, disturbed: {disturbed}", medians[1]),
                holds: Some(medians[1] <= MAX_P99_US),
            });
        }
    }
    if alone.is_finite() {
        println!("  downloads without echo: {alone:.2} GiB/s");
        results.push(GoalResult {
            workload: "8 downloads during the echo".to_string(),
            against: "8 downloads alone".to_string(),
            goal: format!("throughput ≥ {MIN_THROUGHPUT} ×"),
            found: format!("{:.3}", rates[1] / alone),
            holds: Some(rates[1] / alone >= MIN_THROUGHPUT),
        });
    }
    let title = title(suite.plan.seconds);
    let header = [
        "load",
        "p50 us",
        "p99 us",
        "max us",
        "GiB/s",
        "disturbed (waited for a core)",
    ];
    suite.report.section(&title, &header, &rows, &results);
}
