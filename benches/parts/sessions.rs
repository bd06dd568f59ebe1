//! Benchmarks of sessions that are fed with bytes, and of the outbox.

use crate::memory::Service;
use crate::memory::store::{Faults, Files, Memory};
use criterion::{BenchmarkId, Criterion, Throughput};
use loket::config::reactor::OUTBOX_HIGH_WATER;
use loket::session::outbox::{Front, Outbox};
use loket::session::session::Session;
use loket::session::session_id::SessionId;
use loket::session::shared::Shared;
use loket::store::{Requester, Store};
use loket::wire::follows::Follows;
use std::hint::black_box;

const NAME: &str = "a.bin";
const SIZE: usize = 4_096;

pub fn bench(criterion: &mut Criterion) {
    feeds(criterion);
    outbox(criterion);
}

fn feeds(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("feed");
    for length in [1, 64, 4_096, 65_536] {
        let input = vec![b'x'; length];
        group.throughput(Throughput::Bytes(length as u64));
        group.bench_function(BenchmarkId::new("echo", length), |bencher| {
            let (mut session, mut shared) = session(Service::Echo);
            bencher.iter(|| exchange(&mut session, &mut shared, &input));
        });
    }
    let download = format!("download {NAME}\n");
    for (label, input) in [
        ("files: size", "size a.bin\n"),
        ("files: a missing file", "size missing.bin\n"),
        ("files: download", &download),
    ] {
        group.throughput(Throughput::Elements(1));
        group.bench_function(label, |bencher| {
            let (mut session, mut shared) = session(Service::Files);
            bencher.iter(|| exchange(&mut session, &mut shared, input.as_bytes()));
        });
    }
    group.bench_function("files: 16 commands at once", |bencher| {
        let input = "size a.bin\n".repeat(16);
        let (mut session, mut shared) = session(Service::Files);
        bencher.iter(|| exchange(&mut session, &mut shared, input.as_bytes()));
    });
    group.finish();
}

fn session(service: Service) -> (Session, Shared) {
    let files: Files = [(NAME.to_owned(), vec![7; SIZE])].into();
    let store = Memory::with(&files, Faults::default());
    (
        Session::new(service.protocol(&store), SessionId(1)),
        Shared::new(OUTBOX_HIGH_WATER),
    )
}

/// Feeds the session and discards its answer. The session keeps its buffers, as within a turn.
fn exchange(session: &mut Session, shared: &mut Shared, input: &[u8]) -> usize {
    let mut calls = usize::MAX;
    session.feed(black_box(input), Follows::More, &mut calls, shared);
    let outbox = session.outbox().expect("the session was fed");
    let sent = drain(outbox);
    assert!(sent > 0, "the session answered");
    sent
}

fn drain(outbox: &mut Outbox) -> usize {
    let mut sent = 0;
    while let Some(front) = outbox.front() {
        let count = match front {
            Front::Bytes(bytes) => bytes.len(),
            Front::Body(_, range) => (range.end - range.start) as usize,
        };
        outbox.advance(count);
        sent += count;
    }
    sent
}

fn outbox(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("outbox");
    for length in [64, 4_096, 65_536] {
        let bytes = vec![b'x'; length];
        group.throughput(Throughput::Bytes(length as u64));
        group.bench_function(BenchmarkId::new("append and drain", length), |bencher| {
            let mut outbox = Outbox::default();
            bencher.iter(|| {
                outbox.bytes(black_box(&bytes));
                drain(&mut outbox)
            });
        });
    }
    group.throughput(Throughput::Elements(16));
    group.bench_function("16 replies, drained together", |bencher| {
        let mut outbox = Outbox::default();
        bencher.iter(|| {
            for _ in 0..16 {
                outbox.bytes(black_box(b"OK 4096 0.00 MB\n"));
            }
            drain(&mut outbox)
        });
    });
    group.throughput(Throughput::Bytes(65_536));
    group.bench_function("64 KiB, drained in steps of 1460 bytes", |bencher| {
        let bytes = vec![b'x'; 65_536];
        let mut outbox = Outbox::default();
        bencher.iter(|| {
            outbox.bytes(black_box(&bytes));
            while outbox.pending() > 0 {
                outbox.advance(outbox.pending().min(1_460));
            }
        });
    });
    group.throughput(Throughput::Elements(1));
    group.bench_function("a header and a body", |bencher| {
        let files: Files = [(NAME.to_owned(), vec![7; SIZE])].into();
        let store = Memory::with(&files, Faults::default());
        let client = Requester {
            session: SessionId(1),
            address: [127, 0, 0, 1].into(),
            reads: 0,
        };
        let opened = store
            .open(NAME, client)
            .take()
            .ok()
            .expect("the store answers at once");
        let (blob, length) = opened.expect("the file exists").content();
        let mut outbox = Outbox::default();
        bencher.iter(|| {
            outbox.bytes(b"OK 4096\n");
            outbox.body(blob.clone(), 0..length);
            drain(&mut outbox)
        });
    });
    group.finish();
}
