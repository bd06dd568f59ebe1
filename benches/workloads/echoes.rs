//! Small and large messages on kept connections, beside a bare loop, tokio and redis.

use super::goal::Goal;
use super::{Stage, unchecked};
use crate::measure::Contender;
use crate::measure::closed_loop::{self, Shape};
use crate::measure::dialect::Exchange;
use crate::measure::room_load::{self, Crowd};
use std::cell::RefCell;
use std::collections::HashMap;

const LARGE: usize = 64 * 1024;

pub fn compare(stage: &mut Stage) -> Result<(), String> {
    for connections in [50, 1_000, 10_000] {
        small(stage, connections)?;
    }
    for messages in [1, 16] {
        pings(stage, messages)?;
    }
    large(stage)
}

fn small(stage: &mut Stage, connections: usize) -> Result<(), String> {
    let connections = match connections {
        ..100 => connections,
        _ => stage.amount(connections),
    };
    let root = stage.folder("echo")?;
    let shape = Shape {
        connections,
        exchange: &|_| Ok(Exchange::echo(64)),
        seconds: stage.plan.seconds,
    };
    stage.compare(
        &format!("echo 64 B, {connections} connections"),
        vec![
            Ok(stage.loket("echo", &root, &[])),
            Contender::bare("bare", "echo", &root),
            Contender::bare("tokio", "tokio-echo", &root),
        ],
        shape.table("echo: 64-byte messages, one under way on each"),
        &[Goal::cpu(&["bare"], 1.05)],
        unchecked,
        |server, _| closed_loop::run(server, &shape),
    )
}

fn pings(stage: &mut Stage, messages: usize) -> Result<(), String> {
    let root = stage.folder("echo")?;
    let shape = Shape {
        connections: 50,
        exchange: &|dialect| Ok(Exchange::pings(dialect, messages)),
        seconds: stage.plan.seconds,
    };
    let most = match messages {
        1 => 0.87,
        _ => 0.72,
    };
    stage.compare(
        &format!("echo 14 B, 50 connections, pipeline {messages}"),
        vec![
            Ok(stage.loket("echo", &root, &[])),
            stage.redis(),
            Contender::bare("bare", "echo", &root),
        ],
        shape.table(&format!(
            "echo: the PING of redis, 14 bytes (it answers 7), {messages} at a time on each"
        )),
        &[Goal::cpu(&["redis"], most)],
        unchecked,
        |server, _| closed_loop::run(server, &shape),
    )
}

fn large(stage: &mut Stage) -> Result<(), String> {
    let root = stage.folder("echo")?;
    let shape = Shape {
        connections: 16,
        exchange: &|_| Ok(Exchange::echo(LARGE)),
        seconds: stage.plan.seconds,
    };
    stage.compare(
        "echo 64 KiB, 16 connections",
        vec![
            Ok(stage.loket("echo", &root, &[])),
            Contender::bare("bare", "echo", &root),
        ],
        shape.table("echo: messages of 64 KiB, one under way on each"),
        &[Goal::rate(&["bare"], 0.95)],
        unchecked,
        |server, _| closed_loop::run(server, &shape),
    )
}

/// One of a thousand members speaks in the room. Only a bare loop is beside it: no other server has
/// such a room.
pub fn room(stage: &mut Stage) -> Result<(), String> {
    let root = stage.folder("room")?;
    let seconds = stage.plan.seconds;
    let crowds = RefCell::new(HashMap::new());
    stage.compare(
        &format!(
            "room, {} B to {} members",
            room_load::SIZE,
            room_load::MEMBERS
        ),
        vec![
            Ok(stage.loket("room", &root, &[])),
            Contender::bare("bare", "room", &root),
        ],
        room_load::table(seconds),
        &[Goal::cpu(&["bare"], 1.1)],
        |server, _| {
            let crowd = Crowd::join(server.at)?;
            crowds.borrow_mut().insert(server.label, crowd);
            Ok(())
        },
        |server, _| {
            let mut crowds = crowds.borrow_mut();
            let crowd = crowds.get_mut(server.label);
            crowd.ok_or("nobody has joined")?.run(server, seconds)
        },
    )
}
