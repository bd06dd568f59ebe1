//! Memory and CPU of thousands of connections that are idle after one exchange.
//! Counts user memory only, not the kernel's memory for sockets.

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
const PAUSE: Duration = Duration::from_millis(100);
const TIMEOUT: Duration = Duration::from_secs(10);

/// The parameters of one run.
pub struct Shape {
    pub connections: usize,
    /// Time between the last exchange and reading the memory, for servers that free buffers late.
    pub rest: Duration,
}

impl Shape {
    /// Number of connections of the first reading: memory that the first connections allocate for
    /// all is not counted.
    fn base(&self) -> usize {
        self.connections / 19
    }
}

/// The medians of one server.
pub struct Figures {
    pub label: &'static str,
    /// Bytes per connection.
    pub memory: f64,
    /// Milliseconds of CPU in three seconds.
    pub cpu: f64,
}

/// Each run starts a new process: memory that a run freed stays in the process and hides the cost.
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
        "idle: connections without traffic after one exchange; growth of the anonymous memory of \
         all processes from {} to {} connections, per connection; a new server per run",
        shape.base(),
        shape.connections
    )
}

fn run(server: &Server, shape: &Shape, exchange: &Exchange) -> Result<(f64, f64), String> {
    let mut held = Vec::with_capacity(shape.connections);
    let base = memory_at(server, shape, exchange, &mut held, shape.base())?;
    let top = memory_at(server, shape, exchange, &mut held, shape.connections)?;
    let processes = server.processes()?;
    let spent = processes.cpu_time()?;
    std::thread::sleep(WATCHED);
    let idle = processes.cpu_time()?.since(&spent).0 * 1e3;
    // A server that closes connections saves memory without doing the work.
    for stream in &held {
        let tried = |e: std::io::Error| format!("cannot check an idle connection: {e}");
        stream.set_nonblocking(true).map_err(tried)?;
        if stream.peek(&mut [0]).is_ok() {
            return Err("an idle connection was closed or received data".to_string());
        }
    }
    Ok((
        (top - base) / (shape.connections - shape.base()) as f64,
        idle,
    ))
}

/// Memory of the server in bytes with `count` idle connections.
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
        let opened = open_idle(server.at, exchange);
        held.push(opened.map_err(|e| format!("connection {}: {e}", held.len()))?);
    }
    let until = Instant::now() + shape.rest;
    while Instant::now() < until {
        limit.check()?;
        std::thread::sleep(PAUSE.min(shape.rest));
    }
    server.processes()?.memory()
}

/// Connects, makes one exchange, and returns the open connection.
pub fn open_idle(at: SocketAddr, exchange: &Exchange) -> Result<TcpStream, String> {
    let tried = |e: std::io::Error| format!("no exchange with {at}: {e}");
    let mut stream = TcpStream::connect_timeout(&at, TIMEOUT).map_err(tried)?;
    stream.set_read_timeout(Some(TIMEOUT)).map_err(tried)?;
    stream.write_all(&exchange.request).map_err(tried)?;
    let mut back = Vec::new();
    let mut buffer = [0; 8192];
    while !exchange.is_whole(&exchange.request, &back)? {
        match stream.read(&mut buffer).map_err(tried)? {
            0 => return Err(format!("{at} closed the connection")),
            got => back.extend_from_slice(&buffer[..got]),
        }
    }
    Ok(stream)
}
