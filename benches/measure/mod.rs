//! Shared parts of the measurements: load generators, server processes, order of runs, timeouts.
#![allow(dead_code)] // each bench uses only a part of it

pub mod background_load;
pub mod closed_loop;
pub mod contender;
pub mod dialect;
pub mod download;
pub mod ftp;
pub mod idle;
pub mod pinning;
pub mod plan;
pub mod poller;
pub mod room_load;
pub mod scheduled_echo;
pub mod server;
pub mod short_connections;
pub mod table;
pub mod upload;

mod processes;

pub use contender::Contender;
use pinning::{LOAD_CORE, SERVER_CORE};
use plan::Plan;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use table::{Sample, Table};

/// Timeout of a run: a server that hangs is an error.
const RUN_LIMIT: Duration = Duration::from_secs(120);

/// Measures each server once per round; `run` gets its index. A disturbed run is repeated.
pub fn run_in_rounds(
    plan: &Plan,
    contenders: &[Contender],
    mut table: Table,
    mut run: impl FnMut(usize) -> Result<Sample, String>,
) -> Result<Table, String> {
    // Bounded: on a busy machine the report says that runs were disturbed.
    let mut repeats = plan.runs * contenders.len();
    table.print_header();
    for round in 1..=plan.runs {
        for position in 0..contenders.len() {
            // Each round starts with another server: after-effects of a run hit all equally.
            let index = (position + round - 1) % contenders.len();
            let contender = &contenders[index];
            let mut once =
                || run(index).map_err(|e| format!("{} of {}: {e}", table.title, contender.label));
            let mut sample = once()?;
            while sample.is_disturbed() && repeats > 0 {
                repeats -= 1;
                table.print_discarded(contender.label, sample);
                sample = once()?;
            }
            table.add(round, contender.label, sample);
        }
    }
    table.print_summary();
    Ok(table)
}

/// Properties of the machine that a reader needs to compare two reports.
pub fn machine() -> String {
    let read = |path: &str| {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.trim().to_string()
    };
    let control = read("/proc/sys/net/ipv4/tcp_congestion_control");
    let mut text = format!(
        "Linux {}; server on core {SERVER_CORE}, load on core {LOAD_CORE}; loopback; \
         congestion control {control}; load average {}\n\
         Trust the CPU column: the throughput also depends on the load client.",
        read("/proc/sys/kernel/osrelease"),
        read("/proc/loadavg"),
    );
    if control == "bbr" {
        text.push_str(
            "\nbbr paces even on loopback: download rates switch between two levels, a factor \
             of 3 apart, for every server. Measure downloads with --congestion reno.",
        );
    }
    text
}

static STOP: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// Turns SIGINT and SIGTERM into an error, so that servers are stopped and files removed.
pub fn stop_on_signals() -> Result<(), String> {
    let flag = STOP.get_or_init(Default::default);
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(flag))
            .map_err(|e| format!("cannot catch signal {signal}: {e}"))?;
    }
    Ok(())
}

pub fn is_stopped() -> bool {
    STOP.get().is_some_and(|flag| flag.load(Ordering::Relaxed))
}

/// The deadline of one run.
pub struct Limit(Instant);

impl Limit {
    pub fn new() -> Limit {
        Limit(Instant::now() + RUN_LIMIT)
    }

    pub fn check(&self) -> Result<(), String> {
        if is_stopped() {
            return Err("stopped by a signal".to_string());
        }
        if Instant::now() > self.0 {
            return Err(format!("not finished within {} s", RUN_LIMIT.as_secs()));
        }
        Ok(())
    }
}
