//! Stands where a server has its files: a load generator has none.
//! Answers every call with the same no.

use crate::session::blob::Blob;
use crate::session::notice::PeerId;
use crate::store::error::StoreError;
use crate::store::{Errand, Listing, Purpose, Store, Upload};
use std::rc::Rc;

/// A store of nothing.
pub struct NoFiles;

impl Store for NoFiles {
    fn look_up(&mut self, _: &str, _: Purpose, _: PeerId) -> Option<Box<dyn Errand>> {
        None
    }

    fn open(&mut self, _: &str) -> Result<(Rc<dyn Blob>, u64), StoreError> {
        Err(StoreError::NotFound)
    }

    fn size(&mut self, _: &str) -> Result<u64, StoreError> {
        Err(StoreError::NotFound)
    }

    fn remove(&mut self, _: &str, _: PeerId) -> Result<Box<dyn Errand>, StoreError> {
        Err(StoreError::NotFound)
    }

    fn create(&mut self, _: &str, _: Option<u64>) -> Result<Box<dyn Upload>, StoreError> {
        Err(StoreError::ReadOnly)
    }

    fn largest(&self) -> u64 {
        0
    }

    fn list(&mut self, _: Option<&str>, _: PeerId) -> Result<Box<dyn Listing>, StoreError> {
        Err(StoreError::NotFound)
    }

    fn finished(&mut self) -> Vec<PeerId> {
        Vec::new()
    }

    fn wake_with(&mut self, _: Box<dyn Fn() + Send>) {}
}
