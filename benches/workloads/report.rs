//! Gathers what comparisons found into a page of Markdown, and says it in the terminal as well.

use super::goal::Finding;
use crate::measure::table::Table;
use std::fmt::Write;
use std::path::Path;

#[derive(Default)]
pub struct Report {
    sections: String,
    goals: String,
    left_out: Vec<String>,
    failed: Vec<String>,
    missed: usize,
    count: usize,
}

impl Report {
    /// A table of medians, and its goals.
    pub fn table(&mut self, table: &Table, findings: &[Finding]) {
        let header = [
            "server",
            table.rate_unit,
            table.cpu_unit,
            "busy",
            "loket's throughput by it",
            "loket's CPU by it",
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
        self.section(&table.title, &header, &rows, findings);
    }

    /// Any rows under a title, and its goals.
    pub fn section(
        &mut self,
        title: &str,
        header: &[&str],
        rows: &[Vec<String>],
        findings: &[Finding],
    ) {
        let sections = &mut self.sections;
        // Writing to a String cannot fail.
        let _ = writeln!(sections, "\n### {title}\n\n| {} |", header.join(" | "));
        let _ = writeln!(sections, "|{}", "---|".repeat(header.len()));
        for row in rows {
            let _ = writeln!(sections, "| {} |", row.join(" | "));
        }
        for finding in findings {
            let verdict = finding.verdict();
            let Finding {
                work,
                against,
                goal,
                found,
                ..
            } = finding;
            println!("  goal: {work}: {goal} {against}: {found}, {verdict}");
            let row = [work, against, goal, found, verdict].join(" | ");
            let _ = writeln!(self.goals, "| {row} |");
            self.count += 1;
            self.missed += usize::from(finding.holds != Some(true));
        }
    }

    /// Says once why somebody does not take part.
    pub fn left_out(&mut self, why: String) {
        if !self.left_out.contains(&why) {
            println!("left out: {}", why.trim_end());
            self.left_out.push(why);
        }
    }

    pub fn failed(&mut self, work: &str, trouble: &str) {
        eprintln!("compare: {work} FAILED: {trouble}");
        self.failed.push(format!("{work}: {trouble}"));
    }

    pub fn is_empty(&self) -> bool {
        self.sections.is_empty()
    }

    pub fn failures(&self) -> usize {
        self.failed.len()
    }

    /// Writes the page; `machine` says what it ran on.
    pub fn write(&self, path: &Path, machine: &str) -> Result<(), String> {
        let mut page = format!("# loket beside others\n\n{machine}\n");
        for (what, lines) in [("Left out", &self.left_out), ("Failed", &self.failed)] {
            for line in lines {
                let _ = write!(page, "\n- {what}: {}", line.trim_end().replace('\n', " "));
            }
        }
        let _ = write!(
            page,
            "\n\n## Goals\n\n| work | against | goal | found | |\n|---|---|---|---|---|\n{}\n\
             ## Medians\n{}",
            self.goals, self.sections
        );
        let tried = |e: std::io::Error| format!("cannot write {}: {e}", path.display());
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(tried)?;
        }
        std::fs::write(path, page).map_err(tried)?;
        println!(
            "\n{} of {} goals do not hold; the report is {}",
            self.missed,
            self.count,
            path.display()
        );
        Ok(())
    }
}
