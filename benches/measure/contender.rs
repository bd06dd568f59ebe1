//! A server to measure: its program, arguments and ports.

use std::path::{Path, PathBuf};

/// The file that the bare loop for downloads sends.
pub const BIG_FILE: &str = "big.bin";

pub const ROOM_PASSWORD: &str = "load";

/// The services of loket.
pub const SERVICES: [&str; 6] = ["echo", "transfer", "files", "talk", "http", "room"];

/// One server to measure.
#[derive(Clone)]
pub struct Contender {
    pub label: &'static str,
    pub program: PathBuf,
    pub args: Vec<String>,
    pub port: PortSource,
    /// Words before the program, which execute it.
    pub above: String,
    /// The flags of the generator, if its protocol differs from that of the others.
    pub load: Option<&'static str>,
}

/// How to find the port of a server.
#[derive(Clone, Copy)]
pub enum PortSource {
    /// It prints one line per service on standard output, as loket does.
    Services,
    /// It prints its only port.
    Single,
    /// It was configured with this port.
    Fixed(u16),
}

impl Contender {
    /// This checkout's loket with these of its services.
    pub fn loket(services: &[&str], root: &Path, flags: &[&str]) -> Contender {
        Contender::of(env!("CARGO_BIN_EXE_loket").as_ref(), services, root, flags)
    }

    /// The program, a loket, with these of its services.
    pub fn of(program: &Path, services: &[&str], root: &Path, flags: &[&str]) -> Contender {
        let mut args = vec!["serve".to_string(), format!("--root={}", root.display())];
        for name in SERVICES {
            let port = if services.contains(&name) { "0" } else { "off" };
            args.push(format!("--{name}={port}"));
        }
        if services.contains(&"room") {
            args.push(format!("--room-password={ROOM_PASSWORD}"));
        }
        args.extend(flags.iter().map(|flag| (*flag).to_string()));
        Contender::new("loket", program.to_path_buf(), args, PortSource::Services)
    }

    /// A server with these arguments; it executes without words before it.
    pub fn new(
        label: &'static str,
        program: PathBuf,
        args: Vec<String>,
        port: PortSource,
    ) -> Contender {
        Contender {
            label,
            program,
            args,
            port,
            above: String::new(),
            load: None,
        }
    }

    /// One of the servers in `benches/bare_loop`, which this program contains.
    pub fn bare_loop(name: &str, root: &Path) -> Result<Contender, String> {
        Contender::own("bare loop", name, root)
    }

    /// A server that this program contains.
    pub fn own(label: &'static str, name: &str, root: &Path) -> Result<Contender, String> {
        let program = std::env::current_exe()
            .map_err(|e| format!("cannot find the path of this program: {e}"))?;
        let path = match name {
            "download" => Some(root.join(BIG_FILE)),
            "upload" => Some(root.to_path_buf()),
            _ => None,
        };
        let mut args = vec!["bare-loop".to_string(), name.to_string(), "0".to_string()];
        args.extend(path.map(|path| path.display().to_string()));
        Ok(Contender::new(label, program, args, PortSource::Single))
    }
}

pub fn folder(scratch: &Path, name: &str) -> Result<PathBuf, String> {
    let path = scratch.join(name);
    std::fs::create_dir_all(&path).map_err(|e| format!("cannot create {}: {e}", path.display()))?;
    Ok(path)
}
