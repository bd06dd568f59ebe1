//! An echo on schedule, a thousand times a second, with other work of this thread between beats.
//! Counts from the scheduled moment: an echo that keeps the next one waiting counts twice.
//!
//! The host of a virtual machine takes both cores away for milliseconds, and tells nobody. While
//! our own end stands still it sees no answer either: such echoes are not a number, and counted.

use super::Limit;
use super::load::connect;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

const SIZE: usize = 64;
const EVERY: Duration = Duration::from_millis(1);
/// Between two looks of ours at the connection; a step of other work takes a sixth of it.
const STANDSTILL: Duration = Duration::from_micros(300);

pub struct Pulse(TcpStream);

impl Pulse {
    pub fn connect(at: SocketAddr) -> Result<Pulse, String> {
        connect(at).map(Pulse)
    }

    /// Beats for so long; between two looks at it, `step` does a short piece of something else.
    pub fn beat(
        &self,
        time: Duration,
        step: impl FnMut() -> Result<(), String>,
    ) -> Result<Vec<f64>, String> {
        let until = Instant::now() + time;
        self.beat_while(|| Instant::now() < until, step)
    }

    /// The same, until something is over. Latencies are in microseconds, those that were not seen
    /// are not a number. A step longer than 50 us would show in the latencies.
    pub fn beat_while(
        &self,
        goes_on: impl Fn() -> bool,
        mut step: impl FnMut() -> Result<(), String>,
    ) -> Result<Vec<f64>, String> {
        let limit = Limit::new();
        let start = Instant::now() + EVERY;
        let (mut sent, mut got) = (0, 0);
        let mut times = Vec::new();
        let (mut looked, mut stood_until) = (Instant::now(), None);
        loop {
            limit.check()?;
            let more = goes_on();
            let now = Instant::now();
            if now - looked > STANDSTILL {
                stood_until = Some(now);
            }
            looked = now;
            if more && now >= start + EVERY * sent {
                self.speak()?;
                sent += 1;
            }
            got += self.hear()?;
            while times.len() < got / SIZE {
                let scheduled = start + EVERY * times.len() as u32;
                let unseen = stood_until.is_some_and(|until| scheduled <= until);
                let time = scheduled.elapsed().as_secs_f64() * 1e6;
                times.push(if unseen { f64::NAN } else { time });
            }
            if !more && times.len() == sent as usize && sent > 0 {
                return Ok(times);
            }
            step()?;
        }
    }

    /// For so long nothing but `step`; our end is as slow as when it beats.
    pub fn keep_still(
        &self,
        time: Duration,
        mut step: impl FnMut() -> Result<(), String>,
    ) -> Result<(), String> {
        let limit = Limit::new();
        let until = Instant::now() + time;
        while Instant::now() < until {
            limit.check()?;
            self.hear()?;
            step()?;
        }
        Ok(())
    }

    fn speak(&self) -> Result<(), String> {
        match send(&self.0, &[b'x'; SIZE], SendFlags::NOSIGNAL) {
            Ok(SIZE) => Ok(()),
            other => Err(format!("an echo of {SIZE} bytes was not taken: {other:?}")),
        }
    }

    fn hear(&self) -> Result<usize, String> {
        match recv(&self.0, &mut [0; 4096][..], RecvFlags::empty()) {
            Ok((0, _)) => Err("the server ended the echo connection".to_string()),
            Ok((got, _)) => Ok(got),
            Err(Errno::AGAIN) => Ok(0),
            Err(e) => Err(format!("cannot read an echo: {e}")),
        }
    }
}
