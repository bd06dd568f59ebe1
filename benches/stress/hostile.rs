//! What hostile crowds cost an echo beside them, the memory and the descriptors, during and after.
//! The numbers are those of the attacks that were first seen.

use super::{pulse_alone, rounds, start};
use crate::measure::Limit;
use crate::measure::load::connect;
use crate::measure::plan::Plan;
use crate::measure::scheduled_echo::{Pulse, Run, line, measured, rest};
use crate::measure::server::Server;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send, sockopt};
use std::fs::File;
use std::net::TcpStream;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// A short piece of an attack, so that an echo can beat between two.
type Step = fn(&mut Crowd) -> Result<(), String>;

/// The last is whether the server must come to rest while the peers are still there.
const ROWS: [(&str, Step, bool); 5] = [
    (
        "1: 1,000 ask for a list of 20,000 names, half never read",
        list,
        false,
    ),
    (
        "3: 1,200 pipeline empty uploads without end",
        pipeline,
        false,
    ),
    (
        "9: 400 download, say byebye, never read and stay",
        leave_unread,
        true,
    ),
    (
        "10: uploads that end with a reset, one after another",
        reset,
        false,
    ),
    (
        "11: 1,200 download, flood or stop after a byte, and never read",
        never_read,
        false,
    ),
];

const ENTRIES: usize = 20_000;
const BIG: u64 = 2 << 30;
/// Fits the kernel's buffer, so that the server is done with it and says goodbye.
const BUFFERED: u64 = loket::config::UNSENT_BYTES as u64;
const UPLOAD: &[u8] = b"upload a 0\n";
/// What a peer that floods sends at most: more than both kernels' buffers hold.
const FLOOD: usize = 16 << 20;
/// Bounds the resets of one round.
const RESETS: usize = 20_000;
const AT_REST: Duration = Duration::from_secs(5);
/// More than the allocator and the kernel keep by chance.
const SLACK: Held = [4.0, 4.0, 0.0];

pub fn show(plan: &Plan, scratch: &Path) -> Result<(), String> {
    for row in ROWS.iter().filter(|row| row.0.contains(&plan.only)) {
        println!(
            "\nhostile {}; an echo beside them, 1000 a second on schedule, {} s a run; aims: p99 \
             <= 5 ms, at rest within 5 s",
            row.0, plan.seconds
        );
        rounds(plan, ["idle", "hostile"], |round| {
            let scratch = scratch.join(format!("{round}"));
            let runs = one(row, plan, &scratch, round)?;
            std::fs::remove_dir_all(&scratch).map_err(|e| format!("cannot clear away: {e}"))?;
            Ok(runs)
        })?;
    }
    Ok(())
}

fn one(
    (_, step, stay): &(&str, Step, bool),
    plan: &Plan,
    scratch: &Path,
    round: usize,
) -> Result<[Run; 2], String> {
    let server = start(scratch, "hostile", &[])?;
    prepare(&scratch.join("hostile")).map_err(|e| format!("cannot fill the root: {e}"))?;
    let pulse = Pulse::connect(server.at)?;
    let idle = pulse_alone(plan, &server, &pulse, round, "idle")?;
    rest(&server)?;
    let before = held(&server)?;
    let mut crowd = Crowd {
        server: &server,
        peers: Vec::new(),
        turn: 0,
        answered: 0,
        refused: 0,
        uploads: UPLOAD.repeat(4096).into(),
    };
    let (mut most, mut looked) = (before, Instant::now());
    let hostile = measured(&server, || {
        pulse.beat(Duration::from_secs_f64(plan.seconds), || {
            if looked.elapsed() > Duration::from_millis(250) {
                let now = held(&server)?;
                most = [0, 1, 2].map(|at| now[at].max(most[at]));
                looked = Instant::now();
            }
            step(&mut crowd)
        })
    })?;
    let note = hostile.note();
    line(&round.to_string(), "hostile", hostile.figures, &note);
    let (answered, refused) = (crowd.answered, crowd.refused);
    let peers = stay.then_some(crowd.peers);
    let (begin, limit) = (Instant::now(), Limit::new());
    let mut after = held(&server)?;
    while is_above(after, before) && begin.elapsed() < AT_REST {
        limit.check()?;
        std::thread::sleep(Duration::from_millis(50));
        after = held(&server)?;
    }
    drop(peers);
    println!(
        "        {answered} answered, {refused} refused; MiB, MiB in the kernel, descriptors: \
         before {before:.0?}, at most {most:.0?}, {:.1} s after {after:.0?}{}",
        begin.elapsed().as_secs_f64(),
        if is_above(after, before) {
            ": NOT at rest"
        } else {
            ""
        }
    );
    Ok([idle, hostile])
}

fn prepare(root: &Path) -> std::io::Result<()> {
    File::create(root.join("big"))?.set_len(BIG)?;
    File::create(root.join("buffered"))?.set_len(BUFFERED)?;
    std::fs::create_dir(root.join("many"))?;
    for number in 0..ENTRIES {
        File::create(root.join(format!("many/entry-{number:07}")))?;
    }
    Ok(())
}

/// MiB of the server, MiB of the kernel's TCP, and the server's descriptors.
type Held = [f64; 3];

fn held(server: &Server) -> Result<Held, String> {
    let text = std::fs::read_to_string("/proc/net/sockstat").unwrap_or_default();
    let tcp = text.lines().find(|line| line.starts_with("TCP:"));
    let pages = tcp.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    let own = server.processes()?.memory()? / (1 << 20) as f64;
    let descriptors = server.descriptors()? as f64;
    Ok([own, pages.unwrap_or(f64::NAN) / 256.0, descriptors])
}

fn is_above(held: Held, before: Held) -> bool {
    (0..3).any(|at| held[at] > before[at] + SLACK[at])
}

struct Peer {
    stream: TcpStream,
    sent: usize,
    heard: usize,
}

/// The peers of one round, and what the server said to them.
struct Crowd<'a> {
    server: &'a Server,
    peers: Vec<Peer>,
    turn: usize,
    answered: usize,
    refused: usize,
    uploads: Rc<[u8]>,
}

impl Crowd<'_> {
    /// The peer whose turn it is, of so many; it connects at its first one.
    fn next(&mut self, count: usize, service: &'static str) -> Result<usize, String> {
        let number = self.turn % count;
        if number == self.peers.len() {
            let stream = connect(self.server.address(service)?)?;
            self.peers.push(Peer {
                stream,
                sent: 0,
                heard: 0,
            });
        }
        self.turn += 1;
        Ok(number)
    }

    /// Sends what the kernel takes; whether it took any.
    fn say(&mut self, number: usize, words: &[u8]) -> Result<bool, String> {
        let peer = &mut self.peers[number];
        match send(&peer.stream, words, SendFlags::NOSIGNAL) {
            Ok(bytes) => peer.sent += bytes,
            // Who was refused for good has been hung up on.
            Err(Errno::AGAIN | Errno::PIPE | Errno::CONNRESET) => return Ok(false),
            Err(e) => return Err(format!("peer {number} cannot send: {e}")),
        }
        Ok(true)
    }

    fn hear(&mut self, number: usize) {
        let (peer, mut into) = (&mut self.peers[number], [0; 16 << 10]);
        if let Ok((bytes @ 1.., _)) = recv(&peer.stream, &mut into[..], RecvFlags::empty()) {
            self.answered += usize::from(peer.heard == 0 && into[0] == b'O');
            self.refused += usize::from(peer.heard == 0 && into[0] != b'O');
            peer.heard += bytes;
        }
    }
}

fn list(crowd: &mut Crowd) -> Result<(), String> {
    let number = crowd.next(1_000, "files")?;
    if crowd.peers[number].sent == 0 {
        crowd.say(number, b"ls many\n")?;
    } else if number % 2 == 0 {
        crowd.hear(number);
    }
    Ok(())
}

fn pipeline(crowd: &mut Crowd) -> Result<(), String> {
    let number = crowd.next(1_200, "files")?;
    let begin = crowd.peers[number].sent % UPLOAD.len();
    crowd.say(number, &crowd.uploads.clone()[begin..])?;
    crowd.hear(number);
    Ok(())
}

fn leave_unread(crowd: &mut Crowd) -> Result<(), String> {
    if crowd.turn < 400 {
        let number = crowd.next(400, "files")?;
        sockopt::set_socket_recv_buffer_size(&crowd.peers[number].stream, 4096)
            .map_err(|e| format!("cannot shrink a window: {e}"))?;
        crowd.say(number, b"download buffered\nbyebye\n")?;
    }
    Ok(())
}

fn reset(crowd: &mut Crowd) -> Result<(), String> {
    if crowd.turn < RESETS {
        let name = format!("upload reset-{} 4096\n", crowd.turn);
        crowd.peers.clear();
        crowd.next(1, "files")?;
        sockopt::set_socket_linger(&crowd.peers[0].stream, Some(Duration::ZERO))
            .map_err(|e| format!("cannot ask for a reset: {e}"))?;
        crowd.say(0, name.as_bytes())?;
        crowd.say(0, &[b'x'; 4096])?;
    }
    Ok(())
}

fn never_read(crowd: &mut Crowd) -> Result<(), String> {
    let number = crowd.peers.len().max(1) - 1;
    let floods = (500..700).contains(&number) && crowd.peers[number].sent < FLOOD;
    if floods && crowd.say(number, &crowd.uploads.clone())? {
        return Ok(());
    }
    if crowd.peers.len() < 1_200 {
        let number = crowd.peers.len();
        let (service, words): (_, &[u8]) = match number {
            ..500 => ("files", b"download big\n"),
            500..700 => ("echo", b"x"),
            _ => ([("files", &b"x"[..]), ("transfer", b"S"), ("talk", b"x")])[number % 3],
        };
        crowd.turn = number;
        crowd.next(1_200, service)?;
        crowd.say(number, words)?;
    }
    Ok(())
}
