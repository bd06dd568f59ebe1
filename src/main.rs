//! Runs what the command line asks for and turns the outcome into an exit status.
//! Holds no logic of any service.

use clap::Parser;
use log::LevelFilter;
use loket::cli::{Cli, Command, PortChoice, ServeOptions};
use loket::config;
use loket::reactor::event_loop::Stopped;
use loket::server::{Server, Settings};
use std::process::ExitCode;

/// Bad flags and everything else that is wrong before a server starts.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Serve(options) => serve(&options),
        _ => ExitCode::from(USAGE),
    }
}

fn serve(options: &ServeOptions) -> ExitCode {
    start_log(options);
    let server =
        settings(options).and_then(|settings| Server::bind(settings).map_err(|e| e.to_string()));
    let server = match server {
        Ok(server) => server,
        Err(error) => {
            eprintln!("loket serve: {error}");
            return ExitCode::from(USAGE);
        }
    };
    match server.run(&mut std::io::stdout()) {
        Ok(Stopped::Gracefully) => ExitCode::SUCCESS,
        Ok(Stopped::Cutting(connections)) => {
            log::warn!("{connections} connections were cut");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("loket serve: the loop failed: {error}");
            ExitCode::FAILURE
        }
    }
}

fn settings(options: &ServeOptions) -> Result<Settings, String> {
    for (name, port) in [("talk", options.talk), ("room", options.room)] {
        if port != PortChoice::Off {
            return Err(format!(
                "the {name} service is not built yet; leave --{name} out"
            ));
        }
    }
    Ok(Settings {
        host: options.host,
        root: options.root.clone(),
        echo: options.echo.port(),
        transfer: options.transfer.port(),
        files: options.files.port(),
        max_connections: options.max_connections.map(|count| count as usize),
        idle_timeout: options.idle_timeout,
        settle: options.settle,
        bare_gap: options.bare_gap,
        max_file_size: options.max_file_size.unwrap_or(config::LARGEST_FILE),
        read_only: options.read_only,
        plain_bodies: options.plain_bodies,
        trace: options.trace,
    })
}

fn start_log(options: &ServeOptions) {
    let level = match (options.quiet, options.verbose) {
        (true, _) => LevelFilter::Error,
        (_, 0) => LevelFilter::Info,
        (_, 1) => LevelFilter::Debug,
        (_, _) => LevelFilter::Trace,
    };
    env_logger::Builder::new()
        .filter_level(level)
        .parse_default_env()
        .init();
}
