//! Big files from the page cache: some at once, very many at once, a single one.
//! Knows nothing of small files.

use super::Stage;
use super::goal::Goal;
use crate::measure::contender::{BIG_FILE, Contender};
use crate::measure::download::{self, Shape};

pub fn compare(stage: &mut Stage) -> Result<(), String> {
    const WEB: &[&str] = &["lighttpd", "nginx"];
    let some = Shape {
        connections: stage.amount(64),
        ..download::MANY_BIG
    };
    let goals = [Goal::rate(WEB, 1.2), Goal::cpu(&["lighttpd"], 0.9)];
    one_shape(stage, &some, &goals)?;
    let many = Shape {
        connections: stage.amount(1_000),
        size: 4 << 20,
        name: BIG_FILE,
    };
    let goals = [Goal::rate(&["lighttpd"], 1.15), Goal::rate(&["nginx"], 2.0)];
    one_shape(stage, &many, &goals)?;
    let single = Shape {
        connections: 1,
        size: (stage.amount(1_024) as u64) << 20,
        name: BIG_FILE,
    };
    one_shape(stage, &single, &[Goal::rate(WEB, 1.0)])
}

fn one_shape(stage: &mut Stage, shape: &Shape, goals: &[Goal]) -> Result<(), String> {
    let root = stage.folder(&format!("download-{}", shape.connections))?;
    download::prepare(&root, shape)?;
    let (connections, size) = (shape.connections, shape.size >> 20);
    stage.compare(
        &format!("download {connections} x {size} MiB"),
        vec![
            Ok(stage.loket("files", &root, &[])),
            stage.lighttpd(&root),
            stage.nginx(&root, false),
            Contender::bare("bare", "download", &root),
        ],
        shape.table(),
        goals,
        |server, contender| download::check(server, &contender.root, shape),
        |server, _| download::run(server, shape),
    )?;
    let path = root.join(shape.name);
    std::fs::remove_file(&path).map_err(|e| format!("cannot remove {}: {e}", path.display()))
}
