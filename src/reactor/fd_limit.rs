//! Computes how many connections the limit of open descriptors (`RLIMIT_NOFILE`) allows.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit to the hard one: setrlimit(2). Returns the limit that holds now; `None` is
/// no limit. If the kernel refuses, the limit stays as it was.
pub fn raise_limit() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    }
}

/// Raises the limit. Returns the number of connections: `wanted`, or what the limit allows without
/// `reserve` descriptors for files. Of a small limit, half is for connections.
pub fn connections(wanted: Option<usize>, reserve: usize) -> usize {
    let descriptors = raise_limit().map_or(usize::MAX, |limit| {
        usize::try_from(limit).unwrap_or(usize::MAX)
    });
    let possible = (descriptors - reserve.min(descriptors / 2)).max(1);
    match wanted {
        Some(wanted) if wanted > possible => {
            log::warn!(
                "only {possible} of {wanted} connections fit the limit of {descriptors} open \
                 descriptors; raise it with ulimit -n"
            );
            possible
        }
        Some(wanted) => wanted,
        None => possible,
    }
}
