//! The echo load: 50 connections, one 64-byte message under way on each, for some seconds.
//! Opens no second message on a connection before the first is back: a closed loop.

use super::load::{Load, connect};
use super::server::{Meter, Server};
use super::table::{Sample, Table};
use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const CONNECTIONS: usize = 50;
const SIZE: usize = 64;
const WARM_UP: Duration = Duration::from_millis(300);

pub fn table(seconds: f64) -> Table {
    Table {
        title: format!(
            "echo: {SIZE}-byte messages, {CONNECTIONS} connections, one under way on each, \
             {seconds} s a run"
        ),
        rate_unit: "messages/s",
        rate_digits: 0,
        cpu_unit: "us CPU/message",
        rows: Vec::new(),
    }
}

struct Peer {
    stream: TcpStream,
    message: [u8; SIZE],
    back: [u8; SIZE],
    got: usize,
}

pub fn run(server: &Server, seconds: f64) -> Result<Sample, String> {
    let mut load = Load::new()?;
    let mut peers = Vec::new();
    for slot in 0..CONNECTIONS {
        let stream = connect(server.at)?;
        // Edge-triggered: a reply is read whole or its rest brings a new edge.
        load.watch(&stream, slot, EventFlags::IN | EventFlags::ET)?;
        peers.push(Peer {
            stream,
            message: [slot as u8; SIZE],
            back: [0; SIZE],
            got: 0,
        });
    }
    phase(&mut load, &mut peers, WARM_UP)?;
    let meter = Meter::start(server)?;
    let count = phase(&mut load, &mut peers, Duration::from_secs_f64(seconds))?;
    let sample = meter.stop(count as f64)?;
    Ok(Sample {
        cpu: sample.cpu * 1e6,
        ..sample
    })
}

/// Keeps every connection going for this long, then waits for what is still under way.
fn phase(load: &mut Load, peers: &mut [Peer], time: Duration) -> Result<u64, String> {
    let until = Instant::now() + time;
    let mut count = 0;
    let mut going = peers.len();
    for peer in peers.iter_mut() {
        speak(peer, 0)?;
    }
    while going > 0 {
        load.wait()?;
        let more = Instant::now() < until;
        for index in 0..load.events() {
            let peer = &mut peers[load.slot(index)];
            if !heard(peer)? {
                continue;
            }
            count += 1;
            if more {
                speak(peer, count)?;
            } else {
                going -= 1;
            }
        }
    }
    Ok(count)
}

fn speak(peer: &mut Peer, serial: u64) -> Result<(), String> {
    peer.message[..8].copy_from_slice(&serial.to_le_bytes());
    match send(&peer.stream, &peer.message, SendFlags::NOSIGNAL) {
        Ok(SIZE) => Ok(()),
        other => Err(format!(
            "a message of {SIZE} bytes was not taken whole: {other:?}"
        )),
    }
}

/// Whether the whole message has come back, unchanged.
fn heard(peer: &mut Peer) -> Result<bool, String> {
    let got = match recv(&peer.stream, &mut peer.back[peer.got..], RecvFlags::empty()) {
        Ok((0, _)) => return Err("the server ended an echo connection".to_string()),
        Ok((got, _)) => got,
        Err(Errno::AGAIN) => return Ok(false),
        Err(e) => return Err(format!("cannot read an echo: {e}")),
    };
    peer.got += got;
    if peer.got < SIZE {
        return Ok(false);
    }
    peer.got = 0;
    if peer.back != peer.message {
        return Err("an echo came back changed".to_string());
    }
    Ok(true)
}
