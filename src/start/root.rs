//! Opens the folder that is served, and makes it if it is missing.
//! Reads and writes no file in it: that is the store's.

use super::error::{StartError, plain};
use crate::services::store::{FileStore, StoreSettings};
use std::io;
use std::path::Path;

/// Makes the root if it is missing, but not the folders above it: those would be a typing error.
pub fn open(root: &Path, settings: StoreSettings) -> Result<FileStore, StartError> {
    match std::fs::create_dir(root) {
        Ok(()) => log::info!("made the folder {}", root.display()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(cannot_serve(root, &error)),
    }
    FileStore::open(root, settings).map_err(|error| cannot_serve(root, &error))
}

fn cannot_serve(root: &Path, error: &io::Error) -> StartError {
    let root = root.display();
    let way_out = "give a folder that the server may use with --root DIR";
    StartError::new(format!(
        "cannot serve the folder {root}: {}; {way_out}",
        plain(error)
    ))
}
