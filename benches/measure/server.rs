//! A server process to measure: start on its core, ports, resources, stop.

use super::Limit;
use super::contender::{Contender, PortSource};
use super::pinning::server_core;
use loket::load::proc_stats::{ProcSample, WatchedProcess};
use rustix::io::ioctl_fionbio;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

const START_LIMIT: Duration = Duration::from_secs(10);
/// Time between SIGTERM and SIGKILL; loket closes its connections within 10 s.
const END_LIMIT: Duration = Duration::from_secs(15);

pub struct Server {
    pub label: &'static str,
    /// The address of its echo service, or its only address.
    pub at: SocketAddr,
    pub log: PathBuf,
    port: PortSource,
    output: Vec<String>,
    child: Child,
    /// Kept open: a server that prints later must not get SIGPIPE.
    stdout: ChildStdout,
}

impl Server {
    /// Starts the server on its core and waits until it listens. It ends with this process.
    pub fn start(contender: &Contender, logs: &Path) -> Result<Server, String> {
        let label = contender.label;
        let log = logs.join(format!("{}.log", label.replace(' ', "-")));
        let tried = |e: std::io::Error| format!("cannot start {label}: {e}");
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "TERM", "taskset", "-c"])
            .arg(server_core().to_string())
            .args(contender.above.split_whitespace())
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
            log,
            port: contender.port,
            output: Vec::new(),
            child,
            stdout,
        };
        server.wait_until_ready().map_err(|e| {
            let log = std::fs::read_to_string(&server.log).unwrap_or_default();
            let first_lines = log.lines().take(20).collect::<Vec<_>>().join("\n  ");
            format!(
                "{label} on core {}: {e}; its log:\n  {first_lines}",
                server_core()
            )
        })?;
        server.at = server.address("echo").unwrap_or(server.at);
        Ok(server)
    }

    fn wait_until_ready(&mut self) -> Result<(), String> {
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
            let is_up = match self.port {
                PortSource::Fixed(port) => is_open(port),
                PortSource::Single | PortSource::Services => self.output.iter().any(is_ready),
            };
            if is_up {
                return Ok(());
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

    /// The address of one of its services; all are the same for a server with one port.
    pub fn address(&self, service: &str) -> Result<SocketAddr, String> {
        let head = match self.port {
            PortSource::Fixed(port) => return Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
            PortSource::Single => "listening on ".to_string(),
            PortSource::Services => format!("{service} listening on "),
        };
        let line = self.output.iter().find_map(|line| line.strip_prefix(&head));
        let port = line.and_then(|line| line.rsplit([':', ' ']).next()?.parse().ok());
        let port: u16 =
            port.ok_or_else(|| format!("{} printed no port for {service}", self.label))?;
        Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// CPU time, memory and threads of the server and its descendants.
    pub fn sample(&self) -> Result<ProcSample, String> {
        let sample = WatchedProcess::new(self.id()).sample();
        sample.ok_or_else(|| format!("cannot read the CPU time of {}: has it ended?", self.label))
    }

    /// Open descriptors of the server, without its descendants.
    pub fn descriptors(&self) -> Result<usize, String> {
        let path = format!("/proc/{}/fd", self.id());
        let list = std::fs::read_dir(&path).map_err(|e| format!("cannot list {path}: {e}"))?;
        Ok(list.count())
    }

    /// Stops it, and says if it did not exit as it should.
    pub fn stop(mut self) -> Result<(), String> {
        let label = self.label;
        match self.end() {
            Some(status) if status.success() => Ok(()),
            Some(status) => Err(format!("{label} exited with {status}")),
            None => Err(format!(
                "{label} did not exit within {} s",
                END_LIMIT.as_secs()
            )),
        }
    }

    fn end(&mut self) -> Option<std::process::ExitStatus> {
        // The id is valid until the child is waited for.
        if let Some(pid) = Pid::from_raw(self.child.id() as i32)
            && matches!(self.child.try_wait(), Ok(None))
        {
            let _ = kill_process(pid, Signal::TERM);
        }
        let until = Instant::now() + END_LIMIT;
        while Instant::now() < until {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        None
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

/// How much other programs disturb a run.
pub struct Meter<'a> {
    server: &'a Server,
    start: Instant,
    before: [ProcSample; 2],
}

impl<'a> Meter<'a> {
    pub fn start(server: &'a Server) -> Result<Meter<'a>, String> {
        Ok(Meter {
            server,
            start: Instant::now(),
            before: both(server)?,
        })
    }

    /// The share of the time in which the server or this process was runnable and had no core.
    pub fn stop(self) -> Result<f64, String> {
        let wall = self.start.elapsed().as_micros() as f64;
        let now = both(self.server)?;
        let waited = now.iter().zip(&self.before);
        let waited = waited.map(|(now, before)| now.since(before).kept_waiting);
        Ok(waited.max().unwrap_or(0) as f64 / wall)
    }
}

fn both(server: &Server) -> Result<[ProcSample; 2], String> {
    let own = WatchedProcess::own().sample();
    Ok([server.sample()?, own.unwrap_or_default()])
}
