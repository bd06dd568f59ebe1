//! Runs what the command line asks for and turns the outcome into an exit status.

use clap::Parser;
use env_logger::fmt::Formatter;
use log::{LevelFilter, Record};
use loket::cli::load::LoadOptions;
use loket::cli::{Cli, Command, FilesCommand, FilesOptions, RoomOptions};
use loket::client::ClientLimits;
use loket::client::error::ClientError;
use loket::client::files::FilesClient;
use loket::client::{download, echo, output, room, shell, talk, transfer};
use loket::config;
use loket::config::client::CLIENT;
use loket::reactor::event_loop::Stopped;
use loket::reactor::log::{LogQueue, LogSink};
use loket::reactor::signals;
use loket::server::Server;
use loket::server::options::ServeOptions;
use loket::setup::password;
use loket::terminal::on_exit;
use loket::wire::text::OneLine;
use signal_hook::low_level::{emulate_default_handler, pipe};
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::thread;

/// Bad flags and everything else that is wrong before a server starts.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Serve(options) => serve(*options),
        Command::Load(options) => load(*options),
        command => outcome(run_client(command)),
    }
}

fn serve(options: ServeOptions) -> ExitCode {
    let log = LogQueue::new(config::LOG_BACKLOG);
    start_log(&options, &log);
    let status = match Server::bind(options) {
        Ok(server) => run_server(server, &log),
        Err(error) => {
            eprintln!("loket serve: {}", OneLine(&error));
            ExitCode::from(USAGE)
        }
    };
    // What the loop did not write: its last words, or those of a start that failed.
    LogSink::finish(log);
    status
}

fn run_server(server: Server, log: &LogQueue) -> ExitCode {
    match server.run(&mut io::stdout(), log.clone()) {
        Ok(Stopped::Gracefully) => ExitCode::SUCCESS,
        Ok(Stopped::Forced(connections)) => {
            log::warn!("connections that were cut: {connections}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("loket serve: {}", OneLine(&error));
            ExitCode::FAILURE
        }
    }
}

fn load(options: LoadOptions) -> ExitCode {
    match loket::load::run::run(options.settings(), &mut io::stdout()) {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            for line in error.to_string().lines() {
                eprintln!("loket load: {}", OneLine(line));
            }
            ExitCode::from(error.status())
        }
    }
}

fn run_client(command: Command) -> Result<(), ClientError> {
    let limits = CLIENT;
    clean_up_on_signals().map_err(|error| {
        ClientError::failure(format!("cannot prepare for signals: {error}; try again"))
    })?;
    match command {
        Command::Serve(_) | Command::Load(_) => Ok(()),
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
        Command::Talk(options) => talk::run(&options.at, &limits),
        Command::Room(options) => run_room(options, &limits),
    }
}

/// The flag before the variable; an empty variable is none.
fn run_room(options: RoomOptions, limits: &ClientLimits) -> Result<(), ClientError> {
    let password = match (options.password, std::env::var_os(password::VARIABLE)) {
        (Some(password), _) => Some(password),
        (None, None) => None,
        (None, Some(value)) => Some(value.into_string().map_err(|_| {
            ClientError::usage(format!(
                "cannot use the password in {}: it is not UTF-8 text; set it anew",
                password::VARIABLE
            ))
        })?)
        .filter(|password| !password.is_empty()),
    };
    room::run(&options.at, options.name, password, limits)
}

fn run_files(options: &FilesOptions, limits: &ClientLimits) -> Result<(), ClientError> {
    let Some(command) = &options.command else {
        return shell::run(&options.at, limits);
    };
    let mut files = FilesClient::new(&options.at, limits)?;
    match command {
        FilesCommand::Ls { dir } => files.list(dir.as_deref()),
        FilesCommand::Size { name } => files.size(name),
        FilesCommand::Rm { name } => files.remove(name),
        FilesCommand::Download { name, output } => files.download(name, output.as_deref()),
        FilesCommand::Upload { file, name } => files.upload(file, name.as_deref()),
    }
}

fn outcome(result: Result<(), ClientError>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::error(&error);
            ExitCode::from(error.status())
        }
    }
}

/// A signal ends a client as by default, after the unfinished file is removed, the terminal is
/// restored and the room is left.
fn clean_up_on_signals() -> io::Result<()> {
    for signal in signals::ending() {
        let (mut wake, waker) = UnixStream::pair()?;
        pipe::register(signal, waker)?;
        thread::spawn(move || {
            if wake.read_exact(&mut [0]).is_ok() {
                download::remove_unfinished();
                on_exit::run();
                let _ = emulate_default_handler(signal);
            }
        });
    }
    Ok(())
}

fn start_log(options: &ServeOptions, log: &LogQueue) {
    let level = match (options.quiet, options.verbose) {
        (true, _) => LevelFilter::Error,
        (_, 0) => LevelFilter::Info,
        (_, 1) => LevelFilter::Debug,
        (_, _) => LevelFilter::Trace,
    };
    env_logger::Builder::new()
        .filter_level(level)
        .parse_default_env()
        .target(env_logger::Target::Pipe(Box::new(log.clone())))
        .format(log_line)
        .init();
}

/// As env_logger has it, but for what a peer or a folder has named: it cannot begin another line,
/// or steer a terminal.
fn log_line(out: &mut Formatter, record: &Record<'_>) -> io::Result<()> {
    let (time, level) = (out.timestamp(), record.level());
    let style = out.default_level_style(level);
    let message = OneLine(record.args());
    writeln!(
        out,
        "[{time} {style}{level:<5}{style:#} {}] {message}",
        record.target()
    )
}
