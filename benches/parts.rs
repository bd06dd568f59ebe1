//! Times the parts of the server one by one: `cargo bench --bench parts [-- NAME]`.

#[path = "../tests/memory/mod.rs"]
mod memory;
#[path = "parts/sessions.rs"]
mod sessions;
#[path = "parts/turns.rs"]
mod turns;

use criterion::Criterion;
use std::time::Duration;

fn main() {
    // `cargo test --all-targets` comes without `--bench` and must not start any load.
    if !std::env::args().any(|word| word == "--bench") {
        println!("nothing timed; usage: cargo bench --bench parts [-- NAME]");
        return;
    }
    // Two seconds a part are enough for the third digit, and not too long for fifteen parts.
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    sessions::time(&mut criterion);
    turns::time(&mut criterion);
    criterion.final_summary();
}
