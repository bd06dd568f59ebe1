//! Three hosts with a nats-server and a server each, as network namespaces on a bridge: names stay
//! unique while hosts are cut off, and while brokers and servers are killed.
//!
//! `LOKET_PARTITIONS` sets the number of rounds, `LOKET_SEED` the first one.

use crate::support::guest::Guest;
use crate::support::{Server, eventually, rooted};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const NAMES: [&str; 3] = ["ani", "budi", "citra"];

/// Within this time after healing, links are up and a name that was lost is given up: a connection
/// that moves no bytes is given up after 15 s, and a broker is found within 5 s more.
const HEALED: Duration = Duration::from_secs(60);

/// A network namespace, which ends with its last process.
struct Space(Child);

impl Space {
    fn new() -> Space {
        let mut command = Command::new("setpriv");
        command.args([
            "--pdeathsig",
            "KILL",
            "unshare",
            "--net",
            "sleep",
            "infinity",
        ]);
        let space = Space(command.spawn().expect("util-linux"));
        let own = std::fs::read_link("/proc/self/ns/net").expect("a namespace");
        eventually("it is apart", || {
            std::fs::read_link(space.path()).is_ok_and(|it| it != own)
        });
        space.run("ip link set lo up");
        space
    }

    fn path(&self) -> String {
        format!("/proc/{}/ns/net", self.0.id())
    }

    /// The words before a program in it.
    fn inside(&self) -> [String; 2] {
        ["nsenter".to_owned(), format!("--net={}", self.path())]
    }

    fn run(&self, command: &str) {
        let [program, flag] = self.inside();
        let mut whole = Command::new(program);
        whole.arg(flag).args(command.split(' '));
        assert!(whole.status().expect("iproute2").success(), "{command}");
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Host {
    number: usize,
    broker: Option<Child>,
    server: Option<Server>,
    folder: tempfile::TempDir,
    space: Space,
}

impl Host {
    fn ip(&self) -> String {
        format!("10.77.0.{}", self.number + 1)
    }

    fn start_broker(&mut self) {
        let [program, flag] = self.space.inside();
        let ip = self.ip();
        let mut command = Command::new(program);
        command.args([&flag, "nats-server", "-a", &ip, "-p", "4222", "-js", "-sd"]);
        command.arg(self.folder.path());
        command.args([
            "-n",
            &format!("box{}", self.number),
            "--cluster_name",
            "loket",
        ]);
        command.args(["--cluster", &format!("nats://{ip}:6222"), "--routes"]);
        command.arg(
            [1, 2, 3]
                .map(|other| format!("nats://10.77.0.{other}:6222"))
                .join(","),
        );
        let command = command.stdout(Stdio::null()).stderr(Stdio::null());
        self.broker = Some(command.spawn().expect("nats-server"));
    }

    fn start_server(&mut self) {
        let [program, flag] = self.space.inside();
        let own = self.number + 1;
        let brokers = [own, own % 3 + 1, (own + 1) % 3 + 1];
        let brokers = brokers.map(|broker| format!("nats://10.77.0.{broker}:4222"));
        let flags = ["--host", &self.ip(), "--link", &brokers.join(",")];
        self.server = Some(Server::start_under(&[&program, &flag], rooted(), &flags));
    }

    fn kill_broker(&mut self) {
        if let Some(mut broker) = self.broker.take() {
            let _ = broker.kill();
            let _ = broker.wait();
        }
    }

    /// A client on this host.
    fn guest(&self) -> Guest {
        let server = self.server.as_ref().expect("it runs");
        let space = std::fs::File::open(self.space.path()).expect("a namespace");
        let room = server.address("room");
        let inside = move || {
            let kind = Some(LinkNameSpaceType::Network);
            move_into_link_name_space(space.as_fd(), kind).expect("root");
            Guest::between((room.ip(), 0).into(), room)
        };
        std::thread::spawn(inside).join().expect("a socket")
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.kill_broker();
    }
}

/// A client that asks for a name until it has it.
struct Client {
    host: usize,
    name: &'static str,
    guest: Guest,
    is_member: bool,
}

impl Client {
    /// Takes what has arrived.
    fn note(&mut self) {
        self.guest.0.set_nonblocking(true).expect("an option");
        let mut buffer = [0; 2048];
        while let Ok(length) = self.guest.0.recv(&mut buffer) {
            let text = String::from_utf8_lossy(&buffer[..length]);
            if text == "USERNAME OK" {
                self.is_member = true;
                // A member that has said nothing leaves after a minute.
                self.guest.send("hello");
            } else if text == format!("{} telah keluar dari chatroom.", self.name) {
                // Its own: what others with this name do is not shown to a member with it.
                self.is_member = false;
            }
        }
    }

    fn ask(&self) {
        if !self.is_member {
            self.guest
                .send(format!("PASSWORD {}", crate::support::ROOM_PASSWORD));
            self.guest.send(format!("USERNAME {}", self.name));
        }
    }
}

struct Cluster {
    hub: Space,
    hosts: Vec<Host>,
    clients: Vec<Client>,
}

impl Cluster {
    fn new() -> Cluster {
        let hub = Space::new();
        hub.run("ip link add br0 type bridge");
        hub.run("ip link set br0 up");
        let mut hosts = Vec::new();
        for number in 0..3 {
            let space = Space::new();
            let id = space.0.id();
            hub.run(&format!(
                "ip link add h{number} type veth peer name eth0 netns {id}"
            ));
            hub.run(&format!("ip link set h{number} master br0 up"));
            space.run(&format!("ip addr add 10.77.0.{}/24 dev eth0", number + 1));
            space.run("ip link set eth0 up");
            let folder = tempfile::tempdir().expect("a folder");
            let (broker, server) = (None, None);
            hosts.push(Host {
                number,
                broker,
                server,
                folder,
                space,
            });
        }
        hosts.iter_mut().for_each(Host::start_broker);
        hosts.iter_mut().for_each(Host::start_server);
        let mut cluster = Cluster {
            hub,
            hosts,
            clients: Vec::new(),
        };
        (0..3).for_each(|host| cluster.add_clients(host));
        cluster
    }

    /// On each host, a client for each name.
    fn add_clients(&mut self, host: usize) {
        self.clients.retain(|client| client.host != host);
        for name in NAMES {
            let guest = self.hosts[host].guest();
            self.clients.push(Client {
                host,
                name,
                guest,
                is_member: false,
            });
        }
    }

    fn set(&self, host: usize, state: &str) {
        self.hub.run(&format!("ip link set h{host} {state}"));
    }

    fn holders(&self, name: &str, hosts: &[usize]) -> usize {
        let clients = self.clients.iter();
        let holders = clients.filter(|it| it.is_member && it.name == name);
        holders.filter(|it| hosts.contains(&it.host)).count()
    }

    /// Half a second, in which all that are no members ask. No name has two holders on `hosts`.
    fn step(&mut self, hosts: &[usize]) {
        for client in &mut self.clients {
            client.note();
            client.ask();
        }
        std::thread::park_timeout(Duration::from_millis(500));
        self.clients.iter_mut().for_each(Client::note);
        for name in NAMES {
            assert!(self.holders(name, hosts) <= 1, "{name} on {hosts:?}");
        }
    }

    /// Until each name has one holder on `hosts`, which have a quorum.
    fn settle(&mut self, hosts: &[usize], limit: Duration, strict: bool) -> Duration {
        let begin = Instant::now();
        while NAMES.iter().any(|name| self.holders(name, hosts) != 1) {
            let held: Vec<_> = self.clients.iter().filter(|it| it.is_member).collect();
            let held: Vec<_> = held.iter().map(|it| (it.name, it.host)).collect();
            assert!(begin.elapsed() < limit, "members: {held:?}");
            self.step(if strict { hosts } else { &[] });
        }
        begin.elapsed()
    }

    fn round(&mut self, number: usize) {
        let holder = self
            .clients
            .iter()
            .find(|it| it.is_member && it.name == NAMES[number % 3]);
        let victim = holder.map_or(number % 3, |holder| holder.host);
        let others: Vec<usize> = (0..3).filter(|host| *host != victim).collect();
        let begin = Instant::now();
        match number % 6 {
            0 => self.set(victim, "down"),
            1 => (0..3).for_each(|host| self.set(host, "down")),
            2 => self.hosts[victim].kill_broker(),
            3 | 4 => {
                self.hosts[victim].server = None;
                self.clients.retain(|client| client.host != victim);
                if number % 6 == 4 {
                    self.hosts[victim].kill_broker();
                }
            }
            _ => others
                .iter()
                .for_each(|host| self.hosts[*host].kill_broker()),
        }
        // Without a quorum, there is nothing that the hosts could settle. A server whose broker was
        // killed goes to another one, and keeps its names.
        let hosts = match number % 6 {
            0 | 3 | 4 => others,
            2 => vec![0, 1, 2],
            _ => Vec::new(),
        };
        if !hosts.is_empty() {
            // A leader is elected meanwhile, and a link is dialled again.
            let took = self.settle(&hosts, Duration::from_secs(45), true);
            println!("round {number}: the names of host {victim} are held after {took:?}");
        }
        while begin.elapsed() < Duration::from_secs(15) {
            self.step(&hosts);
        }
        for host in 0..3 {
            self.set(host, "up");
            if self.hosts[host].broker.is_none() {
                self.hosts[host].start_broker();
            }
            if self.hosts[host].server.is_none() {
                self.hosts[host].start_server();
                self.add_clients(host);
            }
        }
        let took = self.settle(&[0, 1, 2], HEALED, false);
        println!("round {number}: one holder of each name {took:?} after healing");
        // It stays so.
        (0..8).for_each(|_| self.step(&[0, 1, 2]));
    }
}

#[test]
#[ignore = "a round takes a minute, needs root, nats-server and iproute2"]
fn names_are_unique_while_hosts_are_cut_off_and_killed() {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let (first, rounds) = (number("LOKET_SEED"), number("LOKET_PARTITIONS"));
    let first = first.unwrap_or(0);
    let mut cluster = Cluster::new();
    let took = cluster.settle(&[0, 1, 2], HEALED, true);
    println!("one holder of each name {took:?} after the start");
    for round in first..first + rounds.unwrap_or(1) {
        cluster.round(round);
    }
}
