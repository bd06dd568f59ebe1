//! Computes the results of a run, and formats them as a table.

use super::errors::RequestFailure;
use super::fail_limit::{BoundedFigures, FailLimit};
use super::numbers::{PERCENTILES, bytes, micros, rate};
use super::poller::Cost;
use super::recorder::Recorder;
use super::settings::{Settings, Work};
use crate::reactor::clock::SECOND;
use crate::wire::text::grouped;
use hdrhistogram::Histogram;
use std::fmt::Write;

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunEnd {
    /// The time was up.
    InTime,
    /// A signal stopped it.
    Interrupted,
    /// The server became unreachable; with the reason.
    Lost(String),
}

/// The outcome of a run.
pub struct Outcome {
    /// The settings of the run.
    pub settings: Settings,
    /// The counts.
    pub recorder: Recorder,
    /// How it ended.
    pub ending: RunEnd,
    /// A text about files that could not be removed from the server.
    pub left_behind: Option<String>,
    /// Resources used up to the first counted moment and up to the last answer.
    pub cost: Option<(Cost, Cost)>,
    /// What was checked of the answers.
    pub body_check: BodyCheck,
    /// Copies of messages, for a room.
    pub copies: Option<CopyCounts>,
}

/// What was checked of the answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyCheck {
    /// Every byte.
    EveryByte,
    /// The kernel discarded long bodies of test data: of these the length.
    Discarded,
    /// The length, of a file that is no test data.
    Length,
}

/// Copies of the messages of a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopyCounts {
    /// Copies that should arrive.
    pub expected: u64,
    /// Copies that did not arrive.
    pub lost: u64,
}

/// The CPU use of the generator.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClientCost {
    /// The share of the time spent not waiting, or on the CPU, whichever is larger.
    pub busy: f64,
    /// The share of the time in which it was runnable, and its core was busy with others.
    pub kept_waiting: f64,
    /// Microseconds of CPU per answered request.
    pub cpu_per_answer: f64,
}

/// The resources used by a watched server.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ServerCost {
    /// Microseconds of CPU.
    pub cpu: u64,
    /// Microseconds of CPU per answered request.
    pub cpu_per_answer: f64,
    /// CPU time as a share of the run; above 1.0 for several threads.
    pub busy: f64,
    /// The share of the time in which it was runnable, and its core was busy with others.
    pub kept_waiting: f64,
    /// Bytes of anonymous memory at the end, with all connections open.
    pub memory: u64,
}

impl Outcome {
    /// The exit status: 1 if anything failed.
    pub fn status(&self) -> u8 {
        let lost = matches!(self.ending, RunEnd::Lost(_));
        // A bound on errors replaces the default, which is 0.
        let has_bound = self.settings.fail_if.iter().any(FailLimit::is_errors);
        let failed = !has_bound && self.recorder.all_errors() > 0;
        u8::from(lost || failed || self.left_behind.is_some() || !self.missed().is_empty())
    }

    /// How the results are beyond the bounds of the run.
    pub fn missed(&self) -> Vec<String> {
        let figures = BoundedFigures {
            latencies: self.recorder.all_kinds(),
            errors: self.recorder.all_errors(),
            lost: self.copies.map_or(0, |copies| copies.lost),
            rate: self.per_second(self.recorder.in_time),
        };
        let limits = self.settings.fail_if.iter();
        limits
            .filter_map(|limit| limit.missed_by(&figures))
            .collect()
    }

    /// The length of the run in seconds, the base of all rates.
    pub fn seconds(&self) -> f64 {
        self.recorder.micros() as f64 / SECOND as f64
    }

    /// An amount as a rate per second.
    pub fn per_second(&self, amount: u64) -> f64 {
        let seconds = self.seconds();
        if seconds > 0.0 {
            amount as f64 / seconds
        } else {
            0.0
        }
    }

    /// The CPU use of the generator.
    pub fn client_cost(&self) -> Option<ClientCost> {
        let (begin, end) = self.cost.as_ref()?;
        let time = end.at.0.saturating_sub(begin.at.0).max(1) as f64;
        let own = begin.client.as_ref().zip(end.client.as_ref());
        let kept_waiting = own.map_or(0, |(begin, end)| end.since(begin).kept_waiting);
        let awake = 1.0 - end.waited.saturating_sub(begin.waited) as f64 / time;
        let cpu = end.cpu.saturating_sub(begin.cpu) as f64;
        Some(ClientCost {
            // A poll that returns at once counts as waiting, but uses CPU time.
            busy: awake.max(cpu / time),
            kept_waiting: kept_waiting as f64 / time,
            cpu_per_answer: cpu / self.recorder.answered.max(1) as f64,
        })
    }

    /// The resources used by the server, if it was watched and still runs.
    pub fn server_cost(&self) -> Option<ServerCost> {
        let (begin, end) = self.cost.as_ref()?;
        let time = end.at.0.saturating_sub(begin.at.0).max(1) as f64;
        let (begin, end) = begin.server.as_ref().zip(end.server.as_ref())?;
        let spent = end.since(begin);
        Some(ServerCost {
            cpu: spent.cpu,
            cpu_per_answer: spent.cpu as f64 / self.recorder.answered.max(1) as f64,
            busy: spent.cpu as f64 / time,
            kept_waiting: spent.kept_waiting as f64 / time,
            memory: end.memory,
        })
    }

    /// Whether the generator was too slow to measure the limit of the server.
    pub fn was_held_back(&self) -> bool {
        let most = f64::from(self.settings.limits.busy_percent) / 100.0;
        self.client_cost()
            .is_some_and(|client_cost| client_cost.busy > most)
    }

    /// The report as a table.
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
        line(out, "errors", grouped(counts.all_errors()), String::new())?;
        for kind in RequestFailure::ALL {
            if counts.errors_of(kind) > 0 {
                let number = grouped(counts.errors_of(kind));
                writeln!(out, "  {:<12}{number:>14}  {}", "", kind.meaning())?;
            }
        }
        if let Some(first) = counts.first_error() {
            writeln!(out, "  {:<12}  the first: {first}", "")?;
        }
        self.write_latencies(out)?;
        self.write_remarks(out)
    }

    fn write_title(&self, out: &mut String) -> std::fmt::Result {
        let settings = &self.settings;
        let object = settings.object();
        let pipeline = match settings.pipeline {
            1 => String::new(),
            more => format!(", {more} in flight on each"),
        };
        writeln!(
            out,
            "{} at {}: {}{pipeline}, {}, {object}, {:.1} s\n",
            settings.work.name(),
            settings.at,
            settings.clients(),
            settings.rate_text(),
            self.seconds()
        )
    }

    fn amount_name(&self) -> &'static str {
        match self.settings.work {
            Work::Echo | Work::Idle => "messages",
            Work::Churn => "connections",
            Work::Transfer(_) | Work::Files(_) | Work::Http(_) | Work::Redis => "requests",
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
        if let Some(client_cost) = self.client_cost() {
            writeln!(
                out,
                "  This client was busy for {:.0} % of the time, and used {:.1} us of CPU for each \
                 of the {}.",
                100.0 * client_cost.busy,
                client_cost.cpu_per_answer,
                self.amount_name()
            )?;
        }
        if let Some(server) = self.server_cost() {
            writeln!(
                out,
                "  The server used {:.1} % of a core (and waited for it for {:.1} %), \
                 {:.1} us for each\n  of the {}, and {} of memory.",
                100.0 * server.busy,
                100.0 * server.kept_waiting,
                server.cpu_per_answer,
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
        if self.recorder.never_made > 0 {
            let never_made = grouped(self.recorder.never_made);
            writeln!(
                out,
                "  {never_made} requests were due and never sent: the rate is too high."
            )?;
        }
        if let Some(left) = &self.left_behind {
            writeln!(out, "  {left}.")?;
        }
        if self.body_check != BodyCheck::EveryByte {
            let why = match self.body_check {
                BodyCheck::Length => "the file is no test data",
                _ => "their bodies were discarded",
            };
            writeln!(
                out,
                "  Only status and length of the answers were checked: {why}."
            )?;
        }
        for missed in self.missed() {
            writeln!(out, "  FAILED: {missed}.")?;
        }
        match &self.ending {
            RunEnd::InTime => Ok(()),
            RunEnd::Interrupted => writeln!(out, "  The run was interrupted."),
            RunEnd::Lost(why) => writeln!(
                out,
                "  The run ended after {:.1} s: the server was lost ({why}).",
                self.seconds()
            ),
        }
    }
}
