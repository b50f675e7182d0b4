//! What `/proc` and debuggers see of an address space.

use alloc::sync::Arc;
use alloc::vec::Vec;

use ochre_abi::Errno;
use ochre_abi::mman::Protection;
use ochre_hal::memory::{PAGE_SIZE, UserFrame};
use ochre_hal::user::Access;

use super::MakeRoom;
use super::area::PAGE;
use super::pages::is_objects_own;
use super::space::Inner;
use super::{AddressSpace, Area, AreaFlags, Facts, Usage};

/// How much of what there is, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Mapped.
    pub total: u64,
    /// The most that ever was mapped.
    pub peak: u64,
    /// In memory.
    pub resident: u64,
    /// In tables of pages.
    pub tables: u64,
    /// Private and writable, stacks apart.
    pub data: u64,
    /// Stacks.
    pub stack: u64,
    /// Executable and not writable.
    pub code: u64,
    /// Locked.
    pub locked: u64,
}

/// Whose pages are in memory, in bytes; all others are the program's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// Of files.
    pub files: u64,
    /// Of files that are nothing but memory, of segments and of what is shared
    /// without a name.
    pub memory: u64,
}

/// What is in memory of one area, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Residence {
    /// In memory.
    pub resident: u64,
    /// Held by others too, and not written since it was mapped.
    pub shared_clean: u64,
    /// Held by others too, and written.
    pub shared_dirty: u64,
    /// Held here alone, and not written.
    pub private_clean: u64,
    /// Held here alone, and written.
    pub private_dirty: u64,
    /// Each page's size divided by how many hold it.
    pub proportional: u64,
    /// Looked at lately.
    pub referenced: u64,
    /// Of no file.
    pub anonymous: u64,
    /// What the program can spare (`MADV_FREE`), and did not store to since.
    pub lazy_free: u64,
    /// In huge pages.
    pub huge: u64,
}

impl AddressSpace {
    /// All areas, by address, as they are now. Empty if there is no memory for
    /// the list.
    #[must_use]
    pub fn areas(&self) -> Vec<Area> {
        let inner = self.inner();
        let mut areas = Vec::new();
        if areas.make_room_exact(inner.areas.len()).is_ok() {
            areas.extend(inner.areas.iter().cloned());
        }
        areas
    }

    /// The first areas that end above an address, at most so many.
    ///
    /// # Errors
    /// ENOMEM if there is no memory for the list.
    pub fn areas_above(&self, address: u64, most: usize) -> Result<Vec<Area>, Errno> {
        let mut areas = Vec::new();
        areas.make_room_exact(most)?;
        let inner = self.inner();
        areas.extend(
            inner
                .areas
                .overlapping(address..u64::MAX)
                .take(most)
                .cloned(),
        );
        Ok(areas)
    }

    /// The area that an address is in, if it may be executed.
    #[must_use]
    pub fn code_at(&self, address: u64) -> Option<Area> {
        let inner = self.inner();
        let area = inner.areas.get(address)?;
        let is_code = area.protection.contains(Protection::EXECUTE);
        is_code.then(|| area.clone())
    }

    /// What execve(2) put where.
    #[must_use]
    pub fn facts(&self) -> Arc<Facts> {
        Arc::clone(&self.inner().facts)
    }

    /// Says what execve(2) put where.
    pub fn set_facts(&self, facts: Facts) {
        self.inner().facts = Arc::new(facts);
    }

    /// The heap: where it starts, and its end as brk(2) last set it.
    #[must_use]
    pub fn heap(&self) -> core::ops::Range<u64> {
        self.inner().heap.clone()
    }

    /// Pages in memory. Cheap.
    #[must_use]
    pub fn resident_pages(&self) -> usize {
        self.inner().table.resident_pages()
    }

    /// What was used so far.
    #[must_use]
    pub fn usage(&self) -> Usage {
        let mut inner = self.inner();
        inner.note_peak();
        inner.usage
    }

    /// Sizes for `/proc/PID/status` and `statm`.
    #[must_use]
    pub fn sizes(&self) -> Sizes {
        let inner = self.inner();
        let mut sizes = Sizes {
            peak: inner.areas.peak_bytes(),
            resident: inner.table.resident_pages() as u64 * PAGE,
            tables: inner.table.tables() as u64 * PAGE,
            locked: inner.locked(),
            ..Sizes::default()
        };
        for area in inner.areas.iter() {
            let bytes = area.bytes();
            sizes.total += bytes;
            if area.flags.contains(AreaFlags::GROWS_DOWN) {
                sizes.stack += bytes;
            } else if area.is_private_writable() {
                sizes.data += bytes;
            }
            if area.protection & (Protection::EXECUTE | Protection::WRITE) == Protection::EXECUTE {
                sizes.code += bytes;
            }
        }
        sizes
    }

    /// Whose pages are in memory: looks at all that areas of objects have, an
    /// area at a time.
    #[must_use]
    pub fn shown(&self) -> Shown {
        let mut shown = Shown::default();
        for area in self.areas() {
            let Some(source) = &area.source else {
                continue;
            };
            let of = match source.backing.is_memory() {
                true => &mut shown.memory,
                false => &mut shown.files,
            };
            let inner = self.inner();
            inner.table.visit(area.range(), |at, mapping| {
                if is_objects_own(&area, source, at, &mapping.frame) {
                    *of += PAGE;
                }
            });
        }
        shown
    }

    /// What is in memory of one area, page by page.
    #[must_use]
    pub fn residence_of(&self, area: &Area) -> Residence {
        let inner = self.inner();
        let mut sum = Residence::default();
        inner.table.visit(area.range(), |_, mapping| {
            let holders = mapping.holders();
            sum.resident += PAGE;
            sum.proportional += PAGE / holders as u64;
            *match (holders > 1, mapping.dirty) {
                (true, false) => &mut sum.shared_clean,
                (true, true) => &mut sum.shared_dirty,
                (false, false) => &mut sum.private_clean,
                (false, true) => &mut sum.private_dirty,
            } += PAGE;
            if mapping.spare {
                sum.lazy_free += PAGE;
            }
            if mapping.is_huge {
                sum.huge += PAGE;
            }
            if mapping.accessed {
                sum.referenced += PAGE;
            }
            if area.source.is_none() {
                sum.anonymous += PAGE;
            }
        });
        sum
    }

    /// The frame of the page at an address, as the program itself could read it,
    /// whatever is active.
    ///
    /// # Errors
    /// EFAULT.
    pub fn frame_to_read(&self, at: u64) -> Result<UserFrame, Errno> {
        self.frame_where(at, |area| area.allows(Access::Read))
    }

    /// The same for another program (process_vm_readv(2)): what may be executed or
    /// written and is not said to be read is not, as on Linux.
    ///
    /// # Errors
    /// EFAULT.
    pub fn frame_to_lend(&self, at: u64) -> Result<UserFrame, Errno> {
        self.frame_where(at, |area| area.protection.contains(Protection::READ))
    }

    fn frame_where(&self, at: u64, fits: fn(&Area) -> bool) -> Result<UserFrame, Errno> {
        let mut inner = self.inner();
        let page = at & !(PAGE - 1);
        if !inner.areas.get(at).is_some_and(fits) {
            return Err(Errno::EFAULT);
        }
        if let Some(mapping) = inner.table.query(page) {
            return Ok(mapping.frame);
        }
        inner.resolve(at, Access::Read).map_err(|_| Errno::EFAULT)?;
        let mapping = inner.table.query(page).ok_or(Errno::EFAULT)?;
        Ok(mapping.frame)
    }

    /// Reads another program's memory through its frames, whatever is active
    /// (`/proc/PID/cmdline`, `/proc/PID/mem`).
    ///
    /// # Errors
    /// EFAULT at the first page that the program could not read itself; what
    /// comes before it is there.
    pub fn inspect(&self, from: u64, to: &mut [u8]) -> Result<(), Errno> {
        let mut at = from;
        let mut rest = to;
        while !rest.is_empty() {
            // CAST: an offset within a page.
            let offset = (at % PAGE) as usize;
            let len = rest.len().min(PAGE_SIZE - offset);
            let (part, after) = rest.split_at_mut(len);
            self.frame_to_read(at)?.read(offset, part);
            rest = after;
            at = at.checked_add(len as u64).ok_or(Errno::EFAULT)?;
        }
        Ok(())
    }
}

impl AddressSpace {
    /// Writes another program's memory as the program itself could, through its
    /// frames, whatever is active (process_vm_writev(2)).
    ///
    /// # Errors
    /// EFAULT at the first page that the program could not write itself; what
    /// comes before it is written.
    pub fn implant(&self, to: u64, bytes: &[u8]) -> Result<(), Errno> {
        let last = to
            .checked_add(bytes.len() as u64)
            .and_then(|end| end.checked_sub(1))
            .ok_or(Errno::EFAULT)?;
        let mut page = to & !(PAGE - 1);
        while page <= last {
            let is_area = self.inner().areas.get(page).is_some();
            if !is_area {
                return Err(Errno::EFAULT);
            }
            page += PAGE;
        }
        self.install(to, bytes)
    }
}

impl Inner {
    /// Remembers how many pages there are, before some are given up.
    pub(super) fn note_peak(&mut self) {
        let now = self.table.resident_pages() as u64;
        self.usage.peak_pages = self.usage.peak_pages.max(now);
    }
}
