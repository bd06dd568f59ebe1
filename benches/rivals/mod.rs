//! Other people's servers: which of them are installed, and each with a configuration of ours.
//! Measures nothing, and installs nothing: `scripts/compare` does.

pub mod lighttpd;
pub mod nginx;
pub mod redis;
pub mod tokio_echo;
pub mod vsftpd;

use crate::measure::Contender;
use crate::measure::contender::Door;
use crate::measure::dialect::Dialect;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};

const FIRST_PORT: u16 = 12_000;
const PORTS: u16 = 20_000;

/// Each program with the words that make it tell its version. vsftpd tells it to descriptor 0.
pub const VERSIONS: [(&str, &str); 4] = [
    ("nginx", "nginx -v"),
    ("lighttpd", "lighttpd -v"),
    ("redis-server", "redis-server --version"),
    ("vsftpd", "vsftpd -v 0>&1"),
];

/// What is told of a version, or that there is none.
pub fn version(command: &str) -> String {
    let path = format!("{}:/usr/sbin:/usr/local/sbin", search_path());
    let told = Command::new("sh")
        .args(["-c", &format!("{command} 2>&1")])
        .env("PATH", path)
        .output();
    let said = told.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let said = said.unwrap_or_default();
    match said.lines().find(|line| !line.trim().is_empty()) {
        Some(line) if !line.contains("not found") => line.trim().to_string(),
        _ => "not installed".to_string(),
    }
}

fn search_path() -> String {
    std::env::var("PATH").unwrap_or_default()
}

/// The program, also where only root's path has it.
pub fn find(program: &str) -> Result<PathBuf, String> {
    let path = search_path();
    let folders = path.split(':').chain(["/usr/sbin", "/usr/local/sbin"]);
    let mut places = folders.map(|folder| Path::new(folder).join(program));
    let place = places.find(|place| place.is_file());
    place.ok_or_else(|| format!("{program} is not installed"))
}

/// A port that nobody has at this moment, below those that the kernel gives to clients: one of
/// those could be taken by the load before the server that is meant to have it starts.
fn free_port() -> Result<u16, String> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    for _ in 0..PORTS {
        let step = (std::process::id() as u16).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = FIRST_PORT + step % PORTS;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Err(format!("no port is free from {FIRST_PORT} on"))
}

/// A server that listens where its configuration says; `words` come before the path of that.
fn configured(
    label: &'static str,
    program: PathBuf,
    words: &[&str],
    configuration: (&Path, String),
    (port, dialect): (u16, Dialect),
    root: &Path,
) -> Result<Contender, String> {
    let (path, text) = configuration;
    std::fs::write(path, text).map_err(|e| format!("cannot write {}: {e}", path.display()))?;
    let mut args: Vec<String> = words.iter().copied().map(String::from).collect();
    args.push(path.display().to_string());
    Ok(Contender {
        label,
        program,
        args,
        door: Door::Port(port),
        dialect,
        root: root.to_path_buf(),
    })
}
