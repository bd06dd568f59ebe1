//! Collects goals and figures, prints them, and writes them as a page and a drawing.

use crate::measure::drawing::{BAD, GOOD, Line, UNSURE, draw};
use crate::measure::spread::{Bound, Spread, Verdict};
use std::fmt::Write;
use std::path::Path;

/// A goal and what was measured: a row of the page.
pub struct GoalResult {
    pub work: String,
    /// What is bounded, for example `CPU by redis`.
    pub figure: String,
    pub bound: Bound,
    pub spread: Option<Spread>,
}

impl GoalResult {
    fn verdict(&self) -> Verdict {
        self.bound.judge(self.spread)
    }

    fn found(&self) -> String {
        match self.spread {
            None => "–".to_string(),
            Some(Spread { median, low, high }) => format!("{median:.3} ({low:.3} – {high:.3})"),
        }
    }

    /// A line of the drawing: left of 1 is better than the goal.
    fn line(&self) -> Option<Line> {
        let Spread { median, low, high } = self.spread?;
        let goal = self.bound.value().max(f64::MIN_POSITIVE);
        let part = |value: f64| match self.bound {
            Bound::AtMost(_) => value / goal,
            Bound::AtLeast(_) => goal / value,
        };
        let (one, other) = (part(low), part(high));
        Some(Line {
            label: format!("{}: {}", self.work, self.figure),
            value: format!("{median:.3}, goal {}", self.bound.text()),
            colour: match self.verdict() {
                Verdict::Holds => GOOD,
                Verdict::Missed => BAD,
                _ => UNSURE,
            },
            low: one.min(other).clamp(0.1, 10.0),
            middle: part(median).clamp(0.1, 10.0),
            high: one.max(other).clamp(0.1, 10.0),
        })
    }
}

#[derive(Default)]
pub struct Report {
    goals: Vec<GoalResult>,
    sections: String,
    notes: Vec<String>,
    pub failed: usize,
}

impl Report {
    /// Adds a table below a title.
    pub fn section(&mut self, title: &str, header: &[&str], rows: &[Vec<String>]) {
        let sections = &mut self.sections;
        // Writing to a String cannot fail.
        let _ = writeln!(sections, "\n### {title}\n\n| {} |", header.join(" | "));
        let _ = writeln!(sections, "|---|{}", "---:|".repeat(header.len() - 1));
        for row in rows {
            let _ = writeln!(sections, "| {} |", row.join(" | "));
        }
    }

    pub fn goal(&mut self, goal: GoalResult) {
        println!(
            "  goal: {}: {} {}: {}, {}",
            goal.work,
            goal.figure,
            goal.bound.text(),
            goal.found(),
            goal.verdict().text().replace('*', "")
        );
        self.goals.push(goal);
    }

    /// Reports once why something is missing.
    pub fn skip(&mut self, why: &str) {
        let why = format!("Skipped: {}", why.trim_end().replace('\n', " "));
        if !self.notes.contains(&why) {
            println!("{why}");
            self.notes.push(why);
        }
    }

    pub fn failed(&mut self, work: &str, error: &str) {
        eprintln!("compare: {work} FAILED: {error}");
        self.notes
            .push(format!("**Failed**: {work}: {}", error.replace('\n', " ")));
        self.failed += 1;
    }

    pub fn is_empty(&self) -> bool {
        self.sections.is_empty()
    }

    fn count(&self, verdict: Verdict) -> usize {
        self.goals
            .iter()
            .filter(|goal| goal.verdict() == verdict)
            .count()
    }

    /// Writes the page and the drawing into a folder.
    pub fn write(
        &self,
        folder: &Path,
        head: &str,
        machine: &[(&str, String)],
    ) -> Result<(), String> {
        let summary = format!(
            "{} goals hold, {} are missed, {} cannot be told, {} were not measured.",
            self.count(Verdict::Holds),
            self.count(Verdict::Missed),
            self.count(Verdict::CannotBeTold),
            self.count(Verdict::NotMeasured)
        );
        let mut page = format!("# loket compared with other servers\n\n**{summary}**\n\n{head}\n");
        let _ = write!(
            page,
            "\n## Goals\n\n![goals](goals.svg)\n\nA goal holds if the whole spread is within its \
             bound, and cannot be told if the bound lies within the spread. The spread leaves out \
             the lowest and the highest of five or more rounds.\n\n\
             | work | figure | goal | median (spread) | |\n|---|---|---:|---:|---|\n"
        );
        for goal in &self.goals {
            let (bound, verdict) = (goal.bound.text(), goal.verdict().text());
            let row =
                [&goal.work, &goal.figure, &bound, &goal.found(), verdict].map(str::to_string);
            let _ = writeln!(page, "| {} |", row.join(" | "));
        }
        for note in &self.notes {
            let _ = write!(page, "\n- {note}");
        }
        let _ = write!(page, "\n\n## Machine\n\n| | |\n|---|---|\n");
        for (name, value) in machine {
            let _ = writeln!(page, "| {name} | {value} |");
        }
        let _ = write!(page, "\n## Medians of all servers\n{}", self.sections);
        let lines: Vec<Line> = self.goals.iter().filter_map(GoalResult::line).collect();
        let marks = [(1.0, "goal"), (0.5, "half"), (2.0, "double")];
        let drawing = draw("loket by its goals: left is better", &lines, &marks);
        for (name, text) in [("report.md", &page), ("goals.svg", &drawing)] {
            let path = folder.join(name);
            let tried = |e: std::io::Error| format!("cannot write {}: {e}", path.display());
            std::fs::create_dir_all(folder).map_err(tried)?;
            std::fs::write(&path, text).map_err(tried)?;
        }
        println!(
            "\n{summary}\nreport: {}",
            folder.join("report.md").display()
        );
        Ok(())
    }
}
