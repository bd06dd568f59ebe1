//! The cost of a connection that sends one message, and of an idle connection.

use super::goal::{Goal, GoalResult};
use super::{Suite, unchecked};
use crate::measure::Contender;
use crate::measure::dialect::{Dialect, Exchange};
use crate::measure::idle;
use crate::measure::short_connections::{self, ClosesFirst, Shape};
use std::time::Duration;

/// Milliseconds of CPU in three seconds: checking the deadlines once a second costs less.
const MAX_IDLE_CPU: f64 = 1.0;

/// No connection transfers, so their descriptors need not be kept for files.
const IDLE_FLAGS: &[&str] = &["--max-connections", "19400"];

pub fn compare_short(suite: &mut Suite) -> Result<(), String> {
    let root = suite.folder("echo")?;
    let shape = Shape {
        at_once: 64,
        connections: suite.scaled(20_000),
        exchange: &|dialect| Ok((Exchange::pings(dialect, 1), ClosesFirst::Client)),
    };
    suite.compare(
        "connect, one message, close, 64 at once",
        vec![
            Ok(Contender::loket("echo", &root, &[])),
            suite.redis(),
            Contender::baseline("baseline", "echo", &root),
        ],
        shape.table(
            "connect: one message per connection",
            "connections/s",
            "us CPU/connection",
        ),
        &[Goal::cpu(&["redis"], 0.95), Goal::cpu(&["baseline"], 1.05)],
        unchecked,
        |server, _| short_connections::run(server, &shape),
    )
}

pub fn compare_idle(suite: &mut Suite) -> Result<(), String> {
    const NAME: &str = "page";
    let root = suite.folder("idle")?;
    let content = vec![b'x'; 64];
    let path = root.join(NAME);
    std::fs::write(&path, &content).map_err(|e| format!("cannot write {}: {e}", path.display()))?;
    let shape = idle::Shape {
        // Every server needs descriptors for itself; loket reserves 512.
        connections: suite
            .scaled(19_000)
            .min((suite.plan.descriptors as usize).saturating_sub(1_000)),
        // redis frees its buffers after two seconds; its allocator returns them after ten.
        rest: Duration::from_secs(13),
    };
    let workload = format!("{} idle connections", shape.connections);
    if !suite.wants(&workload) {
        return Ok(());
    }
    let contenders = vec![
        Ok(Contender::loket("echo", &root, IDLE_FLAGS)),
        suite.nginx(&root, false),
        suite.redis(),
        Contender::baseline("baseline", "echo", &root),
    ];
    let mut all = Vec::new();
    for contender in suite.present(contenders) {
        let exchange = match contender.dialect {
            Dialect::Http => Exchange::file(Dialect::Http, NAME, &content, false)?,
            dialect => Exchange::pings(dialect, 1),
        };
        all.push((contender, exchange));
    }
    let figures = idle::measure(&suite.plan, &shape, &all, &suite.scratch)?;
    let row = |of: &idle::Figures| {
        vec![
            of.label.to_string(),
            format!("{:.1}", of.memory),
            format!("{:.3}", of.cpu),
        ]
    };
    let rows: Vec<_> = figures.iter().map(row).collect();
    let ours = figures.first();
    let result = |goal: &str, found: Option<String>, holds| GoalResult {
        workload: workload.clone(),
        against: String::new(),
        goal: goal.to_string(),
        found: found.unwrap_or_default(),
        holds,
    };
    let results = [
        result(
            "user memory ≤ 200 B per connection",
            ours.map(|f| format!("{:.0} B", f.memory)),
            ours.map(|f| f.memory <= 200.0),
        ),
        result(
            "CPU ≤ 1 ms in 3 s",
            ours.map(|f| format!("{:.1} ms in 3 s", f.cpu)),
            ours.map(|f| f.cpu <= MAX_IDLE_CPU),
        ),
    ];
    let header = ["server", "bytes/connection", "ms CPU in 3 s"];
    suite
        .report
        .section(&idle::title(&shape), &header, &rows, &results);
    Ok(())
}
