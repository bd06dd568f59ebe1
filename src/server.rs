//! The table of TCP services, and the start of the server: sockets, store, rights, event loop.

mod announcement;
mod endpoints;
mod limits;
mod link;
pub mod options;
mod proxied;
mod secrets;
mod window;

use crate::config;
use crate::config::reactor::{BBR_BODIES, BODIES, OUTBOX_HIGH_WATER};
use crate::config::room::{DATAGRAMS, ROOM};
use crate::config::services::{EDITOR, SERVICES};
use crate::reactor::acceptor::ServiceListener;
use crate::reactor::clock::{Moment, SECOND};
use crate::reactor::datagram::Datagrams;
use crate::reactor::event_loop::{EventLoop, Stopped};
use crate::reactor::io::Io;
use crate::reactor::linux::{LinuxIo, LinuxListener, uses_bbr};
use crate::reactor::log::{LogQueue, LogSink};
use crate::reactor::sample::{sample, show};
use crate::reactor::signals;
use crate::reactor::stdio::Stdio;
use crate::reactor::udp::Udp;
use crate::services::ServiceLimits;
use crate::services::echo::Echo;
use crate::services::files::Files;
use crate::services::http::Http;
use crate::services::http::shared::HttpShared;
use crate::services::operator::Operator;
use crate::services::room::Room;
use crate::services::room::history::HistoryLimits;
use crate::services::room::limits::RoomLimits;
use crate::services::room::view::RoomView;
use crate::services::roster::Roster;
use crate::services::talk::Talk;
use crate::services::transfer::Transfer;
use crate::session::loop_metrics::Counting;
use crate::session::loop_observer::LoopObserver;
use crate::session::protocol::Protocol;
use crate::session::proxies::Proxies;
use crate::session::shared::Shared;
use crate::session::trace::Trace;
use crate::setup::drop_root::{self, User};
use crate::setup::error::StartError;
use crate::setup::listen::{self, Queues};
use crate::setup::sd_notify::ServiceManager;
use crate::setup::{root_dir, sandbox};
use crate::store::file_store::FileStore;
use crate::store::part_name;
use crate::terminal::line_editor::LineEditor;
use announcement::{Address, announcement};
use endpoints::Endpoint;
use limits::{reactor_limits, store_settings};
use link::LinkSetup;
use options::ServeOptions;
use secrets::Secrets;
use socket2::SockRef;
use std::cell::RefCell;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::rc::Rc;

/// A TCP service.
pub struct TcpService {
    /// Its name, which is also the name of its flag.
    pub name: &'static str,
    /// The help text of its flag.
    pub about: &'static str,
    /// The default port.
    pub port: &'static str,
    /// Makes the protocol of a new connection.
    make: fn(&Parts, SocketAddr) -> Box<dyn Protocol>,
    /// What a connection above the limit of its address is sent before it is closed.
    refusal: Option<&'static [u8]>,
    /// Whether TCP keepalive detects dead peers, because the service has no idle deadline.
    keepalive: bool,
    /// Receive buffer of a connection in bytes; `None` lets the kernel adjust it.
    unread: Option<usize>,
    /// Whether a connection can have a file open beside its socket.
    opens_files: bool,
    /// What a client on another machine can change below the root without a token. Each row
    /// includes what earlier rows allow.
    changes: Option<&'static str>,
}

/// The TCP services, in the order in which they are announced. To add one, add a file in
/// `services/`, its `mod` line and a row here: flag, help and announcement follow from the row.
pub const TCP_SERVICES: &[TcpService] = &[
    TcpService {
        name: "echo",
        about: "Echo service",
        port: "8080",
        make: |_, _| Box::new(Echo),
        // Its protocol has no error messages.
        refusal: None,
        keepalive: false,
        unread: Some(config::ECHO_RECEIVE),
        opens_files: false,
        changes: None,
    },
    TcpService {
        name: "transfer",
        about: "Transfer service (SEND and RECEIVE)",
        port: "5050",
        make: |parts, peer| {
            let (limits, store) = (parts.limits.clone(), parts.store.clone());
            Box::new(Transfer::new(limits, store, peer))
        },
        refusal: Some(TOO_MANY),
        keepalive: false,
        unread: None,
        opens_files: true,
        changes: Some("store and replace"),
    },
    TcpService {
        name: "files",
        about: "Files service (ls, size, sum, rm, mv, mkdir, download, upload)",
        port: "9999",
        make: |parts, peer| {
            let (limits, store) = (parts.limits.clone(), parts.store.clone());
            Box::new(Files::new(limits, store, peer))
        },
        refusal: Some(TOO_MANY),
        keepalive: false,
        unread: None,
        opens_files: true,
        changes: Some("store, replace and remove"),
    },
    TcpService {
        name: "talk",
        about: "Chat with the operator over TCP",
        port: "9000",
        make: |parts, peer| {
            let (limits, roster) = (parts.limits.clone(), parts.roster.clone());
            Box::new(Talk::new(limits, roster, peer))
        },
        refusal: Some(TOO_MANY),
        keepalive: true,
        unread: None,
        opens_files: false,
        changes: None,
    },
    TcpService {
        name: "http",
        about: "HTTP service (the page; GET, HEAD, PUT, DELETE, MKCOL, MOVE)",
        port: "8000",
        make: |parts, peer| Box::new(Http::new(parts.http.clone(), peer)),
        refusal: Some(TOO_MANY_HTTP),
        keepalive: false,
        unread: None,
        opens_files: true,
        // Beyond loopback a change needs the token.
        changes: None,
    },
];

const TOO_MANY: &[u8] = b"ERROR too many connections from your address; close one first\n";

/// Without a date: a 503 needs none (RFC 9110, section 6.6.1).
const TOO_MANY_HTTP: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\n\
    Server: loket\r\nConnection: close\r\nRetry-After: 10\r\n\
    Content-Type: text/plain; charset=utf-8\r\nContent-Length: 56\r\n\r\n\
    too many connections from your address; close one first\n";

/// A server that has opened its sockets and its root and accepts no connections yet.
pub struct Server {
    listeners: Vec<LinuxListener>,
    room: Option<Datagrams>,
    secrets: Secrets,
    link: Option<LinkSetup>,
    user: Option<User>,
    options: ServeOptions,
    parts: Rc<Parts>,
}

/// State that the sessions of a server share.
struct Parts {
    limits: Rc<ServiceLimits>,
    store: Rc<FileStore>,
    roster: Rc<RefCell<Roster>>,
    http: Rc<HttpShared>,
}

impl Server {
    /// Opens the sockets and then the root.
    ///
    /// # Errors
    ///
    /// The first thing that cannot be opened or found, with what to do.
    pub fn bind(options: ServeOptions) -> Result<Server, StartError> {
        let mut endpoints = endpoints::plan(&options)?;
        if options.reuse_port {
            // The room may fail: a shared port that is open has clients at once.
            endpoints.sort_by_key(|endpoint| endpoint.name != "room");
        }
        let secrets = Secrets::of(&options, &endpoints)?;
        let has = |name| endpoints.iter().any(|endpoint| endpoint.name == name);
        let link = LinkSetup::of(&options, has("room"), has("talk"))?;
        let user = options.user.as_deref().map(User::find).transpose()?;
        let warnings = secrets::warnings(&options, &endpoints, &secrets);
        let (mut bound, mut room) = (Vec::new(), None);
        for endpoint in endpoints {
            match tcp_service(endpoint.name) {
                Some(service) => bound.push((service, open_tcp(&options, service, endpoint)?)),
                None => {
                    let password = secrets.room.as_ref().expect("the room is on");
                    room = Some(open_room(
                        &options,
                        endpoint,
                        &password.text,
                        link.as_ref(),
                    )?);
                }
            }
        }
        part_name::set_node(options.node.as_deref());
        let store = root_dir::open(&options.root, store_settings(&options), user.as_ref())?;
        let store = Rc::new(store);
        for warning in warnings {
            log::warn!("{warning}");
        }
        if let Some(warning) = listen::lost_when_shared().filter(|_| options.reuse_port) {
            log::warn!("{warning}");
        }
        let talk = bound.iter_mut().find(|(service, _)| service.name == "talk");
        let talk = talk.and_then(|(_, socket)| socket.local_addr().ok());
        let roster = Rc::new(RefCell::new(link::roster(link.as_ref(), talk)));
        let parts = Rc::new(Parts {
            limits: Rc::new(SERVICES),
            http: Rc::new(window::http_shared(
                &store,
                talk.map(|_| roster.clone()),
                room.as_ref().map(|(_, view)| view.clone()),
                &options,
                &secrets,
                bound.iter().map(|(service, _)| service.name),
            )?),
            roster,
            store,
        });
        let proxies = Rc::new(Proxies::new(options.proxy_from.clone()));
        let listener = |(service, socket): (&TcpService, _)| ServiceListener {
            name: service.name,
            socket,
            make: proxied::make_protocol(service, &parts, &proxies),
            refusal: service.refusal,
            proxies: proxies.clone(),
            readable: false,
        };
        Ok(Server {
            listeners: bound.into_iter().map(listener).collect(),
            room: room.map(|(room, _)| room),
            secrets,
            link,
            user,
            options,
            parts,
        })
    }

    /// Serves until a signal arrives. Writes to `announce` one line for each service with its
    /// address, and then `ready`. Writes the lines in `log` to standard error.
    ///
    /// # Errors
    ///
    /// Rights that cannot be dropped, an event loop that cannot start, or a failing epoll_wait(2).
    pub fn run(mut self, announce: &mut impl Write, log: LogQueue) -> io::Result<Stopped> {
        let addresses = self.addresses()?;
        let announcement = announcement(&addresses, &self.secrets, &self.options);
        let has_talk = self.serves(|service| service.name == "talk");
        let has_operator = has_talk || self.room.is_some();
        let stdio = has_operator.then(Stdio::open);
        let service_manager = ServiceManager::find(config::SD_NOTIFY_TIMEOUT);
        // This reads /proc, which the sandbox hides.
        let ending = signals::ending();
        // Landlock applies to this thread and the threads that it starts later, so that no thread
        // may start before.
        self.drop_rights()?;
        let has_files = self.serves(|service| service.opens_files);
        let limits = reactor_limits(&self.options, has_files);
        let direct = !self.options.plain_bodies;
        let bbr = self.listeners.iter().any(uses_bbr);
        let steps = if bbr { BBR_BODIES } else { BODIES };
        let io = |registry| LinuxIo::new(registry, direct, &steps);
        let mut shared = Shared::new(OUTBOX_HIGH_WATER);
        let metrics = &self.parts.http.metrics;
        let loop_view = self.parts.http.loop_view.clone();
        // The view shows the states that are counted before.
        let observer = (
            Counting::new(metrics.clone()),
            LoopObserver::new(loop_view.clone()),
        );
        shared.observer = match self.options.trace {
            true => Box::new((observer, Trace::new(log.clone()))),
            false => Box::new(observer),
        };
        shared.on_operator_line = Some(window::copy_lines(&self.parts.http));
        let listeners = self.listeners;
        let log = LogSink::standard_error(log);
        let mut event_loop = EventLoop::new(listeners, io, shared, log, limits, &ending)?;
        self.parts.store.start_workers(event_loop.completions());
        set_repeated(&mut event_loop, &self.parts, self.link);
        if let Some(room) = self.room {
            event_loop.add_datagrams(room)?;
        }
        if let Some(stdio) = stdio {
            add_operator(&mut event_loop, stdio, &self.parts.http);
        }
        // The server also runs if nothing reads these lines.
        let _ = announce
            .write_all(announcement.as_bytes())
            .and_then(|()| announce.flush());
        if let Some(service_manager) = &service_manager {
            let shown: Vec<String> = addresses.iter().map(Address::to_string).collect();
            service_manager.ready(&shown.join(", "));
        }
        let roster = self.parts.roster.clone();
        event_loop.on_stop(move |posts| {
            roster.borrow_mut().stop(posts);
            if let Some(service_manager) = service_manager {
                service_manager.stopping();
            }
        });
        event_loop.run().map_err(|error| {
            let text = format!("the event loop failed: {error}");
            io::Error::new(error.kind(), text)
        })
    }

    /// Whether one of the TCP services that are on is of this kind.
    fn serves(&self, is_wanted: impl Fn(&TcpService) -> bool) -> bool {
        let on = |listener: &LinuxListener| tcp_service(listener.name).is_some_and(&is_wanted);
        self.listeners.iter().any(on)
    }

    /// Drops root and enters the sandbox. Afterwards nothing outside the root can be opened.
    fn drop_rights(&self) -> io::Result<()> {
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
        let ports = self.link.as_ref().map_or(Vec::new(), LinkSetup::ports);
        sandbox::enclose(self.parts.store.folder(), *read_only, &ports);
        Ok(())
    }

    fn addresses(&mut self) -> io::Result<Vec<Address>> {
        let mut addresses = Vec::new();
        for listener in &mut self.listeners {
            let address = listener.socket.local_addr()?;
            addresses.push(Address {
                service: listener.name,
                transport: "tcp",
                address,
            });
        }
        if let Some(room) = &self.room {
            addresses.push(Address {
                service: "room",
                transport: "udp",
                address: room.local_address(),
            });
        }
        Ok(addresses)
    }
}

/// Sets what is done at the end of each round, and once a second.
fn set_repeated(event_loop: &mut EventLoop, parts: &Parts, link: Option<LinkSetup>) {
    let (open_files, store) = (parts.store.clone(), parts.store.clone());
    let loop_view = parts.http.loop_view.clone();
    let uplink = link.as_ref().map(|link| RefCell::new(link.uplink()));
    let (roster, batch) = (parts.roster.clone(), parts.limits.operator_batch);
    event_loop.each_round(Box::new(move |dispatcher, acceptor, now| {
        open_files.end_round();
        let uplink = uplink.as_ref().map(RefCell::borrow_mut);
        let due = uplink.and_then(|mut uplink| uplink.end_round(dispatcher, now));
        let unix = dispatcher.unix();
        let (mut roster, posts) = (roster.borrow_mut(), dispatcher.posts());
        let talk = roster.end_round(now.0, unix, batch, posts).map(Moment);
        drop(roster);
        dispatcher.deliver();
        let shown = show(&loop_view, dispatcher, acceptor, now);
        shown.into_iter().chain(due).chain(talk).min()
    }));
    let metrics = parts.http.metrics.clone();
    event_loop.each_second(Box::new(move |dispatcher, room, log| {
        store.check_root();
        if let Some(link) = &link {
            link.sample(&metrics.sampled);
        }
        sample(&metrics.sampled, dispatcher, room, log);
    }));
}

/// Adds the operator's session. Without usable standard streams the server runs without one.
fn add_operator(event_loop: &mut EventLoop, stdio: io::Result<Stdio>, http: &HttpShared) {
    let added = stdio.and_then(|stdio| {
        let columns = stdio.columns();
        let editor = columns.map(|columns| LineEditor::new("> ", columns, EDITOR));
        let operator = Operator::new(http.limits.clone(), http.roster.clone(), editor);
        let operator = operator.with_windows(http.history.clone());
        event_loop.add_operator(stdio, Box::new(operator))
    });
    if let Err(error) = added {
        log::warn!("no operator: cannot use standard input and output: {error}");
    }
}

/// The row of this name. The room has none.
fn tcp_service(name: &str) -> Option<&'static TcpService> {
    TCP_SERVICES.iter().find(|service| service.name == name)
}

fn open_tcp(
    options: &ServeOptions,
    service: &TcpService,
    endpoint: Endpoint,
) -> Result<<LinuxIo as Io>::Listener, StartError> {
    let queues = Queues {
        backlog: config::BACKLOG,
        unsent: config::UNSENT_BYTES,
        unread: service.unread,
    };
    let address = endpoint.address;
    let socket = match endpoint.socket {
        Some(socket) => listen::adopt(socket, queues),
        None => listen::listen(address, queues, options.reuse_port),
    };
    let shared = options.reuse_port;
    let socket = socket
        .map_err(|error| listen::cannot_listen(service.name, "tcp", address, shared, &error))?;
    if service.keepalive {
        // Accepted sockets inherit this.
        let _ = SockRef::from(&socket).set_tcp_keepalive(&config::KEEPALIVE);
    }
    Ok(socket)
}

fn open_room(
    options: &ServeOptions,
    endpoint: Endpoint,
    password: &str,
    link: Option<&LinkSetup>,
) -> Result<(Datagrams, Rc<RefCell<RoomView>>), StartError> {
    let idle = u64::from(options.room_idle) * SECOND;
    let limits = RoomLimits {
        rate: options.room_rate,
        per_address: options.room_per_address,
        idle: (idle > 0).then_some(idle),
        history: HistoryLimits {
            lines: options.room_history as usize,
            ..ROOM.history
        },
        ..ROOM
    };
    let (address, buffer) = (endpoint.address, DATAGRAMS.receive_buffer);
    let socket = match endpoint.socket {
        Some(socket) => Udp::adopt(socket, buffer),
        None => Udp::bind(address, buffer),
    };
    let mut room = Room::new(password, limits);
    if let Some(link) = link {
        room = room.with_link(link.linked(limits.history.lines));
    }
    let view = room.view();
    let room = socket.map(|socket| Datagrams::new("room", socket, Box::new(room), DATAGRAMS));
    room.and_then(|mut room| room.reply_from_local_address().map(|()| (room, view)))
        .map_err(|error| listen::cannot_listen("room", "udp", address, options.reuse_port, &error))
}
