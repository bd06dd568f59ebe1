//! Describes redis without persistence, on one thread for its connections.
//! Only has it asked for PING.

use super::{configured, find, free_port};
use crate::measure::Contender;
use crate::measure::dialect::Dialect;
use std::path::Path;

pub fn contender(scratch: &Path, descriptors: u64) -> Result<Contender, String> {
    let program = find("redis-server")?;
    let port = free_port()?;
    // It keeps 32 descriptors for itself.
    let clients = descriptors - 32;
    let place = scratch.display();
    let text = format!(
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
    );
    let path = scratch.join("redis.conf");
    configured(
        "redis",
        program,
        &[],
        (&path, text),
        (port, Dialect::Redis),
        scratch,
    )
}
