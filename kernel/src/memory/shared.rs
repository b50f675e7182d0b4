//! Shared anonymous memory: an object of pages without a file.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::Range;

use ochre_abi::Errno;
use ochre_hal::memory::{self, OutOfMemory, UserFrame};
use ochre_sync::SpinLock;
use ochre_sync::primitive::atomic::{AtomicU64, Ordering};

use super::area::PAGE;
use super::{Backing, Gone, Identity, Mappers, Promise, leftovers};

/// The device number that such objects have (Linux: that of its hidden tmpfs).
const DEVICE: u64 = 1;

/// Pages that one part of a hole takes out.
const PUNCHED_AT_ONCE: usize = 256;

/// Pages between the first and the last of such a part, at most.
const LOOKED_AT: u64 = 16384;

static NEXT_INODE: AtomicU64 = AtomicU64::new(1);

/// Pages of all such objects.
///
/// ORDERING: Relaxed; a statistic.
static PAGES: AtomicU64 = AtomicU64::new(0);

/// Frames that hold such memory, segments among it.
#[must_use]
pub fn frames() -> u64 {
    PAGES.load(Ordering::Relaxed)
}

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
    pub fn promised(mut self, promise: Promise) -> SharedMemory {
        self.promise = promise;
        self
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

impl Drop for SharedMemory {
    fn drop(&mut self) {
        let pages = core::mem::take(self.present.get_mut());
        PAGES.fetch_sub(pages.len() as u64, Ordering::Relaxed);
        leftovers::give_back(pages);
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
        let mut present = self.present.lock();
        let page = present.entry(index).or_insert_with(|| {
            PAGES.fetch_add(1, Ordering::Relaxed);
            frame
        });
        Ok(page.clone())
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

    fn punch(&self, pages: Range<u64>) -> Result<u64, Errno> {
        let mut out = [const { None }; PUNCHED_AT_ONCE];
        let mut reached = pages.end;
        let mut first = None;
        {
            let mut present = self.present.lock();
            let mut places = out.iter_mut();
            // Pages far from each other are not taken out together: whoever
            // maps them looks at all between them.
            while let Some((&index, _)) = present.range(pages.start..reached).next() {
                let first = *first.get_or_insert(index);
                reached = reached.min(first.saturating_add(LOOKED_AT));
                if index >= reached {
                    break;
                }
                let Some(place) = places.next() else {
                    reached = index;
                    break;
                };
                *place = present.remove(&index);
            }
        }
        PAGES.fetch_sub(out.iter().flatten().count() as u64, Ordering::Relaxed);
        if let Some(first) = first {
            // It is never mapped privately, so all that show it lose it.
            self.mappers
                .forget(self.identity(), first..reached, Gone::End);
        }
        Ok(reached)
    }
}
