//! Small and large messages on persistent connections, compared with the baseline, tokio and redis.

use super::goal::Goal;
use super::{Suite, unchecked};
use crate::measure::Contender;
use crate::measure::closed_loop::{self, Shape};
use crate::measure::dialect::Exchange;
use crate::measure::room_load::{self, RoomLoad};
use std::cell::RefCell;
use std::collections::HashMap;

const LARGE: usize = 64 * 1024;

pub fn compare(suite: &mut Suite) -> Result<(), String> {
    for connections in [50, 1_000, 10_000] {
        small(suite, connections)?;
    }
    for messages in [1, 16] {
        pings(suite, messages)?;
    }
    large(suite)
}

fn small(suite: &mut Suite, connections: usize) -> Result<(), String> {
    let (connections, max) = match connections {
        ..100 => (connections, 1.03),
        _ => (suite.scaled(connections), 1.05),
    };
    let root = suite.folder("echo")?;
    let shape = Shape {
        connections,
        exchange: &|_| Ok(Exchange::echo(64)),
        seconds: suite.plan.seconds,
    };
    suite.compare(
        &format!("echo 64 B, {connections} connections"),
        vec![
            Ok(Contender::loket("echo", &root, &[])),
            Contender::baseline("baseline", "echo", &root),
            Contender::baseline("tokio", "tokio-echo", &root),
        ],
        shape.table("echo: 64-byte messages, one in flight per connection"),
        &[Goal::cpu(&["baseline"], max)],
        unchecked,
        |server, _| closed_loop::run(server, &shape),
    )
}

fn pings(suite: &mut Suite, messages: usize) -> Result<(), String> {
    let root = suite.folder("echo")?;
    let shape = Shape {
        connections: 50,
        exchange: &|dialect| Ok(Exchange::pings(dialect, messages)),
        seconds: suite.plan.seconds,
    };
    let max = match messages {
        1 => 0.87,
        _ => 0.72,
    };
    suite.compare(
        &format!("echo 14 B, 50 connections, pipeline {messages}"),
        vec![
            Ok(Contender::loket("echo", &root, &[])),
            suite.redis(),
            Contender::baseline("baseline", "echo", &root),
        ],
        shape.table(&format!(
            "echo: the 14-byte PING of redis (which answers 7 bytes), {messages} in flight"
        )),
        &[Goal::cpu(&["redis"], max)],
        unchecked,
        |server, _| closed_loop::run(server, &shape),
    )
}

fn large(suite: &mut Suite) -> Result<(), String> {
    let root = suite.folder("echo")?;
    let shape = Shape {
        connections: 16,
        exchange: &|_| Ok(Exchange::echo(LARGE)),
        seconds: suite.plan.seconds,
    };
    suite.compare(
        "echo 64 KiB, 16 connections",
        vec![
            Ok(Contender::loket("echo", &root, &[])),
            Contender::baseline("baseline", "echo", &root),
        ],
        shape.table("echo: 64 KiB messages, one in flight per connection"),
        &[
            Goal::cpu(&["baseline"], 1.05),
            Goal::rate(&["baseline"], 0.95),
        ],
        unchecked,
        |server, _| closed_loop::run(server, &shape),
    )
}

/// One of a thousand members sends to the room. It is compared with the baseline only: no other
/// server speaks the room's protocol.
pub fn room(suite: &mut Suite) -> Result<(), String> {
    let root = suite.folder("room")?;
    let seconds = suite.plan.seconds;
    let loads = RefCell::new(HashMap::new());
    suite.compare(
        &format!(
            "room, {} B to {} members",
            room_load::SIZE,
            room_load::MEMBERS
        ),
        vec![
            Ok(Contender::loket("room", &root, &[])),
            Contender::baseline("baseline", "room", &root),
        ],
        room_load::table(seconds),
        &[Goal::cpu(&["baseline"], 1.1)],
        |server, _| {
            let load = RoomLoad::join(server.at)?;
            loads.borrow_mut().insert(server.label, load);
            Ok(())
        },
        |server, _| {
            let mut loads = loads.borrow_mut();
            let load = loads.get_mut(server.label);
            load.ok_or("the members have not joined")?
                .run(server, seconds)
        },
    )
}
