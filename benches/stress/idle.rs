//! Memory of up to 19,000 connections that keep silent, and an echo among them beside one alone.
//! Sees the server's own memory only; the kernel's share of a connection is not in it.

use super::{pulse_alone, rounds, start};
use crate::measure::Limit;
use crate::measure::dialect::Exchange;
use crate::measure::idle::visit;
use crate::measure::plan::Plan;
use crate::measure::scheduled_echo::Pulse;
use crate::measure::server::Server;
use std::path::Path;
use std::time::Duration;

/// The most that a limit of 20,000 descriptors leaves room for, and where it is looked at before.
const STOPS: [usize; 4] = [1_000, 5_000, 10_000, 19_000];
/// For the last turn of the server to be over before its memory is read.
const REST: Duration = Duration::from_millis(100);
const WATCHED: Duration = Duration::from_secs(3);

pub fn show(plan: &Plan, scratch: &Path) -> Result<(), String> {
    println!(
        "\nidle: silent echo connections, each a message old; one echo among them, 1000 a second \
         on schedule, {} s a run",
        plan.seconds
    );
    let server = start(scratch, "idle", &[])?;
    let pulse = Pulse::connect(server.at)?;
    let [before] = rounds(plan, ["nobody"], |round| {
        Ok([pulse_alone(plan, &server, &pulse, round, "nobody")?])
    })?;
    let limit = Limit::new();
    let memory = resting_memory(&server)?;
    let echo = Exchange::echo(64);
    let mut held = Vec::new();
    for stop in STOPS {
        while held.len() < stop {
            limit.check()?;
            let number = held.len();
            held.push(visit(server.at, &echo).map_err(|e| format!("connection {number}: {e}"))?);
        }
        let grown = resting_memory(&server)? - memory;
        println!(
            "{stop:>6}  connections: {:.1} bytes each",
            grown / stop as f64
        );
    }
    let [among] = rounds(plan, ["19,000"], |round| {
        Ok([pulse_alone(plan, &server, &pulse, round, "19,000")?])
    })?;
    let spent = server.processes()?.spent()?;
    std::thread::sleep(WATCHED);
    let idle = server.processes()?.spent()?.since(&spent).0 * 1e3;
    println!(
        "  among 19,000 / alone: {:.3} of the p50, {:.3} of the p99; \
         {idle:.1} ms CPU in 3 s of rest",
        among[0] / before[0],
        among[1] / before[1]
    );
    Ok(())
}

fn resting_memory(server: &Server) -> Result<f64, String> {
    std::thread::sleep(REST);
    server.processes()?.memory()
}
