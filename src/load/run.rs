//! Runs `loket load`: checks the settings, measures, and writes table, JSON and plot.

use super::dialer::{self, TcpDialer};
use super::driver::Driver;
use super::echo::EchoRequests;
use super::errors::{LoadError, reason};
use super::expect::ExpectedReplies;
use super::files::FilesRequests;
use super::http::{HttpRequests, HttpTarget};
use super::redis::RedisRequests;
use super::report::Outcome;
use super::requests::Requests;
use super::results::Results;
use super::room_driver::RoomDriver;
use super::settings::{Settings, Work};
use super::test_data::TestData;
use super::transfer::TransferRequests;
use crate::reactor::fd_limit::raise_limit;
use std::collections::VecDeque;
use std::io::Write;
use std::net::SocketAddr;
use std::rc::Rc;

/// Makes a run, prints its report, then writes the result files, and returns the exit status. The
/// report is printed first, so that an error of a file does not lose it.
pub fn run(settings: Settings, report: &mut impl Write) -> Result<u8, LoadError> {
    check(&settings)?;
    let results = Results::open(&settings)?;
    let servers = dialer::resolve(&settings.at)?;
    let outcome = measure(settings, servers)?;
    // Ignore a closed standard output.
    let _ = report
        .write_all(outcome.table().as_bytes())
        .and_then(|()| report.flush());
    results.write(&outcome)?;
    Ok(outcome.status())
}

/// Makes a run against the first of these addresses that has a server.
pub fn measure(settings: Settings, servers: VecDeque<SocketAddr>) -> Result<Outcome, LoadError> {
    raise_fd_limit(&settings)?;
    let run = run_name()?;
    let failed = |error: std::io::Error| {
        let why = reason(&error);
        LoadError::failure(format!("cannot prepare the run: {why}; try again"))
    };
    let data = TestData::new(settings.limits.period).map_err(failed)?;
    if let Work::Room { password, .. } = &settings.work {
        let password = password.clone();
        return RoomDriver::new(settings, servers, run, password, data)
            .map_err(failed)?
            .run();
    }
    let data = Rc::new(data);
    let http = http_target(&settings, &data).map_err(failed)?;
    let workers = (0..settings.connections)
        .map(|worker| requests(&settings, &run, worker, &data, http.as_ref()));
    let workers = workers.collect();
    let dialer = TcpDialer::new(servers, settings.limits.sources);
    let driver = Driver::new(settings, dialer, workers).map_err(failed)?;
    let mut outcome = driver.run()?;
    if let Some(target) = http {
        outcome.body_check = target.body_check();
    }
    Ok(outcome)
}

/// Rejects settings that no server could satisfy.
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
    let in_flight = size.saturating_mul((settings.pipeline * connections) as u64);
    if in_memory && in_flight > limits.in_flight {
        return Err(LoadError::usage(format!(
            "{in_flight} bytes of messages would be in flight, and at most {} fit in memory; \
             use fewer connections or smaller messages",
            limits.in_flight
        )));
    }
    if server
        .as_ref()
        .is_some_and(|server| server.sample().is_none())
    {
        return Err(LoadError::usage(
            "cannot read the CPU time of the server: --server-pid is no process here, or \
             belongs to another user; give the PID of the server, or omit the flag",
        ));
    }
    // The last member has the longest name.
    let name = format!("load-{:08x}-{}: ", 0, connections - 1).len() as u64;
    if matches!(work, Work::Room { .. }) && name + size > limits.datagram as u64 {
        return Err(LoadError::usage(format!(
            "a message of {size} bytes does not fit the {} bytes of a datagram; use at most \
             {}",
            limits.datagram,
            limits.datagram as u64 - name
        )));
    }
    Ok(())
}

/// Raises the limit of open descriptors, and checks that it is enough.
fn raise_fd_limit(settings: &Settings) -> Result<(), LoadError> {
    let wanted = settings.connections + settings.limits.descriptor_reserve;
    match raise_limit() {
        Some(limit) if limit < wanted as u64 => Err(LoadError::usage(format!(
            "{} connections exceed the limit of {limit} open descriptors; raise it with \
             ulimit -n, or use fewer",
            settings.connections
        ))),
        _ => Ok(()),
    }
}

fn requests(
    settings: &Settings,
    run: &str,
    worker: usize,
    data: &Rc<TestData>,
    http: Option<&Rc<HttpTarget>>,
) -> Box<dyn Requests> {
    // Far enough apart that no two workers send the same bytes at the same time.
    let origin = worker as u64 * 104_729;
    let replies = || ExpectedReplies::new(data.clone(), settings.limits.line);
    let name = || format!("{run}-{worker}.bin");
    let size = settings.size;
    match settings.work {
        Work::Http(_) => {
            let target = http.expect("made for this work").clone();
            Box::new(HttpRequests::new(target, worker, &name(), origin))
        }
        Work::Redis => Box::new(RedisRequests::default()),
        Work::Echo | Work::Churn | Work::Idle => {
            Box::new(EchoRequests::new(data.clone(), size, origin))
        }
        Work::Transfer(direction) => Box::new(TransferRequests::new(
            replies(),
            name(),
            size,
            direction,
            origin,
        )),
        Work::Files(only) => Box::new(FilesRequests::new(replies(), name(), size, only, origin)),
        Work::Room { .. } => unreachable!("a room has no connections"),
    }
}

/// What all workers of an HTTP run share.
fn http_target(
    settings: &Settings,
    data: &Rc<TestData>,
) -> std::io::Result<Option<Rc<HttpTarget>>> {
    let Work::Http(work) = &settings.work else {
        return Ok(None);
    };
    let connection = (settings.at.clone(), settings.reconnects);
    let limits = (settings.limits.http, settings.limits.discarded);
    let (work, data) = (work.clone(), data.clone());
    HttpTarget::new(work, connection, settings.size, data, limits).map(Some)
}

/// A random name, so that two concurrent runs do not write the same files.
fn run_name() -> Result<String, LoadError> {
    let mut random = [0; 4];
    getrandom::fill(&mut random)
        .map_err(|error| LoadError::failure(format!("cannot name the run: {error}; try again")))?;
    Ok(format!("load-{:08x}", u32::from_ne_bytes(random)))
}
