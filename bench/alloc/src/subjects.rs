//! The allocators, each over memory of its own.
//!
//! Those that want a region get [`ARENA`] bytes of it. Ours that want pages get
//! them as the kernel's do: from [`Frames`] over such a region. Rust's system
//! allocator is the C library's malloc. Nobody's allocator is the global one:
//! what the bench itself allocates comes from the C library.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::alloc::System;

use anyhow::{Context as _, Result, bail};
use ochre_alloc::{
    BuddyHeap, Bump, FirstFit, FixedBlocks, Frames, Growing, Locked, Magazines, PAGE_SIZE,
    PageSource, Place, Record, Slab,
};

use crate::patterns;
use crate::sample::Sample;
use crate::together::THREADS;

/// Every allocator, ours first.
pub(crate) const NAMES: [&str; 12] = [
    "ochre Magazines",
    "ochre Slab, locked",
    "ochre BuddyHeap, locked",
    "ochre FixedBlocks, locked",
    "ochre FirstFit, locked",
    "ochre Bump, locked",
    "linked_list_allocator",
    "buddy_system_allocator",
    "talc",
    "dlmalloc",
    SYSTEM,
    "mimalloc",
];

/// The C library's.
pub(crate) const SYSTEM: &str = "glibc malloc";

/// Bytes that those get who want a region.
const ARENA: usize = 1 << 29;

/// Threads that have magazines.
const PLACES: usize = 64;

/// Measures one of them, in the rows that have `part` in their name.
pub(crate) fn measure(name: &str, part: &str) -> Result<Vec<Sample>> {
    let part = |group: &str| group.contains(part);
    match name {
        "ochre Magazines" => {
            let heap: Magazines<Pages, Here, PLACES> = Magazines::new(Pages::new()?);
            Ok(patterns::rows(name, &heap, part))
        }
        "ochre Slab, locked" => Ok(patterns::rows(
            name,
            &Locked::new(Slab::new(Pages::new()?)),
            part,
        )),
        "ochre BuddyHeap, locked" => {
            let heap = Locked::new(Growing::new(BuddyHeap::new(), Pages::new()?));
            Ok(patterns::rows(name, &heap, part))
        }
        "ochre FixedBlocks, locked" => {
            let heap = Locked::new(Growing::new(FixedBlocks::new(), Pages::new()?));
            Ok(patterns::rows(name, &heap, part))
        }
        "ochre FirstFit, locked" => {
            let heap = Locked::new(Growing::new(FirstFit::new(), Pages::new()?));
            Ok(patterns::rows(name, &heap, part))
        }
        "ochre Bump, locked" => {
            // What is replaced one by one it has only when all is freed: 512 MiB
            // are not enough for all rows.
            let part = |group: &str| part(group) && !patterns::NEED_REUSE.contains(&group);
            let heap = Locked::new(Growing::new(Bump::new(), Pages::new()?));
            Ok(patterns::rows(name, &heap, part))
        }
        "linked_list_allocator" => {
            let heap = linked_list_allocator::LockedHeap::empty();
            // SAFETY: the arena is the heap's alone, and lives for ever.
            unsafe { heap.lock().init(arena()?.as_ptr(), ARENA) };
            Ok(patterns::rows(name, &heap, part))
        }
        "buddy_system_allocator" => {
            let heap = buddy_system_allocator::LockedHeap::<32>::empty();
            let start = arena()?.as_ptr().expose_provenance();
            // SAFETY: as above.
            unsafe { heap.lock().init(start, ARENA) };
            Ok(patterns::rows(name, &heap, part))
        }
        "talc" => {
            type Talc = talc::TalcLock<spinning_top::RawSpinlock, talc::source::Manual>;
            let heap: Talc = talc::TalcLock::new(talc::source::Manual);
            // SAFETY: as above.
            let claimed = unsafe { heap.lock().claim(arena()?.as_ptr(), ARENA) };
            claimed.context("talc does not want its region")?;
            Ok(patterns::rows(name, &heap, part))
        }
        "dlmalloc" => Ok(patterns::rows(name, &dlmalloc::GlobalDlmalloc, part)),
        SYSTEM => Ok(patterns::rows(name, &System, part)),
        "mimalloc" => Ok(patterns::rows(name, &mimalloc::MiMalloc, part)),
        _ => bail!("there is no {name} here"),
    }
}

/// Memory for ever; the system gives it page by page when it is touched.
fn arena() -> Result<NonNull<u8>> {
    // Not aligned by the allocator: it would have to write the zeroes itself.
    const ALIGN: usize = 1 << 21;
    let layout = Layout::from_size_align(ARENA + ALIGN, 8)?;
    // SAFETY: the size is not zero.
    let start = NonNull::new(unsafe { System.alloc_zeroed(layout) });
    let start = start.context("no memory for an arena")?;
    // SAFETY: there are `ALIGN` bytes more than asked for.
    Ok(unsafe { start.add(start.align_offset(ALIGN)) })
}

/// The arena's pages, as the kernel's frames.
#[derive(Debug)]
struct Pages {
    frames: Frames<'static, PLACES>,
    start: NonNull<u8>,
}

// SAFETY: the arena is only reached by who was given a part of it.
unsafe impl Send for Pages {}
// SAFETY: as above; the frames are locked.
unsafe impl Sync for Pages {}

impl Pages {
    fn new() -> Result<Pages> {
        let count = ARENA / PAGE_SIZE;
        let records: Vec<Record> = (0..count).map(|_| Record::new()).collect();
        let frames = Frames::new(records.leak(), 512);
        frames.add(0..u32::try_from(count)?);
        Ok(Pages {
            frames,
            start: arena()?,
        })
    }
}

// SAFETY: frames are handed out once; each is a page of the arena, aligned.
unsafe impl PageSource for Pages {
    fn allocate_pages(&self, count: usize) -> Option<NonNull<u8>> {
        let count = u32::try_from(count).ok()?;
        let frame = if count == 1 {
            self.frames.allocate(here(), 0)
        } else {
            self.frames.allocate_run(here(), count)
        }?;
        // SAFETY: the frame is one of the arena's.
        Some(unsafe { self.start.add(frame as usize * PAGE_SIZE) })
    }

    unsafe fn free_pages(&self, start: NonNull<u8>, count: usize) {
        let offset = start.addr().get() - self.start.addr().get();
        // CAST: the arena has fewer pages.
        let (frame, count) = ((offset / PAGE_SIZE) as u32, count as u32);
        self.frames.free_run(here(), frame, count);
    }

    fn resizes(&self) -> bool {
        true
    }

    unsafe fn resize_pages(&self, start: NonNull<u8>, old: usize, new: usize) -> bool {
        let offset = start.addr().get() - self.start.addr().get();
        // CAST: the arena has fewer pages.
        let (frame, old) = ((offset / PAGE_SIZE) as u32, old as u32);
        u32::try_from(new).is_ok_and(|new| self.frames.resize_run(here(), frame, old, new))
    }
}

/// Each thread's place. A thread that ends takes its number with it: the bench
/// reuses the numbers of threads that it has joined.
#[derive(Debug)]
struct Here;

// SAFETY: the numbers of threads that run at once differ: one row runs, whose
// `THREADS` threads are joined before the next ones begin and number
// themselves from 1; the main thread is 0.
unsafe impl Place for Here {
    // A host has memory enough.
    const RUNS: usize = 32;
    const SHORTER: u32 = 0;

    #[inline]
    fn index() -> Option<usize> {
        Some(here())
    }
}

thread_local! {
    static HERE: Cell<usize> = const { Cell::new(usize::MAX) };
}

static NEXT: AtomicUsize = AtomicUsize::new(0);

#[inline]
fn here() -> usize {
    match HERE.get() {
        usize::MAX => {
            // Threads come in twos and are joined before the next two.
            // ORDERING: Relaxed; only the numbers matter, joining orders the rest.
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let place = if number == 0 {
                0
            } else {
                1 + (number - 1) % THREADS
            };
            HERE.set(place);
            place
        }
        place => place,
    }
}
