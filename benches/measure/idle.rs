//! Memory and CPU of thousands of connections that have each had one answer and now keep silent.
//! Sees the server's own memory only; the kernel's share of a connection is not in it.

use super::Limit;
use super::contender::Contender;
use super::dialect::Exchange;
use super::plan::Plan;
use super::server::Server;
use super::table::median;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

const WATCHED: Duration = Duration::from_secs(3);
const MOMENT: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(10);

/// What one run consists of.
pub struct Shape {
    pub connections: usize,
    /// From the last exchange to the look at the memory: what is let go only later is let go.
    pub rest: Duration,
}

impl Shape {
    /// Where the counting begins: what the first connections set up for all is none's cost.
    fn base(&self) -> usize {
        self.connections / 19
    }
}

/// The medians of one contender.
pub struct Figures {
    pub label: &'static str,
    /// A connection, in bytes.
    pub memory: f64,
    /// In the watched seconds, in milliseconds.
    pub cpu: f64,
}

/// Each run has a fresh process: memory that was freed is not given back and would hide the cost.
pub fn measure(
    plan: &Plan,
    shape: &Shape,
    contenders: &[(Contender, Exchange)],
    scratch: &Path,
) -> Result<Vec<Figures>, String> {
    println!("\n{}", title(shape));
    println!(
        "{:>6}  {:<12} {:>14} {:>18} {:>8}",
        "run", "server", "B/connection", "ms CPU in 3 s", "threads"
    );
    let mut all: Vec<[Vec<f64>; 2]> = vec![Default::default(); contenders.len()];
    for round in 1..=plan.runs {
        for ((contender, exchange), of) in contenders.iter().zip(&mut all) {
            let server = Server::start(contender, scratch)?;
            let (bytes, cpu) = run(&server, shape, exchange)
                .map_err(|e| format!("idle of {}: {e}", contender.label))?;
            let threads = server.processes()?.threads()?;
            let label = contender.label;
            println!("{round:>6}  {label:<12} {bytes:>14.1} {cpu:>18.3} {threads:>8}");
            of[0].push(bytes);
            of[1].push(cpu);
        }
    }
    let mut medians = Vec::new();
    for ((contender, _), [bytes, cpu]) in contenders.iter().zip(all) {
        let (label, memory, cpu) = (contender.label, median(bytes), median(cpu));
        println!("{:>6}  {label:<12} {memory:>14.1} {cpu:>18.3}", "median");
        medians.push(Figures { label, memory, cpu });
    }
    Ok(medians)
}

pub fn title(shape: &Shape) -> String {
    format!(
        "idle: silent connections, each an answer old; anonymous memory of all processes, the \
         growth from {} to {} connections by their number; fresh server a run",
        shape.base(),
        shape.connections
    )
}

fn run(server: &Server, shape: &Shape, exchange: &Exchange) -> Result<(f64, f64), String> {
    let mut held = Vec::with_capacity(shape.connections);
    let base = memory_at(server, shape, exchange, &mut held, shape.base())?;
    let top = memory_at(server, shape, exchange, &mut held, shape.connections)?;
    let processes = server.processes()?;
    let spent = processes.spent()?;
    std::thread::sleep(WATCHED);
    let idle = processes.spent()?.since(&spent).0 * 1e3;
    // A server that sends somebody away saves his memory, and has not done the work.
    for stream in &held {
        let tried = |e: std::io::Error| format!("a silent connection: {e}");
        stream.set_nonblocking(true).map_err(tried)?;
        if stream.peek(&mut [0]).is_ok() {
            return Err("a silent connection was ended, or heard something".to_string());
        }
    }
    Ok((
        (top - base) / (shape.connections - shape.base()) as f64,
        idle,
    ))
}

/// What the server holds when so many connections have been silent for a while.
fn memory_at(
    server: &Server,
    shape: &Shape,
    exchange: &Exchange,
    held: &mut Vec<TcpStream>,
    count: usize,
) -> Result<f64, String> {
    let limit = Limit::new();
    while held.len() < count {
        limit.check()?;
        let visit = visit(server.at, exchange);
        held.push(visit.map_err(|e| format!("connection {}: {e}", held.len()))?);
    }
    let until = Instant::now() + shape.rest;
    while Instant::now() < until {
        limit.check()?;
        std::thread::sleep(MOMENT.min(shape.rest));
    }
    server.processes()?.memory()
}

/// Connects, has one exchange, and leaves the connection standing.
pub fn visit(at: SocketAddr, exchange: &Exchange) -> Result<TcpStream, String> {
    let tried = |e: std::io::Error| format!("cannot greet {at}: {e}");
    let mut stream = TcpStream::connect_timeout(&at, PATIENCE).map_err(tried)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(tried)?;
    stream.write_all(&exchange.request).map_err(tried)?;
    let mut back = Vec::new();
    let mut buffer = [0; 8192];
    while !exchange.is_whole(&exchange.request, &back)? {
        match stream.read(&mut buffer).map_err(tried)? {
            0 => return Err(format!("{at} ended the connection")),
            got => back.extend_from_slice(&buffer[..got]),
        }
    }
    Ok(stream)
}
