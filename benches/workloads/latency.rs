//! How long an echo takes beside big transfers of the same server, and what it takes from them.
//! The goals are absolute: no rival makes uploads that outlive a power cut.

use super::Stage;
use super::goal::Finding;
use crate::measure::background_load::{self, Burden, Moved};
use crate::measure::download::{self, Shape};
use crate::measure::scheduled_echo::{self, Pulse, Run};
use crate::measure::server::Server;
use crate::measure::table::median;
use std::path::Path;
use std::time::Duration;

const TRANSFERS: usize = 8;
/// So small that commits never cease.
const UPLOAD: u64 = 16 << 20;
const HIGHEST_P99: f64 = 500.0;
const LEAST_LEFT: f64 = 0.95;

const HOT: Shape = Shape {
    connections: TRANSFERS,
    size: 64 << 20,
    name: "hot.bin",
};
const COLD: &str = "cold.bin";

/// The works beside the echo, in the order of the report.
const LABELS: [&str; 4] = ["nothing", "8 downloads", "8 durable uploads", "a cold file"];

pub fn compare(stage: &mut Stage) -> Result<(), String> {
    let wanted = |label: &&str| stage.wants(&work(label));
    if !LABELS[1..].iter().any(wanted) {
        return Ok(());
    }
    let root = stage.folder("beside")?;
    let cold = Shape {
        connections: 1,
        size: (stage.amount(1_024) as u64) << 20,
        name: COLD,
    };
    download::prepare(&root, &HOT)?;
    download::prepare(&root, &cold)?;
    let server = Server::start(&stage.loket("files", &root, &[]), &stage.scratch)?;
    download::check(&server, &root, &HOT)?;
    let pulse = Pulse::connect(server.address("echo")?)?;
    let seconds = stage.plan.seconds;
    println!("\n{}", title(seconds));
    scheduled_echo::head();
    let mut runs: [Vec<Run>; 4] = Default::default();
    let mut rates: [Vec<f64>; 4] = Default::default();
    let mut undisturbed = Vec::new();
    for round in 1..=stage.plan.runs {
        for (index, label) in LABELS.into_iter().enumerate() {
            if index > 0 && !stage.wants(&work(label)) {
                continue;
            }
            let mut moved = Moved::default();
            let run = scheduled_echo::undisturbed(&server, round, label, || {
                let (times, meanwhile) = accompanied(&server, &root, &pulse, label, seconds)?;
                moved = meanwhile;
                Ok(times)
            })?;
            runs[index].push(run);
            rates[index].push(moved.rate());
            if label == "8 downloads" {
                let mut burdens = [downloads(&server)?];
                let alone = background_load::without_echo(&pulse, &mut burdens, seconds)?.rate();
                println!("{:>6}  without the echo {alone:.2} GiB/s", "");
                undisturbed.push(alone);
            }
            scheduled_echo::rest(&server)?;
        }
    }
    tell(stage, &runs, rates.map(median), median(undisturbed));
    Ok(())
}

/// The name of what is measured, in the table of goals.
fn work(label: &str) -> String {
    format!("echo beside {label}")
}

fn title(seconds: f64) -> String {
    format!("beside: 64-byte echo, 1000 a second on schedule, beside other work, {seconds} s a run")
}

fn downloads(server: &Server) -> Result<Burden, String> {
    Burden::downloads(server.at, TRANSFERS, &format!("download {}", HOT.name))
}

/// The latencies of the echo beside one of the works, and what that moved meanwhile.
fn accompanied(
    server: &Server,
    root: &Path,
    pulse: &Pulse,
    label: &str,
    seconds: f64,
) -> Result<(Vec<f64>, Moved), String> {
    match label {
        "8 downloads" => background_load::beside(pulse, &mut [downloads(server)?], seconds),
        "8 durable uploads" => {
            let uploads = Burden::uploads(server.at, TRANSFERS, UPLOAD)?;
            background_load::beside(pulse, &mut [uploads], seconds)
        }
        "a cold file" => background_load::beside_each(pulse, seconds, || {
            background_load::make_cold(&root.join(COLD))?;
            Burden::downloads(server.at, 1, &format!("download {COLD}"))
        }),
        _ => {
            let times = pulse.beat(Duration::from_secs_f64(seconds), || Ok(()))?;
            Ok((times, Moved::default()))
        }
    }
}

fn tell(stage: &mut Stage, runs: &[Vec<Run>; 4], rates: [f64; 4], alone: f64) {
    let mut rows = Vec::new();
    let mut findings = Vec::new();
    for ((label, runs), rate) in LABELS.into_iter().zip(runs).zip(rates) {
        if runs.is_empty() {
            continue;
        }
        let medians = scheduled_echo::medians(runs);
        scheduled_echo::line("median", label, medians, "");
        let held_up = median(runs.iter().map(|run| run.held_up).collect()) * 100.0;
        let disturbed = runs.iter().filter(|run| run.is_disturbed()).count();
        let quiet = match disturbed {
            0 => "quiet".to_string(),
            count => format!("disturbed in {count} of {} runs", runs.len()),
        };
        let mut row = vec![label.to_string()];
        row.extend(medians.map(|micros| format!("{micros:.0}")));
        row.push(match label {
            "nothing" => String::new(),
            _ => format!("{rate:.2}"),
        });
        row.push(format!("{quiet} ({held_up:.2} %)"));
        rows.push(row);
        if label != "nothing" {
            findings.push(Finding {
                work: work(label),
                against: String::new(),
                goal: format!("p99 ≤ {HIGHEST_P99} us"),
                found: format!("{:.0} us, {quiet}", medians[1]),
                holds: Some(medians[1] <= HIGHEST_P99),
            });
        }
    }
    if alone.is_finite() {
        println!("  downloads without the echo {alone:.2} GiB/s");
        findings.push(Finding {
            work: "8 downloads beside the echo".to_string(),
            against: "without the echo".to_string(),
            goal: format!("throughput ≥ {LEAST_LEFT}"),
            found: format!("{:.3}", rates[1] / alone),
            holds: Some(rates[1] / alone >= LEAST_LEFT),
        });
    }
    let title = title(stage.plan.seconds);
    let header = [
        "beside",
        "p50 us",
        "p99 us",
        "max us",
        "GiB/s",
        "others had a core",
    ];
    stage.report.section(&title, &header, &rows, &findings);
}
