//! What every measurement shares: who runs against whom, in what order, pinned where, until when.
#![allow(dead_code)] // every program uses another part of this

pub mod background_load;
pub mod closed_loop;
pub mod contender;
pub mod dialect;
pub mod download;
pub mod ftp;
pub mod idle;
pub mod load;
pub mod pinning;
pub mod plan;
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

/// No run may take longer than this; a hung server is an error, not a wait.
const RUN_LIMIT: Duration = Duration::from_secs(120);

/// Round after round, a run of each contender by its index; a disturbed one is taken again.
pub fn take_turns(
    plan: &Plan,
    contenders: &[Contender],
    mut table: Table,
    mut run: impl FnMut(usize) -> Result<Sample, String>,
) -> Result<Table, String> {
    // On a machine that is never quiet the report says so instead of taking for ever.
    let mut repeats = plan.runs * contenders.len();
    table.begin();
    for round in 1..=plan.runs {
        for turn in 0..contenders.len() {
            // Another one begins each round: what the one before leaves behind falls to all.
            let index = (turn + round - 1) % contenders.len();
            let contender = &contenders[index];
            let mut once =
                || run(index).map_err(|e| format!("{} of {}: {e}", table.title, contender.label));
            let mut sample = once()?;
            while sample.is_disturbed() && repeats > 0 {
                repeats -= 1;
                table.again(contender.label, sample);
                sample = once()?;
            }
            table.add(round, contender.label, sample);
        }
    }
    table.end();
    Ok(table)
}

/// What a reader has to know of the machine to compare two reports.
pub fn machine() -> String {
    let read = |path: &str| {
        std::fs::read_to_string(path)
            .unwrap_or_default()
            .trim()
            .to_string()
    };
    let control = read("/proc/sys/net/ipv4/tcp_congestion_control");
    let mut text = format!(
        "Linux {}; server on core {SERVER_CORE}, load on core {LOAD_CORE}; loopback; \
         congestion control {control}; load average {}\n\
         Server CPU is the column to trust: the throughput also hangs on the load client.",
        read("/proc/sys/kernel/osrelease"),
        read("/proc/loadavg"),
    );
    if control == "bbr" {
        text.push_str(
            "\nbbr paces even loopback: downloads jump between two regimes, 3 times \
             apart, whatever the server does. Take bulk ratios with --congestion reno.",
        );
    }
    text
}

static STOP: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// Turns SIGINT and SIGTERM into an ordinary error, so that servers and files are cleared away.
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

/// The end of patience of one run.
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
            return Err(format!("not done within {} s", RUN_LIMIT.as_secs()));
        }
        Ok(())
    }
}
