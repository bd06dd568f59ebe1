//! Memory and CPU of 10,000 echo connections that have each had one message and now keep silent.
//! Sees the server's own memory only; the kernel's share of a connection is not in it.

use super::server::Server;
use super::table::median;
use super::{Contender, Limit, Plan};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

const CONNECTIONS: usize = 10_000;
const WATCHED: Duration = Duration::from_secs(3);
/// For the last turn of the server to be over before its memory is read.
const REST: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(10);

/// Each run has a fresh process: memory that was freed is not given back and would hide the cost.
pub fn measure(plan: &Plan, contenders: &[Contender], scratch: &Path) -> Result<(), String> {
    println!(
        "\nidle: {CONNECTIONS} silent echo connections, each a message old; fresh server a run"
    );
    println!(
        "{:>6}  {:<12} {:>14} {:>18} {:>8}",
        "run", "server", "B/connection", "ms CPU in 3 s", "threads"
    );
    let mut all: Vec<Vec<f64>> = vec![Vec::new(); contenders.len()];
    for round in 1..=plan.runs {
        for (contender, of) in contenders.iter().zip(&mut all) {
            let server = Server::start(contender, scratch)?;
            let (bytes, cpu) =
                run(&server).map_err(|e| format!("idle of {}: {e}", contender.label))?;
            let threads = server.threads()?;
            let label = contender.label;
            println!("{round:>6}  {label:<12} {bytes:>14.1} {cpu:>18.3} {threads:>8}");
            of.push(bytes);
        }
    }
    for (contender, of) in contenders.iter().zip(all) {
        println!(
            "{:>6}  {:<12} {:>14.1}",
            "median",
            contender.label,
            median(of)
        );
    }
    Ok(())
}

fn run(server: &Server) -> Result<(f64, f64), String> {
    let limit = Limit::new();
    // One connection beforehand: what a first turn sets up for all is no connection's cost.
    let first = visit(server.at)?;
    std::thread::sleep(REST);
    let before = server.memory()?;
    let mut held = Vec::with_capacity(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        limit.check()?;
        held.push(visit(server.at).map_err(|e| format!("connection {}: {e}", held.len()))?);
    }
    std::thread::sleep(REST);
    let after = server.memory()?;
    let (cpu, _) = server.cpu()?;
    std::thread::sleep(WATCHED);
    let idle = (server.cpu()?.0 - cpu) * 1e3;
    drop((first, held));
    Ok(((after - before) / CONNECTIONS as f64, idle))
}

/// Connects, sends one message, takes it back, and leaves the connection standing.
pub fn visit(at: SocketAddr) -> Result<TcpStream, String> {
    let tried = |e: std::io::Error| format!("cannot greet {at}: {e}");
    let mut stream = TcpStream::connect_timeout(&at, PATIENCE).map_err(tried)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(tried)?;
    let message = [b'x'; 64];
    stream.write_all(&message).map_err(tried)?;
    let mut back = [0; 64];
    stream.read_exact(&mut back).map_err(tried)?;
    if back != message {
        return Err(format!("an echo from {at} came back changed"));
    }
    Ok(stream)
}
