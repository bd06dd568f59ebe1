//! Times what the loop keeps about 20,000 connections: who is next, whose time has come.
//! Serves none of them.

use criterion::{BatchSize, Criterion, Throughput};
use loket::config::SETTLE_MILLIS;
use loket::reactor::clock::Moment;
use loket::reactor::deadlines::Deadlines;
use loket::reactor::delays::Delays;
use loket::reactor::run_queue::RunQueue;
use loket::reactor::token::{Key, Target};
use loket::wire::pause::Delay;
use std::hint::black_box;

const CONNECTIONS: u32 = 20_000;

pub fn time(criterion: &mut Criterion) {
    tokens(criterion);
    run_queue(criterion);
    delays(criterion);
    deadlines(criterion);
}

fn key(slot: u32) -> Key {
    Key { slot, serial: slot }
}

fn tokens(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("token");
    let target = Target::Session(key(12_345));
    group.bench_function("pack", |bencher| {
        bencher.iter(|| black_box(target).token());
    });
    group.bench_function("unpack", |bencher| {
        let token = target.token();
        bencher.iter(|| Target::from_token(black_box(token)));
    });
    group.finish();
}

fn run_queue(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("run queue");
    group.throughput(Throughput::Elements(u64::from(CONNECTIONS)));
    group.bench_function("all in and out", |bencher| {
        let mut queue = RunQueue::default();
        bencher.iter(|| {
            (0..CONNECTIONS).for_each(|slot| queue.push_short(key(slot), 8));
            queue.begin_round();
            while queue.pop_short().is_some() {}
        });
    });
    group.throughput(Throughput::Elements(1));
    group.bench_function("one to the back", |bencher| {
        let mut queue = RunQueue::default();
        (0..CONNECTIONS).for_each(|slot| queue.push_bulk(key(slot)));
        bencher.iter(|| {
            let next = queue.pop_bulk().expect("somebody waits");
            queue.push_bulk(next);
        });
    });
    group.finish();
}

fn full_delays() -> Delays {
    let mut delays = Delays::new([SETTLE_MILLIS * 1_000; Delay::ALL.len()]);
    for slot in 0..CONNECTIONS {
        delays.arm(Delay::Settle, Moment(u64::from(slot)), key(slot));
    }
    delays
}

fn delays(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("delays");
    group.bench_function("arm behind 20,000", |bencher| {
        let now = Moment(u64::from(CONNECTIONS));
        bencher.iter_batched_ref(
            full_delays,
            |delays| delays.arm(Delay::Settle, now, key(0)),
            BatchSize::LargeInput,
        );
    });
    group.bench_function("one moved on, of 20,000", |bencher| {
        // Each entry that comes due has spoken since, and goes back to its place near the end.
        let mut delays = full_delays();
        let mut now = u64::from(CONNECTIONS);
        bencher.iter(|| {
            now += 1;
            let due = delays.pop_due(Moment(u64::MAX)).expect("somebody is due");
            delays.arm(due.0, Moment(now), due.1);
        });
    });
    group.bench_function("when is the next, of 20,000", |bencher| {
        let delays = full_delays();
        bencher.iter(|| black_box(&delays).next_due());
    });
    group.finish();
}

fn deadlines(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("deadlines");
    let full = || {
        let mut deadlines = Deadlines::default();
        (0..CONNECTIONS).for_each(|slot| deadlines.set(slot, 300 + slot % 60));
        deadlines
    };
    group.bench_function("progress of one of 20,000", |bencher| {
        let mut deadlines = full();
        bencher.iter(|| deadlines.set(black_box(12_345), black_box(400)));
    });
    group.bench_function("sweep of 20,000", |bencher| {
        let mut deadlines = full();
        let mut second = 1_000;
        bencher.iter(|| {
            // The deadline of one slot comes, so that the whole column is looked at.
            (0..2).for_each(|slot| deadlines.set(slot, second));
            (2..3).for_each(|slot| deadlines.set(slot, u32::MAX - 1));
            second += 1;
            black_box(deadlines.expired(second - 1))
        });
    });
    group.finish();
}
