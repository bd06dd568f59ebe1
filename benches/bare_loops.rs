//! Runs one bare epoll loop by hand: the floor that the figures hold loket against.
//! Measures nothing; `figures` starts the same loops inside itself.

mod bare;

use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| word != "--bench")
        .collect();
    if words.is_empty() {
        // `cargo bench` and `cargo test --all-targets` come here: nothing to do is no failure.
        println!("{}", bare::USAGE);
        return ExitCode::SUCCESS;
    }
    match bare::run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            eprintln!("bare_loops: {trouble}");
            ExitCode::from(2)
        }
    }
}
