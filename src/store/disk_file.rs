//! An open file that is closed where closing may wait.
//!
//! close(2) of a file behind a server waits for it, and closing the last descriptor of a file
//! without a name frees its blocks: 3 ms for 64 MiB on ext4.

use super::FileVersion;
use super::place::{FsKind, Place};
use super::workers::{JobKind, Workers};
use std::fs::File;
use std::sync::Arc;

/// An open regular file, which a job can share.
pub(super) struct DiskFile {
    /// `Some` until it is closed or given away.
    file: Option<Arc<File>>,
    /// Where it is.
    pub place: Place,
    /// The threads that close it.
    pub workers: Workers,
    closing: Closing,
}

/// Where a file is closed.
enum Closing {
    /// At once, unless it is behind a server.
    Here,
    /// In a job if its blocks are freed: a file of at least this many bytes.
    IfFreed(u64),
    /// In a job: it has no name yet.
    Freed,
}

impl DiskFile {
    /// A file to be read. From `large` bytes on, freeing its blocks is slow.
    pub fn to_read(
        file: File,
        place: Place,
        workers: &Workers,
        large: u64,
        version: FileVersion,
    ) -> DiskFile {
        DiskFile {
            file: Some(Arc::new(file)),
            place,
            workers: workers.clone(),
            closing: match version.length < large {
                true => Closing::Here,
                false => Closing::IfFreed(large),
            },
        }
    }

    /// A new file.
    pub fn to_write(file: File, place: Place, workers: &Workers) -> DiskFile {
        DiskFile {
            file: Some(Arc::new(file)),
            place,
            workers: workers.clone(),
            closing: Closing::Freed,
        }
    }

    /// The file.
    pub fn get(&self) -> &Arc<File> {
        self.file.as_ref().expect("it is not closed")
    }

    /// Gives the file away: the job that gets it closes it.
    pub fn take(mut self) -> Arc<File> {
        self.file.take().expect("it is not closed")
    }
}

impl Drop for DiskFile {
    fn drop(&mut self) {
        let Some(file) = self.file.take() else {
            return;
        };
        let waits = match (self.place.kind, &self.closing) {
            (FsKind::Remote, _) => true,
            (_, Closing::Here) => false,
            (_, Closing::IfFreed(large)) => rustix::fs::fstat(&*file)
                .is_ok_and(|stat| stat.st_nlink == 0 && stat.st_size as u64 >= *large),
            (FsKind::Local, Closing::Freed) => true,
            // Memory is free before the client is answered: after "no space left", a smaller upload
            // must fit.
            (FsKind::Memory, Closing::Freed) => false,
        };
        if waits {
            // Trap: the file moves. The thread that drops the last clone frees the blocks.
            let lane = self.place.lane(JobKind::Writes);
            self.workers.spawn_detached(lane, move || drop(file));
        }
    }
}
