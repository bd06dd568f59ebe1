//! Limits of the store. `server.rs` adds the flags.

use super::{KIB, MIB};
use crate::store::{
    BacklogLimits, BufferLimits, ListingLimits, QuotaLimits, StoreSettings, WorkerLimits,
};
use std::time::Duration;

/// The store of a server without flags.
pub const STORE: StoreSettings = StoreSettings {
    read_only: false,
    // What an offset of `sendfile(2)` can express.
    largest: i64::MAX as u64,
    quota: QuotaLimits {
        total: None,
        // After an operator has removed files by hand, uploads fit again within this time.
        recount: Duration::from_secs(10),
        // Clients that are refused all the time cost a tenth of a thread.
        recount_share: 9,
        // Files of other programs are unknown until then. A walk may wake a disk.
        stale: Duration::from_secs(600),
        // A rename takes less, unless the disk does not answer.
        last_changes: Duration::from_secs(1),
    },
    sync: true,
    workers: WorkerLimits {
        // A dozen file systems that do not answer leave threads for the others.
        threads: 16,
        // A network file system serves several requests at once; more would only fill its queue.
        threads_of_lane: 4,
        // A disk needs less, unless it is overloaded.
        slow: Duration::from_millis(20),
        // Only where the loop has no core of its own. 8 uploads of 256 MiB on one core, p99 of an
        // echo at 1,000/s: 6 to 10 ms with 0, 3 to 5 ms with 10; `--no-sync` 10.5 ms and 2.5 ms;
        // the same throughput. A saturated loop leaves them a tenth of the core.
        nice: 10,
        // If each takes 10 ms, the last one waits for 10 s.
        waiting: 1_000,
        // They share one thread: at 1 GB/s each of 17 gets 60 MB/s. Each holds an open file.
        digests: 16,
        // Reached when many uploads end together: 8 writers of 4 KiB make 3,569 commits/s with it,
        // and 2,060 with a sync for each.
        batch: 64,
    },
    buffers: BufferLimits {
        // A job holds one while it reads, and `threads` jobs may be stuck.
        count: 32,
        kept: 4,
        size: 256 * KIB,
    },
    pieces: PIECES,
    // A client that sends the front of a body and stops holds less than this.
    stage: SMALL_BODY,
    inline_limit: SMALL_BODY as u64,
    // A file that is replaced all the time by renames: on bindfs 13 to 17 of 100 opens fail.
    reopens: 16,
    large: LARGE_FILE,
    copy_step: COPY_STEP,
    // A millisecond with the SHA instructions of the processor, and 4 without.
    digest_step: MIB as u64,
    // A client that has closed its connection looks like one that has nothing more to send and
    // waits for the answer. At 1 GB/s, 900 GB; or 50 GB beside 16 others.
    digest_time: Duration::from_secs(900),
    // Each abandoned job holds one or two descriptors. It is not synced: 10,800 uploads abandoned
    // within 4 s beside other commits held at most 206 descriptors, and 11,700 with a sync for
    // each. 256 fit into [`DESCRIPTOR_RESERVE`](super::DESCRIPTOR_RESERVE).
    backlog: BacklogLimits {
        network: 128,
        all: 256,
    },
    listing: ListingLimits {
        // A list of a million names of 7 bytes (7.9 MB) needs 15 MB more while it is built.
        step: 512,
        entries: 1_000_000,
        inline_limit: SMALL_BODY,
        large: LARGE_FILE,
        // One list of a million of the longest names. Each change of a folder makes a new list;
        // beyond this limit the readers of the oldest one are closed.
        memory: 256 * MIB as u64,
        // The kernel updates its clock for timestamps at least 100 times a second; exFAT has the
        // same resolution.
        tick: Duration::from_millis(100),
        // FAT has a resolution of two seconds.
        coarse_tick: Duration::from_secs(2),
    },
};

/// A body of at most this many bytes is moved in a short turn, and copied out of the store: about
/// the work of a few small requests.
pub const SMALL_BODY: usize = 16 * KIB;

/// Pieces of uploads that may wait for one device, each in a pipe: one is written while others
/// arrive. A device that does not answer keeps this number of pipes full.
pub const PIECES: usize = 4;

/// Closing a removed file frees its blocks: 3 ms for 64 MiB on ext4. From this size on a helper
/// thread does that; for smaller files the thread switch costs more than it saves.
const LARGE_FILE: u64 = 4 * MIB as u64;

/// Bytes copied in one step, without `sendfile` and in
/// [`Upload::commit`](crate::store::Upload::commit). 256 KiB is fastest; 1 MiB exceeds the cache.
pub const COPY_STEP: usize = 256 * KIB;
