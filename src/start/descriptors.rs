//! Finds out how many connections the limit of open descriptors allows.
//! Counts none of them: the accept gate does.

use rustix::process::{Resource, Rlimit};

/// Raises the soft descriptor limit to the hard one and leaves `reserve` of them, or half of a
/// small limit.
pub fn connections(wanted: Option<usize>, reserve: usize) -> usize {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let limit = match rustix::process::setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    let descriptors = limit.map_or(usize::MAX, |limit| {
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
