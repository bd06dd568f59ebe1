//! A server to measure: its program, arguments, protocol and files.

use super::dialect::Dialect;
use loket::server::TCP_SERVICES;
use std::path::{Path, PathBuf};

/// The file that the baseline for downloads sends.
pub const BIG_FILE: &str = "big.bin";

pub const ROOM_PASSWORD: &str = "x";

/// One server to measure.
#[derive(Clone)]
pub struct Contender {
    pub label: &'static str,
    pub program: PathBuf,
    pub args: Vec<String>,
    pub port: PortSource,
    pub dialect: Dialect,
    /// The directory of its uploads and downloads.
    pub root: PathBuf,
}

/// How to find the port of a server.
#[derive(Clone, Copy)]
pub enum PortSource {
    /// It prints one line per service on standard output, as loket does.
    Service(&'static str),
    /// It prints its only port.
    Single,
    /// It was configured with this port.
    Fixed(u16),
}

impl Contender {
    /// loket with echo and files, and with the room if `service` is "room".
    pub fn loket(service: &'static str, root: &Path, flags: &[&str]) -> Contender {
        let mut args = vec!["-q", "--host", "127.0.0.1", "--echo", "0", "--files", "0"];
        args.extend([
            "--transfer",
            "off",
            "--talk",
            "off",
            "--http",
            "off",
            "--room",
        ]);
        match service {
            "room" => {
                args.extend(["0", "--room-password", ROOM_PASSWORD]);
                args.extend(["--room-rate", "1000000", "--room-per-address", "4096"]);
            }
            _ => args.push("off"),
        }
        args.extend(flags);
        Contender::serving(service, root, &args)
    }

    /// loket with all its services, and with these flags.
    pub fn all_services(root: &Path, flags: &[&str]) -> Contender {
        let mut args = flags.to_vec();
        let names = TCP_SERVICES.iter().map(|service| service.name);
        let ports: Vec<_> = names
            .chain(["room"])
            .map(|name| format!("--{name}=0"))
            .collect();
        args.extend(ports.iter().map(String::as_str));
        Contender::serving("echo", root, &args)
    }

    fn serving(service: &'static str, root: &Path, args: &[&str]) -> Contender {
        let root_text = root.display().to_string();
        let all = ["serve", "--root", &root_text];
        let all = all.iter().chain(args);
        Contender {
            label: "loket",
            program: PathBuf::from(env!("CARGO_BIN_EXE_loket")),
            args: all.map(|arg| (*arg).to_string()).collect(),
            port: PortSource::Service(service),
            dialect: match service {
                "files" => Dialect::Line,
                _ => Dialect::Echo,
            },
            root: root.to_path_buf(),
        }
    }

    /// One of the servers in `benches/baseline`, which this program contains.
    pub fn baseline(label: &'static str, name: &str, root: &Path) -> Result<Contender, String> {
        let program = std::env::current_exe()
            .map_err(|e| format!("cannot find the path of this program: {e}"))?;
        let path = match name {
            "download" => Some(root.join(BIG_FILE)),
            "upload" => Some(root.to_path_buf()),
            _ => None,
        };
        let mut args = vec!["baseline".to_string(), name.to_string(), "0".to_string()];
        args.extend(path.as_ref().map(|path| path.display().to_string()));
        Ok(Contender {
            label,
            program,
            args,
            port: PortSource::Single,
            dialect: match path {
                Some(_) => Dialect::Line,
                None => Dialect::Echo,
            },
            root: root.to_path_buf(),
        })
    }
}

pub fn folder(scratch: &Path, name: &str) -> Result<PathBuf, String> {
    let path = scratch.join(name);
    std::fs::create_dir_all(&path).map_err(|e| format!("cannot create {}: {e}", path.display()))?;
    Ok(path)
}
