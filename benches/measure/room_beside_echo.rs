//! The latency of an echo on a schedule, alone and beside a member that speaks to 1,000.
//! Has no second contender: a bare loop has no second service to stand beside.

use super::crowd::{Crowd, MEMBERS};
use super::pulse::Pulse;
use super::schedule;
use super::server::Server;
use super::{Contender, Plan};
use std::cell::Cell;
use std::path::Path;
use std::time::{Duration, Instant};

const MESSAGE_EVERY: Duration = Duration::from_millis(200);

pub fn measure(plan: &Plan, contenders: &[Contender], scratch: &Path) -> Result<(), String> {
    println!(
        "\nroom-beside-echo: 64-byte echo, 1000 a second on schedule; beside it a member \
         that speaks 5 times a second to {MEMBERS}, {} s a run",
        plan.seconds
    );
    schedule::head();
    for contender in contenders.iter().filter(|one| one.label == "loket") {
        let server = Server::start(contender, scratch)?;
        let mut crowd = Crowd::join(server.at)?;
        let pulse = Pulse::connect(server.address("echo")?)?;
        let time = Duration::from_secs_f64(plan.seconds);
        let (mut idle, mut speaking) = (Vec::new(), Vec::new());
        for round in 1..=plan.runs {
            idle.push(schedule::undisturbed(&server, round, "idle", || {
                pulse.beat(time, || Ok(()))
            })?);
            speaking.push(schedule::undisturbed(&server, round, "speaking", || {
                beside_speech(&pulse, &mut crowd, time)
            })?);
        }
        let (idle, speaking) = (schedule::medians(&idle), schedule::medians(&speaking));
        schedule::line("median", "idle", idle, "");
        schedule::line("median", "speaking", speaking, "");
        println!("  speaking / idle: {:.3} of the p99", speaking[1] / idle[1]);
    }
    Ok(())
}

fn beside_speech(pulse: &Pulse, crowd: &mut Crowd, time: Duration) -> Result<Vec<f64>, String> {
    let mut next = Instant::now();
    let until = next + time;
    let all_heard = Cell::new(true);
    let mut member = 0;
    pulse.beat_while(
        || Instant::now() < until || !all_heard.get(),
        || {
            if Instant::now() >= next && next < until {
                crowd.speak()?;
                next += MESSAGE_EVERY;
            }
            // One at a time, so that the crowd does not keep the echo waiting at our end.
            crowd.listen(member)?;
            member = (member + 1) % MEMBERS;
            all_heard.set(crowd.under_way() == 0);
            Ok(())
        },
    )
}
