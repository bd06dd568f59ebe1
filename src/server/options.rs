//! The flags of `loket serve`, with their defaults.
//! The server takes them as they are.

use super::TCP_SERVICES;
use crate::config::reactor::{self, REACTOR};
use crate::config::room::{self, ROOM};
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use std::path::PathBuf;
use std::str::FromStr;

/// A port to listen on, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortChoice {
    /// The service is not started.
    Off,
    /// The port; 0 lets the kernel pick a free one.
    On(u16),
}

impl PortChoice {
    /// The port, if the service is on.
    pub fn port(self) -> Option<u16> {
        match self {
            PortChoice::Off => None,
            PortChoice::On(port) => Some(port),
        }
    }
}

impl FromStr for PortChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<PortChoice, String> {
        match text {
            "off" => Ok(PortChoice::Off),
            _ => text
                .parse()
                .map(PortChoice::On)
                .map_err(|_| "give a port from 0 to 65535 (0 picks a free one) or off".to_owned()),
        }
    }
}

/// Where the TCP services listen: a flag for each row of their table.
#[derive(Debug)]
pub struct Ports(Vec<(&'static str, PortChoice)>);

impl Ports {
    /// The port of the service with this name, if it is on.
    pub fn of(&self, name: &str) -> Option<u16> {
        let port = self.0.iter().find(|(known, _)| *known == name);
        port.and_then(|(_, port)| port.port())
    }
}

impl Args for Ports {
    fn augment_args(command: Command) -> Command {
        command.args(TCP_SERVICES.iter().map(|service| {
            Arg::new(service.name)
                .long(service.name)
                .help(service.about)
                .value_name("PORT|off")
                .default_value(service.port)
                .value_parser(PortChoice::from_str)
        }))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Ports::augment_args(command)
    }
}

impl FromArgMatches for Ports {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Ports, clap::Error> {
        let port = |name| *matches.get_one(name).expect("it has a default");
        let names = TCP_SERVICES.iter().map(|service| service.name);
        Ok(Ports(names.map(|name| (name, port(name))).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Ports::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The flags of `loket serve`.
#[derive(Debug, Args)]
pub struct ServeOptions {
    /// The address to listen on, or a name of this machine, whose first address that can be used
    /// is taken; 0.0.0.0 is for other machines, too.
    #[arg(long, value_name = "HOST", default_value = "127.0.0.1")]
    pub host: String,
    /// The folder that transfer and files serve; it is made if it is missing.
    #[arg(long, value_name = "DIR", default_value = "./loket-root")]
    pub root: PathBuf,
    /// The ports of the TCP services.
    #[command(flatten)]
    pub tcp: Ports,
    /// The password-protected chat room over UDP.
    #[arg(long, value_name = "PORT|off", default_value = "1234")]
    pub room: PortChoice,
    /// The password of the room; others can see it in the process list [default:
    /// LOKET_ROOM_PASSWORD in the environment, or one that is made and printed].
    #[arg(long, value_name = "P", conflicts_with = "room_password_file")]
    pub room_password: Option<String>,
    /// A file whose first line is the password of the room, without the blanks around it.
    #[arg(long, value_name = "FILE")]
    pub room_password_file: Option<PathBuf>,
    /// Connections served at once; the rest waits in the kernel's queue [default: what the
    /// descriptor limit allows].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_connections: Option<u32>,
    /// Connections served at once from one address, or one network of IPv6 (/64) [default: any
    /// number].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_per_address: Option<u32>,
    /// A body that moves more slowly, judged over 30 s, ends its connection; 0 is any rate.
    #[arg(long, value_name = "BYTES/S", default_value_t = REACTOR.min_rate)]
    pub min_rate: u64,
    /// A connection without progress for this long is closed; 0 is never.
    #[arg(long, value_name = "SECONDS", default_value_t = reactor::IDLE_SECONDS)]
    pub idle_timeout: u32,
    /// Silence that ends a unit of a client that sends no line ends.
    #[arg(long, value_name = "MS", default_value_t = REACTOR.settle_millis,
          value_parser = clap::value_parser!(u64).range(1..=60_000))]
    pub settle: u64,
    /// Wait between header and data for a client that sends no line ends.
    #[arg(long, value_name = "MS", default_value_t = REACTOR.header_gap_millis,
          value_parser = clap::value_parser!(u64).range(0..=60_000))]
    pub bare_gap: u64,
    /// Messages a second that one member of the room may send.
    #[arg(long, value_name = "N", default_value_t = ROOM.rate,
          value_parser = clap::value_parser!(u32).range(1..))]
    pub room_rate: u32,
    /// Members of the room from one address, or one network of IPv6 (/64); the larger, the more
    /// messages they may send together.
    #[arg(long, value_name = "N", default_value_t = ROOM.per_address,
          value_parser = clap::value_parser!(u32).range(1..))]
    pub room_per_address: u32,
    /// A member of the room that is silent for this long leaves; one that never sent anything
    /// leaves after a minute. 0 is never.
    #[arg(long, value_name = "SECONDS", default_value_t = room::IDLE_SECONDS)]
    pub room_idle: u32,
    /// The largest file that may be stored [default: as much as the disk has].
    #[arg(long, value_name = "BYTES")]
    pub max_file_size: Option<u64>,
    /// Refuse SEND, upload and rm.
    #[arg(long)]
    pub read_only: bool,
    /// Say OK to an upload before the disk has it: faster, but a power cut may take it back.
    #[arg(long)]
    pub no_sync: bool,
    /// The user that a server started as root becomes once everything is open, and before anybody
    /// is served.
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// Print what the loop does on standard error, one line an event, turn and state change.
    #[arg(long)]
    pub trace: bool,
    /// Move bodies by reading and writing instead of sendfile and splice (to compare the two).
    #[arg(long, hide = true)]
    pub plain_bodies: bool,
    /// Log more; twice for everything.
    #[arg(short, long, action = ArgAction::Count, conflicts_with = "quiet")]
    pub verbose: u8,
    /// Log errors only.
    #[arg(short, long)]
    pub quiet: bool,
}
