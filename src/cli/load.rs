//! The flags of `loket load`, and what they ask for.

use crate::config;
use crate::load::numbers::read_bytes;
use crate::load::proc_stats::WatchedProcess;
use crate::load::settings::{FilesOperation, Settings, TransferDirection, Work};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// The flags of `loket load`.
#[derive(Debug, Args)]
#[command(
    after_help = "Every byte that comes back is compared. The exit status is 1 when one was wrong, \
a request failed or the server went away. Figures begin when all connections stand; Ctrl-C ends a \
run early."
)]
pub struct LoadOptions {
    /// What is asked of the server.
    #[command(subcommand)]
    pub command: LoadCommand,
}

/// What is asked of a server.
#[derive(Debug, Subcommand)]
pub enum LoadCommand {
    /// Send messages to an echo service.
    Echo(EchoLoad),
    /// Send files to a transfer service and fetch them; one empty file a connection stays there.
    Transfer(TransferLoad),
    /// List, measure, upload, download and remove files of a files service.
    Files(FilesLoad),
    /// Talk in a room: every member checks every message.
    Room(RoomLoad),
    /// Connect to an echo service, send one message, close, and again.
    Churn(ChurnLoad),
    /// Hold connections to an echo service that do nothing, and one that does.
    Idle(ChurnLoad),
}

/// What all modes have.
#[derive(Debug, Args)]
pub struct RunFlags {
    /// How long requests are made.
    #[arg(short, long, value_name = "SECONDS", default_value_t = config::load::SECONDS,
          value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub duration: u32,
    /// The server's process, if it runs here: its CPU and its memory are told, too.
    #[arg(long, value_name = "PID", value_parser = clap::value_parser!(u32).range(1..))]
    pub server_pid: Option<u32>,
    /// Write the figures into a file.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Draw latency and throughput into a file.
    #[arg(long, value_name = "FILE.svg")]
    pub plot: Option<PathBuf>,
}

/// Connections, and how fast they are.
#[derive(Debug, Args)]
pub struct PaceFlags {
    /// Connections.
    #[arg(short, long, value_name = "N", default_value_t = config::load::CONNECTIONS,
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub connections: u32,
    /// Requests a second of all connections together; latency counts from when each was due
    /// [default: the next when the answer is there].
    #[arg(short, long, value_name = "RATE",
          value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub rate: Option<u32>,
}

/// The flags of `loket load echo`.
#[derive(Debug, Args)]
pub struct EchoLoad {
    /// The server.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8080")]
    pub at: String,
    /// See there.
    #[command(flatten)]
    pub pace: PaceFlags,
    /// Bytes of a message; K, M and G may follow.
    #[arg(short, long, value_name = "BYTES", default_value = "64", value_parser = positive_bytes)]
    pub size: u64,
    /// Messages under way on one connection.
    #[arg(short, long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub pipeline: u32,
    /// See there.
    #[command(flatten)]
    pub run: RunFlags,
}

/// The flags of `loket load churn` and `loket load idle`.
#[derive(Debug, Args)]
pub struct ChurnLoad {
    /// The server.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8080")]
    pub at: String,
    /// See there.
    #[command(flatten)]
    pub pace: PaceFlags,
    /// Bytes of a message; K, M and G may follow.
    #[arg(short, long, value_name = "BYTES", default_value = "64", value_parser = positive_bytes)]
    pub size: u64,
    /// See there.
    #[command(flatten)]
    pub run: RunFlags,
}

/// The flags of `loket load transfer`.
#[derive(Debug, Args)]
pub struct TransferLoad {
    /// The server.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:5050")]
    pub at: String,
    /// See there.
    #[command(flatten)]
    pub pace: PaceFlags,
    /// Bytes of a file; K, M and G may follow.
    #[arg(short, long, value_name = "BYTES", default_value = "64K", value_parser = read_bytes)]
    pub size: u64,
    /// Send files only.
    #[arg(long, group = "direction")]
    pub send: bool,
    /// Fetch files only, those that were stored before the run.
    #[arg(long, group = "direction")]
    pub receive: bool,
    /// Send and fetch in turn; the default.
    #[arg(long, group = "direction")]
    pub mix: bool,
    /// Use a connection for one file only.
    #[arg(long)]
    pub reconnect: bool,
    /// See there.
    #[command(flatten)]
    pub run: RunFlags,
}

/// The flags of `loket load files`.
#[derive(Debug, Args)]
pub struct FilesLoad {
    /// The server.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9999")]
    pub at: String,
    /// See there.
    #[command(flatten)]
    pub pace: PaceFlags,
    /// Bytes of a file; K, M and G may follow.
    #[arg(short, long, value_name = "BYTES", default_value = "64K", value_parser = read_bytes)]
    pub size: u64,
    /// One command, instead of all of them in turn; rm comes with the upload that it needs.
    #[arg(long, value_name = "COMMAND")]
    pub only: Option<FilesOperation>,
    /// Use a connection for one command only.
    #[arg(long)]
    pub reconnect: bool,
    /// See there.
    #[command(flatten)]
    pub run: RunFlags,
}

/// The flags of `loket load room`.
#[derive(Debug, Args)]
pub struct RoomLoad {
    /// The server.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:1234")]
    pub at: String,
    /// Members.
    #[arg(short, long, value_name = "N", default_value_t = config::load::CONNECTIONS,
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub members: u32,
    /// Messages a second of all members together. The server lets each one say 20 a second, if
    /// it was not told otherwise.
    #[arg(short, long, value_name = "RATE", default_value_t = config::load::ROOM_RATE,
          value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub rate: u32,
    /// Bytes of a message, without the name in front.
    #[arg(short, long, value_name = "BYTES", default_value = "64", value_parser = positive_bytes)]
    pub size: u64,
    /// The password of the room; others may see it in the list of processes.
    #[arg(
        long,
        value_name = "P",
        env = "LOKET_ROOM_PASSWORD",
        hide_env_values = true
    )]
    pub password: String,
    /// See there.
    #[command(flatten)]
    pub run: RunFlags,
}

fn positive_bytes(text: &str) -> Result<u64, String> {
    match read_bytes(text) {
        Ok(0) => Err("a message has at least one byte".to_owned()),
        other => other,
    }
}

impl LoadOptions {
    /// What these flags ask for.
    pub fn settings(self) -> Settings {
        match self.command {
            LoadCommand::Echo(flags) => Settings {
                pipeline: flags.pipeline as usize,
                ..order(Work::Echo, flags.size, flags.at, flags.pace, flags.run)
            },
            LoadCommand::Churn(flags) => Settings {
                reconnects: true,
                ..order(Work::Churn, flags.size, flags.at, flags.pace, flags.run)
            },
            LoadCommand::Idle(flags) => {
                order(Work::Idle, flags.size, flags.at, flags.pace, flags.run)
            }
            LoadCommand::Transfer(flags) => {
                let work = Work::Transfer(match (flags.send, flags.receive) {
                    (true, _) => TransferDirection::Send,
                    (_, true) => TransferDirection::Receive,
                    _ => TransferDirection::Mix,
                });
                Settings {
                    reconnects: flags.reconnect,
                    ..order(work, flags.size, flags.at, flags.pace, flags.run)
                }
            }
            LoadCommand::Files(flags) => Settings {
                reconnects: flags.reconnect,
                ..order(
                    Work::Files(flags.only),
                    flags.size,
                    flags.at,
                    flags.pace,
                    flags.run,
                )
            },
            LoadCommand::Room(flags) => {
                let password = flags.password;
                let pace = PaceFlags {
                    connections: flags.members,
                    rate: Some(flags.rate),
                };
                order(
                    Work::Room { password },
                    flags.size,
                    flags.at,
                    pace,
                    flags.run,
                )
            }
        }
    }
}

fn order(work: Work, size: u64, at: String, pace: PaceFlags, run: RunFlags) -> Settings {
    Settings {
        at,
        work,
        size,
        pipeline: 1,
        reconnects: false,
        connections: pace.connections as usize,
        rate: pace.rate,
        seconds: run.duration,
        server: run.server_pid.map(WatchedProcess::new),
        json: run.json,
        plot: run.plot,
        limits: config::load::LOAD,
    }
}
