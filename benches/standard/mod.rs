//! The standard set: which loads are measured, each against a server of its own.

mod report;

use crate::measure::contender::{Contender, ROOM_PASSWORD, folder};
use crate::measure::generator::{self, Background};
use crate::measure::server::Server;
use crate::measure::{check_stop, machine, pinning};
use clap::Parser;
use clap::builder::PossibleValuesParser;
use loket::load::report::Outcome;
use loket::load::results::Results;
use report::Report;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The groups, each a section of the report: name, heading, and what its runs do.
#[rustfmt::skip] // a table
pub const GROUPS: [(&str, &str, &str); 10] = [
    ("echo", "Echo", "Messages of 64 bytes."),
    ("http", "HTTP", "GET of files of 4 KiB, and of 16 MiB that the kernel discards."),
    ("send", "Transfer: uploads", "Not synced to disk (`--no-sync`)."),
    ("receive", "Transfer: downloads", "The files are in the page cache."),
    ("durable", "Transfer: synced uploads", "Each file is on the disk before its OK."),
    ("files", "Small files", "4 KiB; uploads are not synced (`--no-sync`)."),
    ("churn", "Churn", "A new connection for each message of 64 bytes."),
    ("room", "Room", "64 bytes to every member; an answer is one copy."),
    ("idle", "Idle", "All connections are open, one of them is active."),
    ("mixed", "Mixed load", "Six generators share a core and a server; the echo has priority."),
];

/// Measures loads against servers that it starts.
#[derive(Parser)]
#[command(name = "scripts/load", after_help = GROUP_HELP)]
pub struct Plan {
    /// Groups to measure [default: all]
    #[arg(value_parser = PossibleValuesParser::new(GROUPS.map(|group| group.0)))]
    #[arg(hide_possible_values = true)]
    pub names: Vec<String>,
    /// One second each and fewer connections, to check that everything runs: one minute in total
    #[arg(long)]
    pub quick: bool,
    /// Seconds of each run [default: 10, five minutes in total]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=9_999))]
    #[arg(
        default_value = "10",
        default_value_if("quick", "true", "1"),
        hide_default_value = true
    )]
    pub seconds: u64,
    /// The loket binary to measure [default: that of this checkout]
    #[arg(long, value_name = "FILE", default_value = env!("CARGO_BIN_EXE_loket"))]
    #[arg(hide_default_value = true)]
    pub binary: PathBuf,
    /// Directory for the report and its files [default: target/load]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Added by `cargo bench`
    #[arg(long, hide = true)]
    bench: bool,
}

const GROUP_HELP: &str = "\
Groups: echo, http, send and receive (the transfer service), durable (synced uploads), files,
churn (a connection for each message), room, idle, mixed (the echo beside all other loads)";

/// One run of a generator.
pub struct Run {
    pub group: &'static str,
    pub name: String,
    pub title: String,
    /// The flags of `loket serve` beside ports and root.
    pub serve: String,
    /// The flags of `loket load` beside address and files.
    pub load: String,
}

fn run_of(group: &'static str, name: &str, title: &str, serve: &str, load: &str) -> Run {
    let [name, title, serve, load] = [name, title, serve, load].map(str::to_string);
    Run {
        group,
        name,
        title,
        serve,
        load,
    }
}

/// What a run gave.
pub struct Figures {
    pub run: Run,
    pub outcome: Result<Outcome, String>,
    /// Bytes of server memory before the first connection.
    pub base: u64,
}

/// All runs but the mixed load. At most `most` connections fit the limit of open descriptors.
fn runs(quick: bool, most: u64) -> Vec<Run> {
    let mut runs = Vec::new();
    for (count, few) in [(50, 50), (1_000, 200), (10_000, 1_000)] {
        let count = if quick { few } else { count };
        let count = most.min(count);
        let (name, load) = (format!("echo-{count}"), format!("echo -c {count}"));
        runs.push(run_of("echo", &name, "closed loop", "", &load));
    }
    runs.extend(FIXED[..4].iter().map(fixed));
    runs.extend(transfers(quick, most));
    runs.extend(FIXED[4..].iter().map(fixed));
    // Members times messages gives 100,000 copies a second, or 2,000 in the quick set.
    for (members, rate) in match quick {
        true => [(20, 100), (50, 40)],
        false => [(100, 1_000), (1_000, 100)],
    } {
        let name = format!("room-{members}");
        let title = format!("{rate} messages a second");
        let load = format!("room -m {members} -r {rate}");
        runs.push(run_of("room", &name, &title, "", &load));
    }
    let count = if quick { most.min(1_000) } else { most };
    let serve = format!("--max-connections {}", count + 100);
    let load = format!("idle -c {count} -r 100");
    let title = "one active, 100 messages a second";
    runs.push(run_of("idle", "idle", title, &serve, &load));
    runs
}

/// Runs that are the same in the quick set: group, name, title, and the flags of both sides.
#[rustfmt::skip] // a table
const FIXED: [[&str; 5]; 8] = [
    ["echo", "echo-rate", "1,000 messages a second", "", "echo -c 50 -r 1000"],
    ["http", "http-get", "4 KiB, kept connections", "", "http -c 64"],
    ["http", "http-close", "4 KiB, one connection each", "", "http -c 64 --close"],
    ["http", "http-large", "16 MiB", "", "http -c 8 -s 16M --discard"],
    ["files", "files-all", "all commands, kept connections", "--no-sync", "files -s 4K"],
    ["files", "files-reconnect", "one connection each", "--no-sync", "files -s 4K --reconnect"],
    ["files", "files-download", "downloads", "--no-sync", "files -s 4K --only download"],
    ["churn", "churn", "connect, one message, close", "", "churn"],
];

fn fixed([group, name, title, serve, load]: &[&'static str; 5]) -> Run {
    run_of(group, name, title, serve, load)
}

/// Uploads and downloads of the transfer service. The files of one run need at most 1 GiB, with any
/// number of connections.
fn transfers(quick: bool, most: u64) -> Vec<Run> {
    let mut runs = Vec::new();
    for (group, flag) in [("send", "--send"), ("receive", "--receive")] {
        for (count, size) in match quick {
            true => [(1, "4M"), (8, "1M"), (64, "64K")],
            false => [(1, "64M"), (64, "16M"), (1_000, "1M")],
        } {
            let (name, title) = (format!("{group}-{count}"), format!("{size}iB each"));
            let load = format!("transfer {flag} -c {} -s {size}", most.min(count));
            runs.push(run_of(group, &name, &title, "--no-sync", &load));
        }
    }
    let (count, size) = if quick { (8, "64K") } else { (64, "1M") };
    let load = format!("transfer --send -c {count} -s {size}");
    let title = format!("{size}iB each, synced");
    runs.push(run_of("durable", "durable", &title, "", &load));
    runs
}

/// The loads beside the echo of the mixed load: name, title and flags.
const BESIDE: [(&str, &str); 5] = [
    ("downloads of 16 MiB", "transfer --receive -c 8 -s 16M"),
    ("uploads of 4 MiB", "transfer --send -c 8 -s 4M"),
    ("small files, all commands", "files -c 20 -s 4K"),
    ("room, 50 messages a second", "room -m 100 -r 50"),
    ("churn", "churn -c 10"),
];

/// Generators need up to a second to prepare.
const PREPARES: Duration = Duration::from_secs(1);

/// Makes all runs and writes the report, which also lists the failures.
pub fn run(plan: &Plan) -> Result<(), String> {
    let out = match &plan.out {
        Some(out) => out.clone(),
        None => Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("load"),
    };
    let tried = |e: std::io::Error| format!("cannot write to {}: {e}", out.display());
    std::fs::create_dir_all(&out).map_err(tried)?;
    let lock = File::create(out.join("lock")).map_err(tried)?;
    let locked = lock.try_lock();
    locked.map_err(|e| format!("another scripts/load is writing to {}: {e}", out.display()))?;
    let machine = machine();
    pinning::pin_load()?;
    let limit = pinning::raise_fd_limit()?.min(20_000);
    // Server and client need some descriptors for themselves.
    let most = if limit > 2_000 {
        limit - 1_000
    } else {
        limit / 2
    };
    let mut set = Set {
        plan,
        out: &out,
        report: Report::default(),
    };
    for run in runs(plan.quick, most) {
        if set.wants(run.group) {
            check_stop()?;
            set.one(run);
        }
    }
    if set.wants("mixed") {
        set.mixed()?;
    }
    check_stop()?;
    set.report.write(&out, &machine, plan)
}

struct Set<'a> {
    plan: &'a Plan,
    out: &'a Path,
    report: Report,
}

impl Set<'_> {
    fn wants(&self, group: &str) -> bool {
        self.plan.names.is_empty() || self.plan.names.iter().any(|name| name == group)
    }

    /// Each run has its own server, so that memory of an earlier run does not count.
    fn serve(&self, flags: &str, name: &str) -> Result<(Server, tempfile::TempDir), String> {
        let root = tempfile::Builder::new()
            .prefix("root.")
            .tempdir_in(self.out);
        let root = root.map_err(|e| format!("cannot create a folder: {e}"))?;
        let flags: Vec<&str> = flags.split_whitespace().collect();
        let services = ["echo", "transfer", "files", "http", "room"];
        let server = Contender::of(&self.plan.binary, &services, root.path(), &flags);
        let logs = folder(self.out, name)?;
        Ok((Server::start(&server, &logs)?, root))
    }

    /// One generator against one server. A failure is reported, and the next run starts.
    fn one(&mut self, run: Run) {
        println!("{}, {}: loket load {}", run.group, run.title, run.load);
        match self.serve(&run.serve, &run.name) {
            Ok((server, root)) => {
                self.measure(run, &server);
                self.stop(server);
                drop(root);
            }
            Err(why) => self.report.failures.push(why),
        }
    }

    fn stop(&mut self, server: Server) {
        let log = std::fs::read_to_string(&server.log).unwrap_or_default();
        let name = server.log.display().to_string();
        if let Err(why) = server.stop() {
            self.report.failures.push(format!("{why}; see {name}"));
        }
        self.report.add_log(&log);
    }

    fn measure(&mut self, run: Run, server: &Server) {
        let base = server.sample().map_or(0, |sample| sample.memory);
        let outcome = self.generate(&run, server);
        match &outcome {
            Ok(outcome) => print!("{}", outcome.table()),
            Err(why) => println!("  FAILED: {why}"),
        }
        self.report.figures.push(Figures { run, outcome, base });
    }

    fn generate(&self, run: &Run, server: &Server) -> Result<Outcome, String> {
        let flags = format!("{} -d {}", with_password(&run.load), self.plan.seconds);
        let mut settings = generator::settings(&flags, server)?;
        settings.json = Some(self.out.join(format!("{}.json", run.name)));
        settings.plot = Some(self.out.join(format!("{}.svg", run.name)));
        let results = Results::open(&settings).map_err(|e| e.to_string())?;
        let outcome = generator::run_with(settings)?;
        results.write(&outcome).map_err(|e| e.to_string())?;
        Ok(outcome)
    }

    /// The generators share a core. To measure the latency of the server and not of the echo's
    /// client, the others get the core only when it is free; they run 3 s longer than the echo.
    fn mixed(&mut self) -> Result<(), String> {
        let (server, root) = self.serve("--no-sync", "mixed")?;
        let echo = |name, title| run_of("mixed", name, title, "--no-sync", "echo -c 10 -r 1000");
        println!("mixed: an echo alone, then with all loads");
        self.measure(echo("mixed-alone", "the echo alone"), &server);
        let mut others = Vec::new();
        for (title, flags) in BESIDE {
            let flags = format!("{} -d {}", with_password(flags), self.plan.seconds + 3);
            others.push((
                title,
                Background::start(&self.plan.binary, &flags, &server)?,
            ));
        }
        std::thread::sleep(PREPARES);
        self.measure(echo("mixed-echo", "the echo with all loads"), &server);
        for (title, other) in others {
            if let Err(why) = other.finish() {
                self.report.failures.push(format!("mixed, {title}: {why}"));
            }
        }
        self.stop(server);
        drop(root);
        Ok(())
    }
}

fn with_password(flags: &str) -> String {
    match flags.starts_with("room ") {
        true => format!("{flags} --password {ROOM_PASSWORD}"),
        false => flags.to_string(),
    }
}
