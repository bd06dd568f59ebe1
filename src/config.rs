//! Every limit, with its default and the reason for it: one literal for each module.

pub mod client;
pub mod link;
pub mod load;
pub mod loop_view;
pub mod reactor;
pub mod room;
pub mod services;
pub mod store;

use crate::wire::http::HttpLimits;
use crate::wire::names::WireLimits;
use socket2::TcpKeepalive;
use std::time::Duration;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// The longest commands and names.
pub const WIRE: WireLimits = WireLimits {
    // A command, a name and a number fit with room to spare.
    unit: 4096,
    // Four components of full length: longer than names in use.
    name: 1024,
    // `NAME_MAX` of `limits.h`.
    component: 255,
};

/// The longest parts of an HTTP request.
pub const HTTP: HttpLimits = HttpLimits {
    // Browsers send less than 2 KiB to a server that sets no cookies; nginx allows 8 KiB a line.
    head: 8 * KIB,
    // A browser sends about 15.
    fields: 64,
    // The longest registered one, `UPDATEREDIRECTREF`, has 17.
    method: 32,
    // A name of 1,024 bytes, each percent-encoded in three, and a query.
    target: 4 * KIB,
    // No client in common use sends extensions.
    chunk_extensions: 256,
};

/// The longest header of a proxy, which waits in memory until it is complete: what is read at once.
/// A client certificate in it has up to 4 KiB; haproxy sends less than 1 KiB.
pub const PROXY_HEADER: usize = 2 * WIRE.unit;

/// Descriptors reserved for listeners, epoll, signals, standard streams and pipes (about 20), for
/// folders and lists, and for files that are still being stored after their connection was closed
/// (at most 256). Half of a small limit. Of the rest, a connection gets two: its socket and a file.
///
/// What clients cost that stop in the middle:
///
/// | each of | user memory | descriptors |
/// |---|---|---|
/// | 9,744 downloads that are not read | 751 B | 2 |
/// | 5,000 uploads of which one byte has arrived | 1,104 B | 2, in a folder 3 |
/// | 1,000 lists of one million names | 659 B | 1, and 1 for the list |
///
/// With the peer on the same machine, a download or a list holds 176 to 188 KiB of TCP buffers as
/// well, an upload 4 KiB (`/proc/net/sockstat`). Clients that do not read are closed after 30 s by
/// `--min-rate`; a list at 1 KiB/s takes two hours. For example, beside `loket serve --root R`,
/// with a file of 1 GiB in R, in bash:
///
/// ```text
/// ulimit -n 20000; for ((i = 0; i < 9000; i++)); do
///     exec {fd}<>/dev/tcp/127.0.0.1/9999; echo 'download big' >&$fd
/// done; p=$(pgrep loket); grep RssAnon /proc/$p/status; ls /proc/$p/fd | wc -l
/// ```
pub const DESCRIPTOR_RESERVE: usize = 512;

/// The accept queue of a listener: listen(2), backlog. The kernel cuts it to `net.core.somaxconn`,
/// which is 4096 since Linux 5.4. A burst of thousands of connections waits in it.
pub const BACKLOG: i32 = 4096;

/// Unsent bytes that the kernel buffers for a connection: tcp(7), `TCP_NOTSENT_LOWAT`. Without it,
/// 1,200 peers that did not read held 1 MiB each and, with their own buffers, all that `tcp_mem`
/// allows. It is raised for a peer that reads, see [`BODIES`](reactor::BODIES).
pub const UNSENT_BYTES: u32 = 128 * KIB as u32;

/// Receive buffer of an echo connection, about half of it kernel overhead: socket(7), `SO_RCVBUF`.
/// Without a fixed size it grows up to `tcp_rmem`. It is not fixed for the other services, because
/// uploads need it to grow.
pub const ECHO_RECEIVE: usize = 256 * KIB;

/// tcp(7) keepalive of talk connections, which have no idle deadline because people may be silent
/// for hours: probes begin after a minute, and three unanswered ones, 10 s apart, end it.
pub const KEEPALIVE: TcpKeepalive = TcpKeepalive::new()
    .with_time(Duration::from_secs(60))
    .with_interval(Duration::from_secs(10))
    .with_retries(3);

/// Bytes of log lines that wait for standard error to be read. More lines are dropped and counted.
pub const LOG_BACKLOG: usize = 256 * KIB;

/// How long a start waits for a service manager that does not read its socket: longer than a busy
/// one needs, shorter than its own timeout for the start.
pub const SD_NOTIFY_TIMEOUT: Duration = Duration::from_secs(5);
