//! Finds out how many connections the limit of open descriptors allows.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit to the hard one; tells what holds now, `None` where there is none. What
/// is refused stays as it was: `setrlimit(2)`.
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

/// Raises the limit and leaves `reserve` of it, or half of a small one.
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
