//! The signals that end this process, for the server, the clients and load runs; and those that
//! resume the operator's terminal.

use super::dispatcher::Dispatcher;
use super::linux::LinuxIo;
use crate::session::notice::{Audience, Notice, Post};
use crate::session::observer::Readiness;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use std::fs;

/// The signals to handle. Must be called at the start, because a signal that is ignored then is
/// left out: nohup(1) and a shell without job control expect it to stay ignored.
pub fn ending() -> Vec<i32> {
    // Without /proc, no signal is taken as ignored.
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = ignored(&status);
    [SIGHUP, SIGINT, SIGQUIT, SIGTERM]
        .into_iter()
        .filter(|signal| ignored & (1 << (signal - 1)) == 0)
        .collect()
}

/// Whether a second signal ends the process at once. SIGHUP does not: a terminal that is closed
/// sends several, and systemd's `SendSIGHUP=` sends one directly after SIGTERM.
pub fn ends_at_once(signal: i32) -> bool {
    signal != SIGHUP
}

/// After SIGCONT or SIGWINCH. The terminal may have input whose event was consumed while this
/// process was in the background.
pub fn resume_operator(dispatcher: &mut Dispatcher<LinuxIo>) {
    if let Some(stdio) = &mut dispatcher.io.operator
        && let Some(columns) = stdio.resume()
    {
        let notice = Notice::Resize { columns };
        let to = Audience::Operator;
        dispatcher.posts().push(Post { to, notice });
        dispatcher.deliver();
    }
    if let Some(id) = dispatcher.operator() {
        dispatcher.mark(id, Readiness::BOTH);
    }
}

/// The mask of ignored signals in the text of proc_pid_status(5).
fn ignored(status: &str) -> u64 {
    status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_read_from_the_status_of_the_process() {
        let status = "SigBlk:\t0000000000000001\nSigIgn:\t0000000000001007\nSigCgt:\t0\n";
        assert_eq!(ignored(status), 0x1007);
        assert_eq!(ignored(""), 0);
        assert_eq!(ignored("SigIgn:\tnonsense\n"), 0);
    }
}
