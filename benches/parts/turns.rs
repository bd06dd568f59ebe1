//! Benchmarks of echo turns: the dispatcher on in-memory sockets and on a loopback TCP pair.

use crate::memory::Service;
use crate::memory::store::Memory;
use criterion::{BenchmarkId, Criterion, Throughput};
use loket::config::loop_view::LOOP_VIEW;
use loket::config::reactor::{BODIES, OUTBOX_HIGH_WATER, REACTOR};
use loket::reactor::clock::{Clock, Moment};
use loket::reactor::dispatcher::Dispatcher;
use loket::reactor::io::{Io, Sent};
use loket::reactor::linux::{LinuxIo, Stream};
use loket::session::blob::Blob;
use loket::session::loop_metrics::{Counting, LoopMetrics};
use loket::session::loop_observer::LoopObserver;
use loket::session::loop_view::LoopView;
use loket::session::observer::{Observer, Readiness};
use loket::session::session_id::SessionId;
use loket::session::shared::Shared;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;

const NEWS: Readiness = Readiness {
    readable: true,
    writable: true,
    drain_to_eof: false,
};

pub fn bench(criterion: &mut Criterion) {
    in_memory(criterion);
    over_sockets(criterion);
}

fn dispatcher<I: Io>(
    io: I,
    socket: I::Socket,
    observer: Box<dyn Observer>,
) -> (Dispatcher<I>, SessionId) {
    let mut shared = Shared::new(OUTBOX_HIGH_WATER);
    shared.observer = observer;
    let mut dispatcher = Dispatcher::new(io, shared, REACTOR, vec!["echo"]);
    let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    let id = dispatcher.open(
        socket,
        0,
        peer,
        |_| Service::Echo.protocol(&Memory::default()),
        Moment(0),
    );
    dispatcher.round(Moment(0));
    (dispatcher, id)
}

/// I/O that costs nothing except for reading the clock.
struct Free(Clock);

/// A socket with this number of bytes to read; it discards what is written.
struct Waiting(usize);

impl Io for Free {
    type Socket = Waiting;
    type Listener = ();

    fn accept(&mut self, _: &mut ()) -> io::Result<(Waiting, SocketAddr)> {
        Err(ErrorKind::WouldBlock.into())
    }

    fn register(&mut self, _: &mut Waiting, _: SessionId) -> io::Result<()> {
        Ok(())
    }

    fn read(&mut self, socket: &mut Waiting, into: &mut [u8]) -> io::Result<usize> {
        match std::mem::take(&mut socket.0) {
            0 => {
                // The message is read; the next turn finds 64 new bytes.
                socket.0 = 64;
                Err(ErrorKind::WouldBlock.into())
            }
            count => {
                into[..count].fill(b'x');
                socket.0 = count;
                Ok(count)
            }
        }
    }

    fn write(&mut self, _: &mut Waiting, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn send_file(&mut self, _: &mut Waiting, _: &dyn Blob, _: u64, _: usize) -> io::Result<Sent> {
        Err(ErrorKind::Unsupported.into())
    }

    fn can_receive_file(&mut self) -> bool {
        false
    }

    fn receive_file(
        &mut self,
        _: &mut Waiting,
        _: &dyn Blob,
        _: u64,
        _: usize,
    ) -> io::Result<Option<usize>> {
        Err(ErrorKind::Unsupported.into())
    }

    fn cork(&mut self, _: &mut Waiting, _: bool) {}

    fn quick_ack(&mut self, _: &mut Waiting) {}

    fn shutdown_write(&mut self, _: &mut Waiting) -> io::Result<()> {
        Ok(())
    }

    fn now(&self) -> Moment {
        self.0.now()
    }
}

fn in_memory(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("turn");
    group.throughput(Throughput::Elements(1));
    let metrics = || Rc::new(LoopMetrics::new(["echo"]));
    let counted = metrics();
    let mut observers: Vec<(_, Box<dyn Observer>)> = vec![
        ("", Box::new(())),
        (", counted", Box::new(Counting::new(counted))),
    ];
    for (name, tabs) in [
        (", with a Loop view", 0),
        (", seen by 1 tab", 1),
        (", by 10", 10),
    ] {
        let metrics = metrics();
        let view = Rc::new(LoopView::new(metrics.clone(), LOOP_VIEW));
        (1..=tabs).for_each(|tab| view.watch(SessionId::new(tab, tab), 0));
        let observer = (Counting::new(metrics), LoopObserver::new(view));
        observers.push((name, Box::new(observer)));
    }
    for (name, observer) in observers {
        let name = format!("echo of 64 bytes, free system calls{name}");
        let (mut dispatcher, id) = dispatcher(Free(Clock::start()), Waiting(0), observer);
        group.bench_function(name, |bencher| {
            let mut now = 0;
            bencher.iter(|| {
                now += 10;
                dispatcher.mark(id, NEWS);
                dispatcher.round(Moment(now));
                assert!(!dispatcher.has_turns(), "one turn per round");
            });
        });
    }
    group.finish();
}

fn pair() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let near = TcpStream::connect(listener.local_addr()?)?;
    let (far, _) = listener.accept()?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    far.set_nonblocking(true)?;
    Ok((near, far))
}

/// Includes the client's send before the turn and its read afterwards. "four calls" makes the same
/// system calls without the dispatcher.
fn over_sockets(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("socket pair");
    for length in [64, 4_096, 65_536] {
        group.throughput(Throughput::Bytes(length as u64));
        let message = vec![b'x'; length];
        let mut back = vec![0; length];
        group.bench_function(BenchmarkId::new("four calls", length), |bencher| {
            let (mut near, mut far) = pair().expect("a pair of sockets on loopback");
            let mut buffer = vec![0; REACTOR.read_buffer];
            bencher.iter(|| {
                near.write_all(&message).expect("the message is taken");
                let got = far.read(&mut buffer).expect("it has come");
                far.write_all(&buffer[..got]).expect("it goes back");
                near.read_exact(&mut back).expect("it comes back");
            });
            assert_eq!(back, message);
        });
        group.bench_function(BenchmarkId::new("a turn of echo", length), |bencher| {
            let (mut near, far) = pair().expect("a pair of sockets on loopback");
            let poll = mio::Poll::new().expect("a poll");
            let registry = poll.registry().try_clone().expect("a descriptor");
            let linux = LinuxIo::new(registry, true, &BODIES);
            let clock = linux.clock();
            let far = Stream::Tcp(mio::net::TcpStream::from_std(far));
            let (mut dispatcher, id) = dispatcher(linux, far, Box::new(()));
            bencher.iter(|| {
                near.write_all(&message).expect("the message is taken");
                dispatcher.mark(id, NEWS);
                dispatcher.round(clock.now());
                near.read_exact(&mut back).expect("it comes back");
            });
            assert_eq!(back, message);
        });
    }
    group.finish();
}
