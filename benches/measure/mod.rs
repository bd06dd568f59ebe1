//! What every measurement shares: who runs against whom, in what order, pinned where, until when.
//! Knows no wire bytes; those are in the load of each kind.

pub mod idle;
pub mod room;
pub mod room_beside_echo;

mod crowd;
mod download;
mod echo;
pub mod load;
pub mod server;
pub mod table;
mod upload;

use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_setaffinity};
use server::Server;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

pub const SERVER_CORE: usize = 0;
pub const LOAD_CORE: usize = 1;

/// No run may take longer than this; a hung server is an error, not a wait.
const RUN_LIMIT: Duration = Duration::from_secs(120);

/// What the command line asked for.
pub struct Plan {
    pub runs: usize,
    pub seconds: f64,
    /// The loket program, or `None` for the bare loop in its place.
    pub server: Option<PathBuf>,
}

/// One server that takes part: how it is started, and where its uploads land.
pub struct Contender {
    label: &'static str,
    program: PathBuf,
    args: Vec<String>,
    service: &'static str,
    root: PathBuf,
}

impl Contender {
    /// The contenders of one kind: the one in question first, then the floors.
    pub fn of(kind: &str, plan: &Plan, scratch: &Path) -> Result<Vec<Contender>, String> {
        let floors: &[&'static str] = match kind {
            "download" => &["download"],
            "upload" => &["upload", "upload-splice"],
            "room" | "room-beside-echo" => &["room"],
            _ => &["echo"],
        };
        let mut all = vec![match &plan.server {
            Some(program) => Contender::loket(program, kind, scratch)?,
            None => Contender::bare("bare again", floors[0], scratch)?,
        }];
        for &floor in floors {
            let label = if floor == "upload-splice" {
                "bare splice"
            } else {
                "bare"
            };
            all.push(Contender::bare(label, floor, scratch)?);
        }
        Ok(all)
    }

    /// loket with all its services, and with these flags on top.
    pub fn shown(root: PathBuf, flags: &[&str]) -> Contender {
        let mut args = vec!["serve".to_string(), "--root".to_string()];
        args.push(root.display().to_string());
        for service in ["--echo", "--transfer", "--files", "--talk", "--room"] {
            args.extend([service.to_string(), "0".to_string()]);
        }
        args.extend(flags.iter().map(|flag| flag.to_string()));
        Contender {
            label: "loket",
            program: PathBuf::from(env!("CARGO_BIN_EXE_loket")),
            args,
            service: "echo",
            root,
        }
    }

    fn loket(program: &Path, kind: &str, scratch: &Path) -> Result<Contender, String> {
        let root = folder(scratch, "loket")?;
        let mut args: Vec<String> = ["serve", "-q", "--host", "127.0.0.1", "--root"]
            .into_iter()
            .map(String::from)
            .collect();
        args.push(root.display().to_string());
        for service in ["--echo", "--transfer", "--files"] {
            args.extend([service.to_string(), "0".to_string()]);
        }
        let service = match kind {
            "echo" | "idle" => "echo",
            "room" | "room-beside-echo" => "room",
            _ => "files",
        };
        let room = if service == "room" { "0" } else { "off" };
        args.extend(["--talk", "off", "--room", room].map(String::from));
        if service == "room" {
            let open = ["--room-password", crowd::PASSWORD, "--room-rate", "1000000"];
            args.extend(open.map(String::from));
        }
        Ok(Contender {
            label: "loket",
            program: program.to_path_buf(),
            args,
            service,
            root,
        })
    }

    fn bare(label: &'static str, floor: &str, scratch: &Path) -> Result<Contender, String> {
        let program = std::env::current_exe()
            .map_err(|e| format!("cannot find the path of this very program: {e}"))?;
        let root = folder(scratch, &label.replace(' ', "-"))?;
        let mut args = vec!["bare".to_string(), floor.to_string(), "0".to_string()];
        match floor {
            "download" => args.push(root.join(download::NAME).display().to_string()),
            "echo" | "room" => {}
            _ => args.push(root.display().to_string()),
        }
        Ok(Contender {
            label,
            program,
            args,
            service: server::BARE,
            root,
        })
    }
}

fn folder(scratch: &Path, name: &str) -> Result<PathBuf, String> {
    let path = scratch.join(name);
    std::fs::create_dir_all(&path).map_err(|e| format!("cannot make {}: {e}", path.display()))?;
    Ok(path)
}

/// Starts all, then lets them run one after the other, round after round.
pub fn in_turn(
    kind: &str,
    plan: &Plan,
    contenders: &[Contender],
    scratch: &Path,
) -> Result<(), String> {
    let table = match kind {
        "echo" => echo::table(plan.seconds),
        "download" => download::table(),
        _ => upload::table(),
    };
    if kind == "download" {
        contenders
            .iter()
            .try_for_each(|contender| download::prepare(&contender.root))?;
    }
    let mut servers = Vec::new();
    for contender in contenders {
        servers.push(Server::start(contender, scratch)?);
    }
    take_turns(kind, plan, contenders, table, |index| match kind {
        "echo" => echo::run(&servers[index], plan.seconds),
        "download" => download::run(&servers[index]),
        _ => upload::run(&servers[index], &contenders[index].root),
    })
}

/// Round after round, a run of each contender by its index; a disturbed one is taken again.
fn take_turns(
    kind: &str,
    plan: &Plan,
    contenders: &[Contender],
    mut table: table::Table,
    mut run: impl FnMut(usize) -> Result<table::Sample, String>,
) -> Result<(), String> {
    // On a machine that is never quiet the report says so instead of taking for ever.
    let mut repeats = plan.runs * contenders.len();
    table.begin();
    for round in 1..=plan.runs {
        for (index, contender) in contenders.iter().enumerate() {
            let mut once = || run(index).map_err(|e| format!("{kind} of {}: {e}", contender.label));
            let mut sample = once()?;
            while sample.is_disturbed() && repeats > 0 {
                repeats -= 1;
                table.again(contender.label, sample);
                sample = once()?;
            }
            table.add(round, contender.label, sample);
        }
    }
    table.end();
    Ok(())
}

/// Puts this process on one core, and with it everything that it starts.
pub fn pin_to(core: usize) -> Result<(), String> {
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set).map_err(|e| format!("cannot move to core {core}: {e}"))
}

/// Becomes the program that the words name, on the server's core, and dies with its parent.
pub fn pinned(words: &[String]) -> Result<(), String> {
    let [program, args @ ..] = words else {
        return Err("pinned needs a program".to_string());
    };
    pin_to(SERVER_CORE)?;
    rustix::process::set_parent_process_death_signal(Some(Signal::TERM))
        .map_err(|e| format!("cannot ask to die with the parent: {e}"))?;
    Err(format!(
        "cannot start {program}: {}",
        Command::new(program).args(args).exec()
    ))
}

/// Thousands of connections at both ends: every process that starts here inherits the limit.
pub fn raise_descriptor_limit() -> Result<(), String> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, raised).map_err(|e| {
        let most = limit.maximum;
        format!("cannot raise the descriptor limit to {most:?}: {e}")
    })
}

/// What a reader has to know of the machine to compare two reports.
pub fn machine() -> String {
    let read = |path: &str| {
        std::fs::read_to_string(path)
            .unwrap_or_default()
            .trim()
            .to_string()
    };
    let control = read("/proc/sys/net/ipv4/tcp_congestion_control");
    let mut text = format!(
        "Linux {}; server on core {SERVER_CORE}, load on core {LOAD_CORE}; loopback; \
         congestion control {control}; load average {}\n\
         Server CPU is the column to trust: the throughput also hangs on the load client.",
        read("/proc/sys/kernel/osrelease"),
        read("/proc/loadavg"),
    );
    if control == "bbr" {
        text.push_str(
            "\nbbr paces even loopback: downloads jump between two regimes, 3 times \
             apart, whatever the server does. Take bulk ratios with --congestion reno.",
        );
    }
    text
}

static STOP: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// Turns SIGINT and SIGTERM into an ordinary error, so that servers and files are cleared away.
pub fn stop_on_signals() -> Result<(), String> {
    let flag = STOP.get_or_init(Default::default);
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(flag))
            .map_err(|e| format!("cannot catch signal {signal}: {e}"))?;
    }
    Ok(())
}

/// The end of patience of one run.
pub struct Limit(Instant);

impl Limit {
    pub fn new() -> Limit {
        Limit(Instant::now() + RUN_LIMIT)
    }

    pub fn check(&self) -> Result<(), String> {
        if STOP.get().is_some_and(|flag| flag.load(Ordering::Relaxed)) {
            return Err("stopped by a signal".to_string());
        }
        if Instant::now() > self.0 {
            return Err(format!("not done within {} s", RUN_LIMIT.as_secs()));
        }
        Ok(())
    }
}
