//! Memory of up to 19,000 idle connections, and the echo latency with and without them.
//! Counts user memory only, not the kernel's memory for sockets.

use super::{echo_alone, rounds, start};
use crate::measure::Limit;
use crate::measure::dialect::Exchange;
use crate::measure::idle::open_idle;
use crate::measure::plan::Plan;
use crate::measure::scheduled_echo::ScheduledEcho;
use crate::measure::server::Server;
use std::path::Path;
use std::time::Duration;

/// Memory is read at these numbers of connections; 19,000 fit a limit of 20,000 descriptors.
const COUNTS: [usize; 4] = [1_000, 5_000, 10_000, 19_000];
/// Lets the server finish its last turn before its memory is read.
const REST: Duration = Duration::from_millis(100);
const WATCHED: Duration = Duration::from_secs(3);

pub fn run(plan: &Plan, scratch: &Path) -> Result<(), String> {
    println!(
        "\nidle: echo connections that stay idle after one message; 1000 echoes/s on a schedule, \
         {} s per run",
        plan.seconds
    );
    let server = start(scratch, "idle", &["--max-connections", "19400"])?;
    let echo = ScheduledEcho::connect(server.at)?;
    let [before] = rounds(plan, ["no idle"], |round| {
        Ok([echo_alone(plan, &server, &echo, round, "no idle")?])
    })?;
    let limit = Limit::new();
    let memory = resting_memory(&server)?;
    let exchange = Exchange::echo(64);
    let mut held = Vec::new();
    for count in COUNTS {
        while held.len() < count {
            limit.check()?;
            let number = held.len();
            held.push(
                open_idle(server.at, &exchange).map_err(|e| format!("connection {number}: {e}"))?,
            );
        }
        let grown = resting_memory(&server)? - memory;
        println!(
            "{count:>6}  connections: {:.1} bytes per connection",
            grown / count as f64
        );
    }
    let [among] = rounds(plan, ["19,000 idle"], |round| {
        Ok([echo_alone(plan, &server, &echo, round, "19,000 idle")?])
    })?;
    let spent = server.processes()?.cpu_time()?;
    std::thread::sleep(WATCHED);
    let idle = server.processes()?.cpu_time()?.since(&spent).0 * 1e3;
    println!(
        "  19,000 idle / no idle: p50 ratio {:.3}, p99 ratio {:.3}; \
         {idle:.1} ms CPU in 3 s without traffic",
        among[0] / before[0],
        among[1] / before[1]
    );
    Ok(())
}

fn resting_memory(server: &Server) -> Result<f64, String> {
    std::thread::sleep(REST);
    server.processes()?.memory()
}
