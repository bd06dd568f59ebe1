//! Puts the server together: which service listens where, on what store, within which limits.
//! Serves nobody itself: that is the loop it builds.

use crate::config;
use crate::reactor::event_loop::{EventLoop, Stopped};
use crate::reactor::linux::Linux;
use crate::reactor::listener::{Listener, MakeProtocol};
use crate::reactor::observer::Observer;
use crate::reactor::trace::Trace;
use crate::services::echo::Echo;
use crate::services::files::Files;
use crate::services::store::{FileStore, StoreSettings};
use crate::services::transfer::Transfer;
use crate::session::world::World;
use rustix::process::{Resource, Rlimit};
use socket2::{Domain, Protocol as Transport, Socket, Type};
use std::fmt;
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// What the user of a server decides.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The address of all services.
    pub host: IpAddr,
    /// The folder that is served.
    pub root: PathBuf,
    /// Ports; `None` is off, 0 is any free one.
    pub echo: Option<u16>,
    /// See `echo`.
    pub transfer: Option<u16>,
    /// See `echo`.
    pub files: Option<u16>,
    /// Connections at once; `None` is what the descriptor limit allows.
    pub max_connections: Option<usize>,
    /// Seconds without progress until a connection is closed; 0 is never.
    pub idle_timeout: u32,
    /// The settle window in milliseconds.
    pub settle: u64,
    /// The gap between a bare header and its data, in milliseconds.
    pub bare_gap: u64,
    /// The largest file taken, in bytes.
    pub max_file_size: u64,
    /// Refuse everything that would change a file.
    pub read_only: bool,
    /// Move bodies by reading and writing instead of `sendfile` and `splice`.
    pub plain_bodies: bool,
    /// Print what the loop does on standard error.
    pub trace: bool,
}

/// Why a server cannot start. The text names the thing and the way out.
#[derive(Debug)]
pub struct StartError(String);

impl fmt::Display for StartError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for StartError {}

/// Everything is open and nobody is served yet.
pub struct Server {
    listeners: Vec<Listener>,
    store: FileStore,
    settings: Settings,
}

impl Server {
    /// Opens the ports and then the root. When one fails, nothing stays open.
    pub fn bind(settings: Settings) -> Result<Server, StartError> {
        let limits = Rc::new(config::service_limits());
        let (for_transfer, for_files) = (limits.clone(), limits);
        let services: [(&'static str, Option<u16>, MakeProtocol); 3] = [
            ("echo", settings.echo, Box::new(|_| Box::new(Echo))),
            (
                "transfer",
                settings.transfer,
                Box::new(move |_| Box::new(Transfer::new(for_transfer.clone()))),
            ),
            (
                "files",
                settings.files,
                Box::new(move |_| Box::new(Files::new(for_files.clone()))),
            ),
        ];
        let mut listeners = Vec::new();
        for (name, port, make) in services {
            if let Some(port) = port {
                let address = SocketAddr::new(settings.host, port);
                let socket =
                    listen(address).map_err(|error| cannot_listen(name, address, &error))?;
                listeners.push(Listener::new(name, socket, make));
            }
        }
        if listeners.is_empty() {
            return Err(StartError(
                "all services are off; give at least one a port".to_owned(),
            ));
        }
        let store = open_store(&settings)?;
        Ok(Server {
            listeners,
            store,
            settings,
        })
    }

    /// Serves until a signal comes. Once everything stands, says on `announce` where each service
    /// listens, a line each, and then `ready`.
    pub fn run(self, announce: &mut impl Write) -> io::Result<Stopped> {
        if self.settings.trace {
            self.run_observed(Trace::new(io::stderr()), announce)
        } else {
            self.run_observed((), announce)
        }
    }

    fn run_observed<O: Observer>(
        mut self,
        observer: O,
        announce: &mut impl Write,
    ) -> io::Result<Stopped> {
        let Settings {
            idle_timeout,
            settle,
            bare_gap,
            ..
        } = self.settings;
        let limits = config::reactor_limits(
            connection_limit(self.settings.max_connections),
            idle_timeout,
            settle,
            bare_gap,
        );
        let direct = !self.settings.plain_bodies;
        let kernel = Linux::new(direct, limits.take_step, config::COPY_STEP);
        let world = World {
            store: Box::new(self.store),
            high_water: config::OUTBOX_HIGH_WATER,
        };
        let lines = addresses(&mut self.listeners)?;
        let mut event_loop = EventLoop::new(self.listeners, kernel, world, observer, limits)?;
        // A reader of these lines that went away is no reason not to serve.
        let _ = announce
            .write_all(lines.as_bytes())
            .and_then(|()| announce.flush());
        event_loop.run()
    }
}

fn addresses(listeners: &mut [Listener]) -> io::Result<String> {
    let mut lines = String::new();
    for listener in listeners {
        let address = listener.source().local_addr()?;
        lines.push_str(&format!("{} listening on tcp {address}\n", listener.name));
    }
    lines.push_str("ready\n");
    Ok(lines)
}

fn listen(address: SocketAddr) -> io::Result<mio::net::TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Transport::TCP),
    )?;
    socket.set_nonblocking(true)?;
    // A server that is started again must not wait for the old connections' TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(config::BACKLOG)?;
    Ok(mio::net::TcpListener::from_std(socket.into()))
}

fn cannot_listen(name: &str, address: SocketAddr, error: &io::Error) -> StartError {
    let way_out = match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!("stop the program that has it, or choose another port with --{name} PORT")
        }
        io::ErrorKind::PermissionDenied => format!("choose a port above 1023 with --{name} PORT"),
        io::ErrorKind::AddrNotAvailable => {
            "give an address of this machine with --host IP".to_owned()
        }
        _ => format!("choose another port with --{name} PORT or switch it off: --{name} off"),
    };
    StartError(format!(
        "{name} cannot listen on tcp {address}: {}; {way_out}",
        plain(error)
    ))
}

/// Makes the root if it is missing, but not the folders above it: those would be a typing error.
fn open_store(settings: &Settings) -> Result<FileStore, StartError> {
    let root: &Path = &settings.root;
    match std::fs::create_dir(root) {
        Ok(()) => log::info!("made the folder {}", root.display()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(cannot_serve(root, &error)),
    }
    let store = StoreSettings {
        read_only: settings.read_only,
        largest: settings.max_file_size.min(config::LARGEST_FILE),
        listing: config::LISTING,
    };
    FileStore::open(root, store).map_err(|error| cannot_serve(root, &error))
}

fn cannot_serve(root: &Path, error: &io::Error) -> StartError {
    let root = root.display();
    let way_out = "give a folder that the server may use with --root DIR";
    StartError(format!(
        "cannot serve the folder {root}: {}; {way_out}",
        plain(error)
    ))
}

/// The system's words without the number behind them.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

/// Raises the soft descriptor limit to the hard one and leaves a reserve.
fn connection_limit(wanted: Option<usize>) -> usize {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let limit = match rustix::process::setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    let descriptors = limit.map_or(usize::MAX, |limit| {
        usize::try_from(limit).unwrap_or(usize::MAX)
    });
    let possible = descriptors
        .saturating_sub(config::DESCRIPTOR_RESERVE)
        .max(1);
    match wanted {
        Some(wanted) if wanted > possible => {
            log::warn!(
                "only {possible} of {wanted} connections fit the limit of {descriptors} open \
                 descriptors; raise it with ulimit -n"
            );
            possible
        }
        Some(wanted) => wanted,
        None => possible,
    }
}
