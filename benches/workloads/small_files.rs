//! Files of 4 KiB, each on a connection of its own or one after the other on kept ones.

use super::goal::Goal;
use super::{Stage, unchecked};
use crate::measure::closed_loop;
use crate::measure::dialect::{Dialect, Exchange};
use crate::measure::short_connections::{self, Leaver};

const NAME: &str = "small.bin";
const SIZE: usize = 4096;
/// The same server, visited as often as it is asked.
const ANEW: &str = "loket, a connection each";
const AT_ONCE: usize = 64;

pub fn compare(stage: &mut Stage) -> Result<(), String> {
    let root = stage.folder("small")?;
    let content: Vec<u8> = (0..SIZE as u32)
        .map(|n| (n.wrapping_mul(n) >> 3) as u8)
        .collect();
    let path = root.join(NAME);
    std::fs::write(&path, &content).map_err(|e| format!("cannot write {}: {e}", path.display()))?;
    // Both servers hear with the request that nothing more will be asked, and close.
    let visits = short_connections::Shape {
        at_once: AT_ONCE,
        visits: stage.amount(20_000),
        exchange: &|dialect| {
            let leaver = match dialect {
                Dialect::Http => Leaver::Server,
                _ => Leaver::Asked,
            };
            let last = leaver == Leaver::Server;
            Ok((Exchange::file(dialect, NAME, &content, last)?, leaver))
        },
    };
    stage.compare(
        "4 KiB files, a connection each",
        vec![
            Ok(stage.loket("files", &root, &[])),
            stage.nginx(&root, true),
            stage.lighttpd(&root),
        ],
        visits.table(
            "small-files: 4 KiB, a connection each",
            "files/s",
            "us CPU/file",
        ),
        &[Goal::cpu(&["nginx"], 1.0)],
        unchecked,
        |server, _| short_connections::run(server, &visits),
    )?;
    let kept = closed_loop::Shape {
        connections: AT_ONCE,
        exchange: &|dialect| Exchange::file(dialect, NAME, &content, false),
        seconds: stage.plan.seconds,
    };
    let mut again = stage.loket("files", &root, &[]);
    again.label = ANEW;
    stage.compare(
        "4 KiB files on kept connections",
        vec![
            Ok(stage.loket("files", &root, &[])),
            Ok(again),
            stage.nginx(&root, false),
        ],
        kept.table("small-files: 4 KiB on kept connections, and with a connection each"),
        &[Goal::rate(&[ANEW], 3.0)],
        unchecked,
        |server, contender| match contender.label {
            ANEW => short_connections::run(server, &visits),
            _ => closed_loop::run(server, &kept),
        },
    )
}
