//! Runs what the command line asks for and turns the outcome into an exit status.
//! Holds no logic of any service.

use clap::Parser;
use env_logger::fmt::Formatter;
use log::{LevelFilter, Record};
use loket::cli::load::LoadOptions;
use loket::cli::{Cli, Command, FilesCommand, FilesOptions, RoomOptions, ServeOptions};
use loket::client::ClientLimits;
use loket::client::error::ClientError;
use loket::client::files::Files;
use loket::client::{download, echo, room, screen, shell, talk, transfer};
use loket::config;
use loket::config::client::CLIENT;
use loket::config::store::STORE;
use loket::reactor::event_loop::Stopped;
use loket::reactor::log_queue::LogQueue;
use loket::reactor::log_sink::LogSink;
use loket::reactor::signals;
use loket::server::{Server, Settings};
use loket::setup::{host, password};
use loket::terminal::on_exit;
use loket::wire::text::OneLine;
use signal_hook::low_level::{emulate_default_handler, pipe};
use std::env::VarError;
use std::error::Error;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::thread;

/// Bad flags and everything else that is wrong before a server starts.
const USAGE: u8 = 2;

/// The variable that holds the password of the room.
const ROOM_PASSWORD: &str = "LOKET_ROOM_PASSWORD";

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Serve(options) => serve(&options),
        Command::Load(options) => load(*options),
        command => outcome(run_client(command)),
    }
}

fn serve(options: &ServeOptions) -> ExitCode {
    let log = LogQueue::new(config::LOG_BACKLOG);
    start_log(options, &log);
    let status = match settings(options).and_then(|settings| Ok(Server::bind(settings)?)) {
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
        Ok(Stopped::Cutting(connections)) => {
            log::warn!("connections that were cut: {connections}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("loket serve: {}", OneLine(&error));
            ExitCode::FAILURE
        }
    }
}

fn settings(options: &ServeOptions) -> Result<Settings, Box<dyn Error>> {
    Ok(Settings {
        host: host::find(&options.host)?,
        root: options.root.clone(),
        echo: options.echo.port(),
        transfer: options.transfer.port(),
        files: options.files.port(),
        talk: options.talk.port(),
        room: options.room.port(),
        room_password: room_password(options)?,
        room_rate: options.room_rate,
        room_per_address: options.room_per_address,
        room_idle: options.room_idle,
        max_connections: options.max_connections.map(|count| count as usize),
        max_per_address: options.max_per_address.map(|count| count as usize),
        min_rate: options.min_rate,
        idle_timeout: options.idle_timeout,
        settle: options.settle,
        bare_gap: options.bare_gap,
        max_file_size: options.max_file_size.unwrap_or(STORE.largest),
        read_only: options.read_only,
        sync: !options.no_sync,
        user: options.user.clone(),
        plain_bodies: options.plain_bodies,
        trace: options.trace,
    })
}

/// From the flag, the file or the variable, in this order.
fn room_password(options: &ServeOptions) -> Result<Option<String>, Box<dyn Error>> {
    let (password, source) = match (&options.room_password, &options.room_password_file) {
        (Some(password), _) => (password.clone(), "--room-password"),
        (None, Some(file)) => {
            let text = std::fs::read_to_string(file).map_err(|error| {
                let file = file.display();
                format!("cannot read the room's password from {file}: {error}")
            })?;
            (
                password::first_line(&text).to_owned(),
                "--room-password-file",
            )
        }
        (None, None) => match std::env::var(ROOM_PASSWORD) {
            Ok(password) => (password, ROOM_PASSWORD),
            Err(VarError::NotPresent) => return Ok(None),
            Err(VarError::NotUnicode(_)) => {
                let text = format!("the room's password in {ROOM_PASSWORD} is not UTF-8 text");
                return Err(format!("{text}; set it anew").into());
            }
        },
    };
    // The room drops blanks around a password.
    if password.trim().is_empty() {
        return Err(format!("the room's password from {source} is empty; give one").into());
    }
    Ok(Some(password))
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
    let password = match (options.password, std::env::var_os(ROOM_PASSWORD)) {
        (Some(password), _) => Some(password),
        (None, None) => None,
        (None, Some(value)) => Some(value.into_string().map_err(|_| {
            ClientError::usage(format!(
                "cannot use the password in {ROOM_PASSWORD}: it is not UTF-8 text; set it anew"
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
    let mut files = Files::new(&options.at, limits)?;
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
            screen::complain(&error);
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
