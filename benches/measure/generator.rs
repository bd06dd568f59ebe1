//! Runs the load generator in this process: the flags of `loket load` as text, its outcome back.

use super::server::Server;
use super::{check_stop, pinning};
use clap::Parser;
use loket::cli::load::LoadOptions;
use loket::load::report::{Outcome, RunEnd};
use loket::load::settings::Settings;
use loket::load::{dialer, run};
use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};

#[derive(Parser)]
struct CommandLine {
    #[command(flatten)]
    options: LoadOptions,
}

/// The address of the service that these flags load.
fn address(flags: &str, server: &Server) -> Result<String, String> {
    let service = match flags.split_whitespace().next().unwrap_or_default() {
        "churn" | "idle" => "echo",
        service => service,
    };
    Ok(server.address(service)?.to_string())
}

/// The settings of these flags, against this server.
pub fn settings(flags: &str, server: &Server) -> Result<Settings, String> {
    let at = address(flags, server)?;
    let process = server.id().to_string();
    let words = ["loket load"].into_iter().chain(flags.split_whitespace());
    let words = words.chain(["--at", &at, "--server-pid", &process]);
    let words = CommandLine::try_parse_from(words).map_err(|e| format!("{flags}: {e}"))?;
    Ok(words.options.settings())
}

/// Makes a run. An error of any request is an error of the run.
pub fn run(flags: &str, server: &Server) -> Result<Outcome, String> {
    let outcome = run_with(settings(flags, server)?)?;
    match outcome.status() {
        0 => Ok(outcome),
        _ => Err(problem(&outcome)),
    }
}

/// Makes a run; its outcome says whether requests failed.
pub fn run_with(settings: Settings) -> Result<Outcome, String> {
    check_stop()?;
    let servers = dialer::resolve(&settings.at).map_err(|e| e.to_string())?;
    let outcome = run::measure(settings, servers).map_err(|e| e.to_string())?;
    match outcome.ending {
        RunEnd::Interrupted => Err("stopped by a signal".to_string()),
        _ => Ok(outcome),
    }
}

/// What was wrong with a run.
pub fn problem(outcome: &Outcome) -> String {
    let lost = match &outcome.ending {
        RunEnd::Lost(why) => Some(why.as_str()),
        _ => None,
    };
    let first = outcome.recorder.first_error();
    let why = lost.or(first).or(outcome.left_behind.as_deref());
    let count = outcome.recorder.all_errors();
    format!("{count} errors; {}", why.unwrap_or("a bound was missed"))
}

/// A generator in a process of its own, which gets the core only when nothing else wants it.
pub struct Background(Child);

impl Background {
    pub fn start(program: &Path, flags: &str, server: &Server) -> Result<Background, String> {
        let child = Command::new("setpriv")
            .args("--pdeathsig TERM chrt --idle 0 taskset -c".split(' '))
            .arg(pinning::load_core().to_string())
            .arg(program)
            .arg("load")
            .args(flags.split_whitespace())
            .args(["--at", &address(flags, server)?])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let child = child.map_err(|e| format!("cannot start a generator with chrt: {e}"))?;
        Ok(Background(child))
    }

    /// Waits for its end; its report.
    pub fn finish(mut self) -> Result<String, String> {
        // Both are short: neither pipe gets full.
        let out = self.0.stdout.take().map(io::read_to_string).transpose();
        let err = self.0.stderr.take().map(io::read_to_string).transpose();
        let [out, err] = [out, err].map(|text| text.ok().flatten().unwrap_or_default());
        match self.0.wait() {
            Ok(status) if status.success() => Ok(out),
            _ => Err(format!("a generator failed: {out}{err}")),
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
