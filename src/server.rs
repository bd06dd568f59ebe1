//! Puts the server together: which service listens where, on what store, within which limits.
//! Serves nobody itself: that is the loop it builds.

pub mod options;

use crate::config;
use crate::config::reactor::{BBR_BODIES, BODIES, OUTBOX_HIGH_WATER, REACTOR};
use crate::config::room::{DATAGRAMS, ROOM};
use crate::config::services::{EDITOR, SERVICES};
use crate::config::store::STORE;
use crate::reactor::ReactorLimits;
use crate::reactor::acceptor::Listener;
use crate::reactor::clock::SECOND;
use crate::reactor::datagram::Datagrams;
use crate::reactor::descriptors;
use crate::reactor::event_loop::{EventLoop, Stopped};
use crate::reactor::linux::{LinuxIo, LinuxListener, uses_bbr};
use crate::reactor::log_queue::LogQueue;
use crate::reactor::log_sink::LogSink;
use crate::reactor::observer::Observer;
use crate::reactor::signals;
use crate::reactor::stdio::Stdio;
use crate::reactor::trace::Trace;
use crate::services::ServiceLimits;
use crate::services::echo::Echo;
use crate::services::files::Files;
use crate::services::operator::Operator;
use crate::services::room::{Room, RoomLimits};
use crate::services::roster::Roster;
use crate::services::talk::Talk;
use crate::services::transfer::Transfer;
use crate::session::protocol::Protocol;
use crate::session::world::World;
use crate::setup::drop_root::{self, User};
use crate::setup::error::StartError;
use crate::setup::listen::{self, Queues};
use crate::setup::sd_notify::ServiceManager;
use crate::setup::warnings::Exposure;
use crate::setup::{host, password, root_dir, sandbox};
use crate::store::file_store::{FileStore, StoreSettings};
use crate::terminal::line_editor::LineEditor;
use options::ServeOptions;
use socket2::{SockRef, TcpKeepalive};
use std::cell::RefCell;
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

/// Everything is open and nobody is served yet.
pub struct Server {
    listeners: Vec<LinuxListener>,
    room: Option<Datagrams>,
    /// A password that was made up, to be shown once.
    made_password: Option<String>,
    user: Option<User>,
    options: ServeOptions,
    parts: Rc<Parts>,
}

/// What services hold in common.
struct Parts {
    limits: Rc<ServiceLimits>,
    store: Rc<FileStore>,
    roster: Rc<RefCell<Roster>>,
}

impl Server {
    /// Opens the ports and then the root. When one fails, nothing stays open.
    pub fn bind(options: ServeOptions) -> Result<Server, StartError> {
        let host = host::find(&options.host)?;
        let (flag, file) = (&options.room_password, &options.room_password_file);
        let password = password::given(flag.as_deref(), file.as_deref())?;
        let user = options.user.as_deref().map(User::find).transpose()?;
        let mut bound = Vec::new();
        for service in tcp_services(&options) {
            if let Some(port) = service.port {
                let address = SocketAddr::new(host, port);
                let queues = Queues {
                    backlog: config::BACKLOG,
                    unsent: config::UNSENT_BYTES,
                    unread: (service.name == "echo").then_some(config::ECHO_RECEIVE),
                };
                let socket = listen::listen(address, queues)
                    .map_err(|error| listen::cannot_listen(service.name, "tcp", address, &error))?;
                if let Some(keepalive) = &service.keepalive {
                    // Connections have this from their listener, too.
                    let _ = SockRef::from(&socket).set_tcp_keepalive(keepalive);
                }
                bound.push((service, socket));
            }
        }
        let mut made_password = None;
        let room = match options.room.port() {
            Some(port) => {
                let password = match password {
                    Some(password) => password,
                    None => made_password.insert(password::make()?).clone(),
                };
                Some(open_room(&options, SocketAddr::new(host, port), &password)?)
            }
            None => None,
        };
        if bound.is_empty() && room.is_none() {
            return Err(StartError::new(
                "all services are off; give at least one a port",
            ));
        }
        let store = root_dir::open(&options.root, store_settings(&options), user.as_ref())?;
        warn_of_exposure(&options, host, made_password.is_some());
        let parts = Rc::new(Parts {
            limits: Rc::new(SERVICES),
            store: Rc::new(store),
            roster: Rc::default(),
        });
        let listener = |(service, socket): (TcpService, _)| {
            let parts = parts.clone();
            Listener {
                name: service.name,
                socket,
                make: Box::new(move |address| (service.make)(&parts, address)),
                refusal: (service.name != "echo").then_some(TOO_MANY),
                readable: false,
            }
        };
        Ok(Server {
            listeners: bound.into_iter().map(listener).collect(),
            room,
            made_password,
            user,
            options,
            parts,
        })
    }

    /// Serves until a signal comes. Once everything stands, says on `announce` where each service
    /// listens, a line each, and then `ready`. The log is what `log` holds.
    pub fn run(self, announce: &mut impl Write, log: LogQueue) -> io::Result<Stopped> {
        if self.options.trace {
            self.run_observed(Trace::new(log.clone()), announce, log)
        } else {
            self.run_observed((), announce, log)
        }
    }

    fn run_observed<O: Observer>(
        mut self,
        observer: O,
        announce: &mut impl Write,
        log: LogQueue,
    ) -> io::Result<Stopped> {
        let addresses = self.addresses()?;
        let announcement = self.announcement(&addresses);
        let log = LogSink::standard_error(log);
        let has_operator = self.options.talk.port().is_some() || self.room.is_some();
        let stdio = has_operator.then(Stdio::open);
        let service_manager = ServiceManager::find(config::SD_NOTIFY_TIMEOUT);
        // Before /proc is out of reach.
        let ending = signals::ending();
        // Landlock holds for this thread and those that it starts: an older one would stay outside.
        self.give_up_rights()?;
        let limits = reactor_limits(&self.options);
        let direct = !self.options.plain_bodies;
        let bbr = self.listeners.iter().any(uses_bbr);
        let steps = if bbr { BBR_BODIES } else { BODIES };
        let io = |registry| LinuxIo::new(registry, direct, &steps);
        let world = World::new(OUTBOX_HIGH_WATER);
        let roster = self.options.talk.port().map(|_| self.parts.roster.clone());
        let listeners = self.listeners;
        let mut event_loop = EventLoop::new(listeners, io, world, observer, log, limits, &ending)?;
        let store = self.parts.store.clone();
        store.start_workers(event_loop.completions());
        event_loop.each_second(move || store.look_after());
        if let Some(room) = self.room {
            event_loop.add_datagrams(room)?;
        }
        if let Some(stdio) = stdio {
            add_operator(&mut event_loop, stdio, self.parts.limits.clone(), roster);
        }
        // A reader of these lines that went away is no reason not to serve.
        let _ = announce
            .write_all(announcement.as_bytes())
            .and_then(|()| announce.flush());
        if let Some(service_manager) = service_manager {
            service_manager.ready(&addresses.join(", "));
            event_loop.at_stop(move || service_manager.stopping());
        }
        event_loop.run().map_err(|error| {
            let text = format!("the loop failed: {error}");
            io::Error::new(error.kind(), text)
        })
    }

    /// Everything from outside the root is open; from here on nothing else can be.
    fn give_up_rights(&self) -> io::Result<()> {
        let ServeOptions {
            root, read_only, ..
        } = &self.options;
        match &self.user {
            Some(user) => {
                user.assume().map_err(io::Error::other)?;
                root_dir::check(self.parts.store.folder(), root, user, *read_only)?;
            }
            None => drop_root::warn_of_root(),
        }
        sandbox::enclose(self.parts.store.folder(), *read_only);
        Ok(())
    }

    fn addresses(&mut self) -> io::Result<Vec<String>> {
        let mut lines = Vec::new();
        for listener in &mut self.listeners {
            let address = listener.socket.local_addr()?;
            lines.push(format!("{} listening on tcp {address}", listener.name));
        }
        if let Some(room) = &self.room {
            let address = room.local_address();
            lines.push(format!("room listening on udp {address}"));
        }
        Ok(lines)
    }

    /// What is said to who started the server.
    fn announcement(&self, addresses: &[String]) -> String {
        let mut lines = addresses.join("\n") + "\n";
        if let Some(password) = &self.made_password {
            lines.push_str(&format!("room password: {password}\n"));
        }
        lines + "ready\n"
    }
}

/// What one peer too many of an address is told. Echo has no words of its own.
const TOO_MANY: &[u8] = b"ERROR too many connections from your address; close one first\n";

/// A TCP service that may be switched on.
struct TcpService {
    name: &'static str,
    port: Option<u16>,
    /// Where no idle deadline finds the dead.
    keepalive: Option<TcpKeepalive>,
    make: fn(&Parts, SocketAddr) -> Box<dyn Protocol>,
}

/// The TCP services, in the order of their announcement.
fn tcp_services(options: &ServeOptions) -> [TcpService; 4] {
    let service = |name, port, make| TcpService {
        name,
        port,
        keepalive: None,
        make,
    };
    [
        service("echo", options.echo.port(), |_, _| Box::new(Echo)),
        service("transfer", options.transfer.port(), |parts, address| {
            let (limits, store) = (parts.limits.clone(), parts.store.clone());
            Box::new(Transfer::new(limits, store, address))
        }),
        service("files", options.files.port(), |parts, address| {
            let (limits, store) = (parts.limits.clone(), parts.store.clone());
            Box::new(Files::new(limits, store, address))
        }),
        TcpService {
            keepalive: Some(keepalive()),
            ..service("talk", options.talk.port(), |parts, address| {
                let (limits, roster) = (parts.limits.clone(), parts.roster.clone());
                Box::new(Talk::new(limits, roster, address))
            })
        },
    ]
}

/// The person at the server. Without usable standard streams there is none.
fn add_operator<O: Observer>(
    event_loop: &mut EventLoop<O>,
    stdio: io::Result<Stdio>,
    limits: Rc<ServiceLimits>,
    roster: Option<Rc<RefCell<Roster>>>,
) {
    let added = stdio.and_then(|stdio| {
        let columns = stdio.columns();
        let editor = columns.map(|columns| LineEditor::new("> ", columns, EDITOR));
        event_loop.add_operator(stdio, Box::new(Operator::new(limits, roster, editor)))
    });
    if let Err(error) = added {
        log::warn!("there is no operator: standard input and output cannot be used: {error}");
    }
}

fn keepalive() -> TcpKeepalive {
    TcpKeepalive::new()
        .with_time(Duration::from_secs(config::KEEPALIVE_SECONDS))
        .with_interval(Duration::from_secs(config::KEEPALIVE_INTERVAL_SECONDS))
        .with_retries(config::KEEPALIVE_PROBES)
}

fn open_room(
    options: &ServeOptions,
    address: SocketAddr,
    password: &str,
) -> Result<Datagrams, StartError> {
    let idle = u64::from(options.room_idle) * SECOND;
    let limits = RoomLimits {
        rate: options.room_rate,
        per_address: options.room_per_address,
        idle: (idle > 0).then_some(idle),
        ..ROOM
    };
    let room = Box::new(Room::new(password, limits));
    let bound = Datagrams::bind("room", address, room, DATAGRAMS);
    bound
        .and_then(|mut room| room.answer_from_asked_address().map(|()| room))
        .map_err(|error| listen::cannot_listen("room", "udp", address, &error))
}

fn warn_of_exposure(options: &ServeOptions, host: IpAddr, made_password: bool) {
    let exposure = Exposure {
        host,
        root: &options.root,
        transfer: options.transfer.port().is_some(),
        files: options.files.port().is_some(),
        read_only: options.read_only,
        made_password,
    };
    for warning in exposure.warnings() {
        log::warn!("{warning}");
    }
}

fn store_settings(options: &ServeOptions) -> StoreSettings {
    StoreSettings {
        read_only: options.read_only,
        largest: options
            .max_file_size
            .unwrap_or(STORE.largest)
            .min(STORE.largest),
        sync: !options.no_sync,
        ..STORE
    }
}

fn reactor_limits(options: &ServeOptions) -> ReactorLimits {
    let (most, idle) = (
        options.max_connections.map(|count| count as usize),
        options.idle_timeout,
    );
    ReactorLimits {
        connections: descriptors::connections(most, config::DESCRIPTOR_RESERVE),
        per_address: options.max_per_address.map(|count| count as usize),
        min_rate: options.min_rate,
        idle_seconds: (idle > 0).then_some(idle),
        settle_millis: options.settle,
        gap_millis: options.bare_gap,
        ..REACTOR
    }
}
