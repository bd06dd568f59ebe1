//! Textbook clients are served through haproxy with `send-proxy-v2`, 20 times out of 20 each, and
//! its health checks succeed. Most of the time goes to other programs: debug tests it.

#![cfg(debug_assertions)]

use crate::support::proxied::PROXY;
use crate::support::python::{PythonClient, python};
use crate::support::{Client, Server, eventually, noise, rooted, skip};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The services that textbook clients use, and http.
const SERVICES: [&str; 4] = ["echo", "transfer", "files", "http"];

/// A running haproxy in front of a server. Dropping it kills the process by its id.
struct HaProxy {
    child: Child,
    folder: tempfile::TempDir,
    fronts: Vec<(&'static str, SocketAddr)>,
}

impl HaProxy {
    fn start(server: &Server) -> HaProxy {
        let folder = rooted();
        let admin = folder.path().join("admin");
        let mut config = format!(
            "global\n stats socket {} mode 600\n\
             defaults\n mode tcp\n timeout connect 9s\n timeout client 60s\n timeout server 60s\n",
            admin.display()
        );
        let (mut fronts, mut sockets) = (Vec::new(), Vec::new());
        for service in SERVICES {
            let socket = TcpListener::bind("127.0.0.1:0").expect("a free port");
            rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::empty()).expect("inherited");
            let (fd, to) = (socket.as_raw_fd(), server.address(service));
            config.push_str(&format!(
                "listen {service}\n bind fd@{fd}\n \
                 server loket {to} source {PROXY} send-proxy-v2 proxy-v2-options crc32c,unique-id \
                 check check-send-proxy inter 100\n unique-id-format %ci:%cp\n"
            ));
            fronts.push((service, socket.local_addr().expect("bound")));
            sockets.push(socket);
        }
        let path = folder.path().join("config");
        std::fs::write(&path, config).expect("room");
        let log = std::fs::File::create(folder.path().join("log")).expect("room");
        let child = Command::new("haproxy")
            .arg("-db")
            .arg("-f")
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a descriptor"))
            .stderr(log)
            .spawn()
            .expect("haproxy starts");
        HaProxy {
            child,
            folder,
            fronts,
        }
    }

    fn address(&self, service: &str) -> SocketAddr {
        let front = self.fronts.iter().find(|(name, _)| *name == service);
        front.expect("a service").1
    }

    fn admin(&self) -> PathBuf {
        self.folder.path().join("admin")
    }

    fn python(&self, service: &str, script: &str, arguments: &[&str]) {
        PythonClient::at(self.address(service), "textbook", script, arguments).passes();
    }
}

impl Drop for HaProxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.folder.path().join("log"));
            eprintln!("haproxy's log:\n{}", log.unwrap_or_default());
        }
    }
}

/// The state and the number of failed checks of each server, from haproxy's statistics.
fn checks(admin: &Path) -> Option<Vec<(String, String)>> {
    let mut stream = UnixStream::connect(admin).ok()?;
    stream.write_all(b"show stat\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let rows = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let servers = rows.filter(|row| row.get(1) == Some(&"loket"));
    Some(
        servers
            .map(|row| (row[17].to_owned(), row[21].to_owned()))
            .collect(),
    )
}

fn haproxy(test: &str) -> bool {
    let found = Command::new("haproxy").arg("-v").output().is_ok();
    if !found {
        skip(test, "no haproxy");
    }
    found
}

#[test]
fn textbook_clients_through_haproxy_are_exact() {
    let test = "textbook_clients_through_haproxy_are_exact";
    if !haproxy(test) || !python(test) {
        return;
    }
    let server = Server::start(&["--proxy-from", PROXY, "--bare-gap", "250"]);
    let proxy = HaProxy::start(&server);
    let all_up = || {
        let checks = checks(&proxy.admin()).unwrap_or_default();
        checks.len() == SERVICES.len() && checks.iter().all(|(state, _)| state == "UP")
    };
    eventually("all servers are up", all_up);
    let local = rooted();
    let (name, data) = ("middle.bin", noise(200_000));
    let path = local.path().join(name);
    std::fs::write(&path, &data).expect("room");
    let path = path.to_str().expect("text");
    server.put(name, &data);
    // LOKET_CLIENTS: how many of each kind, and how many uploads.
    let clients = std::env::var("LOKET_CLIENTS").unwrap_or_else(|_| "20".to_owned());
    let uploads: usize = clients.parse().expect("a number");
    for order in ["in-turn", "together"] {
        proxy.python("echo", "echo", &["hello", &clients, order]);
        let file = [name, path, &clients, order];
        proxy.python("transfer", "transfer_upload", &file);
        proxy.python("transfer", "transfer_download", &file);
        for action in ["upload", "download"] {
            let arguments = [&[action][..], &file].concat();
            proxy.python("files", "files_shell", &arguments);
        }
    }
    eventually("every upload is stored", || {
        let files = server.files();
        files.len() == uploads + 1 && files.values().all(|stored| *stored == data)
    });
    assert!(all_up());
    let checks = checks(&proxy.admin()).expect("statistics");
    assert!(checks.iter().all(|(_, failed)| failed == "0"), "{checks:?}");
    assert!(!server.log().contains("rejected"));
}

#[test]
fn the_log_names_the_client_in_front_of_haproxy() {
    if !haproxy("the_log_names_the_client_in_front_of_haproxy") {
        return;
    }
    let server = Server::start(&["--proxy-from", PROXY, "-v"]);
    let proxy = HaProxy::start(&server);
    let mut client = Client::connect(proxy.address("http"));
    let own = client.0.local_addr().expect("an address").to_string();
    client
        .send("GET / HTTP/1.0\r\n\r\n")
        .expect("HTTP/1.1 200 ");
    eventually("the access line", || {
        let log = server.log();
        log.lines()
            .any(|line| line.contains("GET /") && line.contains(&own))
    });
}
