//! Reads the command line into typed options.

pub mod load;

use crate::server::TCP_SERVICES;
use crate::server::options::ServeOptions;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// One clerk for the whole queue: a single-threaded server for echo, files and chat.
#[derive(Debug, Parser)]
#[command(name = "loket", version, about)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The programs in the one binary.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve all services until a signal comes.
    #[command(about = about_serve())]
    Serve(Box<ServeOptions>),
    /// Send messages to an echo service and check that they come back (line dialect only).
    Echo(EchoOptions),
    /// Save files on a transfer service (line dialect only).
    Send(SendOptions),
    /// Fetch files from a transfer service (line dialect only).
    Receive(ReceiveOptions),
    /// List, measure, remove, download and upload files of a files service (line dialect only).
    Files(FilesOptions),
    /// Talk with the person at the server (line dialect only).
    Talk(TalkOptions),
    /// Talk with everybody in a chat room that has a password.
    Room(RoomOptions),
    /// Put load on a service, check every answer, and measure.
    Load(Box<load::LoadOptions>),
}

fn about_serve() -> String {
    let names: Vec<_> = TCP_SERVICES.iter().map(|service| service.name).collect();
    let names = names.join(", ");
    format!("Serve {names} and room until SIGHUP, SIGINT, SIGQUIT or SIGTERM")
}

/// The flags of `loket echo`.
#[derive(Debug, Args)]
pub struct EchoOptions {
    /// The message, its words joined by blanks; without one, each line typed is one round trip.
    pub message: Vec<String>,
    /// The server.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8080")]
    pub at: String,
}

/// The flags of `loket send`.
#[derive(Debug, Args)]
pub struct SendOptions {
    /// The files to send.
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// The server.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:5050")]
    pub to: String,
    /// The name to store a single file under.
    #[arg(long = "as", value_name = "NAME")]
    pub name: Option<String>,
}

/// The flags of `loket receive`.
#[derive(Debug, Args)]
pub struct ReceiveOptions {
    /// The names to fetch.
    #[arg(value_name = "NAME", required = true)]
    pub names: Vec<String>,
    /// The server.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:5050")]
    pub from: String,
    /// The folder to put them in.
    #[arg(short, long, value_name = "DIR", default_value = ".")]
    pub output: PathBuf,
}

/// The flags of `loket files`.
#[derive(Debug, Args)]
pub struct FilesOptions {
    /// The server.
    #[arg(
        long,
        value_name = "HOST:PORT",
        default_value = "127.0.0.1:9999",
        global = true
    )]
    pub at: String,
    /// What to do; without a command, an interactive shell.
    #[command(subcommand)]
    pub command: Option<FilesCommand>,
}

/// One command of the files service.
#[derive(Debug, Subcommand)]
pub enum FilesCommand {
    /// List a folder.
    Ls {
        /// The folder [default: the root].
        dir: Option<String>,
    },
    /// Tell the size of a file.
    Size {
        /// The file.
        name: String,
    },
    /// Remove a file.
    Rm {
        /// The file.
        name: String,
    },
    /// Fetch a file.
    Download {
        /// The file.
        name: String,
        /// Where to put it [default: its own name, here].
        #[arg(short, long, value_name = "PATH")]
        output: Option<PathBuf>,
    },
    /// Store a file.
    Upload {
        /// The file to send.
        file: PathBuf,
        /// The name to store it under [default: its own].
        #[arg(long = "as", value_name = "NAME")]
        name: Option<String>,
    },
}

/// The flags of `loket talk`.
#[derive(Debug, Args)]
#[command(
    after_help = "Each line typed or piped in goes to the operator; Ctrl-D or Ctrl-C leaves. \
After the end of the input the server is heard until it closes or is silent for a second."
)]
pub struct TalkOptions {
    /// The server.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9000")]
    pub at: String,
}

/// The flags of `loket room`.
#[derive(Debug, Args)]
#[command(
    after_help = "Each line typed or piped in goes to everybody in the room; exit, Ctrl-D or \
Ctrl-C leaves. At a terminal a line of one's own stays as it was typed; that the room sends it \
back is not shown, only when it does not. Into a pipe goes what the room sends. When the server \
was started again, the client says so and joins again with the same name and password."
)]
pub struct RoomOptions {
    /// The server.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:1234")]
    pub at: String,
    /// The name to be known by: 1 to 32 characters, no blanks [default: asked for].
    #[arg(long, value_name = "N")]
    pub name: Option<String>,
    /// The password of the room; others may see it in the list of processes [default: the
    /// variable LOKET_ROOM_PASSWORD, or asked for].
    #[arg(long, value_name = "P")]
    pub password: Option<String>,
}
