//! How long an echo takes beside big transfers of the same server, and what it takes from them.
//! Has no rivals: the goals are absolute.

use super::Stage;
use super::goal::Finding;
use crate::measure::bulk::{Downloads, Uploads};
use crate::measure::download::{self, Shape};
use crate::measure::load::connect;
use crate::measure::schedule::{self, Alone, Beside, Figures};
use crate::measure::server::Server;
use crate::measure::table::median;
use std::net::TcpStream;

const TRANSFERS: usize = 8;
const UPLOAD: u64 = 16 << 20;
const HIGHEST_P99: f64 = 500.0;
const LEAST_LEFT: f64 = 0.95;

const HOT: Shape = Shape {
    connections: TRANSFERS,
    size: 64 << 20,
    name: "hot.bin",
};

/// The works beside the echo, in the order of the report.
const LABELS: [&str; 4] = ["nothing", "8 downloads", "8 durable uploads", "a cold file"];

pub fn compare(stage: &mut Stage) -> Result<(), String> {
    let root = stage.folder("beside")?;
    let cold = Shape {
        connections: 1,
        size: (stage.amount(1_024) as u64) << 20,
        name: "cold.bin",
    };
    download::prepare(&root, &HOT)?;
    download::prepare(&root, &cold)?;
    let server = Server::start(&stage.loket("files", &root, &[]), &stage.scratch)?;
    download::check(&server, &root, &HOT)?;
    let stream = connect(server.address("echo")?)?;
    let title = format!(
        "beside: 64-byte echo, 1000 a second on schedule, beside other work, {} s a run",
        stage.plan.seconds
    );
    schedule::begin(&title);
    let mut times: [Vec<Figures>; 4] = Default::default();
    let mut speeds: [Vec<f64>; 2] = Default::default();
    let seconds = stage.plan.seconds;
    for round in 1..=stage.plan.runs {
        for (label, times) in LABELS.into_iter().zip(&mut times) {
            let mut moved = 0.0;
            let figures = schedule::undisturbed(&server, round, label, || {
                let (figures, rate) = match label {
                    "8 downloads" => accompanied(&stream, Downloads::hot(&server, &HOT)?, seconds),
                    "8 durable uploads" => {
                        let uploads = Uploads::begin(&server, TRANSFERS, UPLOAD)?;
                        accompanied(&stream, uploads, seconds)
                    }
                    "a cold file" => {
                        let cold = Downloads::cold(&server, &cold, &root)?;
                        accompanied(&stream, cold, seconds)
                    }
                    _ => Ok((schedule::run(&stream, &mut Alone, seconds)?, 0.0)),
                }?;
                moved = rate;
                Ok(figures)
            })?;
            times.push(figures);
            match label {
                "nothing" => {}
                _ => println!("{:>6}  it moved {moved:.2} GiB/s", ""),
            }
            if label == "8 downloads" {
                let alone = schedule::alone(&stream, &mut Downloads::hot(&server, &HOT)?, seconds)?;
                println!("{:>6}  and without the echo {alone:.2} GiB/s", "");
                speeds[0].push(moved);
                speeds[1].push(alone);
            }
        }
    }
    tell(stage, &title, &times, speeds);
    Ok(())
}

/// The times of the echo and what the work moved meanwhile, in GiB a second.
fn accompanied<B: Beside>(
    stream: &TcpStream,
    mut beside: B,
    seconds: f64,
) -> Result<(Figures, f64), String> {
    let figures = schedule::run(stream, &mut beside, seconds)?;
    Ok((figures, beside.rate()))
}

fn tell(stage: &mut Stage, title: &str, times: &[Vec<Figures>; 4], speeds: [Vec<f64>; 2]) {
    let mut rows = Vec::new();
    let mut findings = Vec::new();
    for (label, runs) in LABELS.into_iter().zip(times) {
        let medians = schedule::medians(runs);
        schedule::line("median", label, medians);
        let cells = medians.map(|micros| format!("{micros:.0}"));
        rows.push([vec![label.to_string()], cells.to_vec()].concat());
        if label != "nothing" {
            let what = format!("p99 in us beside {label}");
            findings.push(Finding::at_most(&what, Some(medians[1]), HIGHEST_P99));
        }
    }
    let [with, without] = speeds.map(median);
    println!("  downloads beside the echo {with:.2} GiB/s, without {without:.2} GiB/s");
    findings.push(Finding::at_least(
        "throughput of the downloads by that without the echo",
        Some(with / without),
        LEAST_LEFT,
    ));
    let header = ["beside", "p50 us", "p99 us", "max us"];
    stage.report.section(title, &header, &rows, &findings);
}
