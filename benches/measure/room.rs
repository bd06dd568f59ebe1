//! The room load: one of 1,000 members speaks as fast as the others hear, for some seconds.
//! Its members are asked in turn and never sleep: the server pays for copies and wakes nobody.

use super::crowd::{Crowd, MEMBERS, SIZE};
use super::server::{Meter, Server};
use super::table::{Sample, Table};
use super::{Contender, Limit, Plan, take_turns};
use std::path::Path;
use std::time::{Duration, Instant};

/// Messages under way at once: the server always has the next, and no socket overflows.
const AHEAD: u64 = 4;
const WARM_UP: Duration = Duration::from_millis(300);

pub fn measure(plan: &Plan, contenders: &[Contender], scratch: &Path) -> Result<Table, String> {
    let mut all = Vec::new();
    for contender in contenders {
        let server = Server::start(contender, scratch)?;
        let crowd = Crowd::join(server.at).map_err(|e| format!("{}: {e}", contender.label))?;
        all.push((server, crowd));
    }
    let table = Table {
        title: format!(
            "room: {SIZE}-byte messages of one of {MEMBERS} members, {} s a run",
            plan.seconds
        ),
        rate_unit: "copies/s",
        rate_digits: 0,
        cpu_unit: "us CPU/copy",
        rows: Vec::new(),
    };
    take_turns(plan, contenders, table, |index| {
        let (server, crowd) = &mut all[index];
        run(server, crowd, plan.seconds)
    })
}

fn run(server: &Server, crowd: &mut Crowd, seconds: f64) -> Result<Sample, String> {
    phase(crowd, WARM_UP)?;
    let meter = Meter::start(server)?;
    let before = crowd.copies();
    phase(crowd, Duration::from_secs_f64(seconds))?;
    let sample = meter.stop((crowd.copies() - before) as f64)?;
    Ok(Sample {
        cpu: sample.cpu * 1e6,
        ..sample
    })
}

/// Speaks for this long, then until everything said was heard by all.
fn phase(crowd: &mut Crowd, time: Duration) -> Result<(), String> {
    let limit = Limit::new();
    let until = Instant::now() + time;
    loop {
        limit.check()?;
        let more = Instant::now() < until;
        if !more && crowd.under_way() == 0 {
            return Ok(());
        }
        while more && crowd.under_way() < AHEAD {
            crowd.speak()?;
        }
        for member in 0..MEMBERS {
            crowd.listen(member)?;
        }
    }
}
