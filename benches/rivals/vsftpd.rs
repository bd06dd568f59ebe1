//! Describes vsftpd for anonymous users who may store files in one folder.
//! Cannot do without root: it becomes another user for every one of them.

use super::{configured, find, free_port};
use crate::measure::Contender;
use crate::measure::contender::folder;
use crate::measure::dialect::Dialect;
use crate::measure::ftp::FOLDER;
use rustix::process::geteuid;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

pub fn contender(scratch: &Path) -> Result<Contender, String> {
    let program = find("vsftpd")?;
    if !geteuid().is_root() {
        return Err("vsftpd must be started by root".to_string());
    }
    let port = free_port()?;
    let root = folder(scratch, "ftp")?;
    let store = folder(&root, FOLDER)?;
    let empty = folder(scratch, "empty")?;
    for (folder, mode) in [(scratch, 0o755), (&root, 0o755), (&store, 0o777)] {
        std::fs::set_permissions(folder, Permissions::from_mode(mode))
            .map_err(|e| format!("cannot open {} to others: {e}", folder.display()))?;
    }
    let (root, empty) = (root.display(), empty.display());
    let text = format!(
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
    );
    let path = scratch.join("vsftpd.conf");
    configured(
        "vsftpd",
        program,
        &[],
        (&path, text),
        (port, Dialect::Ftp),
        &store,
    )
}
