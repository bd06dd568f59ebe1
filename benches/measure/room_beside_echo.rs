//! The latency of an echo on a schedule, alone and beside a member that speaks to 1,000.
//! Is counted from the scheduled moment: an echo that keeps the next one waiting counts twice.

use super::crowd::{Crowd, MEMBERS};
use super::load::connect;
use super::server::{Meter, Server};
use super::table::median;
use super::{Contender, Limit, Plan};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

const SIZE: usize = 64;
const EVERY: Duration = Duration::from_millis(1);
const MESSAGE_EVERY: Duration = Duration::from_millis(200);

/// A hundredth of the echoes makes the p99: what keeps both programs waiting for their cores must
/// be much less. A run that had more is taken again.
const DISTURBED: f64 = 0.003;
/// A machine that is never quiet is told of, and not waited for.
const REPEATS: usize = 3;

/// p50, p99 and the longest of one run, in microseconds.
type Figures = [f64; 3];

pub fn measure(plan: &Plan, contenders: &[Contender], scratch: &Path) -> Result<(), String> {
    println!(
        "\nroom-beside-echo: {SIZE}-byte echo, 1000 a second on schedule; beside it a member \
         that speaks 5 times a second to {MEMBERS}, {} s a run",
        plan.seconds
    );
    println!(
        "{:>6}  {:<12} {:>14} {:>10} {:>10}",
        "run", "room", "p50 us", "p99 us", "max us"
    );
    // A bare loop has no second service to stand beside.
    for contender in contenders.iter().filter(|one| one.label == "loket") {
        let server = Server::start(contender, scratch)?;
        let mut crowd = Crowd::join(server.at)?;
        let stream = connect(server.address("echo")?)?;
        let mut all: [Vec<Figures>; 2] = Default::default();
        for round in 1..=plan.runs {
            for (which, label) in ["idle", "speaking"].into_iter().enumerate() {
                let mut once = || {
                    let crowd = (which == 1).then_some(&mut crowd);
                    let meter = Meter::start(&server)?;
                    let figures = run(&stream, crowd, plan.seconds)?;
                    Ok::<_, String>((figures, meter.stop(1.0)?.disturbed > DISTURBED))
                };
                let mut repeats = REPEATS;
                let (mut figures, mut disturbed) = once()?;
                while disturbed && repeats > 0 {
                    repeats -= 1;
                    line("again", label, figures);
                    (figures, disturbed) = once()?;
                }
                let head = round.to_string();
                line(if disturbed { "noisy" } else { &head }, label, figures);
                all[which].push(figures);
            }
        }
        let [idle, speaking] = all.map(|runs| {
            [0, 1, 2].map(|part| median(runs.iter().map(|figures| figures[part]).collect()))
        });
        line("median", "idle", idle);
        line("median", "speaking", speaking);
        println!("  speaking / idle: {:.3} of the p99", speaking[1] / idle[1]);
    }
    Ok(())
}

fn line(head: &str, label: &str, [p50, p99, most]: Figures) {
    println!("{head:>6}  {label:<12} {p50:>14.1} {p99:>10.1} {most:>10.1}");
}

fn run(stream: &TcpStream, mut crowd: Option<&mut Crowd>, seconds: f64) -> Result<Figures, String> {
    let limit = Limit::new();
    let count = (seconds / EVERY.as_secs_f64()) as u32;
    let start = Instant::now() + EVERY;
    let mut next_message = start;
    let (mut sent, mut got, mut member) = (0, 0, 0);
    let mut times = Vec::with_capacity(count as usize);
    while times.len() < count as usize || crowd.as_ref().is_some_and(|c| c.under_way() > 0) {
        limit.check()?;
        let now = Instant::now();
        if sent < count && now >= start + EVERY * sent {
            speak(stream)?;
            sent += 1;
        }
        got += hear(stream)?;
        while times.len() < got / SIZE {
            let scheduled = start + EVERY * times.len() as u32;
            times.push(scheduled.elapsed().as_secs_f64() * 1e6);
        }
        let Some(crowd) = &mut crowd else { continue };
        if sent < count && now >= next_message {
            crowd.speak()?;
            next_message += MESSAGE_EVERY;
        }
        // One at a time, so that the crowd does not keep the echo waiting at our end.
        crowd.listen(member)?;
        member = (member + 1) % MEMBERS;
    }
    times.sort_by(f64::total_cmp);
    let part = |of: f64| times[((times.len() - 1) as f64 * of).round() as usize];
    Ok([part(0.5), part(0.99), part(1.0)])
}

fn speak(stream: &TcpStream) -> Result<(), String> {
    match send(stream, &[b'x'; SIZE], SendFlags::NOSIGNAL) {
        Ok(SIZE) => Ok(()),
        other => Err(format!("an echo of {SIZE} bytes was not taken: {other:?}")),
    }
}

fn hear(stream: &TcpStream) -> Result<usize, String> {
    match recv(stream, &mut [0; 4096][..], RecvFlags::empty()) {
        Ok((0, _)) => Err("the server ended the echo connection".to_string()),
        Ok((got, _)) => Ok(got),
        Err(Errno::AGAIN) => Ok(0),
        Err(e) => Err(format!("cannot read an echo: {e}")),
    }
}
