//! The other servers of the comparison: which are installed, and their configurations.

pub mod tokio_echo;

use crate::measure::contender::{Contender, PortSource};
use rustix::process::geteuid;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};

const FIRST_PORT: u16 = 12_000;
const PORTS: u16 = 20_000;

/// Each program with the command that prints its version.
pub const VERSIONS: [(&str, &str); 4] = [
    ("nginx", "nginx -v"),
    ("lighttpd", "lighttpd -v"),
    ("redis-server", "redis-server --version"),
    ("dufs", "dufs --version"),
];

/// The version that the command prints, or "not installed".
pub fn version(command: &str) -> String {
    let output = Command::new("sh")
        .args(["-c", &format!("{command} 2>&1")])
        .env("PATH", search_path())
        .output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let text = text.unwrap_or_default();
    match text.lines().find(|line| !line.trim().is_empty()) {
        Some(line) if !line.contains("not found") => line.trim().to_string(),
        _ => "not installed".to_string(),
    }
}

/// Where programs are looked up: also in the sbin directories, which only root has in PATH, and
/// where `scripts/compare` installs.
fn search_path() -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("rivals/bin");
    format!("{path}:/usr/sbin:/usr/local/sbin:{}", target.display())
}

fn find(program: &str) -> Result<PathBuf, String> {
    let path = search_path();
    let mut paths = path
        .split(':')
        .map(|folder| Path::new(folder).join(program));
    let found = paths.find(|path| path.is_file());
    found.ok_or_else(|| format!("{program} is not installed"))
}

/// A free port below the ephemeral range: the load could take an ephemeral port before the server
/// binds it.
fn free_port() -> Result<u16, String> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    for _ in 0..PORTS {
        let step = (std::process::id() as u16).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = FIRST_PORT + step % PORTS;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Err(format!(
        "no port is free in the {PORTS} ports from {FIRST_PORT}"
    ))
}

/// A server whose port is in its configuration file, below `scratch`. `args` precede the path of
/// the file; `text` makes its content for a port.
fn configured(
    program: &'static str,
    args: &[&str],
    scratch: &Path,
    text: impl FnOnce(u16) -> String,
) -> Result<Contender, String> {
    let path = find(program)?;
    let port = free_port()?;
    let file = scratch.join(format!("{program}.conf"));
    std::fs::write(&file, text(port))
        .map_err(|e| format!("cannot write {}: {e}", file.display()))?;
    let mut args: Vec<String> = args.iter().copied().map(String::from).collect();
    args.push(file.display().to_string());
    Ok(Contender::new(program, path, args, PortSource::Fixed(port)))
}

/// lighttpd with sendfile.
pub fn lighttpd(scratch: &Path, root: &Path, descriptors: u64) -> Result<Contender, String> {
    let connections = descriptors / 2;
    let root_text = root.display();
    let text = |port| {
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
    };
    configured("lighttpd", &["-D", "-f"], scratch, text)
}

/// nginx with one worker and sendfile; `deferred` sets TCP_DEFER_ACCEPT: a connection is accepted
/// with its first bytes.
pub fn nginx(
    scratch: &Path,
    root: &Path,
    descriptors: u64,
    deferred: bool,
) -> Result<Contender, String> {
    let scratch_text = scratch.display();
    // Only this user may read the scratch directory.
    let user = match geteuid().is_root() {
        true => "user root;",
        false => "",
    };
    // nginx closes idle connections when less than a sixteenth of these is free.
    let connections = descriptors * 2;
    let deferred = if deferred { "deferred" } else { "" };
    let root_text = root.display();
    let text = |port| {
        format!(
            "daemon off;
{user}
worker_processes 1;
worker_rlimit_nofile {descriptors};
pid {scratch_text}/nginx.pid;
error_log stderr crit;
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
    proxy_temp_path {scratch_text}/nginx-proxy;
    fastcgi_temp_path {scratch_text}/nginx-fastcgi;
    uwsgi_temp_path {scratch_text}/nginx-uwsgi;
    scgi_temp_path {scratch_text}/nginx-scgi;
    server {{
        listen 127.0.0.1:{port} backlog=4096 {deferred};
        root {root_text};
        location / {{
            dav_methods PUT DELETE;
        }}
    }}
}}
"
        )
    };
    configured("nginx", &["-e", "stderr", "-c"], scratch, text)
}

/// redis without persistence and with one I/O thread.
pub fn redis(scratch: &Path, descriptors: u64, load: &'static str) -> Result<Contender, String> {
    // redis reserves 32 descriptors for itself.
    let clients = descriptors - 32;
    let scratch_text = scratch.display();
    let text = |port| {
        format!(
            "bind 127.0.0.1
port {port}
protected-mode no
daemonize no
logfile \"\"
loglevel warning
save \"\"
appendonly no
dir {scratch_text}
tcp-backlog 4096
timeout 0
maxclients {clients}
"
        )
    };
    let redis = configured("redis-server", &[], scratch, text)?;
    Ok(Contender {
        label: "redis",
        load: Some(load),
        ..redis
    })
}

/// dufs, which people install to serve a folder. It has as many threads as cores.
pub fn dufs(root: &Path) -> Result<Contender, String> {
    let program = find("dufs")?;
    let port = free_port()?;
    let port_text = port.to_string();
    let root_text = root.display().to_string();
    let quiet = ["--log-format", ""];
    let args = [
        &["--bind", "127.0.0.1", "--port", &port_text],
        &quiet[..],
        &[&root_text],
    ]
    .concat();
    let args = args.into_iter().map(String::from).collect();
    Ok(Contender::new(
        "dufs",
        program,
        args,
        PortSource::Fixed(port),
    ))
}
