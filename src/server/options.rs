//! The flags of `loket serve` with their defaults, which the server uses as they are parsed.

use super::TCP_SERVICES;
use crate::cli::log_format::LogFormat;
use crate::config::reactor::{self, REACTOR};
use crate::config::room::{self, ROOM};
use crate::session::proxies;
use crate::store::part_name;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use ipnet::IpNet;
use std::path::PathBuf;
use std::str::FromStr;

/// The value of a port flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortChoice {
    /// The service is off.
    Off,
    /// The port; with 0 the kernel chooses a free one.
    On(u16),
}

impl FromStr for PortChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<PortChoice, String> {
        match text {
            "off" => Ok(PortChoice::Off),
            _ => text
                .parse()
                .map(PortChoice::On)
                .map_err(|_| "give a port from 0 to 65535 (0: any free port) or off".to_owned()),
        }
    }
}

/// The ports of all services: one flag for each row of their table, and one for the room.
#[derive(Debug)]
pub struct Ports(Vec<Port>);

#[derive(Debug)]
struct Port {
    service: &'static str,
    choice: PortChoice,
    /// Whether it is not the default.
    given: bool,
}

impl Ports {
    /// The port of the service with this name.
    pub fn choice(&self, name: &str) -> PortChoice {
        self.find(name).map_or(PortChoice::Off, |port| port.choice)
    }

    /// The same, unless it is the default.
    pub fn given(&self, name: &str) -> Option<PortChoice> {
        let port = self.find(name).filter(|port| port.given);
        port.map(|port| port.choice)
    }

    fn find(&self, name: &str) -> Option<&Port> {
        self.0.iter().find(|port| port.service == name)
    }

    /// The name, the help text and the default of each flag.
    fn flags() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
        let tcp = TCP_SERVICES.iter();
        let tcp = tcp.map(|service| (service.name, service.about, service.port));
        let room = ("room", "Password-protected chat room over UDP", "1234");
        tcp.chain([room])
    }
}

impl Args for Ports {
    fn augment_args(command: Command) -> Command {
        command.args(Ports::flags().map(|(name, about, port)| {
            Arg::new(name)
                .long(name)
                .help(about)
                .value_name("PORT|off")
                .default_value(port)
                .value_parser(PortChoice::from_str)
        }))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Ports::augment_args(command)
    }
}

impl FromArgMatches for Ports {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Ports, clap::Error> {
        let ports = Ports::flags().map(|(service, ..)| Port {
            service,
            choice: *matches.get_one(service).expect("it has a default"),
            given: matches.value_source(service) != Some(ValueSource::DefaultValue),
        });
        Ok(Ports(ports.collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Ports::from_arg_matches(matches)?;
        Ok(())
    }
}

fn host_name(text: &str) -> Result<String, String> {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    match !text.is_empty() && text.bytes().all(is_part) {
        true => Ok(text.to_owned()),
        false => Err("give a host name without a port, in ASCII letters".to_owned()),
    }
}

/// A part of a subject of NATS.
fn room_name(text: &str) -> Result<String, String> {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    match (1..=ROOM.name).contains(&text.len()) && text.bytes().all(is_part) {
        true => Ok(text.to_owned()),
        false => Err("give 1 to 32 ASCII letters, digits, - and _".to_owned()),
    }
}

/// The flags of `loket serve`.
#[derive(Debug, Args)]
pub struct ServeOptions {
    /// TOML file with the other flags by their names, for example `read-only = true`; a flag and a
    /// variable like LOKET_READ_ONLY=true override it.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print the settings in effect as a file for --config, and end.
    #[arg(long)]
    pub print_config: bool,
    /// IP address to listen on, or a name of this machine (its first usable address); 0.0.0.0
    /// accepts connections from other machines.
    #[arg(long, value_name = "HOST", default_value = "127.0.0.1")]
    pub host: String,
    /// Folder that transfer, files and http serve; created if it is missing.
    #[arg(long, value_name = "DIR", default_value = "./loket-root")]
    pub root: PathBuf,
    /// Ports of the services.
    #[command(flatten)]
    pub ports: Ports,
    /// Password of the room; other users can see it in the process list [default: a
    /// generated password, which is printed].
    #[arg(long, value_name = "P", conflicts_with = "room_password_file")]
    pub room_password: Option<String>,
    /// File whose first line is the password of the room; blanks around it are removed.
    #[arg(long, value_name = "FILE")]
    pub room_password_file: Option<PathBuf>,
    /// File whose first line is the token that HTTP clients need to change files, for the
    /// operator's window and for the Loop view [default: none on a loopback address; on others a
    /// generated token, which is printed, or with --read-only and without talk and room none: then
    /// the Loop view is refused].
    #[arg(long, value_name = "FILE")]
    pub http_token_file: Option<PathBuf>,
    /// Host name of this server in URLs, beside localhost and IP addresses; may be repeated. Other
    /// names are refused, because a web page could make them point here.
    #[arg(long = "http-name", value_name = "NAME", value_parser = host_name)]
    pub http_names: Vec<String>,
    /// Answer HTTP requests for a folder with its index.html, if it has one.
    #[arg(long)]
    pub index: bool,
    /// Connections at the same time; more wait in the kernel's queue [default: what the limit of
    /// open files allows].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_connections: Option<u32>,
    /// Connections at the same time from one IPv4 address or one IPv6 /64 network [default: no
    /// limit].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_per_address: Option<u32>,
    /// Proxies in front of the TCP services, by address or network: each of their connections must
    /// begin with a PROXY header of version 2, which names the client. A header from any other
    /// address is refused.
    #[arg(long, value_name = "IP[/NET],…", value_delimiter = ',', value_parser = proxies::network)]
    pub proxy_from: Vec<IpNet>,
    /// Share the TCP ports with other servers of the same user on this machine that have this flag:
    /// the kernel spreads the connections among them (SO_REUSEPORT). The room shares no port: give
    /// it another one, or `--room off`. The page keeps to one server: give http another port, too.
    #[arg(long)]
    pub reuse_port: bool,
    /// Close a connection whose transfer is slower, measured over 30 s; 0 allows any rate.
    #[arg(long, value_name = "BYTES/S", default_value_t = REACTOR.min_rate)]
    pub min_rate: u64,
    /// Close a connection without progress after this time; 0 is never. Talk has no such limit.
    #[arg(long, value_name = "SECONDS", default_value_t = reactor::IDLE_SECONDS)]
    pub idle_timeout: u32,
    /// Silence that completes a command or message of a client that sends no line ends.
    #[arg(long, value_name = "MS", default_value_t = REACTOR.settle_millis,
          value_parser = clap::value_parser!(u64).range(1..=60_000))]
    pub settle: u64,
    /// Time between header and data for a client that sends no line ends.
    #[arg(long, value_name = "MS", default_value_t = REACTOR.header_gap_millis,
          value_parser = clap::value_parser!(u64).range(0..=60_000))]
    pub bare_gap: u64,
    /// Messages a second from one member of the room; more are dropped.
    #[arg(long, value_name = "N", default_value_t = ROOM.rate,
          value_parser = clap::value_parser!(u32).range(1..))]
    pub room_rate: u32,
    /// Members of the room from one IPv4 address or one IPv6 /64 network; the number of messages
    /// that they may send together grows with it.
    #[arg(long, value_name = "N", default_value_t = ROOM.per_address,
          value_parser = clap::value_parser!(u32).range(1..))]
    pub room_per_address: u32,
    /// Remove a member of the room after this time of silence, or after a minute if it has sent
    /// nothing since it joined; 0 is never.
    #[arg(long, value_name = "SECONDS", default_value_t = room::IDLE_SECONDS)]
    pub room_idle: u32,
    /// Show this number of the last messages, at most 100, to members that join over HTTP, and to
    /// `loket room` those that fit into 1 KiB; with --link they are kept in JetStream for all
    /// servers.
    #[arg(long, value_name = "N", default_value_t = 0,
          value_parser = clap::value_parser!(u32).range(..=i64::from(room::HISTORY)))]
    pub room_history: u32,
    /// NATS servers, tried in turn, that link room and talk to those of other loket servers; the
    /// room needs JetStream there, in which names are unique. Other users can see a password here
    /// in the process list.
    #[arg(
        long,
        value_name = "nats://[USER:PASS@]HOST[:PORT],...",
        conflicts_with = "link_file"
    )]
    pub link: Option<String>,
    /// File whose first line is the value of --link.
    #[arg(long, value_name = "FILE")]
    pub link_file: Option<PathBuf>,
    /// Name of the room among linked servers: members of rooms with one name meet.
    #[arg(long, value_name = "NAME", default_value = "room", value_parser = room_name)]
    pub room_name: String,
    /// Largest file that may be stored [default: as large as the disk allows].
    #[arg(long, value_name = "BYTES")]
    pub max_file_size: Option<u64>,
    /// Bytes that all files together may hold, with the uploads under way; one that would exceed
    /// them is refused [default: as many as the disk allows].
    #[arg(long, value_name = "BYTES")]
    pub max_total: Option<u64>,
    /// Refuse every change of files, in all services.
    #[arg(long)]
    pub read_only: bool,
    /// Answer OK to an upload before its data is on disk: faster, but a power cut may lose it.
    #[arg(long)]
    pub no_sync: bool,
    /// Name of this server among others. With --link, operators see its talk clients as NAME.1,
    /// NAME.2 and so on, a dot in NAME as a hyphen. Of a root on a network file system, it removes
    /// only its own unfinished uploads at its start [default: the host name; in front of clients
    /// only its first part, and the port of talk unless that is 9000].
    #[arg(long, value_name = "NAME", value_parser = part_name::check_node)]
    pub node: Option<String>,
    /// Poll for this time before sleeping, as long as that finds events: shorter answers, up to one
    /// core of processor time; 0 is off.
    #[arg(long, value_name = "MICROS", default_value_t = REACTOR.spin_micros,
          value_parser = clap::value_parser!(u64).range(0..=reactor::SPIN_MOST))]
    pub spin: u64,
    /// Switch to this user before the first connection is accepted, once the ports and the root
    /// folder are open; needs a start as root. A number is not looked up.
    #[arg(long, value_name = "NAME|UID[:GID]")]
    pub user: Option<String>,
    /// Print to standard error what the event loop does: one line for each event, turn and change
    /// of state. It is plain text, also in a log in JSON.
    #[arg(long)]
    pub trace: bool,
    /// Copy file data through user space instead of sendfile and splice (for comparison).
    #[arg(long, hide = true)]
    pub plain_bodies: bool,
    /// Log more (-v: debug, -vv: trace).
    #[arg(short, long, action = ArgAction::Count, conflicts_with = "quiet")]
    pub verbose: u8,
    /// Format of the log on standard error; one event is one line.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,
    /// Log only errors.
    #[arg(short, long)]
    pub quiet: bool,
}
