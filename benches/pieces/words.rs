//! Times what is done with bytes alone: splitting them into units.
//! Speaks to no protocol.

use criterion::{BenchmarkId, Criterion, Throughput};
use loket::config::WIRE;
use loket::wire::pause::{Delay, Pause};
use loket::wire::unended::Unended;
use loket::wire::unit::{Split, Splitter};
use std::hint::black_box;

pub fn time(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("unit");
    for length in [5, 64, 4_096] {
        let mut line = vec![b'x'; length];
        line.push(b'\n');
        group.throughput(Throughput::Bytes(line.len() as u64));
        group.bench_function(BenchmarkId::new("line", length), |bencher| {
            let mut splitter = Splitter::new(WIRE.unit);
            bencher.iter(|| taken(&mut splitter, &line, Pause::None));
        });
    }
    let lines = b"size a.bin\n".repeat(1_000);
    group.throughput(Throughput::Elements(1_000));
    group.bench_function("a thousand lines at once", |bencher| {
        let mut splitter = Splitter::new(WIRE.unit);
        bencher.iter(|| {
            let mut rest = &lines[..];
            while !rest.is_empty() {
                let count = taken(&mut splitter, rest, Pause::None);
                rest = &rest[count..];
            }
        });
    });
    let unended = vec![b'x'; WIRE.unit];
    group.throughput(Throughput::Bytes(unended.len() as u64));
    group.bench_function("no end of 4096 bytes", |bencher| {
        let mut splitter = Splitter::new(WIRE.unit);
        bencher.iter(|| {
            let found = splitter.split(black_box(&unended), Pause::None, |_| Unended::Part);
            assert_eq!(found, Split::More);
        });
    });
    group.throughput(Throughput::Elements(1));
    group.bench_function("a bare command", |bencher| {
        bencher.iter(|| {
            let mut splitter = Splitter::new(WIRE.unit);
            taken(&mut splitter, b"ls", Pause::Quiet(Delay::Settle))
        });
    });
    group.finish();
}

fn taken(splitter: &mut Splitter, input: &[u8], pause: Pause) -> usize {
    match splitter.split(black_box(input), pause, |unit| match unit {
        b"ls" => Unended::Question,
        _ => Unended::Part,
    }) {
        Split::Unit { taken, .. } => taken,
        other => panic!("not a unit: {other:?}"),
    }
}
