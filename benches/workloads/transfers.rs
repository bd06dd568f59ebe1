//! Downloads of large files from the page cache, and uploads without sync.
//!
//! Synced uploads are in `latency`: the other servers do not sync.

use super::goal::Goal;
use super::{Suite, unchecked};
use crate::measure::contender::{BIG_FILE, Contender};
use crate::measure::{download, upload};
use crate::rivals;

pub fn downloads(suite: &mut Suite) -> Result<(), String> {
    const WEB: &[&str] = &["lighttpd", "nginx"];
    let some = download::Shape {
        connections: suite.scaled(64),
        ..download::MANY_BIG
    };
    let goals = [Goal::rate(WEB, 1.2), Goal::cpu(&["lighttpd"], 0.9)];
    download_all(suite, &some, &goals)?;
    let many = download::Shape {
        connections: suite.scaled(1_000),
        size: 4 << 20,
        name: BIG_FILE,
    };
    let goals = [Goal::rate(&["lighttpd"], 1.15), Goal::rate(&["nginx"], 2.0)];
    download_all(suite, &many, &goals)?;
    let single = download::Shape {
        connections: 1,
        size: (suite.scaled(1_024) as u64) << 20,
        name: BIG_FILE,
    };
    download_all(suite, &single, &[Goal::rate(WEB, 1.0)])
}

fn download_all(suite: &mut Suite, shape: &download::Shape, goals: &[Goal]) -> Result<(), String> {
    let root = suite.folder(&format!("download-{}", shape.connections))?;
    download::prepare(&root, shape)?;
    let (connections, size) = (shape.connections, shape.size >> 20);
    suite.compare(
        &format!("download {connections} x {size} MiB"),
        vec![
            Ok(Contender::loket("files", &root, &[])),
            suite.lighttpd(&root),
            suite.nginx(&root, false),
            Contender::baseline("baseline", "download", &root),
        ],
        shape.table(),
        goals,
        |server, contender| download::check(server, &contender.root, shape),
        |server, _| download::run(server, shape),
    )?;
    let path = root.join(shape.name);
    std::fs::remove_file(&path).map_err(|e| format!("cannot remove {}: {e}", path.display()))
}

pub fn uploads(suite: &mut Suite) -> Result<(), String> {
    let some = upload::Shape {
        connections: suite.scaled(16).max(2),
        ..upload::SIXTEEN_BIG
    };
    let goals = [Goal::cpu(&["nginx"], 0.7), Goal::cpu(&["vsftpd"], 0.5)];
    upload_all(suite, &some, &goals)?;
    let single = upload::Shape {
        connections: 1,
        size: (suite.scaled(1_024) as u64) << 20,
    };
    upload_all(suite, &single, &[Goal::cpu(&["nginx"], 1.0)])
}

fn upload_all(suite: &mut Suite, shape: &upload::Shape, goals: &[Goal]) -> Result<(), String> {
    let (ours, theirs) = (suite.folder("up-loket")?, suite.folder("up-nginx")?);
    let (connections, size) = (shape.connections, shape.size >> 20);
    suite.compare(
        &format!("upload {connections} x {size} MiB, --no-sync"),
        vec![
            Ok(Contender::loket("files", &ours, &["--no-sync"])),
            suite.nginx(&theirs, false),
            rivals::vsftpd(&suite.scratch),
            Contender::baseline("baseline splice", "upload", &suite.folder("up-baseline")?),
        ],
        shape.table(),
        goals,
        unchecked,
        |server, contender| upload::run(server, &contender.root, shape),
    )
}
