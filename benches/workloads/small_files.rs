//! Files of 4 KiB, with a new connection for each file or on persistent connections.

use super::goal::Goal;
use super::{Suite, unchecked};
use crate::measure::Contender;
use crate::measure::closed_loop;
use crate::measure::dialect::{Dialect, Exchange};
use crate::measure::short_connections::{self, ClosesFirst};

const NAME: &str = "small.bin";
const SIZE: usize = 4096;
/// loket once more, with a new connection for each request.
const NEW_CONNECTIONS: &str = "loket, new connections";
const AT_ONCE: usize = 64;

pub fn compare(suite: &mut Suite) -> Result<(), String> {
    let root = suite.folder("small")?;
    let content: Vec<u8> = (0..SIZE as u32)
        .map(|n| (n.wrapping_mul(n) >> 3) as u8)
        .collect();
    let path = root.join(NAME);
    std::fs::write(&path, &content).map_err(|e| format!("cannot write {}: {e}", path.display()))?;
    // The request says that it is the last one, so the server closes first.
    let anew = short_connections::Shape {
        at_once: AT_ONCE,
        connections: suite.scaled(20_000),
        exchange: &|dialect| {
            let closes_first = match dialect {
                Dialect::Http => ClosesFirst::Server,
                _ => ClosesFirst::ServerAtEof,
            };
            let last = closes_first == ClosesFirst::Server;
            Ok((Exchange::file(dialect, NAME, &content, last)?, closes_first))
        },
    };
    suite.compare(
        "4 KiB files, new connections",
        vec![
            Ok(Contender::loket("files", &root, &[])),
            suite.nginx(&root, true),
            suite.lighttpd(&root),
        ],
        anew.table(
            "small-files: 4 KiB, one connection per file",
            "files/s",
            "us CPU/file",
        ),
        &[Goal::cpu(&["nginx"], 1.0)],
        unchecked,
        |server, _| short_connections::run(server, &anew),
    )?;
    let persistent = closed_loop::Shape {
        connections: AT_ONCE,
        exchange: &|dialect| Exchange::file(dialect, NAME, &content, false),
        seconds: suite.plan.seconds,
    };
    let mut again = Contender::loket("files", &root, &[]);
    again.label = NEW_CONNECTIONS;
    suite.compare(
        "4 KiB files, persistent connections",
        vec![
            Ok(Contender::loket("files", &root, &[])),
            Ok(again),
            suite.nginx(&root, false),
        ],
        persistent.table("small-files: 4 KiB, persistent connections, and one connection per file"),
        &[Goal::rate(&[NEW_CONNECTIONS], 3.0)],
        unchecked,
        |server, contender| match contender.label {
            NEW_CONNECTIONS => short_connections::run(server, &anew),
            _ => closed_loop::run(server, &persistent),
        },
    )
}
