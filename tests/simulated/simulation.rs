//! With random faults of network, kernel and disk, every peer gets exactly the bytes it must get.
//! Runs on a simulated kernel in virtual time.
//!
//! The first seed that fails after a fault is put into the server by hand; other ways to write the
//! same fault may fail first at other seeds:
//!
//! | fault | where | seed |
//! |---|---|---|
//! | a readable bit is cleared after a read that filled the buffer | reactor/turn.rs | 1 |
//! | an end of stream that came with the last bytes is forgotten | reactor/turn.rs | 0 |
//! | no requeue after the budget of bytes, of calls | reactor/turn.rs | 0, 1 |
//! | splice is asked for more than the body | reactor/turn.rs | 28 |
//! | a stale token is served | reactor/table.rs | 1 |
//! | a notice is delivered to a reused slot | reactor/dispatcher.rs | 3 |
//! | the high-water mark is ignored | session/session.rs | 1 |
//! | a body ends before its last piece is written | session/session.rs | 6 |
//! | a short upload is committed: files, transfer, bare transfer, HTTP | services | 17, 14, 0, 7 |
//! | each chunk of an HTTP upload is written at offset 0 | services/http | 5 |
//! | a typed command runs after the settle window | wire/framing.rs | 20 |
//!
//! `LOKET_SEED` runs one seed, `LOKET_SEEDS` a range like `0..100000`, and `LOKET_SEED_SECONDS`
//! ends a range early; `scripts/soak` runs new seeds.

use crate::sim::engine::Engine;
use crate::sim::trace::Trace;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// The seeds of an ordinary run.
const SEEDS: u64 = 2_000;

/// Runs one seed; a failure prints the last events and the command that repeats it.
fn run(seed: u64) {
    let trace = Rc::new(Trace::default());
    let inner = trace.clone();
    let outcome = catch_unwind(AssertUnwindSafe(|| Engine::new(seed, inner).run()));
    if let Err(cause) = outcome {
        let text = cause.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| cause.downcast_ref::<&str>().copied());
        panic!(
            "seed {seed} fails {}{}\n\
             again: LOKET_SEED={seed} cargo test --test simulated simulation::\n",
            trace.text(),
            text.unwrap_or("it panicked without a message")
        );
    }
}

/// Which seeds are run: one, a range, or a range until a time is over.
struct Order {
    from: u64,
    until: u64,
    end: Option<Instant>,
}

fn order() -> Order {
    let variable = |name: &str| std::env::var(name).ok();
    let number = |text: &str| text.trim().parse().expect("a number of a seed");
    let (from, until) = match (variable("LOKET_SEED"), variable("LOKET_SEEDS")) {
        (Some(seed), _) => (number(&seed), number(&seed) + 1),
        (None, Some(range)) => {
            let (from, until) = range.split_once("..").expect("FROM..UNTIL");
            let until = if until.is_empty() {
                u64::MAX
            } else {
                number(until)
            };
            (number(from), until)
        }
        (None, None) => (0, SEEDS),
    };
    let seconds = variable("LOKET_SEED_SECONDS").map(|seconds| number(&seconds));
    let end = seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    Order { from, until, end }
}

/// Runs this part's share of the seeds.
fn run_part(part: u64) {
    let order = order();
    let (begin, mut count) = (Instant::now(), 0);
    let mut seed = order.from + part;
    while seed < order.until && order.end.is_none_or(|end| Instant::now() < end) {
        run(seed);
        seed += PARTS;
        count += 1;
    }
    let seconds = begin.elapsed().as_secs_f64();
    println!(
        "{count} seeds in {seconds:.1} s, part {part} from {}",
        order.from
    );
}

/// The test runner runs the parts in parallel.
const PARTS: u64 = 4;

#[test]
fn every_seed_passes_first_quarter() {
    run_part(0);
}

#[test]
fn every_seed_passes_second_quarter() {
    run_part(1);
}

#[test]
fn every_seed_passes_third_quarter() {
    run_part(2);
}

#[test]
fn every_seed_passes_last_quarter() {
    run_part(3);
}
