//! The load of short visits: connect, one exchange, close; some at once, a fixed number a run.
//! Keeps no connection, and makes no more than there are ports, so that none is waited for.

use super::Limit;
use super::dialect::{Asked, Exchange};
use super::load::Load;
use super::server::{Meter, Server};
use super::table::{Sample, Table};
use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use std::net::{Shutdown, TcpStream};

const BUFFER: usize = 16 * 1024;

/// Who closes first.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Leaver {
    Client,
    Server,
    /// The server, when it has answered: it hears at once that nothing more will be asked.
    Asked,
}

/// What one run consists of.
pub struct Shape<'a> {
    pub at_once: usize,
    pub visits: usize,
    pub exchange: Asked<'a, (Exchange, Leaver)>,
}

impl Shape<'_> {
    pub fn table(&self, what: &str, unit: &'static str, cpu_unit: &'static str) -> Table {
        Table::new(
            format!(
                "{what}, {} at once, {} visits a run",
                self.at_once, self.visits
            ),
            (unit, 0),
            cpu_unit,
        )
    }
}

struct Visit {
    stream: TcpStream,
    got: Vec<u8>,
    answered: bool,
}

pub fn run(server: &Server, shape: &Shape) -> Result<Sample, String> {
    let exchange = (shape.exchange)(server.dialect)?;
    round(server, &exchange, shape.at_once, shape.at_once * 4)?;
    let meter = Meter::start(server)?;
    round(server, &exchange, shape.at_once, shape.visits)?;
    meter.stop_micros(shape.visits as f64)
}

fn round(
    server: &Server,
    exchange: &(Exchange, Leaver),
    at_once: usize,
    visits: usize,
) -> Result<(), String> {
    let limit = Limit::new();
    let mut load = Load::new()?;
    let mut buffer = vec![0; BUFFER];
    let mut under_way: Vec<Option<Visit>> = Vec::new();
    let mut left = visits;
    for slot in 0..at_once.min(visits) {
        under_way.push(Some(begin(server, exchange, &load, slot)?));
        left -= 1;
    }
    let mut going = under_way.len();
    while going > 0 {
        limit.check()?;
        load.wait()?;
        for index in 0..load.events() {
            let slot = load.slot(index);
            let Some(visit) = &mut under_way[slot] else {
                continue;
            };
            if !is_over(visit, exchange, &mut buffer)? {
                continue;
            }
            // Closed before the next one is opened.
            under_way[slot] = None;
            if left > 0 {
                left -= 1;
                under_way[slot] = Some(begin(server, exchange, &load, slot)?);
            } else {
                going -= 1;
            }
        }
    }
    Ok(())
}

fn begin(
    server: &Server,
    (exchange, leaver): &(Exchange, Leaver),
    load: &Load,
    slot: usize,
) -> Result<Visit, String> {
    let stream = TcpStream::connect(server.at)
        .map_err(|e| format!("cannot connect to {}: {e}", server.at))?;
    let request = &exchange.request;
    match send(&stream, request, SendFlags::NOSIGNAL) {
        Ok(sent) if sent == request.len() => {}
        other => return Err(format!("a request was not taken whole: {other:?}")),
    }
    if *leaver == Leaver::Asked {
        let ended = stream.shutdown(Shutdown::Write);
        ended.map_err(|e| format!("cannot end a request: {e}"))?;
    }
    load.watch(&stream, slot, EventFlags::IN)?;
    Ok(Visit {
        stream,
        got: Vec::new(),
        answered: false,
    })
}

fn is_over(
    visit: &mut Visit,
    (exchange, leaver): &(Exchange, Leaver),
    buffer: &mut [u8],
) -> Result<bool, String> {
    let got = match recv(&visit.stream, &mut *buffer, RecvFlags::DONTWAIT) {
        Ok((0, _)) if visit.answered => return Ok(true),
        Ok((0, _)) => return Err("the server closed before it had answered".to_string()),
        Ok((got, _)) => got,
        Err(Errno::AGAIN) => return Ok(false),
        Err(e) => return Err(format!("cannot read an answer: {e}")),
    };
    visit.got.extend_from_slice(&buffer[..got]);
    visit.answered = exchange.is_whole(&exchange.request, &visit.got)?;
    Ok(visit.answered && *leaver == Leaver::Client)
}
