//! Shared anonymous memory: an object of pages without a file.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::Range;

use ochre_abi::Errno;
use ochre_hal::memory::{self, OutOfMemory, UserFrame};
use ochre_sync::SpinLock;
use ochre_sync::primitive::atomic::{AtomicU64, Ordering};

use super::area::PAGE;
use super::{Backing, Gone, Identity, Mappers, Promise};

/// The device number that such objects have (Linux: that of its hidden tmpfs).
const DEVICE: u64 = 1;

static NEXT_INODE: AtomicU64 = AtomicU64::new(1);

/// Pages shared by everyone who maps the object, zero to begin with.
pub struct SharedMemory {
    identity: Identity,
    path: Vec<u8>,
    pages: u64,
    /// Given back when the object ends.
    promise: Promise,
    present: SpinLock<BTreeMap<u64, UserFrame>>,
    mappers: Mappers,
}

impl SharedMemory {
    /// An object of `pages` pages, none of which exists yet.
    #[must_use]
    pub fn new(pages: u64) -> SharedMemory {
        let identity = Identity {
            device: DEVICE,
            // ORDERING: Relaxed; only the number matters.
            inode: NEXT_INODE.fetch_add(1, Ordering::Relaxed),
        };
        SharedMemory::named(pages, identity, Vec::new())
    }

    /// The same, with what is promised of it.
    #[must_use]
    pub fn promised(self, promise: Promise) -> SharedMemory {
        SharedMemory { promise, ..self }
    }

    /// As [`new`](SharedMemory::new), that is known as this.
    #[must_use]
    pub fn named(pages: u64, identity: Identity, path: Vec<u8>) -> SharedMemory {
        SharedMemory {
            identity,
            path,
            pages,
            promise: Promise::default(),
            present: SpinLock::new(BTreeMap::new()),
            mappers: Mappers::new(),
        }
    }

    /// Pages that are promised to who has it.
    #[must_use]
    pub fn promised_pages(&self) -> u64 {
        self.promise.pages()
    }

    /// Pages that are there.
    #[must_use]
    pub fn resident(&self) -> u64 {
        self.present.lock().len() as u64
    }
}

impl Backing for SharedMemory {
    fn page(&self, index: u64) -> Result<UserFrame, Errno> {
        if let Some(page) = self.page_at_hand(index) {
            return page;
        }
        if !memory::has_headroom(1) {
            return Err(Errno::ENOMEM);
        }
        // Others make their pages meanwhile; perhaps this one.
        let frame = UserFrame::zeroed().map_err(|OutOfMemory| Errno::ENOMEM)?;
        Ok(self.present.lock().entry(index).or_insert(frame).clone())
    }

    fn page_at_hand(&self, index: u64) -> Option<Result<UserFrame, Errno>> {
        if index >= self.pages {
            return Some(Err(Errno::ENXIO));
        }
        self.present.lock().get(&index).cloned().map(Ok)
    }

    fn present(&self, pages: Range<u64>, visit: &mut dyn FnMut(u64, UserFrame)) {
        for (index, frame) in self.present.lock().range(pages) {
            visit(*index, frame.clone());
        }
    }

    fn size(&self) -> u64 {
        self.pages.saturating_mul(PAGE)
    }

    fn identity(&self) -> Identity {
        self.identity
    }

    fn path(&self) -> Vec<u8> {
        if self.path.is_empty() {
            return b"/dev/zero (deleted)".to_vec();
        }
        self.path.clone()
    }

    fn mappers(&self) -> Option<&Mappers> {
        Some(&self.mappers)
    }

    fn punch(&self, pages: Range<u64>) -> Result<(), Errno> {
        let out = {
            let mut present = self.present.lock();
            let mut out = present.split_off(&pages.start);
            let mut kept = out.split_off(&pages.end);
            present.append(&mut kept);
            out
        };
        if !out.is_empty() {
            // It is never mapped privately, so all that show it lose it.
            self.mappers.forget(self.identity(), pages, Gone::End);
        }
        Ok(())
    }
}
