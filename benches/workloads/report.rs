//! Collects the results in a Markdown page, and prints them.

use super::goal::GoalResult;
use crate::measure::table::Table;
use std::fmt::Write;
use std::path::Path;

#[derive(Default)]
pub struct Report {
    sections: String,
    goals: String,
    skipped: Vec<String>,
    failed: Vec<String>,
    missed: usize,
    count: usize,
}

impl Report {
    /// Adds a table of medians, and its goals.
    pub fn table(&mut self, table: &Table, results: &[GoalResult]) {
        let header = [
            "server",
            table.rate_unit,
            table.cpu_unit,
            "busy",
            "loket's throughput / its",
            "loket's CPU / its",
            "disturbed",
        ];
        let labels = table.labels();
        let first = labels.first().map(|label| (*label, table.median(label)));
        let row = |label: &str| {
            let median = table.median(label);
            let (disturbed, all) = table.disturbed(label);
            let ratios = match first {
                Some((ours, first)) if ours != label => [
                    format!("{:.3}", first.rate / median.rate),
                    format!("{:.3}", first.cpu / median.cpu),
                ],
                _ => Default::default(),
            };
            let [rate, cpu] = ratios;
            vec![
                label.to_string(),
                format!("{:.*}", table.rate_digits, median.rate),
                format!("{:.3}", median.cpu),
                format!("{:.0} %", median.busy * 100.0),
                rate,
                cpu,
                format!("{disturbed} of {all} runs"),
            ]
        };
        let rows: Vec<_> = labels.iter().map(|label| row(label)).collect();
        self.section(&table.title, &header, &rows, results);
    }

    /// Adds rows below a title, and their goals.
    pub fn section(
        &mut self,
        title: &str,
        header: &[&str],
        rows: &[Vec<String>],
        results: &[GoalResult],
    ) {
        let sections = &mut self.sections;
        // Writing to a String cannot fail.
        let _ = writeln!(sections, "\n### {title}\n\n| {} |", header.join(" | "));
        let _ = writeln!(sections, "|{}", "---|".repeat(header.len()));
        for row in rows {
            let _ = writeln!(sections, "| {} |", row.join(" | "));
        }
        for result in results {
            let verdict = result.verdict();
            let GoalResult {
                workload,
                against,
                goal,
                found,
                ..
            } = result;
            let bound = format!("{goal} {against}");
            let bound = bound.trim_end();
            println!("  goal: {workload}: {bound}: {found}, {verdict}");
            let row = [workload, against, goal, found, verdict].join(" | ");
            let _ = writeln!(self.goals, "| {row} |");
            self.count += 1;
            self.missed += usize::from(result.holds != Some(true));
        }
    }

    /// Reports once why a server is skipped.
    pub fn skip(&mut self, why: String) {
        if !self.skipped.contains(&why) {
            println!("skipped: {}", why.trim_end());
            self.skipped.push(why);
        }
    }

    pub fn failed(&mut self, workload: &str, error: &str) {
        eprintln!("compare: {workload} FAILED: {error}");
        self.failed.push(format!("{workload}: {error}"));
    }

    pub fn is_empty(&self) -> bool {
        self.sections.is_empty()
    }

    pub fn failures(&self) -> usize {
        self.failed.len()
    }

    /// Writes the page; `machine` describes the machine and the versions.
    pub fn write(&self, path: &Path, machine: &str) -> Result<(), String> {
        let mut page = format!("# loket compared with other servers\n\n{machine}\n");
        for (what, lines) in [("Skipped", &self.skipped), ("Failed", &self.failed)] {
            for line in lines {
                let _ = write!(page, "\n- {what}: {}", line.trim_end().replace('\n', " "));
            }
        }
        let _ = write!(
            page,
            "\n\n## Goals\n\n| workload | against | goal | measured | |\n\
             |---|---|---|---|---|\n{}\n## Medians\n{}",
            self.goals, self.sections
        );
        let tried = |e: std::io::Error| format!("cannot write {}: {e}", path.display());
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(tried)?;
        }
        std::fs::write(path, page).map_err(tried)?;
        println!(
            "\n{} of {} goals missed; report: {}",
            self.missed,
            self.count,
            path.display()
        );
        Ok(())
    }
}
