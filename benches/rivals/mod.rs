//! Other people's servers: which of them are installed, and each with a configuration of ours.

use crate::measure::contender::{Contender, Door, folder};
use crate::measure::dialect::Dialect;
use crate::measure::ftp::FOLDER;
use rustix::process::geteuid;
use std::fs::Permissions;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};

const FIRST_PORT: u16 = 12_000;
const PORTS: u16 = 20_000;

/// Each program with the words that make it tell its version. vsftpd tells it to descriptor 0.
pub const VERSIONS: [(&str, &str); 4] = [
    ("nginx", "nginx -v"),
    ("lighttpd", "lighttpd -v"),
    ("redis-server", "redis-server --version"),
    ("vsftpd", "vsftpd -v 0>&1"),
];

/// What is told of a version, or that there is none.
pub fn version(command: &str) -> String {
    let path = format!("{}:/usr/sbin:/usr/local/sbin", search_path());
    let told = Command::new("sh")
        .args(["-c", &format!("{command} 2>&1")])
        .env("PATH", path)
        .output();
    let said = told.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let said = said.unwrap_or_default();
    match said.lines().find(|line| !line.trim().is_empty()) {
        Some(line) if !line.contains("not found") => line.trim().to_string(),
        _ => "not installed".to_string(),
    }
}

fn search_path() -> String {
    std::env::var("PATH").unwrap_or_default()
}

/// The program, also where only root's path has it.
fn find(program: &str) -> Result<PathBuf, String> {
    let path = search_path();
    let folders = path.split(':').chain(["/usr/sbin", "/usr/local/sbin"]);
    let mut places = folders.map(|folder| Path::new(folder).join(program));
    let place = places.find(|place| place.is_file());
    place.ok_or_else(|| format!("{program} is not installed"))
}

/// A port that nobody has at this moment, below those that the kernel gives to clients: one of
/// those could be taken by the load before the server that is meant to have it starts.
fn free_port() -> Result<u16, String> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    for _ in 0..PORTS {
        let step = (std::process::id() as u16).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = FIRST_PORT + step % PORTS;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Err(format!("no port is free from {FIRST_PORT} on"))
}

/// A server that listens on the port that its configuration names, in files below `scratch`.
struct Configured {
    label: &'static str,
    program: &'static str,
    /// What comes before the path of the configuration.
    words: &'static [&'static str],
    dialect: Dialect,
}

impl Configured {
    /// `text` gives the configuration for a port.
    fn contender(
        self,
        scratch: &Path,
        root: &Path,
        text: impl FnOnce(u16) -> String,
    ) -> Result<Contender, String> {
        let program = find(self.program)?;
        let port = free_port()?;
        let path = scratch.join(format!("{}.conf", self.label));
        std::fs::write(&path, text(port))
            .map_err(|e| format!("cannot write {}: {e}", path.display()))?;
        let mut args: Vec<String> = self.words.iter().copied().map(String::from).collect();
        args.push(path.display().to_string());
        Ok(Contender {
            label: self.label,
            program,
            args,
            door: Door::Port(port),
            dialect: self.dialect,
            root: root.to_path_buf(),
        })
    }
}

/// lighttpd over sendfile.
pub fn lighttpd(scratch: &Path, root: &Path, descriptors: u64) -> Result<Contender, String> {
    let lighttpd = Configured {
        label: "lighttpd",
        program: "lighttpd",
        words: &["-D", "-f"],
        dialect: Dialect::Http,
    };
    let connections = descriptors / 2;
    let root_text = root.display();
    lighttpd.contender(scratch, root, |port| {
        format!(
            "server.document-root = \"{root_text}\"
server.bind = \"127.0.0.1\"
server.port = {port}
server.modules = ()
server.event-handler = \"linux-sysepoll\"
server.network-backend = \"sendfile\"
server.listen-backlog = 4096
server.max-fds = {descriptors}
server.max-connections = {connections}
server.max-keep-alive-requests = 60000
server.max-keep-alive-idle = 600
"
        )
    })
}

/// nginx with one worker over sendfile; `deferred` hands a connection over only with its first
/// bytes.
pub fn nginx(
    scratch: &Path,
    root: &Path,
    descriptors: u64,
    deferred: bool,
) -> Result<Contender, String> {
    let nginx = Configured {
        label: "nginx",
        program: "nginx",
        words: &["-e", "stderr", "-c"],
        dialect: Dialect::Http,
    };
    let place = scratch.display();
    // The scratch folder is this user's alone.
    let user = match geteuid().is_root() {
        true => "user root;",
        false => "",
    };
    // It ends idle connections when less than a sixteenth of these is left.
    let connections = descriptors * 2;
    let deferred = if deferred { "deferred" } else { "" };
    let root_text = root.display();
    nginx.contender(scratch, root, |port| {
        format!(
            "daemon off;
{user}
worker_processes 1;
worker_rlimit_nofile {descriptors};
pid {place}/nginx.pid;
error_log stderr error;
events {{
    use epoll;
    worker_connections {connections};
}}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    tcp_nodelay on;
    keepalive_timeout 600s;
    keepalive_requests 1000000000;
    client_max_body_size 0;
    client_body_buffer_size 256k;
    client_body_temp_path {root_text}/.body;
    proxy_temp_path {place}/nginx-proxy;
    fastcgi_temp_path {place}/nginx-fastcgi;
    uwsgi_temp_path {place}/nginx-uwsgi;
    scgi_temp_path {place}/nginx-scgi;
    server {{
        listen 127.0.0.1:{port} backlog=4096 {deferred};
        root {root_text};
        location / {{
            dav_methods PUT;
        }}
    }}
}}
"
        )
    })
}

/// redis without persistence, on one thread for its connections.
pub fn redis(scratch: &Path, descriptors: u64) -> Result<Contender, String> {
    let redis = Configured {
        label: "redis",
        program: "redis-server",
        words: &[],
        dialect: Dialect::Redis,
    };
    // It keeps 32 descriptors for itself.
    let clients = descriptors - 32;
    let place = scratch.display();
    redis.contender(scratch, scratch, |port| {
        format!(
            "bind 127.0.0.1
port {port}
daemonize no
logfile \"\"
loglevel warning
save \"\"
appendonly no
dir {place}
tcp-backlog 4096
timeout 0
maxclients {clients}
"
        )
    })
}

/// vsftpd for anonymous users who may store files in one folder. It needs root: it becomes another
/// user for each of them.
pub fn vsftpd(scratch: &Path) -> Result<Contender, String> {
    let vsftpd = Configured {
        label: "vsftpd",
        program: "vsftpd",
        words: &[],
        dialect: Dialect::Ftp,
    };
    if !geteuid().is_root() {
        return Err("vsftpd must be started by root".to_string());
    }
    let root = folder(scratch, "ftp")?;
    let store = folder(&root, FOLDER)?;
    let empty = folder(scratch, "empty")?;
    for (folder, mode) in [(scratch, 0o755), (&root, 0o755), (&store, 0o777)] {
        std::fs::set_permissions(folder, Permissions::from_mode(mode))
            .map_err(|e| format!("cannot open {} to others: {e}", folder.display()))?;
    }
    let (root, empty) = (root.display(), empty.display());
    vsftpd.contender(scratch, &store, |port| {
        format!(
            "listen=YES
listen_address=127.0.0.1
listen_port={port}
background=NO
anonymous_enable=YES
no_anon_password=YES
anon_root={root}
write_enable=YES
anon_upload_enable=YES
anon_umask=022
anon_max_rate=0
use_sendfile=YES
xferlog_enable=NO
seccomp_sandbox=NO
isolate=NO
isolate_network=NO
secure_chroot_dir={empty}
"
        )
    })
}
