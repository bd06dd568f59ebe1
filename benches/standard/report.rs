//! The report of the standard set, in Markdown, with a drawing of all latencies.

use super::{BESIDE, Figures, GROUPS, Plan, with_password};
use crate::measure::drawing::{BAD, GOOD, Line, draw};
use crate::measure::{contender::ROOM_PASSWORD, generator, pinning, write_all};
use loket::load::numbers::{PERCENTILES, bytes, micros, rate};
use loket::load::report::{Outcome, RunEnd};
use loket::load::settings::Work;
use loket::wire::text::grouped;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

#[derive(Default)]
pub struct Report {
    pub figures: Vec<Figures>,
    pub failures: Vec<String>,
    /// Warnings in the logs of servers, by their text without numbers: the first one, and how many.
    warnings: BTreeMap<String, (String, usize)>,
}

impl Report {
    pub fn add_log(&mut self, log: &str) {
        let is_warning = |line: &&str| line.contains("WARN") || line.contains("panicked");
        for line in log.lines().filter(|line| is_warning(line)) {
            let text = line.split_once(' ').map_or(line, |(_, text)| text);
            let same = text.replace(|letter: char| letter.is_ascii_digit(), "");
            let seen = self.warnings.entry(same);
            seen.or_insert((text.to_string(), 0)).1 += 1;
        }
    }

    /// Writes the page; an error if anything failed.
    pub fn write(&self, out: &Path, machine: &[(&str, String)], plan: &Plan) -> Result<(), String> {
        let mut failures = self.failures.clone();
        failures.extend(self.figures.iter().filter_map(failure));
        let mut page = String::new();
        // Writing to a String cannot fail.
        let _ = self.page(&mut page, machine, plan, &failures);
        let lines: Vec<Line> = self.figures.iter().filter_map(latency_line).collect();
        let marks = [
            (1e3, "1 ms"),
            (1e2, "0.1 ms"),
            (1e4, "10 ms"),
            (1e5, "0.1 s"),
        ];
        let drawing = draw("latency: p50 to p99.9, the dot is p99", &lines, &marks);
        write_all(out, [("report.md", &page), ("latency.svg", &drawing)])?;
        match failures.len() {
            0 => Ok(()),
            count => Err(format!("{count} failures; see the report")),
        }
    }

    fn page(
        &self,
        page: &mut String,
        machine: &[(&str, String)],
        plan: &Plan,
        failures: &[String],
    ) -> std::fmt::Result {
        writeln!(page, "# loket under load\n")?;
        match failures.len() {
            0 => writeln!(page, "**Errors: none in {} runs.**", self.figures.len())?,
            count => writeln!(page, "**Errors: {count}.**\n")?,
        }
        for failure in failures {
            writeln!(page, "- {failure}")?;
        }
        for figures in &self.figures {
            self.remarks(page, figures)?;
        }
        writeln!(
            page,
            "\n![latency](latency.svg)\n\nMeasured by `scripts/load` with `loket load` over \
             loopback; every received byte was compared, except bodies that the kernel discards. \
             Names link to plots; `.json` files have the figures.\n\n\
             *In* and *out* are those of the server. *Kept waiting* is the share of the time in \
             which other programs had the server's core: above a few percent the results are too \
             low. *Client busy* is **bold** where the generator was the bottleneck.\n"
        )?;
        writeln!(page, "| machine | |\n|---|---|")?;
        for (name, value) in machine {
            writeln!(page, "| {name} | {value} |")?;
        }
        let quick = if plan.quick { ", quick set" } else { "" };
        writeln!(page, "| each run | {} s{quick} |", plan.seconds)?;
        for (group, heading, text) in GROUPS {
            let all = self.figures.iter();
            let of: Vec<&Figures> = all.filter(|figures| figures.run.group == group).collect();
            if !of.is_empty() {
                writeln!(page, "\n## {heading}\n\n{text}")?;
                section(page, &of, plan)?;
            }
        }
        if !self.warnings.is_empty() {
            writeln!(page, "\n## Warnings of the servers\n")?;
        }
        for (text, count) in self.warnings.values() {
            writeln!(page, "- {count} times: `{text}`")?;
        }
        Ok(())
    }

    /// What no column of the tables says.
    fn remarks(&self, page: &mut String, figures: &Figures) -> std::fmt::Result {
        let Ok(outcome) = &figures.outcome else {
            return Ok(());
        };
        let title = format!("{}, {}", figures.run.group, figures.run.title);
        if let Some(copies) = outcome.copies {
            let (lost, all) = (grouped(copies.lost), grouped(copies.expected));
            writeln!(page, "- {title}: {lost} of {all} copies were lost.")?;
        }
        if outcome.recorder.never_made > 0 {
            let count = grouped(outcome.recorder.never_made);
            writeln!(
                page,
                "- {title}: {count} requests were not sent: the rate was too high."
            )?;
        }
        let cost = outcome.server_cost();
        if let (Work::Idle, Some(cost)) = (&outcome.settings.work, cost) {
            let grown = cost.memory.saturating_sub(figures.base);
            let each = grown / outcome.settings.connections as u64;
            writeln!(page, "- {title}: {each} bytes of memory per connection.")?;
        }
        let alone = self
            .figures
            .iter()
            .find(|other| other.run.name == "mixed-alone");
        let alone = alone.and_then(|other| other.outcome.as_ref().ok());
        if let ("mixed-echo", Some(alone)) = (figures.run.name.as_str(), alone) {
            let [alone, all] = [alone, outcome].map(|outcome| micros(percentile(outcome, 0.99)));
            writeln!(
                page,
                "- p99 of the echo: {alone} alone, {all} with all loads."
            )?;
        }
        Ok(())
    }
}

fn percentile(outcome: &Outcome, quantile: f64) -> u64 {
    outcome.recorder.all_kinds().value_at_quantile(quantile)
}

fn failure(figures: &Figures) -> Option<String> {
    let why = match &figures.outcome {
        Err(why) => why.clone(),
        Ok(outcome) if outcome.ending != RunEnd::InTime || outcome.status() != 0 => {
            generator::problem(outcome)
        }
        Ok(_) => return None,
    };
    Some(format!(
        "{}, {}: {why}",
        figures.run.group, figures.run.title
    ))
}

fn latency_line(figures: &Figures) -> Option<Line> {
    let outcome = figures.outcome.as_ref().ok()?;
    let [low, middle, high] = [0.5, 0.99, 0.999].map(|of| percentile(outcome, of).max(1) as f64);
    let clients = outcome.settings.clients();
    Some(Line {
        label: format!("{}, {}, {clients}", figures.run.group, figures.run.title),
        value: micros(middle as u64),
        colour: if outcome.status() == 0 { GOOD } else { BAD },
        low,
        middle,
        high,
    })
}

fn section(page: &mut String, all: &[&Figures], plan: &Plan) -> std::fmt::Result {
    let latencies = PERCENTILES.map(|(name, _)| name).join(" | ");
    writeln!(
        page,
        "\n| results | connections | answers/s | {latencies} | max | errors |"
    )?;
    writeln!(page, "|---|{}", "---:|".repeat(PERCENTILES.len() + 4))?;
    for figures in all {
        results(page, figures)?;
    }
    writeln!(
        page,
        "\n| resources | MiB/s in | MiB/s out | server CPU/request | busy | kept waiting | memory \
         | client busy |\n|---|{}",
        "---:|".repeat(7)
    )?;
    for figures in all {
        resources(page, figures)?;
    }
    by_hand(page, all, plan)
}

fn results(page: &mut String, figures: &Figures) -> std::fmt::Result {
    let title = &figures.run.title;
    let Ok(outcome) = &figures.outcome else {
        return writeln!(
            page,
            "| {title} | failed{} |",
            " | ".repeat(PERCENTILES.len() + 3)
        );
    };
    let recorder = &outcome.recorder;
    let mut rows = vec![(
        format!("[{title}]({}.svg)", figures.run.name),
        recorder.all_kinds(),
    )];
    let kinds: Vec<_> = recorder.kinds().collect();
    if kinds.len() > 1 {
        let of_kind = kinds
            .iter()
            .map(|(kind, latencies)| (kind.to_string(), *latencies));
        rows.extend(of_kind.map(|(kind, latencies)| (kind, latencies.clone())));
    }
    for (number, (name, latencies)) in rows.iter().enumerate() {
        write!(page, "| {name} |")?;
        match number {
            0 => {
                let count = grouped(outcome.settings.connections as u64);
                let speed = rate(outcome.per_second(recorder.in_time));
                write!(page, " {count} | {speed} |")?;
            }
            _ => write!(page, " | {} |", grouped(latencies.len()))?,
        }
        for (_, quantile) in PERCENTILES {
            write!(page, " {} |", micros(latencies.value_at_quantile(quantile)))?;
        }
        writeln!(
            page,
            " {} | {} |",
            micros(latencies.max()),
            recorder.all_errors()
        )?;
    }
    Ok(())
}

fn resources(page: &mut String, figures: &Figures) -> std::fmt::Result {
    let Ok(outcome) = &figures.outcome else {
        return Ok(());
    };
    let recorder = &outcome.recorder;
    let mib = |moved: u64| format!("{:.1}", outcome.per_second(moved) / f64::from(1 << 20));
    let (received, sent) = (mib(recorder.bytes_out), mib(recorder.bytes_in));
    write!(page, "| {} | {received} | {sent} |", figures.run.title)?;
    if let Some(cost) = outcome.server_cost() {
        write!(
            page,
            " {:.1} us | {:.0} % | {:.0} % | {} |",
            cost.cpu_per_answer,
            100.0 * cost.busy,
            100.0 * cost.kept_waiting,
            bytes(cost.memory as f64)
        )?;
    }
    let busy = outcome.client_cost().map_or(0.0, |cost| 100.0 * cost.busy);
    let bold = if outcome.was_held_back() { "**" } else { "" };
    writeln!(page, " {bold}{busy:.0} %{bold} |")
}

fn by_hand(page: &mut String, all: &[&Figures], plan: &Plan) -> std::fmt::Result {
    let (serves, loads) = (pinning::server_core(), pinning::load_core());
    writeln!(
        page,
        "\nTo repeat by hand (each server runs until its last generator ends):\n"
    )?;
    let mut last = "-";
    for figures in all {
        let run = &figures.run;
        if run.serve != last {
            let flags = format!("--room-password {ROOM_PASSWORD} {}", run.serve);
            writeln!(
                page,
                "    taskset -c {serves} loket serve {}",
                flags.trim_end()
            )?;
        }
        last = &run.serve;
        if run.name == "mixed-echo" {
            for (_, flags) in BESIDE {
                let (flags, time) = (with_password(flags), plan.seconds + 3);
                let command = format!("chrt --idle 0 taskset -c {loads} loket load");
                writeln!(page, "    {command} {flags} -d {time} &")?;
            }
        }
        let (flags, time) = (with_password(&run.load), plan.seconds);
        writeln!(page, "    taskset -c {loads} loket load {flags} -d {time}")?;
    }
    Ok(())
}
