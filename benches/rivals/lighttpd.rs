//! Describes lighttpd over sendfile, as somebody sets it up who wants it fast.
//! Only has it serve files.

use super::{configured, find, free_port};
use crate::measure::Contender;
use crate::measure::dialect::Dialect;
use std::path::Path;

pub fn contender(scratch: &Path, root: &Path, descriptors: u64) -> Result<Contender, String> {
    let program = find("lighttpd")?;
    let port = free_port()?;
    let connections = descriptors / 2;
    let root_text = root.display();
    let text = format!(
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
    );
    let path = scratch.join("lighttpd.conf");
    configured(
        "lighttpd",
        program,
        &["-D", "-f"],
        (&path, text),
        (port, Dialect::Http),
        root,
    )
}
