//! Big files from the page cache, and big files on their way in without waiting for a disk.
//!
//! Uploads that outlive a power cut are in `beside`: no rival makes them.

use super::goal::Goal;
use super::{Stage, unchecked};
use crate::measure::contender::{BIG_FILE, Contender};
use crate::measure::{download, upload};
use crate::rivals;

pub fn downloads(stage: &mut Stage) -> Result<(), String> {
    const WEB: &[&str] = &["lighttpd", "nginx"];
    let some = download::Shape {
        connections: stage.amount(64),
        ..download::MANY_BIG
    };
    let goals = [Goal::rate(WEB, 1.2), Goal::cpu(&["lighttpd"], 0.9)];
    download_all(stage, &some, &goals)?;
    let many = download::Shape {
        connections: stage.amount(1_000),
        size: 4 << 20,
        name: BIG_FILE,
    };
    let goals = [Goal::rate(&["lighttpd"], 1.15), Goal::rate(&["nginx"], 2.0)];
    download_all(stage, &many, &goals)?;
    let single = download::Shape {
        connections: 1,
        size: (stage.amount(1_024) as u64) << 20,
        name: BIG_FILE,
    };
    download_all(stage, &single, &[Goal::rate(WEB, 1.0)])
}

fn download_all(stage: &mut Stage, shape: &download::Shape, goals: &[Goal]) -> Result<(), String> {
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

pub fn uploads(stage: &mut Stage) -> Result<(), String> {
    let some = upload::Shape {
        connections: stage.amount(16).max(2),
        ..upload::SIXTEEN_BIG
    };
    let goals = [Goal::cpu(&["nginx"], 0.7), Goal::cpu(&["vsftpd"], 0.5)];
    upload_all(stage, &some, &goals)?;
    let single = upload::Shape {
        connections: 1,
        size: (stage.amount(1_024) as u64) << 20,
    };
    upload_all(stage, &single, &[Goal::cpu(&["nginx"], 1.0)])
}

fn upload_all(stage: &mut Stage, shape: &upload::Shape, goals: &[Goal]) -> Result<(), String> {
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
