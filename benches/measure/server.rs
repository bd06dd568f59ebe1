//! A server process under measurement: started, asked for its ports, its costs read, ended.

use super::Limit;
use super::contender::{Contender, Door};
use super::dialect::Dialect;
use super::pinning::SERVER_CORE;
use super::processes::{Processes, Spent, field};
use super::table::Sample;
use rustix::io::ioctl_fionbio;
use rustix::process::{Pid, Signal, kill_process, pidfd_send_signal};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

const START_LIMIT: Duration = Duration::from_secs(10);
/// After SIGTERM; then SIGKILL.
const END_LIMIT: Duration = Duration::from_secs(3);

pub struct Server {
    pub label: &'static str,
    pub at: SocketAddr,
    pub dialect: Dialect,
    said: Vec<String>,
    child: Child,
    /// Kept open, or a server that prints later would meet a closed pipe.
    stdout: ChildStdout,
}

impl Server {
    /// Starts it on its core and comes back when it listens.
    pub fn start(contender: &Contender, scratch: &Path) -> Result<Server, String> {
        let label = contender.label;
        let log = scratch.join(format!("{}.log", label.replace(' ', "-")));
        let tried = |e: std::io::Error| format!("cannot start {label}: {e}");
        let mut child = Command::new(std::env::current_exe().map_err(tried)?)
            .arg("pinned")
            .arg(&contender.program)
            .args(&contender.args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&log).map_err(tried)?)
            .spawn()
            .map_err(tried)?;
        let stdout = child.stdout.take().expect("it is piped");
        let mut server = Server {
            label,
            at: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            dialect: contender.dialect,
            said: Vec::new(),
            child,
            stdout,
        };
        let port = server.listening(contender.door).map_err(|e| {
            let log = std::fs::read_to_string(&log).unwrap_or_default();
            let said = log.lines().take(20).collect::<Vec<_>>().join("\n  ");
            format!("{label} on core {SERVER_CORE}: {e}; it said:\n  {said}")
        })?;
        server.at.set_port(port);
        Ok(server)
    }

    /// The port, as soon as the server listens there.
    fn listening(&mut self, door: Door) -> Result<u16, String> {
        let tried = |e| format!("cannot read its standard output: {e}");
        ioctl_fionbio(&self.stdout, true).map_err(|e| tried(e.into()))?;
        let until = Instant::now() + START_LIMIT;
        let limit = Limit::new();
        let (mut said, mut buffer) = (Vec::new(), [0; 1024]);
        loop {
            limit.check()?;
            match self.stdout.read(&mut buffer) {
                Ok(got) => said.extend_from_slice(&buffer[..got]),
                Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                Err(e) => return Err(tried(e)),
            }
            let whole = String::from_utf8_lossy(&said);
            let complete = whole.rfind('\n').map_or("", |end| &whole[..end]);
            self.said = complete.lines().map(String::from).collect();
            let is_ready = |line: &String| line == "ready" || line.starts_with("listening on ");
            match door {
                Door::Port(port) if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() => {
                    return Ok(port);
                }
                Door::Only | Door::Service(_) if self.said.iter().any(is_ready) => {
                    let port = port_of(&self.said, door);
                    return port.ok_or_else(|| format!("it named no port in {:?}", self.said));
                }
                _ => {}
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("ended before it was ready, with {status}"));
            }
            if Instant::now() > until {
                return Err(format!("not ready after {} s", START_LIMIT.as_secs()));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Where another of its services listens.
    pub fn address(&self, service: &'static str) -> Result<SocketAddr, String> {
        let port = port_of(&self.said, Door::Service(service))
            .ok_or_else(|| format!("{} named no port for {service}", self.label))?;
        Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
    }

    /// The server and all the processes that work for it.
    pub fn processes(&self) -> Result<Processes, String> {
        Processes::under(self.child.id())
    }

    /// Descriptors that it has open itself.
    pub fn descriptors(&self) -> Result<usize, String> {
        let path = format!("/proc/{}/fd", self.child.id());
        let list = std::fs::read_dir(&path).map_err(|e| format!("cannot list {path}: {e}"))?;
        Ok(list.count())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let family = self.processes().map(|all| all.descendants());
        end(&mut self.child);
        // Most have gone with it; a descriptor of a process never means another one.
        for process in family.unwrap_or_default() {
            let _ = pidfd_send_signal(&process, Signal::KILL);
        }
    }
}

/// What a server costs from one moment to another, and whether others were in the way meanwhile.
pub struct Meter<'a> {
    server: &'a Server,
    start: Instant,
    spent: Spent,
    load_waited: f64,
}

impl<'a> Meter<'a> {
    /// Both ends are read while the server sleeps, so that no running slice is missed.
    pub fn start(server: &'a Server) -> Result<Meter<'a>, String> {
        settle();
        let spent = server.processes()?.spent()?;
        Ok(Meter {
            server,
            start: Instant::now(),
            spent,
            load_waited: load_waited(),
        })
    }

    /// Call it as soon as the last byte is there; `amount` is what was done in the time.
    pub fn stop(self, amount: f64) -> Result<Sample, String> {
        let wall = self.start.elapsed().as_secs_f64();
        let load_waited = load_waited() - self.load_waited;
        settle();
        let (spent, waited) = self.server.processes()?.spent()?.since(&self.spent);
        Ok(Sample {
            rate: amount / wall,
            cpu: spent / amount,
            busy: spent / wall,
            disturbed: waited.max(load_waited) / wall,
        })
    }

    /// The same with the CPU in microseconds.
    pub fn stop_micros(self, amount: f64) -> Result<Sample, String> {
        let sample = self.stop(amount)?;
        let cpu = sample.cpu * 1e6;
        Ok(Sample { cpu, ..sample })
    }
}

/// How long this very process has stood in the queue for its core.
fn load_waited() -> f64 {
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    field(&text, 1).unwrap_or(0.0) / 1e9
}

/// Lets the server come to rest.
fn settle() {
    std::thread::sleep(Duration::from_millis(20));
}

fn end(child: &mut Child) {
    // Signals and waits go to this child by its id, which stays taken until it is waited for.
    if let Some(pid) = Pid::from_raw(child.id() as i32)
        && matches!(child.try_wait(), Ok(None))
    {
        let _ = kill_process(pid, Signal::TERM);
        let until = Instant::now() + END_LIMIT;
        while Instant::now() < until && matches!(child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    let _ = child.kill();
    let _ = child.wait();
}

/// `echo listening on tcp 127.0.0.1:8080`, or of a bare loop `listening on 8080`.
fn port_of(said: &[String], door: Door) -> Option<u16> {
    let head = match door {
        Door::Port(_) | Door::Only => "listening on ".to_string(),
        Door::Service(service) => format!("{service} listening on "),
    };
    let place = said.iter().find_map(|line| line.strip_prefix(&head))?;
    place.rsplit([':', ' ']).next()?.parse().ok()
}
