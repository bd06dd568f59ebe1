//! Bytes that a session keeps from one turn to the next.
//! Many of them are in pages of their own, which the kernel has back as soon as they are dropped.

use memmap2::MmapMut;
use rustix::param::page_size;
use std::ops::Deref;

/// Bytes that do not change any more.
///
/// Trap: malloc(3) gives the kernel back only what is free at the end of the heap. 1,200 peers that
/// did not read left 60 to 280 MiB in it, below a few small pieces that were still in use.
pub enum Held {
    /// In the heap.
    Heap(Vec<u8>),
    /// In pages of their own.
    Mapped(MmapMut),
}

impl Held {
    /// Moves bytes out of the heap, if there are many.
    pub fn new(mut bytes: Vec<u8>) -> Held {
        match Held::map(&bytes) {
            Some(pages) => Held::Mapped(pages),
            None => {
                bytes.shrink_to_fit();
                Held::Heap(bytes)
            }
        }
    }

    /// The same for bytes that are held already.
    pub fn compact(&mut self) {
        if let Held::Heap(bytes) = self {
            *self = Held::new(std::mem::take(bytes));
        }
    }

    fn map(bytes: &[u8]) -> Option<MmapMut> {
        if bytes.len() < page_size() {
            return None;
        }
        // A process may have 65,530 mappings (`vm.max_map_count`); the heap has room for the rest.
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
