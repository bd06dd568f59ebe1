//! Echo latency, memory and descriptors while many hostile clients attack, and after they left.
//!
//! See `cargo bench --bench stress -- --help`; `scripts/soak` runs it too.

mod measure;

use measure::Limit;
use measure::contender::{Contender, SERVICES, folder};
use measure::plan::{self, Plan};
use measure::scheduled_echo::{
    Run, ScheduledEcho, connect, measured, medians, print_header, print_row, wait_until_idle,
};
use measure::server::Server;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send, sockopt};
use std::fs::File;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// One short step of an attack; the echo runs between two steps.
type Step = fn(&mut Attackers) -> Result<(), String>;

/// Name, step, and whether the server must free its resources while the clients stay connected.
const ROWS: [(&str, Step, bool); 5] = [
    ("lists of 20,000 names", list, false),
    ("pipelines of empty uploads", pipeline, false),
    ("goodbyes that are never read", leave_unread, true),
    ("uploads that end with a reset", reset, false),
    ("downloads and floods, never read", never_read, false),
];

const ENTRIES: usize = 20_000;
const BIG: u64 = 2 << 30;
/// Fits into the kernel's send buffer, so that the server sends everything and its goodbye.
const BUFFERED: u64 = loket::config::UNSENT_BYTES as u64;
const UPLOAD: &[u8] = b"upload a 0\n";
/// Most bytes that a flooding client sends: more than the socket buffers of both ends hold.
const FLOOD: usize = 16 << 20;
/// Most resets in one round.
const RESETS: usize = 20_000;
const REST_LIMIT: Duration = Duration::from_secs(5);
/// Tolerance: the allocator and the kernel may keep this much.
const SLACK: Usage = [4.0, 4.0, 0.0];

fn main() -> ExitCode {
    plan::begin("stress", ["hostile"], run)
}

fn run(plan: Plan) -> Result<(), String> {
    for (name, value) in measure::machine() {
        println!("{name}: {value}");
    }
    for row in ROWS.iter().filter(|row| row.0.contains(&plan.only)) {
        println!(
            "\nhostile {}; 1000 echoes/s on a schedule, {} s per run; targets: p99 \
             <= 5 ms, resources freed within 5 s",
            row.0, plan.seconds
        );
        print_header();
        let mut all = [Vec::new(), Vec::new()];
        for round in 1..=plan.runs {
            let scratch = measure::scratch("stress-")?;
            let [idle, hostile] = one_round(row, &plan, scratch.path(), round)?;
            all[0].push(idle);
            all[1].push(hostile);
        }
        for (label, runs) in ["idle", "hostile"].into_iter().zip(&all) {
            print_row("median", label, medians(runs), "");
        }
    }
    Ok(())
}

fn one_round(
    (_, step, stay): &(&str, Step, bool),
    plan: &Plan,
    scratch: &Path,
    round: usize,
) -> Result<[Run; 2], String> {
    let root = folder(scratch, "hostile")?;
    let server = Contender::loket(&SERVICES, &root, &[]);
    let server = Server::start(&server, scratch)?;
    prepare(&root).map_err(|e| format!("cannot create the files to serve: {e}"))?;
    let echo = ScheduledEcho::connect(server.at)?;
    let time = Duration::from_secs(plan.seconds.into());
    let print = |label, run: &Run| {
        print_row(&round.to_string(), label, run.percentiles, &run.note());
    };
    let idle = measured(&server, || echo.run(time, || Ok(())))?;
    print("idle", &idle);
    wait_until_idle(&server)?;
    let before = usage(&server)?;
    let mut attackers = Attackers {
        server: &server,
        peers: Vec::new(),
        turn: 0,
        answered: 0,
        refused: 0,
        uploads: UPLOAD.repeat(4096).into(),
    };
    let (mut most, mut looked) = (before, Instant::now());
    let hostile = measured(&server, || {
        echo.run(time, || {
            if looked.elapsed() > Duration::from_millis(250) {
                let now = usage(&server)?;
                most = [0, 1, 2].map(|at| now[at].max(most[at]));
                looked = Instant::now();
            }
            step(&mut attackers)
        })
    })?;
    print("hostile", &hostile);
    let (answered, refused) = (attackers.answered, attackers.refused);
    let peers = stay.then_some(attackers.peers);
    let (begin, limit) = (Instant::now(), Limit::new());
    let mut after = usage(&server)?;
    while is_above(after, before) && begin.elapsed() < REST_LIMIT {
        limit.check()?;
        std::thread::sleep(Duration::from_millis(50));
        after = usage(&server)?;
    }
    drop(peers);
    println!(
        "        {answered} answered, {refused} refused; [MiB, MiB in its sockets, descriptors]: \
         before {before:.0?}, peak {most:.0?}, {:.1} s after {after:.0?}{}",
        begin.elapsed().as_secs_f64(),
        if is_above(after, before) {
            ": NOT freed"
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

/// Server memory in MiB, memory of the kernel for the server's sockets in MiB, and open descriptors
/// of the server.
type Usage = [f64; 3];

fn usage(server: &Server) -> Result<Usage, String> {
    // The clients' ends are not counted: what they do not read stays with them.
    let ports = ["echo", "files", "transfer", "talk"].map(|name| server.address(name));
    let of_ports = ports.map(|at| at.map(|at| format!("src :{}", at.port())));
    let of_ports: Vec<String> = of_ports.into_iter().collect::<Result<_, _>>()?;
    let listed = Command::new("ss")
        .args(["-tanmH", &of_ports.join(" or ")])
        .output();
    let listed = listed.map_err(|e| format!("cannot run ss, of Debian's iproute2: {e}"))?;
    let kernel = socket_memory(&String::from_utf8_lossy(&listed.stdout)) / (1 << 20) as f64;
    let own = server.sample()?.memory as f64 / (1 << 20) as f64;
    let descriptors = server.descriptors()? as f64;
    Ok([own, kernel, descriptors])
}

/// The sum of `skmem:(r<received>,rb...,t...,tb...,f<reserved>,w<to send>,...)`, ss(8).
fn socket_memory(listed: &str) -> f64 {
    let fields = listed.split(&['(', ',', ')']);
    let numbers = fields.filter_map(|field| {
        let number = field.strip_prefix(['r', 'f', 'w'])?;
        number.parse::<f64>().ok()
    });
    numbers.sum()
}

fn is_above(usage: Usage, before: Usage) -> bool {
    (0..3).any(|at| usage[at] > before[at] + SLACK[at])
}

struct Peer {
    stream: TcpStream,
    sent: usize,
    received: usize,
}

/// The clients of one round, and how the server answered them.
struct Attackers<'a> {
    server: &'a Server,
    peers: Vec<Peer>,
    turn: usize,
    answered: usize,
    refused: usize,
    uploads: Rc<[u8]>,
}

impl Attackers<'_> {
    /// Number of the next client, round robin over `count`; it connects at its first turn.
    fn next(&mut self, count: usize, service: &'static str) -> Result<usize, String> {
        let number = self.turn % count;
        if number == self.peers.len() {
            let stream = connect(self.server.address(service)?)?;
            self.peers.push(Peer {
                stream,
                sent: 0,
                received: 0,
            });
        }
        self.turn += 1;
        Ok(number)
    }

    /// Sends what fits into the socket buffer; returns whether anything did.
    fn send(&mut self, number: usize, bytes: &[u8]) -> Result<bool, String> {
        let peer = &mut self.peers[number];
        match send(&peer.stream, bytes, SendFlags::NOSIGNAL) {
            Ok(bytes) => peer.sent += bytes,
            // The server has closed the connection of a refused client.
            Err(Errno::AGAIN | Errno::PIPE | Errno::CONNRESET) => return Ok(false),
            Err(e) => return Err(format!("client {number} cannot send: {e}")),
        }
        Ok(true)
    }

    fn receive(&mut self, number: usize) {
        let (peer, mut into) = (&mut self.peers[number], [0; 16 << 10]);
        if let Ok((bytes @ 1.., _)) = recv(&peer.stream, &mut into[..], RecvFlags::empty()) {
            self.answered += usize::from(peer.received == 0 && into[0] == b'O');
            self.refused += usize::from(peer.received == 0 && into[0] != b'O');
            peer.received += bytes;
        }
    }
}

/// 1,000 clients request a list; half of them never read.
fn list(attackers: &mut Attackers) -> Result<(), String> {
    let number = attackers.next(1_000, "files")?;
    if attackers.peers[number].sent == 0 {
        attackers.send(number, b"ls many\n")?;
    } else if number % 2 == 0 {
        attackers.receive(number);
    }
    Ok(())
}

/// 1,200 clients send empty uploads without pause.
fn pipeline(attackers: &mut Attackers) -> Result<(), String> {
    let number = attackers.next(1_200, "files")?;
    let begin = attackers.peers[number].sent % UPLOAD.len();
    attackers.send(number, &attackers.uploads.clone()[begin..])?;
    attackers.receive(number);
    Ok(())
}

/// 400 clients download, send byebye, never read and stay connected.
fn leave_unread(attackers: &mut Attackers) -> Result<(), String> {
    if attackers.turn < 400 {
        let number = attackers.next(400, "files")?;
        sockopt::set_socket_recv_buffer_size(&attackers.peers[number].stream, 4096)
            .map_err(|e| format!("cannot shrink a receive buffer: {e}"))?;
        attackers.send(number, b"download buffered\nbyebye\n")?;
    }
    Ok(())
}

/// One client at a time starts an upload and resets the connection: one system call a step, since
/// the kernel does the server's part of a reset within it.
fn reset(attackers: &mut Attackers) -> Result<(), String> {
    match attackers.peers.pop() {
        None if attackers.turn == RESETS => {}
        None => {
            attackers.next(1, "files")?;
            sockopt::set_socket_linger(&attackers.peers[0].stream, Some(Duration::ZERO))
                .map_err(|e| format!("cannot set SO_LINGER: {e}"))?;
        }
        Some(peer) if peer.sent > 0 => {}
        Some(peer) => {
            attackers.peers.push(peer);
            let upload = format!("upload reset-{} 4096\n{:4096}", attackers.turn, "");
            attackers.send(0, upload.as_bytes())?;
        }
    }
    Ok(())
}

/// 1,200 clients download, flood the echo, or stop after one byte; none of them reads.
fn never_read(attackers: &mut Attackers) -> Result<(), String> {
    let number = attackers.peers.len().max(1) - 1;
    let floods = (500..700).contains(&number) && attackers.peers[number].sent < FLOOD;
    if floods && attackers.send(number, &attackers.uploads.clone())? {
        return Ok(());
    }
    if attackers.peers.len() < 1_200 {
        let number = attackers.peers.len();
        let (service, bytes): (_, &[u8]) = match number {
            ..500 => ("files", b"download big\n"),
            500..700 => ("echo", b"x"),
            _ => ([("files", &b"x"[..]), ("transfer", b"S"), ("talk", b"x")])[number % 3],
        };
        attackers.turn = number;
        attackers.next(1_200, service)?;
        attackers.send(number, bytes)?;
    }
    Ok(())
}
