//! Entry point: runs one subcommand and returns its exit status.

use clap::{ArgMatches, Command, CommandFactory, FromArgMatches};
use log::LevelFilter;
use loket::cli::assets;
use loket::cli::load::LoadOptions;
use loket::cli::log_format::LogLine;
use loket::cli::settings;
use loket::cli::{Cli, CliCommand, FilesAction, FilesOptions, RoomOptions};
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
use std::fmt::Display;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;
use std::{env, fs, thread};

/// Exit status for bad flags and for every error before a server starts.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let command = settings::with_settable_switches(Cli::command());
    let matches = match parse(&command) {
        Ok(matches) => matches,
        Err(status) => return status,
    };
    match Cli::from_arg_matches(&matches)
        .unwrap_or_else(|error| error.exit())
        .command
    {
        CliCommand::Serve(options) => serve(*options),
        CliCommand::Load(options) => load(*options),
        CliCommand::Assets(options) => write_assets(&command, &options.folder),
        client => outcome(run_client(client)),
    }
}

/// Parses the command line with the layers below it. An error is printed.
fn parse(command: &Command) -> Result<ArgMatches, ExitCode> {
    let words: Vec<_> = env::args_os().collect();
    let read = |path: &Path| fs::read_to_string(path);
    let variable = |name: &str| env::var_os(name);
    let line = LogLine::new(settings::log_format(&words, variable));
    let print = |error: String| {
        // Standard error may be closed.
        let _ = io::stderr().write_all(line.start_error(error).as_bytes());
        ExitCode::from(USAGE)
    };
    let serves = words.get(1).is_some_and(|word| word == "serve");
    let words = settings::with_weaker_layers(command, words, variable, read).map_err(print)?;
    let matches = command.clone().try_get_matches_from(words);
    let matches = matches.map_err(|error| {
        // The usage would be lines of its own.
        if !(error.use_stderr() && serves && line.is_machine_read()) {
            error.exit();
        }
        print(settings::message(&error))
    })?;
    if let Some(("serve", serve)) = matches.subcommand()
        && serve.get_flag("print_config")
    {
        let text = settings::print(command, serve).map_err(print)?;
        // The reader may have ended.
        let _ = io::stdout().write_all(text.as_bytes());
        return Err(ExitCode::SUCCESS);
    }
    Ok(matches)
}

fn write_assets(command: &Command, folder: &Path) -> ExitCode {
    let files = assets::files(command);
    let write = |(name, text): (String, Vec<u8>)| fs::write(folder.join(name), text);
    match files.and_then(|files| files.into_iter().try_for_each(write)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let folder = folder.display();
            eprintln!("loket assets: cannot write into {folder}: {error}; give an own folder");
            ExitCode::FAILURE
        }
    }
}

fn serve(options: ServeOptions) -> ExitCode {
    let line = LogLine::new(options.log_format);
    let log = LogQueue::new(config::LOG_BACKLOG, Box::new(move |count| line.lost(count)));
    start_log(&options, line, &log);
    let status = match Server::bind(options) {
        Ok(server) => run_server(server, line, &log),
        Err(error) => {
            log_error(line, error, &log);
            ExitCode::from(USAGE)
        }
    };
    // Lines that the loop did not write: its last lines, or those of a failed start.
    LogSink::finish(log);
    status
}

/// Adds an error behind the lines of the log, whatever their level.
fn log_error(line: LogLine, error: impl Display, log: &LogQueue) {
    let _ = log.clone().write_all(line.start_error(error).as_bytes());
}

fn run_server(server: Server, line: LogLine, log: &LogQueue) -> ExitCode {
    match server.run(&mut io::stdout(), log.clone()) {
        Ok(Stopped::Gracefully) => ExitCode::SUCCESS,
        Ok(Stopped::Forced(connections)) => {
            log::warn!("stopped with unfinished connections: {connections}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            log_error(line, error, log);
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

fn run_client(command: CliCommand) -> Result<(), ClientError> {
    let limits = CLIENT;
    clean_up_on_signals().map_err(|error| {
        ClientError::failure(format!("cannot prepare for signals: {error}; try again"))
    })?;
    match command {
        CliCommand::Serve(_) | CliCommand::Load(_) | CliCommand::Assets(_) => Ok(()),
        CliCommand::Echo(options) if options.message.is_empty() => {
            echo::converse(&options.at, &limits)
        }
        CliCommand::Echo(options) => echo::once(&options.message.join(" "), &options.at, &limits),
        CliCommand::Send(options) => {
            let name = options.name.as_deref();
            transfer::send(&options.files, name, &options.to, &limits)
        }
        CliCommand::Receive(options) => {
            let (names, folder, resume) = (&options.names, &options.output, !options.no_resume);
            transfer::receive(names, folder, &options.from, resume, &limits)
        }
        CliCommand::Files(options) => run_files(&options, &limits),
        CliCommand::Talk(options) => talk::run(&options.at, &limits),
        CliCommand::Room(options) => run_room(options, &limits),
    }
}

/// The flag overrides the environment variable. An empty variable counts as unset.
fn run_room(options: RoomOptions, limits: &ClientLimits) -> Result<(), ClientError> {
    let password = match (options.password, env::var_os(password::VARIABLE)) {
        (Some(password), _) => Some(password),
        (None, None) => None,
        (None, Some(value)) => Some(value.into_string().map_err(|_| {
            ClientError::usage(format!(
                "cannot use the password in {}: it is not UTF-8; set it again",
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
        FilesAction::Ls { dir } => files.list(dir.as_deref()),
        FilesAction::Size { name } => files.size(name),
        FilesAction::Sum { name } => files.sum(name),
        FilesAction::Rm { name } => files.remove(name),
        FilesAction::Mv { old, new } => files.rename(old, new),
        FilesAction::Mkdir { dir } => files.make_folder(dir),
        FilesAction::Download {
            name,
            output,
            no_resume,
        } => files.download(name, output.as_deref(), !no_resume),
        FilesAction::Upload { file, name, verify } => files.upload(file, name.as_deref(), *verify),
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

/// Makes a signal remove the unfinished file, restore the terminal and leave the room before it
/// ends the client in the default way.
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

fn start_log(options: &ServeOptions, line: LogLine, log: &LogQueue) {
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
        .format(move |out, record| line.write(out, record))
        .init();
}
