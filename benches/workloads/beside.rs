//! The latency of an echo beside other work of the same server: 1,000 messages a second on their
//! schedule, while a generator of lower priority loads the same server.

use super::Suite;
use super::files::write_file;
use super::report::GoalResult;
use crate::measure::contender::{Contender, folder};
use crate::measure::generator::{self, Background};
use crate::measure::pinning;
use crate::measure::server::Server;
use crate::measure::spread::{Bound, Spread};
use crate::mount::{self, Mount};
use rustix::fs::{Advice, fadvise};
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::num::NonZeroU64;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What the other work meets.
#[derive(Clone, Copy, PartialEq)]
enum Course {
    Plain,
    /// A file, or a folder, that is dropped from memory again and again.
    ColdFile,
    ColdFolder,
    /// A mount that stops answering. It stops between two requests: it needs a load with a rate.
    StalledMount,
    /// A mount that is slow to tell attributes.
    SlowMount,
}

/// The work beside the echo, the flags of the server and of the generator, the course, and the p99
/// in milliseconds.
type Row = (&'static str, &'static str, &'static str, Course, f64);

#[rustfmt::skip] // a table
const ROWS: [Row; 5] = [
    ("nothing", "", "", Course::Plain, 0.5),
    ("8 downloads", "", "http -c 8 --path /big --discard", Course::Plain, 0.5),
    ("8 durable uploads", "", "http --put -c 8 -s 16M", Course::Plain, 0.5),
    ("a cold file", "", "http -c 1 --path /big --discard", Course::ColdFile, 0.5),
    ("a stalled mount", "", "http -c 8 -r 20 --path /small", Course::StalledMount, 0.5),
];

#[rustfmt::skip] // a table
const STALLS: [Row; 12] = [
    ("8 uploads of 256 MiB", "", "http --put -c 8 -s 256M", Course::Plain, 5.0),
    ("8 uploads without sync", "--no-sync", "http --put -c 8 -s 256M", Course::Plain, 5.0),
    ("6 uploads of 1 GiB", "", "http --put -c 6 -s 1G", Course::Plain, 5.0),
    ("uploads and downloads", "", "http --mix -c 8 -s 64M --discard", Course::Plain, 5.0),
    ("a cold file, 20 readers", "", "http -c 20 --path /big --discard", Course::ColdFile, 5.0),
    ("a cold file, 300 readers", "", "http -c 300 --path /big --discard", Course::ColdFile, 5.0),
    ("a cold folder", "", "http -c 1 --path /many/", Course::ColdFolder, 5.0),
    ("stalled downloads", "", "http -c 8 -r 5 --path /big --discard", Course::StalledMount, 5.0),
    ("stalled uploads", "", "http --put -c 8 -r 5 -s 4M", Course::StalledMount, 5.0),
    ("stalled commits", "", "http --put -c 8 -r 20 -s 4K", Course::StalledMount, 5.0),
    ("stalled lists", "", "http -c 8 -r 5 --path /many/", Course::StalledMount, 5.0),
    // Otherwise the server looks for the files of a crash in all folders before it serves.
    ("slow look-ups", "--read-only", "http -c 20 --path /small", Course::SlowMount, 5.0),
];

const BIG: u64 = 64 << 20;
const ENTRIES: usize = 20_000;
/// In a quiet round, the server and the echo's client wait for a core for less than this share.
const QUIET: f64 = 0.003;
/// Between two drops of a cold folder.
const DROPS: Duration = Duration::from_millis(20);
/// A cold file is dropped in pieces: dropping all of it would delay the echo's client by 6 ms if
/// they share a core, and a piece by 0.2 ms.
const PIECE: NonZeroU64 = NonZeroU64::new(1 << 20).unwrap();
const PAUSE: Duration = Duration::from_millis(5);
/// Bytes that loads without a slow disk must move in a second: a tenth of what a slow disk writes.
const LEAST_MOVED: u64 = 4 << 20;
/// The generator of the other work needs this time to prepare, and works longer than the echo.
const PREPARES: Duration = Duration::from_millis(700);

pub fn compare(suite: &mut Suite) -> Result<(), String> {
    measure_all(suite, &ROWS)
}

/// More of them, for `scripts/soak stalls`.
pub fn stalls(suite: &mut Suite) -> Result<(), String> {
    measure_all(suite, &STALLS)
}

fn measure_all(suite: &mut Suite, all: &[Row]) -> Result<(), String> {
    let mut rows = Vec::new();
    for row in all {
        let (work, _, flags, course, goal) = *row;
        let title = format!("echo beside {work}");
        if !suite.wants(&title) {
            continue;
        }
        println!("\n{title}");
        let measured = match measure(suite, row) {
            Err(why) if matches!(course, Course::StalledMount | Course::SlowMount) => {
                suite.report.skip(&format!("{title}: {why}"));
                continue;
            }
            measured => measured?,
        };
        let Rounds { quiet, all, .. } = &measured;
        let figures = if quiet.is_empty() { all } else { quiet };
        let spread = Spread::of(figures.iter().copied());
        rows.push(vec![
            work.to_string(),
            spread.map_or("–".to_string(), |all| format!("{:.3}", all.median)),
            spread.map_or("–".to_string(), |all| {
                format!("{:.3} – {:.3}", all.low, all.high)
            }),
            format!("{} of {}", measured.disturbed(), all.len()),
            format!("`{flags}`"),
        ]);
        if !flags.is_empty() {
            suite.report.goal(GoalResult {
                work: title,
                figure: "p99 in ms".to_string(),
                bound: Bound::AtMost(goal),
                spread,
                doubt: measured.doubt(),
            });
        }
    }
    if !rows.is_empty() {
        let header = ["beside", "p99 ms", "spread", "disturbed", "load"];
        let title = "echo, 1,000 messages a second, beside other work";
        suite.report.section(title, &header, &rows);
    }
    Ok(())
}

fn prepare(root: &Path) -> Result<(), String> {
    write_file(&root.join("big"), BIG)?;
    write_file(&root.join("small"), 4_096)?;
    let many = folder(root, "many")?;
    for number in 0..ENTRIES {
        let path = many.join(format!("entry-{number:05}"));
        File::create(&path).map_err(|e| format!("cannot create {}: {e}", path.display()))?;
    }
    Ok(())
}

/// The rounds of a row, with the p99 of each in milliseconds.
#[derive(Default)]
struct Rounds {
    all: Vec<f64>,
    quiet: Vec<f64>,
    /// Rounds in which the other work did not run.
    alone: usize,
}

impl Rounds {
    fn disturbed(&self) -> usize {
        self.all.len() - self.quiet.len()
    }

    /// Why the p99 cannot be judged.
    fn doubt(&self) -> Option<String> {
        if 2 * self.alone > self.all.len() {
            return Some("the other work did not run".to_string());
        }
        (2 * self.disturbed() > self.all.len()).then(|| "the rounds were disturbed".to_string())
    }
}

fn measure(suite: &mut Suite, row: &Row) -> Result<Rounds, String> {
    let (work, serve, _, course, _) = *row;
    let root = folder(&suite.scratch, &work.replace(' ', "-"))?;
    prepare(&root)?;
    let mut served = root.clone();
    let command = match course {
        Course::StalledMount => Some(mount::PLAIN),
        Course::SlowMount => Some(mount::SLOW),
        _ => None,
    };
    let mut mounted = None;
    if let Some(command) = command {
        served = folder(
            &suite.scratch,
            &format!("mounted-{}", work.replace(' ', "-")),
        )?;
        mounted = Some(Mount::new(command, &root, &served)?);
    }
    let flags: Vec<&str> = serve.split_whitespace().collect();
    let mut contender = Contender::loket(&["echo", "http"], &served, &flags);
    contender.above = mounted.as_ref().map_or(String::new(), Mount::inside);
    let server = Server::start(&contender, &suite.scratch)?;
    let mut rounds = Rounds::default();
    let most = suite.rounds();
    for number in 1..=2 * most {
        let more = Duration::from_secs(u64::from(suite.plan.seconds) + 2);
        let is_extra = number > most;
        if rounds.quiet.len() == most || is_extra && !suite.repeats(more) {
            break;
        }
        let round = one_round(suite, &server, row, &root, mounted.as_ref())?;
        let is_quiet = round.waited <= QUIET && round.has_company;
        let mark = match (is_quiet, round.has_company) {
            (true, _) => "",
            (false, true) => ", disturbed",
            (false, false) => ", the other work did not run",
        };
        println!("{number:>4}  p99 {:.3} ms{mark}", round.p99);
        rounds.all.push(round.p99);
        rounds.quiet.extend(is_quiet.then_some(round.p99));
        rounds.alone += usize::from(!round.has_company);
    }
    // A server cannot exit while it waits for a stopped mount.
    drop(mounted);
    Ok(rounds)
}

struct Round {
    p99: f64,
    /// The share of the time in which the server or the echo's client had no core.
    waited: f64,
    /// Whether the other work ran, if there is any.
    has_company: bool,
}

fn one_round(
    suite: &Suite,
    server: &Server,
    &(_, _, flags, course, _): &Row,
    root: &Path,
    mount: Option<&Mount>,
) -> Result<Round, String> {
    let seconds = u64::from(suite.plan.seconds);
    let stopped = mount.filter(|_| course == Course::StalledMount);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            pinning::give_way();
            while !over.load(Ordering::Relaxed) {
                match course {
                    Course::ColdFile => drop_file(&root.join("big")),
                    // Dentries and inodes; only root may do that.
                    Course::ColdFolder => {
                        let _ = std::fs::write("/proc/sys/vm/drop_caches", "2");
                        std::thread::sleep(DROPS);
                    }
                    _ => return,
                }
            }
        });
        let ended = beside(server, flags, course, seconds, stopped);
        over.store(true, Ordering::Relaxed);
        ended
    })
}

fn beside(
    server: &Server,
    flags: &str,
    course: Course,
    seconds: u64,
    mount: Option<&Mount>,
) -> Result<Round, String> {
    let program = Path::new(env!("CARGO_BIN_EXE_loket"));
    let flags = (!flags.is_empty()).then(|| format!("{flags} -d {}", seconds + 1));
    let other = flags.map(|flags| Background::start(program, &flags, server));
    let other = other.transpose()?;
    std::thread::sleep(PREPARES);
    mount.map_or(Ok(()), Mount::stop)?;
    let before = Counters::read(server)?;
    let outcome = generator::run(&format!("echo -c 1 -r 1000 -d {seconds}"), server);
    let after = Counters::read(server);
    mount.inspect(|mount| mount.resume());
    let (outcome, after) = (outcome?, after?);
    let is_alone = other.is_none();
    other.map(Background::finish).transpose()?;
    let has_company = match course {
        _ if is_alone => true,
        Course::StalledMount => after.waiting > 0,
        Course::Plain => after.moved - before.moved >= LEAST_MOVED * seconds,
        _ => after.disk_waits > before.disk_waits,
    };
    let waited = outcome.server_cost().map_or(1.0, |cost| cost.kept_waiting);
    let client = outcome.client_cost().map_or(1.0, |cost| cost.kept_waiting);
    Ok(Round {
        p99: outcome.recorder.all_kinds().value_at_quantile(0.99) as f64 / 1e3,
        waited: waited.max(client),
        has_company,
    })
}

/// Counters of the server, which show whether the other work runs.
struct Counters {
    /// Bytes of bodies that the kernel has moved.
    moved: u64,
    disk_waits: u64,
    /// Connections that wait for a disk now.
    waiting: u64,
}

impl Counters {
    fn read(server: &Server) -> Result<Counters, String> {
        let at = server.address("http")?;
        let request = || {
            let mut stream = TcpStream::connect(at)?;
            stream.set_read_timeout(Some(Duration::from_secs(10)))?;
            let close = "Connection: close\r\n\r\n";
            write!(stream, "GET /-/metrics HTTP/1.1\r\nHost: {at}\r\n{close}")?;
            io::read_to_string(stream.take(1 << 20))
        };
        let text = request().map_err(|e| format!("cannot read the metrics: {e}"))?;
        let get = |name: &str| -> u64 {
            let value = text.lines().find_map(|line| line.strip_prefix(name));
            value
                .and_then(|value| value.trim().parse().ok())
                .unwrap_or(0)
        };
        let bytes = |way| get(&format!("loket_{way}_bytes_total{{via=\"file\"}}"));
        Ok(Counters {
            moved: bytes("received") + bytes("sent"),
            disk_waits: get("loket_disk_waits_total"),
            waiting: get("loket_connections{service=\"http\",state=\"await_disk\"}"),
        })
    }
}

fn drop_file(path: &Path) {
    let Ok(file) = File::open(path) else { return };
    for at in (0..BIG).step_by(PIECE.get() as usize) {
        let _ = fadvise(&file, at, Some(PIECE), Advice::DontNeed);
        std::thread::sleep(PAUSE);
    }
}
