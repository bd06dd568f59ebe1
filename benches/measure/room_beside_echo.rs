//! The latency of an echo on a schedule, alone and beside a member that speaks to 1,000.
//! Has no second contender: a bare loop has no second service to stand beside.

use super::crowd::{Crowd, MEMBERS};
use super::load::connect;
use super::schedule::{self, Alone, Beside};
use super::server::Server;
use super::{Contender, Plan};
use std::path::Path;
use std::time::{Duration, Instant};

const MESSAGE_EVERY: Duration = Duration::from_millis(200);

struct Speaking<'a> {
    crowd: &'a mut Crowd,
    next: Instant,
    member: usize,
}

impl Beside for Speaking<'_> {
    fn step(&mut self, ending: bool) -> Result<bool, String> {
        if !ending && Instant::now() >= self.next {
            self.crowd.speak()?;
            self.next += MESSAGE_EVERY;
        }
        // One at a time, so that the crowd does not keep the echo waiting at our end.
        self.crowd.listen(self.member)?;
        self.member = (self.member + 1) % MEMBERS;
        Ok(self.crowd.under_way() > 0)
    }
}

pub fn measure(plan: &Plan, contenders: &[Contender], scratch: &Path) -> Result<(), String> {
    schedule::begin(&format!(
        "room-beside-echo: 64-byte echo, 1000 a second on schedule; beside it a member \
         that speaks 5 times a second to {MEMBERS}, {} s a run",
        plan.seconds
    ));
    for contender in contenders.iter().filter(|one| one.label == "loket") {
        let server = Server::start(contender, scratch)?;
        let mut crowd = Crowd::join(server.at)?;
        let stream = connect(server.address("echo")?)?;
        let (mut idle, mut speaking) = (Vec::new(), Vec::new());
        for round in 1..=plan.runs {
            idle.push(schedule::undisturbed(&server, round, "idle", || {
                schedule::run(&stream, &mut Alone, plan.seconds)
            })?);
            speaking.push(schedule::undisturbed(&server, round, "speaking", || {
                let mut beside = Speaking {
                    crowd: &mut crowd,
                    next: Instant::now(),
                    member: 0,
                };
                schedule::run(&stream, &mut beside, plan.seconds)
            })?);
        }
        let (idle, speaking) = (schedule::medians(&idle), schedule::medians(&speaking));
        schedule::line("median", "idle", idle);
        schedule::line("median", "speaking", speaking);
        println!("  speaking / idle: {:.3} of the p99", speaking[1] / idle[1]);
    }
    Ok(())
}
