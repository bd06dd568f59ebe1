//! Starts the real server on free ports for one test and ends it with the test.
#![allow(dead_code)] // each test binary uses a part of this

pub mod file_service;
mod folders;
pub mod guest;
pub mod kernel;
pub mod mount;
pub mod nats;
pub mod proxied;
pub mod python;
pub mod rest;
pub mod stalled;
pub mod tab;
pub mod target;

#[allow(unused_imports)] // as above
pub use folders::{copied_program, roomy_folder, rooted, tree};
use loket::server::TCP_SERVICES;
use rustix::event::{PollFd, PollFlags};
use socket2::{Domain, Socket, Type};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The deadline of everything that a test waits for, on a slow machine, too.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Answers of the files service.
pub const CREATED: &str = "OK\nOK File Berhasil Dibuat\n";
pub const REMOVED: &str = "OK File Berhasil Dihapus\n";
pub const NO_FILE: &str = "ERROR File Tidak Ditemukan\n";
pub const NO_FOLDER: &str = "ERROR there is no such folder\n";
pub const NOT_REGULAR: &str = "ERROR it is not a regular file\n";

/// The room password of a test's server.
pub const ROOM_PASSWORD: &str = "sesame";

/// The flags of both ways to move bodies: splice and sendfile, or copies through the session.
pub const BOTH_WAYS: [&[&str]; 2] = [&[], &["--plain-bodies"]];

/// The names of all services.
fn services() -> impl Iterator<Item = &'static str> {
    let tcp = TCP_SERVICES.iter().map(|service| service.name);
    tcp.chain(["room"])
}

/// A running `loket serve`. Dropping it kills the process and removes the root.
pub struct Server {
    child: Child,
    ports: BTreeMap<String, SocketAddr>,
    /// The room password that the server generated.
    pub made_password: Option<String>,
    /// The token of HTTP that the server generated.
    pub made_token: Option<String>,
    /// The link to the operator's window, if it needs a token.
    pub window: Option<String>,
    folder: Arc<tempfile::TempDir>,
    /// Standard output: what the operator sees.
    pub screen: BufReader<ChildStdout>,
}

impl Server {
    /// Starts with an empty root and these additional flags.
    pub fn start(flags: &[&str]) -> Server {
        Server::start_in(rooted(), flags)
    }

    /// Starts in a folder that contains `root`.
    pub fn start_in(folder: tempfile::TempDir, flags: &[&str]) -> Server {
        Server::start_under(&[], folder, flags)
    }

    /// Starts as an unprivileged user, even if the tests run as root.
    pub fn start_as_nobody(above: &[&str], folder: tempfile::TempDir, flags: &[&str]) -> Server {
        if !rustix::process::geteuid().is_root() {
            return Server::start_under(above, folder, flags);
        }
        let program = copied_program(folder.path());
        let nobody = [
            "setpriv",
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
        ];
        Server::start_by(&[above, &nobody, &[&program]].concat(), folder, flags)
    }

    /// Starts under another program, which must execute the server in its own process.
    pub fn start_under(above: &[&str], folder: tempfile::TempDir, flags: &[&str]) -> Server {
        let words = [above, &[env!("CARGO_BIN_EXE_loket")]].concat();
        Server::start_by(&words, folder, flags)
    }

    fn start_by(words: &[&str], folder: tempfile::TempDir, flags: &[&str]) -> Server {
        let mut command = Server::command(words, &folder);
        command.args(["--room-password", ROOM_PASSWORD]).args(flags);
        Server::launch(command, folder)
    }

    /// Starts with an operator, whose standard input is the returned pipe.
    pub fn operated(flags: &[&str]) -> (Server, ChildStdin) {
        let mut prepared = Prepared::new();
        prepared.command.args(flags).stdin(Stdio::piped());
        let mut server = prepared.launch();
        let keys = server.child.stdin.take().expect("piped");
        (server, keys)
    }

    /// `loket serve` on free ports, its log in the folder, without a room password.
    fn command(words: &[&str], folder: &tempfile::TempDir) -> Command {
        Server::command_on(words, folder, |_| "0")
    }

    /// The same on these ports.
    fn command_on(
        words: &[&str],
        folder: &tempfile::TempDir,
        port: impl Fn(&str) -> &'static str,
    ) -> Command {
        let log = std::fs::File::create(folder.path().join("log")).expect("a log file");
        let mut command = Command::new(words[0]);
        command
            .args(&words[1..])
            .arg("serve")
            .args(
                services()
                    .filter(|name| !port(name).is_empty())
                    .map(|name| format!("--{name}={}", port(name))),
            )
            .arg("--root")
            .arg(folder.path().join("root"))
            .env_remove("LOKET_ROOM_PASSWORD")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::from(log));
        command
    }

    /// Kills the server by SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().expect("our child");
        self.child.wait().expect("our child");
    }

    /// Starts another server on the same root, with a new log, after this one has exited.
    pub fn start_again(&mut self, flags: &[&str]) {
        self.start_again_on(|_| "0", flags);
    }

    /// The same on these ports.
    pub fn start_again_on(&mut self, port: impl Fn(&str) -> &'static str, flags: &[&str]) {
        let program = [env!("CARGO_BIN_EXE_loket")];
        let mut command = Server::command_on(&program, &self.folder, port);
        command.args(["--room-password", ROOM_PASSWORD]).args(flags);
        *self = Server::launch(command, self.folder.clone());
    }

    fn launch(mut command: Command, folder: impl Into<Arc<tempfile::TempDir>>) -> Server {
        let mut child = command.spawn().expect("loket starts");
        let screen = child.stdout.take().expect("piped");
        Server::announced(child, screen, folder)
    }

    /// Reads the addresses of the services from standard output.
    fn announced(
        child: Child,
        screen: ChildStdout,
        folder: impl Into<Arc<tempfile::TempDir>>,
    ) -> Server {
        let mut server = Server {
            child,
            ports: BTreeMap::new(),
            made_password: None,
            made_token: None,
            window: None,
            folder: folder.into(),
            screen: BufReader::new(screen),
        };
        loop {
            let mut line = String::new();
            server.screen.read_line(&mut line).expect("text");
            let line = line.trim_end();
            assert!(!line.is_empty(), "`ready` comes before the end");
            if line == "ready" {
                return server;
            }
            let mut made = [
                ("room password: ", &mut server.made_password),
                ("http token: ", &mut server.made_token),
                ("http window: ", &mut server.window),
            ];
            if let Some((name, made)) = made.iter_mut().find(|(name, _)| line.starts_with(name)) {
                **made = line.strip_prefix(*name).map(str::to_owned);
                continue;
            }
            let (service, address) = line
                .split_once(" listening on ")
                .expect("`SERVICE listening on tcp ADDRESS`");
            let address = address
                .trim_start_matches("tcp ")
                .trim_start_matches("udp ");
            let address = address.parse().expect("an address");
            server.ports.insert(service.to_owned(), address);
        }
    }

    /// The next line on the operator's screen, without its end.
    #[track_caller]
    pub fn shown(&mut self) -> String {
        if self.screen.buffer().is_empty() {
            // read(2) of a pipe has no timeout.
            let mut asked = [PollFd::new(self.screen.get_ref(), PollFlags::IN)];
            let patience = PATIENCE.try_into().expect("seconds");
            let ready = rustix::event::poll(&mut asked, Some(&patience));
            assert_ne!(ready, Ok(0), "timeout: no line is shown");
        }
        let mut line = String::new();
        self.screen.read_line(&mut line).expect("text");
        assert!(line.ends_with('\n'), "the screen ended in {line:?}");
        line.trim_end_matches('\n').to_owned()
    }

    /// Reads the screen up to a line that begins so; returns that line.
    #[track_caller]
    pub fn shown_until(&mut self, beginning: &str) -> String {
        loop {
            let line = self.shown();
            if line.starts_with(beginning) {
                return line;
            }
        }
    }

    /// The services that are on.
    pub fn services(&self) -> impl Iterator<Item = &String> {
        self.ports.keys()
    }

    /// The address of a service.
    pub fn address(&self, service: &str) -> SocketAddr {
        self.ports[service]
    }

    /// A new client of a service.
    pub fn connect(&self, service: &str) -> Client {
        Client::connect(self.address(service))
    }

    /// Writes a file below the root.
    pub fn put(&self, name: impl AsRef<Path>, data: impl AsRef<[u8]>) {
        std::fs::write(self.root().join(name), data).expect("room");
    }

    /// The content of a file below the root.
    #[track_caller]
    pub fn got(&self, name: impl AsRef<Path>) -> Vec<u8> {
        std::fs::read(self.root().join(name)).expect("a file")
    }

    /// The contents of all files below the root.
    pub fn contents(&self) -> Vec<Vec<u8>> {
        tree(&self.root()).into_values().collect()
    }

    /// Every file below the root by its name, with its content.
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let root = self.root();
        let named = tree(&root).into_iter().map(|(path, content)| {
            let name = path.strip_prefix(&root).expect("below it");
            (name.to_string_lossy().into_owned(), content)
        });
        named.collect()
    }

    /// Sends this, ends the stream and returns everything that the server answers.
    pub fn ask(&self, service: &str, sent: impl AsRef<[u8]>) -> String {
        self.connect(service).send(sent).finish().text()
    }

    /// Returns when the settle window of everything sent before is over: the second bare unit is
    /// sent after the answer to the first one, so its own window starts later.
    pub fn settle(&self) {
        for _ in 0..2 {
            let mut other = self.connect("files");
            other.send("size none").expect("File Tidak Ditemukan");
        }
    }

    /// The folder that is served.
    pub fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    /// The log of the server so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).expect("the log")
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The number of open descriptors of the server.
    pub fn descriptors(&self) -> usize {
        self.rest_after_start();
        let open = std::fs::read_dir(format!("/proc/{}/fd", self.id())).expect("a live server");
        let links = open.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
        // The number of pipes depends on the uploads of that moment; a limit bounds it.
        let is_pipe = |link: &PathBuf| link.to_string_lossy().starts_with("pipe:");
        links.filter(|link| !is_pipe(link)).count()
    }

    /// The number of threads of the server.
    pub fn threads(&self) -> usize {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.id()));
        tasks.expect("a live server").count()
    }

    /// Processor time of the server, in hundredths of a second.
    fn ticks(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.id())).expect("alive");
        let fields = stat.rsplit(')').next().expect("fields").split(' ');
        let number = |field: &str| field.parse::<u64>().expect("a number");
        fields.skip(12).take(2).map(number).sum()
    }

    /// Waits and checks that the server uses almost no processor time meanwhile.
    #[track_caller]
    pub fn rests(&self, millis: u64) {
        let before = self.ticks();
        std::thread::park_timeout(Duration::from_millis(millis));
        let used = self.ticks() - before;
        assert!(used * 10 < millis / 10, "{used} hundredths of a second");
    }

    /// Creates a sparse file.
    pub fn sparse(&self, name: &str, bytes: u64) {
        std::fs::File::create(self.root().join(name))
            .and_then(|file| file.set_len(bytes))
            .expect("a sparse file");
    }

    /// Private memory of the server, in bytes.
    pub fn memory(&self) -> usize {
        let path = format!("/proc/{}/smaps_rollup", self.id());
        let text = std::fs::read_to_string(path).expect("a live server");
        let line = text.lines().find(|line| line.starts_with("Anonymous:"));
        let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<usize>().ok());
        kib.expect("a number") * 1024
    }

    /// Sends a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let id = i32::try_from(self.id()).expect("a process id");
        let id = rustix::process::Pid::from_raw(id).expect("a process id");
        rustix::process::kill_process(id, signal).expect("a live server");
    }

    /// Waits for the server to exit; returns its exit status.
    pub fn wait(&mut self) -> std::process::ExitStatus {
        let mut status = None;
        eventually("the server ends", || {
            status = self.child.try_wait().expect("our child");
            status.is_some()
        });
        status.expect("set above")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the server's log:\n{}", self.log());
        }
    }
}

/// A server before its start, with an empty root: streams, flags and variables can be set.
pub struct Prepared {
    /// The command that will be run.
    pub command: Command,
    folder: tempfile::TempDir,
}

impl Prepared {
    /// As for [`Server::start`], with [`ROOM_PASSWORD`].
    pub fn new() -> Prepared {
        let mut prepared = Prepared::without_password();
        prepared.command.args(["--room-password", ROOM_PASSWORD]);
        prepared
    }

    /// Without a room password: flags and variables can set it.
    pub fn without_password() -> Prepared {
        Prepared::under(&[])
    }

    /// With this TCP service alone.
    pub fn alone(service: &str) -> Prepared {
        let folder = rooted();
        let port = |name: &str| if name == service { "0" } else { "off" };
        let command = Server::command_on(&[env!("CARGO_BIN_EXE_loket")], &folder, port);
        Prepared { command, folder }
    }

    /// The same under another program, which must execute the server in its own process.
    pub fn under(above: &[&str]) -> Prepared {
        Prepared::on(above, "0")
    }

    /// The same without flags for ports.
    pub fn without_ports(above: &[&str]) -> Prepared {
        Prepared::on(above, "")
    }

    fn on(above: &[&str], port: &'static str) -> Prepared {
        let folder = rooted();
        let words = [above, &[env!("CARGO_BIN_EXE_loket")]].concat();
        let command = Server::command_on(&words, &folder, |_| port);
        Prepared { command, folder }
    }

    /// The folder of the root and the log.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts it.
    pub fn launch(self) -> Server {
        Server::launch(self.command, self.folder)
    }

    /// Starts it with this standard output, whose other end `screen` reads.
    pub fn launch_onto(mut self, screen: OwnedFd, output: OwnedFd) -> Server {
        let child = self.command.stdout(output).spawn().expect("loket starts");
        // The command holds a copy of `output`, which would prevent the end of stream.
        drop(self.command);
        Server::announced(child, screen.into(), self.folder)
    }
}

/// A TCP client with timeouts.
pub struct Client(pub TcpStream);

impl Client {
    /// Connects to a service.
    pub fn connect(address: SocketAddr) -> Client {
        let stream = TcpStream::connect_timeout(&address, PATIENCE).expect("a connection");
        Client::with(stream)
    }

    /// Connects with a small receive buffer, so that the send buffer of the server is full soon.
    pub fn connect_small(address: SocketAddr) -> Client {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.set_recv_buffer_size(4096).expect("an option");
        socket.connect(&address.into()).expect("a connection");
        Client::with(socket.into())
    }

    fn with(stream: TcpStream) -> Client {
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_nodelay(true).expect("an option");
        Client(stream)
    }

    /// Sends all of it.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Client {
        self.0
            .write_all(bytes.as_ref())
            .expect("the server takes it");
        self
    }

    /// Shuts down the sending side.
    pub fn finish(&mut self) -> &mut Client {
        self.0.shutdown(Shutdown::Write).expect("a half-close");
        self
    }

    /// Reads exactly these bytes.
    #[track_caller]
    pub fn expect(&mut self, wanted: impl AsRef<[u8]>) -> &mut Client {
        let wanted = wanted.as_ref();
        let mut got = vec![0; wanted.len()];
        let mut filled = 0;
        while filled < got.len() {
            match self.0.read(&mut got[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => panic!("{error} after {:?}", text(&got[..filled])),
            }
        }
        assert_eq!(text(&got[..filled]), text(wanted));
        self
    }

    /// Reads to the end of the stream.
    #[track_caller]
    pub fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        self.0
            .read_to_end(&mut rest)
            .expect("the end of the stream");
        rest
    }

    /// Reads to the end of the stream, as text.
    #[track_caller]
    pub fn text(&mut self) -> String {
        String::from_utf8(self.rest()).expect("text")
    }

    /// Reads an error of one line to the end of the stream.
    #[track_caller]
    pub fn error(&mut self) -> String {
        let error = self.text();
        let one_line = error.lines().count() == 1;
        assert!(error.starts_with("ERROR") && one_line, "{error:?}");
        error
    }

    /// Reads one line with its LF.
    #[track_caller]
    pub fn line(&mut self) -> String {
        let mut line = Vec::new();
        let mut byte = [0];
        while !line.ends_with(b"\n") {
            match self.0.read(&mut byte) {
                Ok(0) => break,
                Ok(_) => line.push(byte[0]),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => panic!("{error} after {:?}", text(&line)),
            }
        }
        String::from_utf8(line).expect("text")
    }

    /// Closes with a reset instead of an end of stream.
    pub fn reset(self) {
        let socket = socket2::SockRef::from(&self.0);
        socket.set_linger(Some(Duration::ZERO)).expect("an option");
    }
}

/// The beginning of the bytes as text, so that a failure does not print a long body.
fn text(bytes: &[u8]) -> String {
    let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(300)]).into_owned();
    if bytes.len() > 300 {
        format!("{shown}... ({} bytes)", bytes.len())
    } else {
        shown
    }
}

/// Prints why a test is skipped.
pub fn skip(test: &str, reason: &str) {
    eprintln!("SKIPPED {test}: {reason}");
}

/// Waits until a condition holds, and fails the test if it never does.
#[track_caller]
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "timeout: {what}");
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

/// Pseudorandom bytes, in which a misplaced piece is noticed.
pub fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    (0..length)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 56) as u8
        })
        .collect()
}

/// Waits longer than the settle window, so that the server sees two units.
pub fn pause() {
    std::thread::park_timeout(Duration::from_millis(120));
}
