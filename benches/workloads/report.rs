//! Collects goals and figures, prints them, and writes them as a page and a drawing.

use crate::measure::drawing::{BAD, GOOD, Line, UNSURE, draw};
use crate::measure::spread::{Bound, Spread, Verdict};
use crate::measure::write_all;
use std::fmt::Write;
use std::path::Path;

/// A goal and what was measured: a row of the page.
pub struct GoalResult {
    pub work: String,
    /// What is bounded, for example `CPU by redis`.
    pub figure: String,
    pub bound: Bound,
    pub spread: Option<Spread>,
    /// Why the spread does not tell it.
    pub doubt: Option<String>,
}

/// A row ends early if the bound is further away than this number of spreads: two more rounds would
/// change no verdict.
const CLEAR: f64 = 3.0;

impl GoalResult {
    pub fn verdict(&self) -> Verdict {
        match self.doubt.as_ref().and(self.spread) {
            Some(_) => Verdict::CannotBeTold,
            None => self.bound.judge(self.spread),
        }
    }

    /// Whether the bound is far away from the spread.
    pub fn is_clear(&self) -> bool {
        let is_far = |Spread { median, low, high }| {
            (median - self.bound.value()).abs() > CLEAR * (high - low)
        };
        self.doubt.is_none() && self.spread.is_some_and(is_far)
    }

    fn found(&self) -> String {
        match self.spread {
            None => "–".to_string(),
            Some(Spread { median, low, high }) => format!("{median:.3} ({low:.3} – {high:.3})"),
        }
    }

    /// A line of the drawing: left of 1 is better than the goal.
    fn line(&self, verdict: Verdict) -> Option<Line> {
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
            colour: match verdict {
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
    /// Whether the goals are not judged: the work is smaller than theirs.
    is_quick: bool,
}

const JUDGED: &str = "A goal holds if the whole spread is within its bound, and cannot be told if \
    the bound lies within the spread, if most runs were disturbed, or if only one side had the \
    client as its bottleneck (**bold** below) and looks worse for it. The spread leaves out the \
    lowest and the highest of five or more rounds.";

impl Report {
    pub fn new(is_quick: bool) -> Report {
        Report {
            is_quick,
            ..Report::default()
        }
    }

    fn verdict(&self, goal: &GoalResult) -> Verdict {
        match self.is_quick {
            true => Verdict::NotJudged,
            false => goal.verdict(),
        }
    }

    /// The verdict and the doubt.
    fn told(&self, goal: &GoalResult) -> String {
        let verdict = self.verdict(goal);
        match goal
            .doubt
            .as_ref()
            .filter(|_| verdict == Verdict::CannotBeTold)
        {
            Some(doubt) => format!("{}: {doubt}", verdict.text()),
            None => verdict.text().to_string(),
        }
    }

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
            self.told(&goal).replace('*', "")
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
            .filter(|goal| self.verdict(goal) == verdict)
            .count()
    }

    /// Writes the page and the drawing into a folder.
    pub fn write(
        &self,
        folder: &Path,
        head: &str,
        machine: &[(&str, String)],
    ) -> Result<(), String> {
        let judged = format!(
            "{} goals hold, {} are missed, {} cannot be told, {} were not measured.",
            self.count(Verdict::Holds),
            self.count(Verdict::Missed),
            self.count(Verdict::CannotBeTold),
            self.count(Verdict::NotMeasured)
        );
        let (summary, judged) = match self.is_quick {
            true => ("A quick run: nothing is judged.".to_string(), ""),
            false => (judged, JUDGED),
        };
        let mut page = format!("# loket compared with other servers\n\n**{summary}**\n\n{head}\n");
        let _ = write!(
            page,
            "\n## Goals\n\n![goals](goals.svg)\n\n{judged}\n\n\
             | work | figure | goal | median (spread) | |\n|---|---|---:|---:|---|\n"
        );
        for goal in &self.goals {
            let (bound, found, told) = (goal.bound.text(), goal.found(), self.told(goal));
            let GoalResult { work, figure, .. } = goal;
            let _ = writeln!(page, "| {work} | {figure} | {bound} | {found} | {told} |");
        }
        for note in &self.notes {
            let _ = write!(page, "\n- {note}");
        }
        let _ = write!(page, "\n\n## Machine\n\n| | |\n|---|---|\n");
        for (name, value) in machine {
            let _ = writeln!(page, "| {name} | {value} |");
        }
        let _ = write!(page, "\n## Medians of all servers\n{}", self.sections);
        let goals = self.goals.iter();
        let lines = goals.filter_map(|goal| goal.line(self.verdict(goal)));
        let lines: Vec<Line> = lines.collect();
        let marks = [(1.0, "goal"), (0.5, "half"), (2.0, "double")];
        let drawing = draw("loket by its goals: left is better", &lines, &marks);
        println!("\n{summary}");
        write_all(folder, [("report.md", &page), ("goals.svg", &drawing)])
    }
}
