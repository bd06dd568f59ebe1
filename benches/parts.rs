//! Microbenchmarks of sessions, outbox and turns: `cargo bench --bench parts [-- NAME]`.

#[path = "../tests/memory/mod.rs"]
mod memory;
#[path = "parts/sessions.rs"]
mod sessions;
#[path = "parts/turns.rs"]
mod turns;

use criterion::Criterion;
use std::time::Duration;

fn main() {
    // `cargo test --all-targets` runs this without `--bench` and must not start any load.
    if !std::env::args().any(|arg| arg == "--bench") {
        println!("nothing measured; usage: cargo bench --bench parts [-- NAME]");
        return;
    }
    // Two seconds each give three stable digits and keep fifteen benchmarks short.
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    sessions::bench(&mut criterion);
    turns::bench(&mut criterion);
    criterion.final_summary();
}
