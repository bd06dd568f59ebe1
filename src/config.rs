//! Names every limit with its default and the reason for it: one literal a room.

pub mod client;
pub mod load;
pub mod reactor;
pub mod room;
pub mod services;
pub mod store;

use crate::wire::names::WireLimits;
use socket2::TcpKeepalive;
use std::time::Duration;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// How long the pieces of a conversation may be.
pub const WIRE: WireLimits = WireLimits {
    // A name, a word and a number with room to spare.
    unit: 4096,
    // Four full components are longer than people use.
    name: 1024,
    // `NAME_MAX` of `limits.h`.
    component: 255,
};

/// Descriptors kept for listeners, the poll, signals, standard streams, the pipe (about 20) and for
/// the files of bodies under way while every connection is taken. Of a small limit it is half.
pub const DESCRIPTOR_RESERVE: usize = 512;

/// The queue of connections not yet accepted. The kernel cuts it to `net.core.somaxconn`, which
/// is 4096 since Linux 5.4; a burst of thousands then waits instead of being turned away.
pub const BACKLOG: i32 = 4096;

/// What the kernel keeps of a connection beyond what the peer's window takes: tcp(7),
/// `TCP_NOTSENT_LOWAT`. Without it 1,200 peers that did not read had 1 MiB each, and with their
/// own buffers all that `tcp_mem` allows. For a peer that reads it is lifted, see
/// [`BODIES`](reactor::BODIES).
pub const UNSENT_BYTES: u32 = 128 * KIB as u32;

/// What the kernel keeps of an echo connection that is not read, about half of it the kernel's own:
/// socket(7), `SO_RCVBUF`. Left alone, it grows to `tcp_rmem` with what was read. The other
/// services read little but uploads, for which it must grow.
pub const ECHO_RECEIVE: usize = 256 * KIB;

/// tcp(7) keepalive of talk connections: people fall silent, so no deadline ends them. The first
/// probe after a minute, then three, ten seconds apart.
pub const KEEPALIVE: TcpKeepalive = TcpKeepalive::new()
    .with_time(Duration::from_secs(60))
    .with_interval(Duration::from_secs(10))
    .with_retries(3);

/// Log lines that may wait for a reader of standard error; what is over is dropped and counted.
pub const LOG_BACKLOG: usize = 256 * KIB;

/// How long a start waits for a supervisor that does not read its socket: longer than a busy one
/// takes, shorter than it waits for the start itself.
pub const SD_NOTIFY_TIMEOUT: Duration = Duration::from_secs(5);
