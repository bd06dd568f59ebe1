//! Bytes that a session keeps between turns.
//! From a page on they are in an anonymous mapping, which goes back to the kernel when dropped.

use memmap2::MmapMut;
use rustix::param::page_size;
use std::ops::Deref;

/// Bytes that do not change.
///
/// Trap: malloc(3) returns to the kernel only free memory at the top of the heap. After 1,200 peers
/// that did not read, 60 to 280 MiB stayed in the heap below a few small allocations.
pub enum Held {
    /// On the heap.
    Heap(Vec<u8>),
    /// In an anonymous mapping: mmap(2).
    Mapped(MmapMut),
}

impl Held {
    /// Moves bytes from the heap into a mapping, if they fill a page.
    pub fn new(mut bytes: Vec<u8>) -> Held {
        match Held::map(&bytes) {
            Some(pages) => Held::Mapped(pages),
            None => {
                bytes.shrink_to_fit();
                Held::Heap(bytes)
            }
        }
    }

    /// Does the same with bytes that are held already.
    pub fn compact(&mut self) {
        if let Held::Heap(bytes) = self {
            *self = Held::new(std::mem::take(bytes));
        }
    }

    fn map(bytes: &[u8]) -> Option<MmapMut> {
        if bytes.len() < page_size() {
            return None;
        }
        // A process may have 65,530 mappings (`vm.max_map_count`). Above that, the bytes stay on
        // the heap.
        let mut pages = MmapMut::map_anon(bytes.len()).ok()?;
        pages.copy_from_slice(bytes);
        Some(pages)
    }
}

impl Default for Held {
    fn default() -> Held {
        Held::Heap(Vec::new())
    }
}

impl Deref for Held {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Held::Heap(bytes) => bytes,
            Held::Mapped(pages) => pages,
        }
    }
}
