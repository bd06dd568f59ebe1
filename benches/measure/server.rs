//! A server process to measure: start, ports, CPU and memory, stop.

use super::Limit;
use super::contender::{Contender, PortSource};
use super::dialect::Dialect;
use super::pinning::SERVER_CORE;
use super::processes::{CpuTime, Processes, field};
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
/// Time between SIGTERM and SIGKILL.
const END_LIMIT: Duration = Duration::from_secs(3);

pub struct Server {
    pub label: &'static str,
    pub at: SocketAddr,
    pub dialect: Dialect,
    output: Vec<String>,
    child: Child,
    /// Kept open: a server that prints later must not get SIGPIPE.
    stdout: ChildStdout,
}

impl Server {
    /// Starts the server on its core and waits until it listens.
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
        let stdout = child.stdout.take().expect("standard output is piped");
        let mut server = Server {
            label,
            at: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            dialect: contender.dialect,
            output: Vec::new(),
            child,
            stdout,
        };
        let port = server.wait_for_port(contender.port).map_err(|e| {
            let log = std::fs::read_to_string(&log).unwrap_or_default();
            let first_lines = log.lines().take(20).collect::<Vec<_>>().join("\n  ");
            format!("{label} on core {SERVER_CORE}: {e}; its log:\n  {first_lines}")
        })?;
        server.at.set_port(port);
        Ok(server)
    }

    /// Waits until the server listens, and returns its port.
    fn wait_for_port(&mut self, source: PortSource) -> Result<u16, String> {
        let tried = |e| format!("cannot read its standard output: {e}");
        ioctl_fionbio(&self.stdout, true).map_err(|e| tried(e.into()))?;
        let until = Instant::now() + START_LIMIT;
        let limit = Limit::new();
        let is_open = |port| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
        let (mut read, mut buffer) = (Vec::new(), [0; 1024]);
        loop {
            limit.check()?;
            match self.stdout.read(&mut buffer) {
                Ok(got) => read.extend_from_slice(&buffer[..got]),
                Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                Err(e) => return Err(tried(e)),
            }
            let whole = String::from_utf8_lossy(&read);
            let complete = whole.rfind('\n').map_or("", |end| &whole[..end]);
            self.output = complete.lines().map(String::from).collect();
            let is_ready = |line: &String| line == "ready" || line.starts_with("listening on ");
            match source {
                PortSource::Fixed(port) if is_open(port) => return Ok(port),
                PortSource::Single | PortSource::Service(_) if self.output.iter().any(is_ready) => {
                    let port = port_of(&self.output, source);
                    return port.ok_or_else(|| format!("no port in its output {:?}", self.output));
                }
                _ => {}
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("exited before it was ready: {status}"));
            }
            if Instant::now() > until {
                return Err(format!("not ready after {} s", START_LIMIT.as_secs()));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The address of one of its services.
    pub fn address(&self, service: &'static str) -> Result<SocketAddr, String> {
        let port = port_of(&self.output, PortSource::Service(service))
            .ok_or_else(|| format!("{} printed no port for {service}", self.label))?;
        Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
    }

    /// The server and its descendants.
    pub fn processes(&self) -> Result<Processes, String> {
        Processes::under(self.child.id())
    }

    /// Open descriptors of the server, without its descendants.
    pub fn descriptors(&self) -> Result<usize, String> {
        let path = format!("/proc/{}/fd", self.child.id());
        let list = std::fs::read_dir(&path).map_err(|e| format!("cannot list {path}: {e}"))?;
        Ok(list.count())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let descendants = self.processes().map(|all| all.descendants());
        stop(&mut self.child);
        // Most have exited already. A pidfd never refers to another process.
        for process in descendants.unwrap_or_default() {
            let _ = pidfd_send_signal(&process, Signal::KILL);
        }
    }
}

/// CPU time of a server during a run, and how much other programs disturbed the run.
pub struct Meter<'a> {
    server: &'a Server,
    start: Instant,
    spent: CpuTime,
    client_wait: f64,
}

impl<'a> Meter<'a> {
    /// CPU times are read while the server sleeps: they do not include a running time slice.
    pub fn start(server: &'a Server) -> Result<Meter<'a>, String> {
        settle();
        let spent = server.processes()?.cpu_time()?;
        Ok(Meter {
            server,
            start: Instant::now(),
            spent,
            client_wait: client_wait(),
        })
    }

    /// Must be called right after the last byte; `amount` is the work done during the run.
    pub fn stop(self, amount: f64) -> Result<Sample, String> {
        let wall = self.start.elapsed().as_secs_f64();
        let client_wait = client_wait() - self.client_wait;
        settle();
        let (spent, waited) = self.server.processes()?.cpu_time()?.since(&self.spent);
        Ok(Sample {
            rate: amount / wall,
            cpu: spent / amount,
            busy: spent / wall,
            disturbed: waited.max(client_wait) / wall,
        })
    }

    /// Like `stop`, with the CPU time in microseconds.
    pub fn stop_micros(self, amount: f64) -> Result<Sample, String> {
        let sample = self.stop(amount)?;
        let cpu = sample.cpu * 1e6;
        Ok(Sample { cpu, ..sample })
    }
}

/// Seconds in which this process was runnable but had no core.
fn client_wait() -> f64 {
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    field(&text, 1).unwrap_or(0.0) / 1e9
}

/// Lets the server finish its work.
fn settle() {
    std::thread::sleep(Duration::from_millis(20));
}

fn stop(child: &mut Child) {
    // The id is valid until the child is waited for.
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

/// Parses `echo listening on tcp 127.0.0.1:8080`, or `listening on 8080` of a baseline.
fn port_of(output: &[String], source: PortSource) -> Option<u16> {
    let head = match source {
        PortSource::Fixed(_) | PortSource::Single => "listening on ".to_string(),
        PortSource::Service(service) => format!("{service} listening on "),
    };
    let line = output.iter().find_map(|line| line.strip_prefix(&head))?;
    line.rsplit([':', ' ']).next()?.parse().ok()
}
