//! Puts a run together, makes it, and hands its figures on: table, JSON and drawing.

use super::dialer::{self, Dialer};
use super::driver::Driver;
use super::echo::Echo;
use super::errors::{LoadError, reason};
use super::expect::Script;
use super::files::Files;
use super::report::Outcome;
use super::requests::Requests;
use super::results::Results;
use super::room_driver::Room;
use super::settings::{Settings, Work};
use super::test_data::Pattern;
use super::transfer::Transfer;
use crate::reactor::fd_limit::raise_limit;
use std::collections::VecDeque;
use std::io::Write;
use std::net::SocketAddr;
use std::rc::Rc;

/// Makes a run, prints its report, and writes its figures into the files that were asked for. The
/// report comes first: files that cannot be written cost nothing else. Tells the exit status.
pub fn run(settings: Settings, report: &mut impl Write) -> Result<u8, LoadError> {
    check(&settings)?;
    let results = Results::open(&settings)?;
    let servers = dialer::resolve(&settings.at)?;
    let outcome = measure(settings, servers)?;
    // Whoever closed our output has seen enough.
    let _ = report
        .write_all(outcome.table().as_bytes())
        .and_then(|()| report.flush());
    results.write(&outcome)?;
    Ok(outcome.status())
}

/// Makes a run at the first of these addresses where the server is.
pub fn measure(settings: Settings, servers: VecDeque<SocketAddr>) -> Result<Outcome, LoadError> {
    make_room(&settings)?;
    let run = name_of_run()?;
    let failed = |error: std::io::Error| {
        let why = reason(&error);
        LoadError::failure(format!("cannot prepare the run: {why}; try again"))
    };
    let pattern = Pattern::new(settings.limits.period).map_err(failed)?;
    if let Work::Room { password, .. } = &settings.work {
        let password = password.clone();
        return Room::new(settings, servers, run, password, pattern)
            .map_err(failed)?
            .run();
    }
    let pattern = Rc::new(pattern);
    let lanes = (0..settings.connections).map(|lane| requests(&settings, &run, lane, &pattern));
    let lanes = lanes.collect();
    let dialer = Dialer::new(servers, settings.limits.sources);
    Driver::new(settings, dialer, lanes).map_err(failed)?.run()
}

/// What cannot be, whatever the server.
fn check(settings: &Settings) -> Result<(), LoadError> {
    let Settings {
        work,
        size,
        connections,
        limits,
        server,
        ..
    } = settings;
    let in_memory = !work.leaves_files();
    let under_way = size.saturating_mul((settings.pipeline * connections) as u64);
    if in_memory && under_way > limits.under_way {
        return Err(LoadError::usage(format!(
            "{under_way} bytes of messages would be under way, and at most {} are kept in memory; \
             ask for fewer connections or smaller messages",
            limits.under_way
        )));
    }
    if server
        .as_ref()
        .is_some_and(|server| server.look().is_none())
    {
        return Err(LoadError::usage(
            "cannot read what the server costs from /proc: --server-pid is no process here, or \
             another user's; give the server's own, or leave the flag out",
        ));
    }
    // The longest name is that of the last member.
    let name = format!("load-{:08x}-{}: ", 0, connections - 1).len() as u64;
    if matches!(work, Work::Room { .. }) && name + size > limits.datagram as u64 {
        return Err(LoadError::usage(format!(
            "a message of {size} bytes does not fit the {} of a room's datagram; ask for at most \
             {}",
            limits.datagram,
            limits.datagram as u64 - name
        )));
    }
    Ok(())
}

/// As many descriptors as the system gives.
fn make_room(settings: &Settings) -> Result<(), LoadError> {
    let wanted = settings.connections + settings.limits.descriptor_reserve;
    match raise_limit() {
        Some(limit) if limit < wanted as u64 => Err(LoadError::usage(format!(
            "{} connections do not fit the limit of {limit} open descriptors; raise it with \
             ulimit -n, or ask for fewer",
            settings.connections
        ))),
        _ => Ok(()),
    }
}

fn requests(
    settings: &Settings,
    run: &str,
    lane: usize,
    pattern: &Rc<Pattern>,
) -> Box<dyn Requests> {
    // Far enough apart that no two connections send the same bytes at the same time.
    let origin = lane as u64 * 104_729;
    let script = || Script::new(pattern.clone(), settings.limits.line);
    let name = || format!("{run}-{lane}.bin");
    let size = settings.size;
    match settings.work {
        Work::Echo | Work::Churn | Work::Idle => Box::new(Echo::new(pattern.clone(), size, origin)),
        Work::Transfer(direction) => {
            Box::new(Transfer::new(script(), name(), size, direction, origin))
        }
        Work::Files(only) => Box::new(Files::new(script(), name(), size, only, origin)),
        Work::Room { .. } => unreachable!("a room has no connections"),
    }
}

/// Two runs at a time do not write the same files.
fn name_of_run() -> Result<String, LoadError> {
    let mut random = [0; 4];
    getrandom::fill(&mut random)
        .map_err(|error| LoadError::failure(format!("cannot name the run: {error}; try again")))?;
    Ok(format!("load-{:08x}", u32::from_ne_bytes(random)))
}
