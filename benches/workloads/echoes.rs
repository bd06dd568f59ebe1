//! Messages on persistent connections, PINGs, the room, and echoes without sleeping.

use super::{Figure, Goal, Suite, Unit};
use crate::measure::contender::Contender;
use crate::measure::spread::Bound;
use crate::rivals;

const BARE_LOOP: &[&str] = &["bare loop"];

pub fn compare(suite: &mut Suite) -> Result<(), String> {
    let root = suite.folder("echo")?;
    for (connections, most) in [(50, 1.03), (1_000, 1.05), (10_000, 1.03)] {
        let connections = suite.scaled(connections);
        let load = format!("echo -c {connections}");
        suite.compare(
            &format!("echo 64 B, {connections} connections"),
            Unit::Answer("message"),
            vec![
                (Ok(Contender::loket(&["echo"], &root, &[])), load.clone()),
                (Contender::own("bare loop", "echo", &root), load.clone()),
                (Contender::own("tokio", "tokio-echo", &root), load),
            ],
            &[Goal::cpu(BARE_LOOP, most)],
        )?;
    }
    let load = "echo -c 16 -s 64K".to_string();
    suite.compare(
        "echo 64 KiB, 16 connections",
        Unit::Answer("message"),
        vec![
            (Ok(Contender::loket(&["echo"], &root, &[])), load.clone()),
            (Contender::own("bare loop", "echo", &root), load),
        ],
        &[Goal::cpu(BARE_LOOP, 1.05)],
    )
}

/// The echo returns the PING of redis, which is twice as long as its answer.
pub fn pings(suite: &mut Suite) -> Result<(), String> {
    let root = suite.folder("echo")?;
    let load = "echo -c 50 -s 14 -p 16".to_string();
    suite.compare(
        "PING, 50 connections, pipeline 16",
        Unit::Answer("message"),
        vec![
            (Ok(Contender::loket(&["echo"], &root, &[])), load.clone()),
            (
                rivals::redis(&suite.scratch, suite.plan.descriptors),
                "redis -c 50 -p 16".into(),
            ),
            (Contender::own("bare loop", "echo", &root), load),
        ],
        &[Goal::cpu(&["redis"], 0.65)],
    )
}

/// No other server speaks the room's protocol.
pub fn room(suite: &mut Suite) -> Result<(), String> {
    let root = suite.folder("room")?;
    let members = suite.scaled(1_000);
    let load = format!("room -m {members} -r 100 --password load");
    suite.compare(
        &format!("room, 64 B to {members} members"),
        Unit::Answer("copy"),
        vec![
            (
                Ok(Contender::loket(
                    &["room"],
                    &root,
                    &["--room-per-address", "4096"],
                )),
                load.clone(),
            ),
            (Contender::own("bare loop", "room", &root), load),
        ],
        &[Goal::cpu(BARE_LOOP, 1.05)],
    )
}

pub fn spin(suite: &mut Suite) -> Result<(), String> {
    let root = suite.folder("echo")?;
    let mut without = Contender::loket(&["echo"], &root, &[]);
    without.label = "without";
    let load = "echo -c 1".to_string();
    suite.compare(
        "echo with --spin 50, 1 connection",
        Unit::Answer("message"),
        vec![
            (
                Ok(Contender::loket(&["echo"], &root, &["--spin", "50"])),
                load.clone(),
            ),
            (Ok(without), load),
        ],
        &[Goal::new(Figure::P50, &["without"], Bound::AtMost(0.4))],
    )
}
