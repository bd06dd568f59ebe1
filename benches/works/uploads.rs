//! Files on their way in, which nobody waits for the disk with: some at once, a single one.
//! Leaves uploads that outlive a power cut to `beside`: no rival makes them.

use super::goal::Goal;
use super::{Stage, unchecked};
use crate::measure::Contender;
use crate::measure::upload::{self, Shape};
use crate::rivals;

pub fn compare(stage: &mut Stage) -> Result<(), String> {
    let some = Shape {
        connections: stage.amount(16).max(2),
        ..upload::SIXTEEN_BIG
    };
    let goals = [Goal::cpu(&["nginx"], 0.7), Goal::cpu(&["vsftpd"], 0.5)];
    one_shape(stage, &some, &goals)?;
    let single = Shape {
        connections: 1,
        size: (stage.amount(1_024) as u64) << 20,
    };
    one_shape(stage, &single, &[Goal::cpu(&["nginx"], 1.0)])
}

fn one_shape(stage: &mut Stage, shape: &Shape, goals: &[Goal]) -> Result<(), String> {
    let (ours, theirs) = (stage.folder("up-loket")?, stage.folder("up-nginx")?);
    let (connections, size) = (shape.connections, shape.size >> 20);
    stage.compare(
        &format!("upload {connections} x {size} MiB, --no-sync"),
        vec![
            Ok(stage.loket("files", &ours, &["--no-sync"])),
            stage.nginx(&theirs, false),
            rivals::vsftpd(&stage.scratch),
            Contender::bare("bare splice", "upload", &stage.folder("up-bare")?),
        ],
        shape.table(),
        goals,
        unchecked,
        |server, contender| upload::run(server, &contender.root, shape),
    )
}
