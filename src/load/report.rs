//! Makes figures of what a run has counted, and a table of them for people.

use super::errors::Fault;
use super::numbers::{bytes, micros, rate};
use super::poller::Cost;
use super::recorder::Recorder;
use super::settings::{Settings, Work};
use crate::reactor::clock::SECOND;
use crate::wire::text::grouped;
use hdrhistogram::Histogram;
use std::fmt::Write;

/// How a run came to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// The time was up.
    InTime,
    /// Somebody wanted it to end.
    Interrupted,
    /// The server could not be reached any more; in words.
    Lost(String),
}

/// All that is known after a run.
pub struct Outcome {
    /// What was asked for.
    pub settings: Settings,
    /// What was counted.
    pub recorder: Recorder,
    /// How it ended.
    pub ending: Ending,
    /// What could not be cleared away on the server, in words.
    pub left_behind: Option<String>,
    /// What this process had cost at the beginning and at the end.
    pub cost: Option<(Cost, Cost)>,
    /// Copies of a room's messages: those that should have come, and those that never did.
    pub copies: Option<Copies>,
}

/// What became of a room's messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copies {
    /// Copies that should have come.
    pub expected: u64,
    /// Those that did not.
    pub lost: u64,
}

/// How busy this side was.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Effort {
    /// The share of the time in which it did not wait, or used the CPU, whichever is more.
    pub busy: f64,
    /// Microseconds of CPU for each request.
    pub cpu_per_answer: f64,
}

/// What a watched server cost in the run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ServerCost {
    /// Microseconds of CPU.
    pub cpu: u64,
    /// The share of the time in which it used a core.
    pub busy: f64,
    /// The share of the time in which it could have worked and its core was taken by others.
    pub kept_waiting: f64,
    /// Bytes of memory of its own at the end, with all connections open.
    pub memory: u64,
}

/// The percentiles that are told.
pub const PERCENTILES: [(&str, f64); 4] =
    [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)];

impl Outcome {
    /// 1 when anything went wrong.
    pub fn status(&self) -> u8 {
        let lost = matches!(self.ending, Ending::Lost(_));
        u8::from(lost || self.left_behind.is_some() || self.recorder.all_faults() > 0)
    }

    /// Seconds that the rates refer to.
    pub fn seconds(&self) -> f64 {
        self.recorder.micros() as f64 / SECOND as f64
    }

    /// So many in the time, a second.
    pub fn per_second(&self, amount: u64) -> f64 {
        let seconds = self.seconds();
        if seconds > 0.0 {
            amount as f64 / seconds
        } else {
            0.0
        }
    }

    /// How busy this side was.
    pub fn effort(&self) -> Option<Effort> {
        let (begin, end) = self.cost?;
        let time = end.at.0.saturating_sub(begin.at.0).max(1) as f64;
        let awake = 1.0 - end.waited.saturating_sub(begin.waited) as f64 / time;
        let cpu = end.cpu.saturating_sub(begin.cpu) as f64;
        Some(Effort {
            // A poll that has something to tell at once is no waiting, but looks like it.
            busy: awake.max(cpu / time),
            cpu_per_answer: cpu / self.recorder.answered.max(1) as f64,
        })
    }

    /// What the server cost, if it was watched and is still there.
    pub fn server_cost(&self) -> Option<ServerCost> {
        let (begin, end) = self.cost?;
        let time = end.at.0.saturating_sub(begin.at.0).max(1) as f64;
        let (begin, end) = begin.server.zip(end.server)?;
        let cpu = end.cpu.saturating_sub(begin.cpu);
        Some(ServerCost {
            cpu,
            busy: cpu as f64 / time,
            kept_waiting: end.kept_waiting.saturating_sub(begin.kept_waiting) as f64 / time,
            memory: end.memory,
        })
    }

    /// Whether this side was too slow to tell what the server can do.
    pub fn was_held_back(&self) -> bool {
        let most = f64::from(self.settings.limits.busy_percent) / 100.0;
        self.effort().is_some_and(|effort| effort.busy > most)
    }

    /// Everything in a table.
    pub fn table(&self) -> String {
        let mut text = String::new();
        self.write(&mut text).expect("memory");
        text
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        self.write_title(out)?;
        let counts = &self.recorder;
        let line = |out: &mut String, name: &str, amount: String, rate: String| {
            let line = format!("  {name:<12}{amount:>14}{rate:>20}");
            writeln!(out, "{}", line.trim_end())
        };
        let what = self.amount_name();
        let answers = format!("{}/s", rate(self.per_second(counts.in_time)));
        line(out, what, grouped(counts.answered), answers)?;
        for (name, amount) in [("received", counts.bytes_in), ("sent", counts.bytes_out)] {
            let speed = format!("{}/s", bytes(self.per_second(amount)));
            line(out, name, bytes(amount as f64), speed)?;
        }
        if let Some(copies) = self.copies {
            line(out, "messages", grouped(counts.asked), String::new())?;
            let share = 100.0 * copies.lost as f64 / copies.expected.max(1) as f64;
            line(
                out,
                "copies lost",
                grouped(copies.lost),
                format!("{share:.3} %"),
            )?;
        }
        line(out, "errors", grouped(counts.all_faults()), String::new())?;
        for fault in Fault::ALL {
            if counts.faults(fault) > 0 {
                let number = grouped(counts.faults(fault));
                writeln!(out, "  {:<12}{number:>14}  {}", "", fault.meaning())?;
            }
        }
        if let Some(first) = counts.first_fault() {
            writeln!(out, "  {:<12}  the first: {first}", "")?;
        }
        self.write_latencies(out)?;
        self.write_remarks(out)
    }

    fn write_title(&self, out: &mut String) -> std::fmt::Result {
        let settings = &self.settings;
        let size = bytes(settings.size as f64);
        let pipeline = match settings.pipeline {
            1 => String::new(),
            more => format!(", {more} under way on each"),
        };
        writeln!(
            out,
            "{} at {}: {}{pipeline}, {}, {size} each, {:.1} s\n",
            settings.work.name(),
            settings.at,
            settings.who(),
            settings.pace(),
            self.seconds()
        )
    }

    fn amount_name(&self) -> &'static str {
        match self.settings.work {
            Work::Echo | Work::Idle => "messages",
            Work::Churn => "connections",
            Work::Transfer(_) | Work::Files(_) => "requests",
            Work::Room { .. } => "copies",
        }
    }

    fn write_latencies(&self, out: &mut String) -> std::fmt::Result {
        let kinds: Vec<_> = self.recorder.kinds().collect();
        if kinds.is_empty() {
            return Ok(());
        }
        write!(out, "\n  {:<12}", "latency")?;
        for (name, _) in PERCENTILES {
            write!(out, "{name:>11}")?;
        }
        writeln!(out, "{:>11}", "max")?;
        let row = |out: &mut String, name: &str, histogram: &Histogram<u64>| {
            write!(out, "  {name:<12}")?;
            for (_, quantile) in PERCENTILES {
                write!(out, "{:>11}", micros(histogram.value_at_quantile(quantile)))?;
            }
            writeln!(out, "{:>11}", micros(histogram.max()))
        };
        for (name, histogram) in &kinds {
            row(out, name, histogram)?;
        }
        if kinds.len() > 1 {
            row(out, "all", &self.recorder.all_kinds())?;
        }
        Ok(())
    }

    fn write_remarks(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out)?;
        if let Some(effort) = self.effort() {
            writeln!(
                out,
                "  This client was busy for {:.0} % of the time, and used {:.1} us of CPU for each \
                 of the {}.",
                100.0 * effort.busy,
                effort.cpu_per_answer,
                self.amount_name()
            )?;
        }
        if let Some(server) = self.server_cost() {
            writeln!(
                out,
                "  The server used {:.1} % of a core (and was kept waiting for it for {:.1} %), \
                 {:.1} us for each\n  of the {}, and had {} of memory.",
                100.0 * server.busy,
                100.0 * server.kept_waiting,
                server.cpu as f64 / self.recorder.answered.max(1) as f64,
                self.amount_name(),
                bytes(server.memory as f64)
            )?;
        }
        if self.was_held_back() {
            writeln!(
                out,
                "  THE CLIENT WAS THE BOTTLENECK: the server may be able to do more than these \
                 figures say.\n  Run it on a core of its own, or more than one of it."
            )?;
        }
        if self.recorder.unmade > 0 {
            let unmade = grouped(self.recorder.unmade);
            writeln!(
                out,
                "  {unmade} requests were due and never made: that is more than can be answered."
            )?;
        }
        if let Some(left) = &self.left_behind {
            writeln!(out, "  {left}.")?;
        }
        match &self.ending {
            Ending::InTime => Ok(()),
            Ending::Interrupted => writeln!(out, "  The run was interrupted."),
            Ending::Lost(why) => writeln!(
                out,
                "  The run ended after {:.1} s: the server went away ({why}).",
                self.seconds()
            ),
        }
    }
}
