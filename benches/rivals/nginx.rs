//! Describes nginx with one worker over sendfile, as somebody sets it up who wants it fast.
//! Has it serve files and take PUT; loads no other module.

use super::{configured, find, free_port};
use crate::measure::Contender;
use crate::measure::dialect::Dialect;
use rustix::process::geteuid;
use std::path::Path;

/// `deferred` hands a connection over only with its first bytes.
pub fn contender(
    scratch: &Path,
    root: &Path,
    descriptors: u64,
    deferred: bool,
) -> Result<Contender, String> {
    let program = find("nginx")?;
    let port = free_port()?;
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
    let text = format!(
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
    );
    let path = scratch.join("nginx.conf");
    configured(
        "nginx",
        program,
        &["-e", "stderr", "-c"],
        (&path, text),
        (port, Dialect::Http),
        root,
    )
}
