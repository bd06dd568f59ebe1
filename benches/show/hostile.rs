//! Twelve hundred peers that ask and never read, flood and never read, or send a byte and stop.
//! Shows what they cost the others, the memory, the processor at rest, and that they go.

use super::{Plan, pulses, start};
use crate::measure::Limit;
use crate::measure::load::connect;
use crate::measure::pulse::Pulse;
use crate::measure::schedule::{figures, head, line, rest};
use crate::measure::server::Server;
use rustix::io::Errno;
use rustix::net::{SendFlags, send};
use std::fs::File;
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

const READERS: usize = 500;
const FLOODING: usize = 200;
const ONE_BYTE: usize = 500;
const BIG: u64 = 2 << 30;
/// What one of the flooding sends at most: more than both kernels' buffers hold.
const FLOOD: u64 = 16 << 20;
const WATCHED: Duration = Duration::from_secs(3);
const MIB: f64 = (1 << 20) as f64;

pub fn show(plan: &Plan, scratch: &Path) -> Result<(), String> {
    println!(
        "\nhostile: {READERS} ask for 2 GiB and never read, {FLOODING} flood an echo and never \
         read, {ONE_BYTE} send one byte and stop; an echo beside them, 1000 a second on schedule, \
         {} s a run",
        plan.seconds
    );
    let server = start(scratch, "hostile", &[])?;
    let root = scratch.join("hostile");
    File::create(root.join("big"))
        .and_then(|file| file.set_len(BIG))
        .map_err(|e| format!("cannot make a sparse file: {e}"))?;
    let pulse = Pulse::connect(server.at)?;
    head();
    let idle = pulses(plan, &server, &pulse, "nobody")?;
    let memory = server.processes()?.memory()?;
    // The first echo beside them while they come, not only when they all hang.
    let mut peers = Vec::new();
    let times = come(&server, &pulse, &mut peers)?;
    let coming = figures(times);
    line("", "who come", coming, "");
    rest(&server)?;
    let beside = pulses(plan, &server, &pulse, "hostile")?;
    println!(
        "  hostile / idle: {:.3} of the p50, {:.3} of the p99; memory grew by {:.1} MiB",
        beside[0] / idle[0],
        beside[1] / idle[1],
        (server.processes()?.memory()? - memory) / MIB
    );
    let spent = server.processes()?.spent()?;
    std::thread::sleep(WATCHED);
    println!(
        "  {:.1} ms CPU in 3 s of rest",
        server.processes()?.spent()?.since(&spent).0 * 1e3
    );
    drop((peers, pulse, server));
    leave(scratch)
}

/// How they come: one step each, so that an echo can beat between.
fn come(server: &Server, pulse: &Pulse, peers: &mut Vec<TcpStream>) -> Result<Vec<f64>, String> {
    let all = READERS + FLOODING + ONE_BYTE;
    let count = std::cell::Cell::new(0);
    let (mut sent, piece) = (0, vec![b'x'; 64 << 10]);
    pulse.beat_while(
        || count.get() < all,
        || {
            let number = count.get();
            if number == all {
                return Ok(());
            }
            let (service, words): (_, &[u8]) = match number {
                _ if number < READERS => ("files", b"download big\n"),
                _ if number < READERS + FLOODING => ("echo", &piece),
                _ => ([("files", &b"x"[..]), ("transfer", b"S"), ("talk", b"x")])[number % 3],
            };
            if peers.len() == number {
                peers.push(connect(server.address(service)?)?);
            }
            let again = match send(&peers[number], words, SendFlags::NOSIGNAL) {
                Ok(bytes) => {
                    sent += bytes as u64;
                    service == "echo" && sent < FLOOD
                }
                Err(Errno::AGAIN) => false,
                Err(e) => return Err(format!("peer {number} cannot send: {e}")),
            };
            if !again {
                (sent, _) = (0, count.set(number + 1));
            }
            Ok(())
        },
    )
}

/// With a short idle deadline all but those of talk are gone soon, from the kernel as well.
fn leave(scratch: &Path) -> Result<(), String> {
    let server = start(scratch, "hostile", &["--idle-timeout", "3"])?;
    let pulse = Pulse::connect(server.at)?;
    rest(&server)?;
    let before = server.descriptors()?;
    let mut peers = Vec::new();
    come(&server, &pulse, &mut peers)?;
    let most = server.descriptors()?;
    let talking = (0..peers.len())
        .filter(|number| *number >= READERS + FLOODING && number % 3 == 2)
        .count();
    let (begin, limit) = (Instant::now(), Limit::new());
    // The pulse falls silent as well, and goes with them.
    while server.descriptors()? >= before + talking {
        limit.check()?;
        std::thread::sleep(Duration::from_millis(50));
    }
    println!(
        "  --idle-timeout 3: of {most} descriptors {} are left {:.1} s after the last one came; \
         before there were {before}, and {talking} talk, which has no idle deadline",
        server.descriptors()?,
        begin.elapsed().as_secs_f64()
    );
    Ok(())
}
