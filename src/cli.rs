//! The command line: subcommands, flags and their help texts.

pub mod assets;
pub mod load;
pub mod log_format;
pub mod settings;

use crate::server::TCP_SERVICES;
use crate::server::options::{PortChoice, ServeOptions};
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// The command line of `loket`. Its help text is the description in `Cargo.toml`.
#[derive(Debug, Parser)]
#[command(name = "loket", version, about)]
pub struct Cli {
    /// The subcommand.
    #[command(subcommand)]
    pub command: CliCommand,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum CliCommand {
    /// Serve all services until a signal arrives.
    #[command(about = about_serve())]
    Serve(Box<ServeOptions>),
    /// Send messages to an echo service and check the replies (line dialect only).
    Echo(EchoOptions),
    /// Send files to a transfer service (line dialect only).
    Send(SendOptions),
    /// Receive files from a transfer service (line dialect only).
    Receive(ReceiveOptions),
    /// List, transfer, compare and change files of a files service (line dialect only).
    Files(FilesOptions),
    /// Chat with the operator of the server (line dialect only).
    Talk(TalkOptions),
    /// Chat with all members of a password-protected room.
    Room(RoomOptions),
    /// Generate load on a service, check every reply, and measure.
    Load(Box<load::LoadOptions>),
    /// Write man pages and shell completions for a package into a folder.
    #[command(hide = true)]
    Assets(AssetsOptions),
}

fn about_serve() -> String {
    let names: Vec<_> = TCP_SERVICES.iter().map(|service| service.name).collect();
    let names = names.join(", ");
    format!("Serve {names} and room until SIGHUP, SIGINT, SIGQUIT or SIGTERM")
}

/// The flags of `loket assets`.
#[derive(Debug, Args)]
pub struct AssetsOptions {
    /// The folder, which must exist.
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
}

/// The flags of `loket echo`.
#[derive(Debug, Args)]
pub struct EchoOptions {
    /// Message; words are joined with spaces. Without one, each line of standard input is sent and
    /// checked.
    pub message: Vec<String>,
    /// Address of the server.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8080")]
    pub at: String,
}

/// The flags of `loket send`.
#[derive(Debug, Args)]
pub struct SendOptions {
    /// Files to send.
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Address of the server.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:5050")]
    pub to: String,
    /// Name under which the server stores the file; only with a single FILE.
    #[arg(long = "as", value_name = "NAME")]
    pub name: Option<String>,
}

/// The flags of `loket receive`.
#[derive(Debug, Args)]
pub struct ReceiveOptions {
    /// Names of the files to receive.
    #[arg(value_name = "NAME", required = true)]
    pub names: Vec<String>,
    /// Address of the server.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:5050")]
    pub from: String,
    /// Folder for the files.
    #[arg(short, long, value_name = "DIR", default_value = ".")]
    pub output: PathBuf,
    /// Begin anew, and keep nothing of a file that is broken off [default: go on where the last
    /// time was broken off, if the file still begins like that].
    #[arg(long)]
    pub no_resume: bool,
}

/// The flags of `loket files`.
#[derive(Debug, Args)]
pub struct FilesOptions {
    /// Address of the server.
    #[arg(
        long,
        value_name = "HOST:PORT",
        default_value = "127.0.0.1:9999",
        global = true
    )]
    pub at: String,
    /// A command; without one, an interactive shell.
    #[command(subcommand)]
    pub command: Option<FilesAction>,
}

/// One command of the files service.
#[derive(Debug, Subcommand)]
pub enum FilesAction {
    /// List a folder.
    Ls {
        /// Folder on the server [default: the root].
        dir: Option<String>,
    },
    /// Print the size of a file.
    Size {
        /// File on the server.
        name: String,
    },
    /// Print the SHA-256 of a file.
    Sum {
        /// File on the server.
        name: String,
    },
    /// Rename a file or a folder; nothing is replaced.
    Mv {
        /// File or folder on the server.
        old: String,
        /// Its new name, perhaps in another folder.
        new: String,
    },
    /// Make a folder.
    Mkdir {
        /// Folder on the server.
        dir: String,
    },
    /// Remove a file.
    Rm {
        /// File on the server.
        name: String,
    },
    /// Download a file.
    Download {
        /// File on the server.
        name: String,
        /// Path of the local file [default: the same name in the current folder].
        #[arg(short, long, value_name = "PATH")]
        output: Option<PathBuf>,
        /// Begin anew, and keep nothing of a download that is broken off [default: go on where the
        /// last one was broken off, if the file still begins like that].
        #[arg(long)]
        no_resume: bool,
    },
    /// Upload a file.
    Upload {
        /// Local file.
        file: PathBuf,
        /// Name on the server [default: that of the local file].
        #[arg(long = "as", value_name = "NAME")]
        name: Option<String>,
        /// Compare the SHA-256 of both files afterwards.
        #[arg(long)]
        verify: bool,
    },
}

/// The flags of `loket talk`.
#[derive(Debug, Args)]
#[command(
    after_help = "Each line of standard input is sent to the operator; Ctrl-D or Ctrl-C leaves. \
After the end of the input, messages are printed until the server closes or is silent for 1 second."
)]
pub struct TalkOptions {
    /// Address of the server.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9000")]
    pub at: String,
}

/// The flags of `loket room`.
#[derive(Debug, Args)]
#[command(
    after_help = "Each line of standard input is sent to all members; exit, Ctrl-D or Ctrl-C \
leaves. At a terminal, your own lines are not printed a second time when the room sends them back; \
a line that the room does not send back is reported. A pipe gets everything that the room sends. \
When the server has restarted, the client says so and joins again with the same name and password."
)]
pub struct RoomOptions {
    /// Address of the server.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:1234")]
    pub at: String,
    /// Your name in the room: 1 to 32 characters, no blanks [default: a prompt].
    #[arg(long, value_name = "N")]
    pub name: Option<String>,
    /// Password of the room; other users can see it in the process list [default: the environment
    /// variable LOKET_ROOM_PASSWORD, or a prompt].
    #[arg(long, value_name = "P")]
    pub password: Option<String>,
}
