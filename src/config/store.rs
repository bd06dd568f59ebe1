//! The limits of the store.
//! What the flags say is added by `server.rs`.

use super::{KIB, MIB};
use crate::store::{BacklogLimits, ListingLimits, StoreSettings};
use std::time::Duration;

/// The store of a server that is started without flags.
pub const STORE: StoreSettings = StoreSettings {
    read_only: false,
    // What an offset of `sendfile(2)` can express.
    largest: i64::MAX as u64,
    sync: true,
    // If so many uploads come together: 8 writers of 4 KiB make 3,569 commits a second so, and
    // 2,060 with a sync each.
    batch: 64,
    short: SMALL_BODY as u64,
    heavy: HEAVY_FILE,
    copy_step: COPY_STEP,
    // What peers that broke off have left at the disk holds a descriptor or two each. It is done
    // without a sync: 10,800 uploads that were broken off within 4 s beside commits of others held
    // 206 descriptors at most, and 11,700 where each waited for its sync. 256 fit into
    // [`DESCRIPTOR_RESERVE`](super::DESCRIPTOR_RESERVE).
    backlog: BacklogLimits {
        network: 128,
        all: 256,
    },
    listing: ListingLimits {
        // A million names of 7 bytes are listed with 15 MB beside the list, of 7.9 MB.
        step: 512,
        entries: 1_000_000,
        short: SMALL_BODY,
        heavy: HEAVY_FILE,
        // One list of a million of the longest names. Each change of a folder that is being listed
        // makes one more; beyond this, the readers of the oldest lose theirs.
        memory: 256 * MIB as u64,
        // The kernel's clock for time stamps ticks at least 100 times a second, that of exFAT as
        // well.
        tick: Duration::from_millis(100),
        // FAT counts two seconds.
        coarse_tick: Duration::from_secs(2),
    },
};

/// A body of at most this is moved in a short turn, and out of the store by copying: about as much
/// work as a few small requests.
pub const SMALL_BODY: usize = 16 * KIB;

/// Closing a file that was removed meanwhile frees its blocks: 3 ms for 64 MiB on ext4. From this
/// size on a helper thread does that; the hop costs a smaller download more than it is worth.
const HEAVY_FILE: u64 = 4 * MIB as u64;

/// What the plain way copies at once, and what an upload moves up. 256 KiB is
/// best; 1 MiB falls out of the cache.
pub const COPY_STEP: usize = 256 * KIB;
