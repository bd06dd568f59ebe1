//! Messages on persistent connections, PINGs, the room, and echoes without sleeping.

use super::samples::{Figure, Goal, Unit};
use super::{BARE_LOOP, Suite};
use crate::measure::contender::Contender;
use crate::measure::scheduled_echo::wait_until_idle;
use crate::measure::spread::Bound;
use crate::rivals;

pub fn compare(suite: &mut Suite) -> Result<(), String> {
    let root = suite.folder("echo")?;
    for (connections, most) in [(50, 1.03), (1_000, 1.05), (10_000, 1.03)] {
        let connections = suite.scaled(connections);
        suite.compare(
            &format!("echo 64 B, {connections} connections"),
            Unit::Answer("message"),
            &format!("echo -c {connections}"),
            vec![
                Ok(Contender::loket(&["echo"], &root, &[])),
                Contender::bare_loop("echo", &root),
                Contender::own("tokio", "tokio-echo", &root),
            ],
            &[Goal::cpu(BARE_LOOP, most)],
        )?;
    }
    suite.compare(
        "echo 64 KiB, 16 connections",
        Unit::Answer("message"),
        "echo -c 16 -s 64K",
        vec![
            Ok(Contender::loket(&["echo"], &root, &[])),
            Contender::bare_loop("echo", &root),
        ],
        &[Goal::cpu(BARE_LOOP, 1.05)],
    )
}

/// The echo returns the PING of redis, which is twice as long as its answer.
pub fn pings(suite: &mut Suite) -> Result<(), String> {
    let root = suite.folder("echo")?;
    let redis = "redis -c 50 -p 16";
    suite.compare(
        "PING, 50 connections, pipeline 16",
        Unit::Answer("message"),
        "echo -c 50 -s 14 -p 16",
        vec![
            Ok(Contender::loket(&["echo"], &root, &[])),
            rivals::redis(&suite.scratch, suite.plan.descriptors, redis),
            Contender::bare_loop("echo", &root),
        ],
        &[Goal::cpu(&["redis"], 0.65)],
    )
}

/// No other server speaks the room's protocol.
pub fn room(suite: &mut Suite) -> Result<(), String> {
    let root = suite.folder("room")?;
    let members = suite.scaled(1_000);
    let flags = ["--room-per-address", "4096"];
    // The members of a run leave at its end, each with a notice to all others.
    suite.compare_after(
        &wait_until_idle,
        &format!("room, 64 B to {members} members"),
        Unit::Answer("copy"),
        &format!("room -m {members} -r 100 --password load"),
        vec![
            Ok(Contender::loket(&["room"], &root, &flags)),
            Contender::bare_loop("room", &root),
        ],
        &[Goal::cpu(BARE_LOOP, 1.05)],
    )
}

pub fn spin(suite: &mut Suite) -> Result<(), String> {
    let root = suite.folder("echo")?;
    let mut without = Contender::loket(&["echo"], &root, &[]);
    without.label = "without";
    suite.compare(
        "echo with --spin 50, 1 connection",
        Unit::Answer("message"),
        "echo -c 1",
        vec![
            Ok(Contender::loket(&["echo"], &root, &["--spin", "50"])),
            Ok(without),
        ],
        &[Goal::new(Figure::P50, &["without"], Bound::AtMost(0.4))],
    )
}
