//! What a connection costs that comes for one message, and one that only stands there.

use super::goal::{Finding, Goal};
use super::{Stage, unchecked};
use crate::measure::Contender;
use crate::measure::dialect::{Dialect, Exchange};
use crate::measure::idle;
use crate::measure::short_connections::{self, Leaver, Shape};
use std::time::Duration;

/// In milliseconds of three seconds: the look once a second at the deadlines costs next to nothing.
const LEAST_CPU: f64 = 1.0;

pub fn compare_visits(stage: &mut Stage) -> Result<(), String> {
    let root = stage.folder("echo")?;
    let shape = Shape {
        at_once: 64,
        visits: stage.amount(20_000),
        exchange: &|dialect| Ok((Exchange::pings(dialect, 1), Leaver::Client)),
    };
    stage.compare(
        "connect, one message, close, 64 at once",
        vec![
            Ok(stage.loket("echo", &root, &[])),
            stage.redis(),
            Contender::bare("bare", "echo", &root),
        ],
        shape.table(
            "connect: come, one message, go",
            "connections/s",
            "us CPU/connection",
        ),
        &[Goal::cpu(&["redis"], 0.95), Goal::cpu(&["bare"], 1.05)],
        unchecked,
        |server, _| short_connections::run(server, &shape),
    )
}

pub fn compare_idle(stage: &mut Stage) -> Result<(), String> {
    const NAME: &str = "page";
    let root = stage.folder("idle")?;
    let content = vec![b'x'; 64];
    let path = root.join(NAME);
    std::fs::write(&path, &content).map_err(|e| format!("cannot write {}: {e}", path.display()))?;
    let shape = idle::Shape {
        // Every server needs some descriptors for itself; loket keeps 512.
        connections: stage
            .amount(19_000)
            .min((stage.plan.descriptors as usize).saturating_sub(1_000)),
        // redis lets its buffers go after two seconds, and its allocator them after ten.
        rest: Duration::from_secs(13),
    };
    let work = format!("{} idle connections", shape.connections);
    if !stage.wants(&work) {
        return Ok(());
    }
    let contenders = vec![
        Ok(stage.loket("echo", &root, &[])),
        stage.nginx(&root, false),
        stage.redis(),
        Contender::bare("bare", "echo", &root),
    ];
    let mut all = Vec::new();
    for contender in stage.present(contenders) {
        let exchange = match contender.dialect {
            Dialect::Http => Exchange::file(Dialect::Http, NAME, &content, false)?,
            dialect => Exchange::pings(dialect, 1),
        };
        all.push((contender, exchange));
    }
    let figures = idle::measure(&stage.plan, &shape, &all, &stage.scratch)?;
    let row = |of: &idle::Figures| {
        vec![
            of.label.to_string(),
            format!("{:.1}", of.memory),
            format!("{:.3}", of.cpu),
        ]
    };
    let rows: Vec<_> = figures.iter().map(row).collect();
    let ours = figures.first();
    let finding = |goal: &str, found: Option<String>, holds| Finding {
        work: work.clone(),
        against: String::new(),
        goal: goal.to_string(),
        found: found.unwrap_or_default(),
        holds,
    };
    let findings = [
        finding(
            "user memory ≤ 200 B each",
            ours.map(|f| format!("{:.0} B", f.memory)),
            ours.map(|f| f.memory <= 200.0),
        ),
        finding(
            "no CPU",
            ours.map(|f| format!("{:.1} ms in 3 s", f.cpu)),
            ours.map(|f| f.cpu <= LEAST_CPU),
        ),
    ];
    let header = ["server", "bytes a connection", "ms CPU in 3 s"];
    stage
        .report
        .section(&idle::title(&shape), &header, &rows, &findings);
    Ok(())
}
