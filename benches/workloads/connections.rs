//! The cost of a connection that sends one message, and of an idle connection.

use super::report::GoalResult;
use super::samples::{Goal, Unit};
use super::{BARE_LOOP, Suite, files};
use crate::measure::contender::Contender;
use crate::measure::generator;
use crate::measure::server::Server;
use crate::measure::spread::{Bound, Spread};
use crate::rivals;

/// No connection transfers, so their descriptors need not be kept for files.
const IDLE_FLAGS: &[&str] = &["--max-connections", "19400"];

pub fn compare_short(suite: &mut Suite) -> Result<(), String> {
    let root = suite.folder("echo")?;
    let redis = "redis -c 64 --close";
    suite.compare(
        "connect, one message, close",
        Unit::Answer("connection"),
        "churn -c 64 -s 14",
        vec![
            Ok(Contender::loket(&["echo"], &root, &[])),
            rivals::redis(&suite.scratch, suite.plan.descriptors, redis),
            Contender::bare_loop("echo", &root),
        ],
        &[Goal::cpu(&["redis"], 0.9), Goal::cpu(BARE_LOOP, 1.0)],
    )
}

/// Growth of the memory of a server from a few connections to many, in bytes for each, and its CPU
/// time in milliseconds a second.
struct Idle {
    memory: Vec<f64>,
    cpu: Vec<f64>,
}

pub fn compare_idle(suite: &mut Suite) -> Result<(), String> {
    let root = suite.folder("idle")?;
    files::write_file(&root.join("page"), 64)?;
    let (scratch, descriptors) = (suite.scratch.clone(), suite.plan.descriptors);
    // Every server needs descriptors for itself; loket reserves 512.
    let most = descriptors.saturating_sub(1_000);
    for (service, count, goals, entries) in [
        (
            "echo",
            suite.scaled(19_000).min(most),
            [130.0, 1.0],
            vec![
                Ok(Contender::loket(&["echo"], &root, IDLE_FLAGS)),
                rivals::redis(&scratch, descriptors, ""),
                Contender::bare_loop("echo", &root),
            ],
        ),
        (
            "http",
            suite.scaled(10_000).min(most),
            [250.0, 1.0],
            vec![
                Ok(Contender::loket(&["http"], &root, IDLE_FLAGS)),
                rivals::nginx(&scratch, &root, descriptors, false),
            ],
        ),
    ] {
        let work = format!("{count} idle connections, {service}");
        if !suite.wants(&work) {
            continue;
        }
        println!("\n{work}");
        let mut rows = Vec::new();
        for contender in entries {
            let contender = match contender {
                Ok(contender) => contender,
                Err(why) => {
                    suite.report.skip(&why);
                    continue;
                }
            };
            let idle = measure(suite, &contender, service, count)?;
            if contender.label == "loket" {
                for (bound, (name, values)) in goals.into_iter().zip([
                    ("bytes of memory each", &idle.memory),
                    ("ms of CPU a second", &idle.cpu),
                ]) {
                    suite.report.goal(GoalResult {
                        work: work.clone(),
                        figure: name.to_string(),
                        bound: Bound::AtMost(bound),
                        spread: Spread::of(values.iter().copied()),
                        doubt: None,
                    });
                }
            }
            let median = |values: Vec<f64>| Spread::of(values).map_or(f64::NAN, |all| all.median);
            rows.push(vec![
                contender.label.to_string(),
                format!("{:.0}", median(idle.memory)),
                format!("{:.2}", median(idle.cpu)),
            ]);
        }
        let header = ["server", "bytes each", "ms of CPU a second"];
        suite.report.section(&work, &header, &rows);
    }
    Ok(())
}

/// Each round starts new servers: memory that a run freed stays in the process and hides the cost.
fn measure(
    suite: &Suite,
    contender: &Contender,
    service: &str,
    count: u64,
) -> Result<Idle, String> {
    let mut idle = Idle {
        memory: Vec::new(),
        cpu: Vec::new(),
    };
    let base = (count / 19).max(1);
    // redis frees its buffers within ten seconds after the last exchange.
    let is_late = contender.label == "redis" && !suite.plan.quick;
    let (rounds, seconds) = match is_late {
        true => (1, 12),
        false => (suite.plan.runs.min(2), 2),
    };
    for round in 1..=rounds {
        let server = Server::start(contender, &suite.scratch)?;
        let (few, _) = hold(&server, service, base, seconds)?;
        let (many, cpu) = hold(&server, service, count, seconds)?;
        let each = (many - few) / (count - base) as f64;
        println!(
            "{round:>4}  {:<12} {each:>8.1} B each, {cpu:.2} ms CPU/s",
            contender.label
        );
        idle.memory.push(each);
        idle.cpu.push(cpu);
    }
    Ok(idle)
}

/// Memory of the server, in bytes, and its CPU time, in milliseconds a second, while this number of
/// connections is open, each after one exchange. One of them sends a message a second.
fn hold(server: &Server, service: &str, count: u64, seconds: u64) -> Result<(f64, f64), String> {
    let flags = match (service, server.label) {
        ("http", _) => format!("http --path /page -c {count} -r 1 -d {seconds}"),
        (_, "redis") => format!("redis -c {count} -r 1 -d {seconds}"),
        _ => format!("idle -c {count} -r 1 -d {seconds}"),
    };
    let outcome = generator::run(&flags, server)?;
    if outcome.recorder.connections > 0 {
        return Err(format!("{} closes idle connections", server.label));
    }
    let cost = outcome.server_cost().ok_or("the server was not measured")?;
    Ok((
        cost.memory as f64,
        cost.cpu as f64 / 1e3 / outcome.seconds(),
    ))
}
