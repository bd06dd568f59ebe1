//! The latency of an echo beside other work of the same server: 1,000 messages a second on their
//! schedule, while a generator of lower priority loads the same server.

use super::Suite;
use super::files::write_file;
use super::report::GoalResult;
use crate::measure::contender::{Contender, folder};
use crate::measure::generator::{self, Background};
use crate::measure::server::Server;
use crate::measure::spread::{Bound, Spread};
use crate::mount::{self, Mount};
use rustix::fs::{Advice, fadvise};
use std::fs::File;
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
    /// A mount that stops answering.
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
    ("a stalled mount", "", "http -c 8 --path /small", Course::StalledMount, 0.5),
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
    ("stalled downloads", "", "http -c 8 --path /big --discard", Course::StalledMount, 5.0),
    ("stalled uploads", "", "http --put -c 8 -s 4M", Course::StalledMount, 5.0),
    ("stalled commits", "", "http --put -c 8 -s 4K", Course::StalledMount, 5.0),
    ("stalled lists", "", "http -c 8 --path /many/", Course::StalledMount, 5.0),
    // Otherwise the server looks for the files of a crash in all folders before it serves.
    ("slow look-ups", "--read-only", "http -c 20 --path /small", Course::SlowMount, 5.0),
];

const BIG: u64 = 64 << 20;
const ENTRIES: usize = 20_000;
/// In a quiet round, the server and the echo's client wait for a core for less than this share.
const QUIET: f64 = 0.003;
/// Between two drops of a cold file or folder.
const DROPS: Duration = Duration::from_millis(20);
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
        let (p99, disturbed) = measured;
        let spread = Spread::of(p99);
        rows.push(vec![
            work.to_string(),
            spread.map_or("–".to_string(), |all| format!("{:.3}", all.median)),
            spread.map_or("–".to_string(), |all| {
                format!("{:.3} – {:.3}", all.low, all.high)
            }),
            disturbed.to_string(),
            format!("`{flags}`"),
        ]);
        if !flags.is_empty() {
            suite.report.goal(GoalResult {
                work: title,
                figure: "p99 in ms".to_string(),
                bound: Bound::AtMost(goal),
                spread,
            });
        }
    }
    if !rows.is_empty() {
        let header = ["beside", "p99 ms", "spread", "disturbed rounds", "load"];
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

/// The p99 of each quiet round in milliseconds, and the number of disturbed rounds.
fn measure(suite: &Suite, row: &Row) -> Result<(Vec<f64>, usize), String> {
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
    let (mut quiet, mut disturbed) = (Vec::new(), 0);
    for round in 1..=2 * suite.plan.runs {
        if quiet.len() == suite.plan.runs {
            break;
        }
        let (p99, waited) = one_round(suite, &server, row, &root, mounted.as_ref())?;
        let mark = if waited > QUIET { ", disturbed" } else { "" };
        println!("{round:>4}  p99 {p99:.3} ms{mark}");
        match waited > QUIET {
            true => disturbed += 1,
            false => quiet.push(p99),
        }
    }
    // A server cannot exit while it waits for a stopped mount.
    drop(mounted);
    Ok((quiet, disturbed))
}

fn one_round(
    suite: &Suite,
    server: &Server,
    &(_, _, flags, course, _): &Row,
    root: &Path,
    mount: Option<&Mount>,
) -> Result<(f64, f64), String> {
    let seconds = suite.plan.whole_seconds();
    let stopped = mount.filter(|_| course == Course::StalledMount);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                match course {
                    Course::ColdFile => drop_file(&root.join("big")),
                    // Dentries and inodes; only root may do that.
                    Course::ColdFolder => drop(std::fs::write("/proc/sys/vm/drop_caches", "2")),
                    _ => return,
                }
                std::thread::sleep(DROPS);
            }
        });
        let ended = beside(server, flags, seconds, stopped);
        over.store(true, Ordering::Relaxed);
        ended
    })
}

fn beside(
    server: &Server,
    flags: &str,
    seconds: u64,
    mount: Option<&Mount>,
) -> Result<(f64, f64), String> {
    let program = Path::new(env!("CARGO_BIN_EXE_loket"));
    let flags = (!flags.is_empty()).then(|| format!("{flags} -d {}", seconds + 1));
    let other = flags.map(|flags| Background::start(program, &flags, server));
    let other = other.transpose()?;
    std::thread::sleep(PREPARES);
    mount.map_or(Ok(()), Mount::stop)?;
    let outcome = generator::run(&format!("echo -c 1 -r 1000 -d {seconds}"), server);
    mount.inspect(|mount| mount.resume());
    let outcome = outcome?;
    if let Some(other) = other {
        other.finish()?;
    }
    let p99 = outcome.recorder.all_kinds().value_at_quantile(0.99) as f64 / 1e3;
    let waited = outcome.server_cost().map_or(1.0, |cost| cost.kept_waiting);
    let client = outcome.client_cost().map_or(1.0, |cost| cost.kept_waiting);
    Ok((p99, waited.max(client)))
}

fn drop_file(path: &Path) {
    if let Ok(file) = File::open(path) {
        let _ = fadvise(&file, 0, None, Advice::DontNeed);
    }
}
