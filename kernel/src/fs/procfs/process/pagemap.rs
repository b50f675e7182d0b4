//! `pagemap`: a word for each page of a process, as proc_pid_pagemap(5) says.
//!
//! | bit | what |
//! |---|---|
//! | 0..55 | the frame, for who had `CAP_SYS_ADMIN` when it opened the file |
//! | 55 | soft-dirty: never here |
//! | 56 | mapped by this program alone, once |
//! | 61 | of a file, or of shared anonymous memory |
//! | 62 | swapped: never here |
//! | 63 | present |

use alloc::sync::{Arc, Weak};
use core::any::Any;

use ochre_abi::Errno;
use ochre_hal::memory::USER_END;
use ochre_sync::SpinLock;

use super::Subject;
use super::maps::space_of;
use crate::fs::procfs::node::{Identity, may_see_memory};
use crate::memory::{AddressSpace, PageView};
use crate::vfs::{File, Kind, Metadata, Open, Opened, Permissions, Sink, now};

/// Bytes in an entry.
const ENTRY: u64 = 8;

/// Bytes in a page.
const PAGE: u64 = 4096;

/// Entries made at a time.
const AT_ONCE: usize = 128;

const FRAME: u64 = (1 << 55) - 1;
const EXCLUSIVE: u64 = 1 << 56;
const OF_OBJECT: u64 = 1 << 61;
const PRESENT: u64 = 1 << 63;

/// See the module.
pub(super) struct Inode {
    pub(super) subject: Subject,
    pub(super) number: u64,
}

impl Inode {
    fn identity(&self) -> Identity {
        self.subject.identity(self.number, 0o400, false)
    }
}

impl crate::vfs::Inode for Inode {
    fn kind(&self) -> Kind {
        Kind::Regular
    }

    fn permissions(&self) -> Permissions {
        self.identity().permissions()
    }

    fn metadata(&self) -> Metadata {
        self.identity().metadata(Kind::Regular, 1, 0, now())
    }

    fn is_stale(&self) -> bool {
        self.subject.is_gone()
    }

    fn open(self: Arc<Self>, open: &Open<'_>) -> Result<Opened, Errno> {
        self.subject.check_inspection()?;
        Ok(Opened::File(Arc::new(Pagemap {
            space: Arc::downgrade(&space_of(&self.subject)?),
            shows_frames: may_see_memory(open),
            torn: SpinLock::new(None),
        })))
    }

    fn truncate(&self, _size: u64) -> Result<(), Errno> {
        Ok(())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// An open one: of the program that the process ran then.
struct Pagemap {
    space: Weak<AddressSpace>,
    shows_frames: bool,
    /// Where a fault of the reader's tore an entry in two.
    torn: SpinLock<Option<u64>>,
}

impl Pagemap {
    fn entry(&self, page: &PageView) -> u64 {
        let mut entry = PRESENT;
        if self.shows_frames {
            entry |= page.frame & FRAME;
        }
        if page.is_of_object {
            entry |= OF_OBJECT;
        }
        if page.mappings == 1 && !page.is_zero {
            entry |= EXCLUSIVE;
        }
        entry
    }

    /// The entries of pages from `first` on, as many as there is room for.
    fn fill(&self, space: &AddressSpace, first: u64, bytes: &mut [u8]) {
        let start = first * PAGE;
        let pages = bytes.len() as u64 / ENTRY;
        space.pages(start..start + pages * PAGE, |address, page| {
            // CAST: below AT_ONCE.
            let at = ((address - start) / PAGE * ENTRY) as usize;
            if let Some(place) = bytes.get_mut(at..at + ENTRY as usize) {
                place.copy_from_slice(&self.entry(&page).to_ne_bytes());
            }
        });
    }
}

impl File for Pagemap {
    fn read(&self, sink: &mut Sink<'_>, position: &mut u64) -> Result<usize, Errno> {
        let goes_on = self.torn.lock().take() == Some(*position);
        let is_whole = |bytes: u64| bytes.is_multiple_of(ENTRY);
        let is_fit = is_whole(*position) && is_whole(sink.remaining() as u64);
        if !goes_on && !is_fit {
            return Err(Errno::EINVAL);
        }
        let Some(space) = self.space.upgrade() else {
            return Ok(0);
        };
        let mut total = 0;
        while sink.remaining() > 0 && *position / ENTRY < USER_END / PAGE {
            let first = *position / ENTRY;
            let pages = AT_ONCE.min((sink.remaining() as u64).div_ceil(ENTRY) as usize);
            // CAST: at most AT_ONCE.
            let pages = (USER_END / PAGE - first).min(pages as u64) as usize;
            let mut bytes = [0; AT_ONCE * ENTRY as usize];
            let bytes = bytes.get_mut(..pages * ENTRY as usize).unwrap_or_default();
            self.fill(&space, first, bytes);
            // CAST: below ENTRY.
            let bytes = bytes
                .get((*position % ENTRY) as usize..)
                .unwrap_or_default();
            let moved = sink.put(bytes);
            total += moved;
            *position = position.saturating_add(moved as u64);
            if moved < bytes.len() {
                break;
            }
        }
        if !is_whole(*position) {
            *self.torn.lock() = Some(*position);
        }
        Ok(total)
    }

    fn is_seekable(&self) -> bool {
        true
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
