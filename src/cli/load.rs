//! The flags of `loket load`, and their conversion to the settings of a run.

use crate::config;
use crate::load::fail_limit::FailLimit;
use crate::load::numbers::read_bytes;
use crate::load::proc_stats::WatchedProcess;
use crate::load::redis::PING;
use crate::load::settings::{
    FilesOperation, HttpOperation, HttpWork, Settings, TransferDirection, Work,
};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// The flags of `loket load`.
#[derive(Debug, Args)]
#[command(
    after_help = "Every byte of every reply is compared, except for files that the run does not \
know and with --discard. The exit status is 1 if the server became unreachable, or if a reply was \
wrong or a request failed, unless --fail-if allows errors. Measurement starts once all connections \
are open; Ctrl-C ends a run early."
)]
pub struct LoadOptions {
    /// The kind of load.
    #[command(subcommand)]
    pub command: LoadCommand,
}

/// The kinds of load.
#[derive(Debug, Subcommand)]
pub enum LoadCommand {
    /// Send messages to an echo service.
    Echo(EchoLoad),
    /// Send files to a transfer service and receive them; leaves one empty file per connection.
    Transfer(TransferLoad),
    /// Upload, size, list, download and remove files of a files service.
    Files(FilesLoad),
    /// Send HTTP/1.1 requests to any server; by default GET of files that the run stores itself.
    Http(HttpLoad),
    /// Send PING to redis.
    Redis(RedisLoad),
    /// Send messages to a room; every member checks every message.
    Room(RoomLoad),
    /// Connect to an echo service, send one message and close, repeatedly.
    Churn(ChurnLoad),
    /// Hold idle connections to an echo service, and one that sends messages.
    Idle(ChurnLoad),
}

/// The flags that all modes have.
#[derive(Debug, Args)]
pub struct RunFlags {
    /// Time for which requests are sent.
    #[arg(short, long, value_name = "SECONDS", default_value_t = config::load::SECONDS,
          value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub duration: u32,
    /// Process ID of the server, if it runs on this machine: the CPU time and the memory of it and
    /// its descendants are reported.
    #[arg(long, value_name = "PID", value_parser = clap::value_parser!(u32).range(1..))]
    pub server_pid: Option<u32>,
    /// Seconds before --duration begins, in which the load rises from nothing: the rate, or without
    /// one the number of busy connections. They are not counted.
    #[arg(long, value_name = "SECONDS", default_value_t = 0, hide_default_value = true,
          value_parser = clap::value_parser!(u32).range(0..=86_400))]
    pub ramp: u32,
    /// Exit with status 1 if a result is beyond one of these bounds: p50, p90, p99, p99.9, max,
    /// errors, lost, or the least rate; for example p99=5ms,errors=0,rate=1000.
    #[arg(long, value_name = "BOUND,...", value_delimiter = ',', value_parser = FailLimit::parse)]
    pub fail_if: Vec<FailLimit>,
    /// Write the results to this file as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write the latencies by time to this file, in the log format of HdrHistogram.
    #[arg(long, value_name = "FILE")]
    pub hlog: Option<PathBuf>,
    /// Plot latency and throughput to this file.
    #[arg(long, value_name = "FILE.svg")]
    pub plot: Option<PathBuf>,
}

/// The flags for the number of connections and their rate.
#[derive(Debug, Args)]
pub struct PaceFlags {
    /// Number of connections.
    #[arg(short, long, value_name = "N", default_value_t = config::load::CONNECTIONS,
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub connections: u32,
    /// Requests a second of all connections together; latency is measured from the scheduled time
    /// [default: each request follows the last reply].
    #[arg(short, long, value_name = "RATE",
          value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub rate: Option<u32>,
}

/// The flags of `loket load echo`.
#[derive(Debug, Args)]
pub struct EchoLoad {
    /// Address of the server.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8080")]
    pub at: String,
    /// See there.
    #[command(flatten)]
    pub pace: PaceFlags,
    /// Bytes of a message; K, M and G may follow.
    #[arg(short, long, value_name = "BYTES", default_value = "64", value_parser = positive_bytes)]
    pub size: u64,
    /// Messages in flight on one connection.
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
    /// Address of the server.
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
    /// Address of the server.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:5050")]
    pub at: String,
    /// See there.
    #[command(flatten)]
    pub pace: PaceFlags,
    /// Bytes of a file; K, M and G may follow.
    #[arg(short, long, value_name = "BYTES", default_value = "64K", value_parser = read_bytes)]
    pub size: u64,
    /// Only send files.
    #[arg(long, group = "direction")]
    pub send: bool,
    /// Only receive files, which are stored before the run.
    #[arg(long, group = "direction")]
    pub receive: bool,
    /// Send and receive in turn (the default).
    #[arg(long, group = "direction")]
    pub mix: bool,
    /// Open a new connection for each file.
    #[arg(long)]
    pub reconnect: bool,
    /// See there.
    #[command(flatten)]
    pub run: RunFlags,
}

/// The flags of `loket load files`.
#[derive(Debug, Args)]
pub struct FilesLoad {
    /// Address of the server.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9999")]
    pub at: String,
    /// See there.
    #[command(flatten)]
    pub pace: PaceFlags,
    /// Bytes of a file; K, M and G may follow.
    #[arg(short, long, value_name = "BYTES", default_value = "64K", value_parser = read_bytes)]
    pub size: u64,
    /// Only this command instead of all in turn; rm includes the upload that it needs.
    #[arg(long, value_name = "COMMAND")]
    pub only: Option<FilesOperation>,
    /// Open a new connection for each command.
    #[arg(long)]
    pub reconnect: bool,
    /// See there.
    #[command(flatten)]
    pub run: RunFlags,
}

/// The flags of `loket load http`.
#[derive(Debug, Args)]
pub struct HttpLoad {
    /// Address of the server.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8000")]
    pub at: String,
    /// See there.
    #[command(flatten)]
    pub pace: PaceFlags,
    /// Bytes of a file that the run stores; K, M and G may follow.
    #[arg(short, long, value_name = "BYTES", default_value = "4K", value_parser = read_bytes)]
    pub size: u64,
    /// Requests in flight on one connection.
    #[arg(short, long, value_name = "N", default_value_t = 1, conflicts_with = "close",
          value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub pipeline: u32,
    /// Only PUT.
    #[arg(long, conflicts_with = "mix")]
    pub put: bool,
    /// GET and PUT in turn.
    #[arg(long)]
    pub mix: bool,
    /// Path of an existing file to GET; with --put or --mix, the folder for the run's own files
    /// [default: own files at the top, which are removed at the end].
    #[arg(long, value_name = "PATH", value_parser = path)]
    pub path: Option<String>,
    /// Open a new connection for each request, with `Connection: close`.
    #[arg(long)]
    pub close: bool,
    /// One more field of each request; may be repeated.
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = header)]
    pub headers: Vec<(String, String)>,
    /// Have the kernel discard bodies from 256 KiB on: their bytes are counted, not compared, and
    /// the client is faster.
    #[arg(long)]
    pub discard: bool,
    /// See there.
    #[command(flatten)]
    pub run: RunFlags,
}

/// The flags of `loket load redis`.
#[derive(Debug, Args)]
pub struct RedisLoad {
    /// Address of the server.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:6379")]
    pub at: String,
    /// See there.
    #[command(flatten)]
    pub pace: PaceFlags,
    /// PINGs in flight on one connection.
    #[arg(short, long, value_name = "N", default_value_t = 1, conflicts_with = "close",
          value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub pipeline: u32,
    /// Open a new connection for each PING.
    #[arg(long)]
    pub close: bool,
    /// See there.
    #[command(flatten)]
    pub run: RunFlags,
}

/// The flags of `loket load room`.
#[derive(Debug, Args)]
pub struct RoomLoad {
    /// Address of the server.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:1234")]
    pub at: String,
    /// Number of members.
    #[arg(short, long, value_name = "N", default_value_t = config::load::CONNECTIONS,
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub members: u32,
    /// Messages a second of all members together; by default a server accepts 20 a second from
    /// each member.
    #[arg(short, long, value_name = "RATE", default_value_t = config::load::ROOM_RATE,
          value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub rate: u32,
    /// Bytes of a message, without the sender's name; K, M and G may follow.
    #[arg(short, long, value_name = "BYTES", default_value = "64", value_parser = positive_bytes)]
    pub size: u64,
    /// Password of the room; other users can see it in the process list.
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

/// A target that is sent as it is: an absolute path and perhaps a query, percent-encoded.
fn path(text: &str) -> Result<String, String> {
    let is_plain = text
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'#');
    match text.starts_with('/') && is_plain {
        true => Ok(text.to_owned()),
        false => Err("give a path from / on, percent-encoded, for example /a%20file".to_owned()),
    }
}

fn header(text: &str) -> Result<(String, String), String> {
    let wrong = || "give a field as NAME: VALUE".to_owned();
    let (name, value) = text.split_once(':').ok_or_else(wrong)?;
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_token) || value.contains(char::is_control) {
        return Err(wrong());
    }
    let framing = [
        "content-length",
        "transfer-encoding",
        "connection",
        "expect",
    ];
    if framing.contains(&name.to_ascii_lowercase().as_str()) {
        return Err(format!("the run itself sends {name}"));
    }
    Ok((name.to_owned(), value.trim().to_owned()))
}

impl HttpLoad {
    fn settings(self) -> Settings {
        let operation = match (self.put, self.mix) {
            (true, _) => HttpOperation::Put,
            (_, true) => HttpOperation::Mix,
            _ => HttpOperation::Get,
        };
        let work = Work::Http(HttpWork {
            operation,
            path: self.path,
            headers: self.headers,
            discard: self.discard,
        });
        Settings {
            pipeline: self.pipeline as usize,
            reconnects: self.close,
            ..order(work, self.size, self.at, self.pace, self.run)
        }
    }
}

impl LoadOptions {
    /// The settings of the run.
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
            LoadCommand::Http(flags) => flags.settings(),
            LoadCommand::Redis(flags) => {
                let size = PING.len() as u64;
                Settings {
                    pipeline: flags.pipeline as usize,
                    reconnects: flags.close,
                    ..order(Work::Redis, size, flags.at, flags.pace, flags.run)
                }
            }
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
        ramp: run.ramp,
        seconds: run.duration,
        server: run.server_pid.map(WatchedProcess::new),
        json: run.json,
        plot: run.plot,
        hlog: run.hlog,
        fail_if: run.fail_if,
        limits: config::load::LOAD,
    }
}
