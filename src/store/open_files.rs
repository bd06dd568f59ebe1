//! Files that requests of one round of the event loop share, so that a file that many clients want
//! is opened and closed once a round. This saves a fifth of the CPU of a 4 KiB file over HTTP.
//!
//! Each request still finds its file by its path. Only a descriptor of the same inode is shared,
//! and no inode number is used again while its file is open.

use super::disk_file::DiskFile;
use super::place::FsKind;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// The files that were opened in this round.
#[derive(Default)]
pub(super) struct OpenFiles {
    /// By device and inode.
    files: RefCell<HashMap<(u64, u64), Rc<DiskFile>>>,
}

impl OpenFiles {
    /// The file with this device and inode, if it was opened in this round.
    pub fn get(&self, device: u64, inode: u64) -> Option<Rc<DiskFile>> {
        self.files.borrow().get(&(device, inode)).cloned()
    }

    /// Shares a file until the end of the round. The inode of a file behind a server is not
    /// reliable, so that it is not shared.
    pub fn share(&self, file: DiskFile, inode: u64) -> Rc<DiskFile> {
        let file = Rc::new(file);
        if file.place.kind != FsKind::Remote {
            let key = (file.place.device, inode);
            self.files.borrow_mut().insert(key, file.clone());
        }
        file
    }

    /// Closes the files that no blob uses.
    pub fn end_round(&self) {
        self.files.borrow_mut().clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::FileVersion;
    use crate::store::place::Place;
    use crate::store::workers::Workers;

    #[test]
    fn a_file_is_shared_until_the_end_of_the_round() {
        let files = OpenFiles::default();
        let version = FileVersion {
            inode: 7,
            length: 0,
            modified: 0,
        };
        let share = |kind| {
            let place = Place { device: 1, kind };
            let file = tempfile::tempfile().expect("a file");
            let file = DiskFile::to_read(file, place, &Workers::default(), 1, version);
            files.share(file, 7)
        };
        drop(share(FsKind::Remote));
        assert!(files.get(1, 7).is_none(), "it is behind a server");
        let file = share(FsKind::Local);
        let shared = files.get(1, 7).expect("it is open");
        assert!(Rc::ptr_eq(&file, &shared));
        assert!(files.get(2, 7).is_none() && files.get(1, 8).is_none());
        files.end_round();
        assert!(files.get(1, 7).is_none());
    }
}
