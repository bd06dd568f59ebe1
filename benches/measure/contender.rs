//! Who takes part: a server's program and arguments, what it speaks, where its files lie.

use super::dialect::Dialect;
use loket::server::TCP_SERVICES;
use std::path::{Path, PathBuf};

/// What a bare download loop sends whatever it is asked for.
pub const BIG_FILE: &str = "big.bin";

pub const ROOM_PASSWORD: &str = "x";

/// One server that takes part.
#[derive(Clone)]
pub struct Contender {
    pub label: &'static str,
    pub program: PathBuf,
    pub args: Vec<String>,
    pub door: Door,
    pub dialect: Dialect,
    /// Where its uploads land, and its downloads lie.
    pub root: PathBuf,
}

/// How it is known where the server listens.
#[derive(Clone, Copy)]
pub enum Door {
    /// It says so of each service on standard output, as loket does.
    Service(&'static str),
    /// It says so of its only port.
    Only,
    /// It was told to.
    Port(u16),
}

impl Contender {
    /// loket with echo and files, and with the room where it is asked for.
    pub fn loket(service: &'static str, root: &Path, flags: &[&str]) -> Contender {
        let mut words = vec!["-q", "--host", "127.0.0.1", "--echo", "0", "--files", "0"];
        words.extend(["--transfer", "off", "--talk", "off", "--room"]);
        match service {
            "room" => {
                words.extend(["0", "--room-password", ROOM_PASSWORD]);
                words.extend(["--room-rate", "1000000", "--room-per-address", "4096"]);
            }
            _ => words.push("off"),
        }
        words.extend(flags);
        Contender::serving(service, root, &words)
    }

    /// loket with all its services, and with these flags on top.
    pub fn shown(root: &Path, flags: &[&str]) -> Contender {
        let mut words = flags.to_vec();
        let names = TCP_SERVICES.iter().map(|service| service.name);
        let ports: Vec<_> = names
            .chain(["room"])
            .map(|name| format!("--{name}=0"))
            .collect();
        words.extend(ports.iter().map(String::as_str));
        Contender::serving("echo", root, &words)
    }

    fn serving(service: &'static str, root: &Path, words: &[&str]) -> Contender {
        let root_text = root.display().to_string();
        let args = ["serve", "--root", &root_text];
        let args = args.iter().chain(words);
        Contender {
            label: "loket",
            program: PathBuf::from(env!("CARGO_BIN_EXE_loket")),
            args: args.map(|word| (*word).to_string()).collect(),
            door: Door::Service(service),
            dialect: match service {
                "files" => Dialect::Line,
                _ => Dialect::Echo,
            },
            root: root.to_path_buf(),
        }
    }

    /// One of the loops in `benches/baseline`, run by this very program.
    pub fn bare(label: &'static str, floor: &str, root: &Path) -> Result<Contender, String> {
        let program = std::env::current_exe()
            .map_err(|e| format!("cannot find the path of this very program: {e}"))?;
        let place = match floor {
            "download" => Some(root.join(BIG_FILE)),
            "upload" => Some(root.to_path_buf()),
            _ => None,
        };
        let mut args = vec!["bare".to_string(), floor.to_string(), "0".to_string()];
        args.extend(place.as_ref().map(|place| place.display().to_string()));
        Ok(Contender {
            label,
            program,
            args,
            door: Door::Only,
            dialect: match place {
                Some(_) => Dialect::Line,
                None => Dialect::Echo,
            },
            root: root.to_path_buf(),
        })
    }
}

pub fn folder(scratch: &Path, name: &str) -> Result<PathBuf, String> {
    let path = scratch.join(name);
    std::fs::create_dir_all(&path).map_err(|e| format!("cannot make {}: {e}", path.display()))?;
    Ok(path)
}
