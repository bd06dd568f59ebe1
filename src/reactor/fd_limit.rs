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

/// Raises the limit. Returns the number of connections: `wanted`, or what the limit allows if each
/// connection may have a file open (`files`). Warns if a limit is below what was wanted.
pub fn connections(wanted: Option<usize>, reserve: usize, files: bool) -> usize {
    let descriptors = raise_limit().map_or(usize::MAX, |limit| {
        usize::try_from(limit).unwrap_or(usize::MAX)
    });
    let share = Share::new(descriptors, wanted, reserve, files);
    let Share { connections, open } = share;
    if let Some(wanted) = wanted.filter(|wanted| *wanted > connections) {
        log::warn!(
            "only {connections} of {wanted} connections fit the limit of {descriptors} open \
             descriptors; raise it with ulimit -n"
        );
    }
    if files && open < connections {
        log::warn!(
            "{connections} connections at once, of which {open} may transfer: the limit is \
             {descriptors} open descriptors; raise it with ulimit -n, or set --max-connections to \
             {} or less",
            Share::new(descriptors, None, reserve, files).connections
        );
    }
    connections
}

/// What a limit of descriptors is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Share {
    connections: usize,
    /// Connections that may have a file open at the same time.
    open: usize,
}

impl Share {
    /// Of a small limit, half is the reserve.
    fn new(descriptors: usize, wanted: Option<usize>, reserve: usize, files: bool) -> Share {
        let free = descriptors - reserve.min(descriptors / 2);
        let each = if files { 2 } else { 1 };
        let connections = wanted.unwrap_or(free / each).min(free).max(1);
        Share {
            connections,
            open: free.saturating_sub(connections).min(connections),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Connections, and connections with an open file.
    fn share(descriptors: usize, wanted: Option<usize>, files: bool) -> (usize, usize) {
        let share = Share::new(descriptors, wanted, 512, files);
        (share.connections, share.open)
    }

    #[test]
    fn without_a_flag_every_connection_may_have_a_file_open() {
        for descriptors in [4, 64, 1_024, 20_000, 524_288, usize::MAX] {
            let (connections, open) = share(descriptors, None, true);
            assert_eq!(open, connections, "{descriptors}");
        }
        assert_eq!(share(20_000, None, true), (9_744, 9_744));
        assert_eq!(share(20_000, None, false).0, 19_488);
    }

    #[test]
    fn more_connections_leave_fewer_descriptors_for_files() {
        assert_eq!(share(20_000, Some(100), true), (100, 100));
        assert_eq!(share(20_000, Some(19_000), true), (19_000, 488));
        assert_eq!(share(20_000, Some(30_000), true), (19_488, 0));
    }
}
