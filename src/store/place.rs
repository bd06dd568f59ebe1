//! Where a file is: its device, and whether system calls on its file system may wait.
//!
//! Memory never waits. A local file system answers from memory if it can, and tells when it cannot
//! (`RESOLVE_CACHED` of openat2(2), `RWF_NOWAIT` of preadv2(2)). Any call on another file system
//! may wait for a server that does not answer: NFS, CIFS, and every program behind FUSE.

use super::workers::{JobKind, Lane};
use rustix::fs::{AtFlags, Statx, StatxFlags, makedev};
use rustix::io::Errno;
use std::collections::HashMap;
use std::os::fd::AsFd;
use std::sync::{Mutex, PoisonError};

/// The kinds of file systems.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FsKind {
    /// Its files are in memory.
    Memory,
    /// On a disk of this machine.
    Local,
    /// Behind a server or a program, or unknown.
    Remote,
}

/// A device and the kind of its file system.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// Its number: stat(2), `st_dev`.
    pub device: u64,
    /// The kind of its file system.
    pub kind: FsKind,
}

impl Place {
    /// The lane of jobs that wait for this device.
    pub fn lane(self, kind: JobKind) -> Lane {
        let device = self.device;
        Lane { kind, device }
    }
}

/// The devices that were met since the start.
#[derive(Default)]
pub struct Places(Mutex<HashMap<u64, FsKind>>);

impl Places {
    /// The place of a device, without a system call. An unknown one is remote.
    pub fn of(&self, device: u64) -> Place {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kind = known.get(&device).copied().unwrap_or(FsKind::Remote);
        Place { device, kind }
    }

    /// The place of an open file. An unknown file system is asked for its type, and may wait.
    pub fn learn(&self, file: impl AsFd) -> Result<Place, Errno> {
        let device = device(&stat(&file)?);
        let known = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kind = known().get(&device).copied();
        let kind = match kind {
            Some(kind) => kind,
            None => {
                let kind = kind_of_type(rustix::fs::fstatfs(file)?.f_type as u64);
                known().insert(device, kind);
                kind
            }
        };
        Ok(Place { device, kind })
    }
}

/// The metadata of an open file as far as this machine knows it: statx(2) asks no server for it.
pub fn stat(file: impl AsFd) -> Result<Statx, Errno> {
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    rustix::fs::statx(file, "", flags, StatxFlags::BASIC_STATS)
}

/// The number of the device of a file.
pub fn device(stat: &Statx) -> u64 {
    makedev(stat.stx_dev_major, stat.stx_dev_minor)
}

/// Whether the file system is known to keep all promises of the store.
pub(super) fn is_known(folder: impl AsFd) -> bool {
    rustix::fs::fstatfs(folder).is_ok_and(|found| {
        let number = found.f_type as u64;
        is_native(number) || kind_of_type(number) == FsKind::Memory
    })
}

/// ext2 to ext4, xfs, btrfs, f2fs, bcachefs, jfs, reiserfs.
fn is_native(number: u64) -> bool {
    matches!(
        number & 0xffff_ffff,
        0xef53 | 0x5846_5342 | 0x9123_683e | 0xf2f5_2010 | 0xca45_1a4e | 0x3153_464a | 0x5265_4973
    )
}

/// By the `f_type` of statfs(2); `linux/magic.h` and the sources of Linux have the numbers.
fn kind_of_type(number: u64) -> FsKind {
    match number & 0xffff_ffff {
        // tmpfs, ramfs.
        0x0102_1994 | 0x8584_58f6 => FsKind::Memory,
        number if is_native(number) => FsKind::Local,
        // overlayfs, zfs, exfat, fat, ntfs3, isofs, udf, squashfs, erofs.
        0x794c_7630 | 0x2fc1_2fc1 | 0x2011_bab0 | 0x4d44 | 0x7366_746e | 0x9660 | 0x1501_3346
        | 0x7371_7368 | 0xe0f5_e1e2 => FsKind::Local,
        _ => FsKind::Remote,
    }
}

/// Free bytes of the file system. `None` where it reports no blocks at all: tmpfs without a limit,
/// ramfs and some FUSE file systems.
pub(super) fn free_space(folder: impl AsFd) -> Option<u64> {
    let disk = rustix::fs::fstatvfs(folder).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
    (bytes(disk.f_blocks) > 0).then(|| bytes(disk.f_bavail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_device_is_remote_until_it_is_asked() {
        let memory = rustix::fs::memfd_create("file", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        let places = Places::default();
        let device = device(&stat(&memory).unwrap());
        assert_eq!(places.of(device).kind, FsKind::Remote);
        assert_eq!(places.learn(&memory).unwrap().kind, FsKind::Memory);
        assert_eq!(places.of(device).kind, FsKind::Memory);
    }
}
