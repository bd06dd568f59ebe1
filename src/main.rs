//! Runs what the command line asks for and turns the outcome into an exit status.
//! Holds no logic of any service.

use clap::Parser;
use log::LevelFilter;
use loket::cli::{Cli, Command, FilesCommand, FilesOptions, PortChoice, ServeOptions};
use loket::client::error::ClientError;
use loket::client::files::Files;
use loket::client::limits::ClientLimits;
use loket::client::{download, echo, screen, shell, transfer};
use loket::config;
use loket::reactor::event_loop::Stopped;
use loket::server::{Server, Settings};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::low_level::{emulate_default_handler, pipe};
use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::thread;

/// Bad flags and everything else that is wrong before a server starts.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Serve(options) => serve(&options),
        command => outcome(run_client(command)),
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

fn run_client(command: Command) -> Result<(), ClientError> {
    let limits = client_limits();
    clean_up_on_signals().map_err(|error| {
        ClientError::failure(format!("cannot prepare for signals: {error}; try again"))
    })?;
    match command {
        Command::Serve(_) => Ok(()),
        Command::Echo(options) if options.message.is_empty() => {
            echo::converse(&options.at, &limits)
        }
        Command::Echo(options) => echo::once(&options.message.join(" "), &options.at, &limits),
        Command::Send(options) => {
            let name = options.name.as_deref();
            transfer::send(&options.files, name, &options.to, &limits)
        }
        Command::Receive(options) => {
            transfer::receive(&options.names, &options.output, &options.from, &limits)
        }
        Command::Files(options) => run_files(&options, &limits),
    }
}

fn run_files(options: &FilesOptions, limits: &ClientLimits) -> Result<(), ClientError> {
    let Some(command) = &options.command else {
        return shell::run(&options.at, limits);
    };
    let mut files = Files::new(&options.at, limits)?;
    match command {
        FilesCommand::Ls { dir } => files.list(dir.as_deref()),
        FilesCommand::Size { name } => files.size(name),
        FilesCommand::Rm { name } => files.remove(name),
        FilesCommand::Download { name, output } => files.download(name, output.as_deref()),
        FilesCommand::Upload { file, name } => files.upload(file, name.as_deref()),
    }
}

fn client_limits() -> ClientLimits {
    ClientLimits {
        connect_timeout: config::CLIENT_CONNECT_TIMEOUT,
        quiet_timeout: config::CLIENT_QUIET_TIMEOUT,
        progress_delay: config::CLIENT_PROGRESS_DELAY,
        reply_line: config::CLIENT_REPLY_LINE_BYTES,
        command_line: config::CLIENT_COMMAND_LINE_BYTES,
        echo_piece: config::CLIENT_ECHO_PIECE_BYTES,
        body_piece: config::CLIENT_BODY_PIECE_BYTES,
    }
}

fn outcome(result: Result<(), ClientError>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            screen::complain(&error);
            ExitCode::from(error.status())
        }
    }
}

/// Ctrl-C ends a client as ever, but not before the file that it was writing aside is gone.
fn clean_up_on_signals() -> io::Result<()> {
    for signal in [SIGINT, SIGTERM] {
        let (mut wake, waker) = UnixStream::pair()?;
        pipe::register(signal, waker)?;
        thread::spawn(move || {
            if wake.read_exact(&mut [0]).is_ok() {
                download::remove_unfinished();
                let _ = emulate_default_handler(signal);
            }
        });
    }
    Ok(())
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
