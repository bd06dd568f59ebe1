//! The comparison judges a goal only by runs that can tell.

use crate::measure::plan::Plan;
use crate::measure::spread::{Bound, Verdict};
use crate::report::{GoalResult, Report};
use crate::samples::{Figure, Goal, Runs, Sample, judge};
use clap::Parser;
use std::fs;

const RIVAL: &str = "bare loop";

/// Five runs of one server.
fn runs(label: &'static str, sample: Sample) -> Runs {
    let samples = vec![sample; 5];
    Runs {
        samples,
        made: 5,
        ..Runs::new(label)
    }
}

/// A run of a server that is busy all the time, with this CPU time and rate.
fn sample(cpu: f64, rate: f64) -> Sample {
    Sample {
        cpu,
        rate,
        busy: 1.0,
        client_busy: 0.8,
        ..Sample::default()
    }
}

/// The same where the client is the bottleneck.
fn held_back(sample: Sample) -> Sample {
    Sample {
        busy: 0.8,
        client_busy: 0.99,
        ..sample
    }
}

/// The result of the goal that the CPU time is at most as large as the rival's.
fn cpu(ours: Sample, theirs: Sample) -> GoalResult {
    let runs = [runs("loket", ours), runs(RIVAL, theirs)];
    judge("echo", &Goal::cpu(&[RIVAL], 1.0), &runs)
}

fn throughput(ours: Sample, theirs: Sample) -> Verdict {
    let runs = [runs("loket", ours), runs(RIVAL, theirs)];
    judge("echo", &Goal::rate(&[RIVAL], 1.0), &runs).verdict()
}

#[test]
fn a_goal_holds_or_is_missed_by_undisturbed_runs() {
    let (low, high) = (sample(1.0, 2.0), sample(2.0, 1.0));
    assert_eq!(cpu(low, high).verdict(), Verdict::Holds);
    assert_eq!(cpu(high, low).verdict(), Verdict::Missed);
    assert_eq!(throughput(low, high), Verdict::Holds);
    assert_eq!(throughput(high, low), Verdict::Missed);
    assert!(cpu(low, high).is_clear());
}

#[test]
fn mostly_disturbed_runs_and_lost_copies_tell_nothing() {
    let (low, high) = (sample(1.0, 2.0), sample(2.0, 1.0));
    let waited = Sample {
        waited: 0.04,
        ..high
    };
    let lost = Sample { lost: 1, ..low };
    for (ours, theirs, why) in [(low, waited, "disturbed"), (lost, high, "lost copies")] {
        let result = cpu(ours, theirs);
        assert_eq!(result.verdict(), Verdict::CannotBeTold);
        assert!(
            result
                .doubt
                .as_ref()
                .is_some_and(|doubt| doubt.contains(why))
        );
        assert!(!result.is_clear());
    }
    // Two of five disturbed ones are a minority.
    let mut theirs = runs(RIVAL, high);
    theirs.samples[..2].fill(waited);
    let goal = Goal::cpu(&[RIVAL], 1.0);
    let result = judge("echo", &goal, &[runs("loket", low), theirs]);
    assert_eq!(result.verdict(), Verdict::Holds);
}

#[test]
fn a_server_that_waits_for_its_client_is_not_beaten() {
    let (low, high) = (sample(1.0, 2.0), sample(2.0, 1.0));
    assert_eq!(cpu(low, held_back(high)).verdict(), Verdict::CannotBeTold);
    assert_eq!(cpu(held_back(high), low).verdict(), Verdict::CannotBeTold);
    assert_eq!(throughput(low, held_back(high)), Verdict::CannotBeTold);
    assert_eq!(throughput(held_back(high), low), Verdict::CannotBeTold);
    assert_eq!(
        throughput(held_back(low), held_back(high)),
        Verdict::CannotBeTold
    );
    // It would be even better than it looks.
    assert_eq!(cpu(held_back(low), high).verdict(), Verdict::Holds);
    assert_eq!(cpu(high, held_back(low)).verdict(), Verdict::Missed);
}

#[test]
fn a_missing_rival_is_not_measured() {
    let ours = [runs("loket", sample(1.0, 1.0))];
    let goal = Goal::new(Figure::Cpu, &[RIVAL], Bound::AtMost(1.0));
    assert_eq!(judge("echo", &goal, &ours).verdict(), Verdict::NotMeasured);
}

#[test]
fn a_quick_run_judges_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    for (is_quick, words) in [
        (true, "| 0.500 (0.500 – 0.500) | not judged |"),
        (
            false,
            "**1 goals hold, 0 are missed, 0 cannot be told, 0 were not measured.**",
        ),
    ] {
        let mut report = Report::new(is_quick);
        report.goal(cpu(sample(1.0, 1.0), sample(2.0, 1.0)));
        report.write(folder.path(), "", &[]).expect("a report");
        let page = fs::read_to_string(folder.path().join("report.md")).expect("a report");
        assert!(page.contains(words), "{page}");
        assert_eq!(page.contains("holds"), !is_quick, "{page}");
    }
}

#[test]
fn a_run_takes_whole_seconds() {
    let plan = |seconds| Plan::try_parse_from(["compare", "--seconds", seconds]);
    assert_eq!(plan("2").expect("a plan").seconds, 2);
    for wrong in ["0", "0.5", "61"] {
        let error = plan(wrong).err().expect(wrong).to_string();
        assert!(error.contains("'--seconds <SECONDS>'"), "{error}");
    }
}
