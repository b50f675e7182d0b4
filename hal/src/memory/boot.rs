//! From the loader's memory map to the kernel's own tables and allocators.
//!
//! 1. Find a place for the records, eight bytes per frame from the first of
//!    memory on, in memory that the boot code mapped.
//! 2. Give the frame allocator what the boot code mapped, so that tables can
//!    be built.
//! 3. Build the final tables ([`kernel_map`]), switch to them; the boot code's
//!    identity mapping is gone.
//! 4. Give the allocator the rest.
//!
//! Frames beyond what a record can number (1 TiB) are left alone.

use core::ops::Range;

use ochre_alloc::{MAX_ORDER, Record};

use crate::arch::machine::{bytes, features, layout, usercopy};
use crate::boot::image;
use crate::boot::memory_map::Ranges;

use super::{OutOfMemory, PAGE_SIZE, direct, frames, kernel_map, space};

const PAGE: u64 = PAGE_SIZE as u64;

/// One past the last physical address that can be managed.
const MANAGED_END: u64 = Record::MAX_FRAMES as u64 * PAGE;

/// Takes over the machine's memory.
///
/// `ram` is all usable memory. `reserved` are the parts of it that somebody
/// uses already, besides the kernel image: they are mapped in the direct map,
/// and their pages can be given away later with [`frames::adopt`] and
/// [`frames::release`].
///
/// # Errors
/// [`OutOfMemory`] if the machine has too little for the kernel's tables.
///
/// # Safety
/// Called once, on the boot processor, on the boot code's tables, before
/// anything of [`memory`](super) is used; `ram` is memory that nobody uses
/// except `reserved` and the kernel image; the current stack is in the image,
/// and its guard page is not written.
pub(crate) unsafe fn init(ram: &Ranges, reserved: &[Range<u64>]) -> Result<(), OutOfMemory> {
    let taken = taken_by_image();
    let mut managed = ram.clone();
    managed.remove(MANAGED_END..u64::MAX);
    managed.remove(0..PAGE);
    let mut free = managed.clone();
    let reserved = reserved.iter().cloned();
    for range in reserved.chain(taken.iter()).chain([image::boot_tables()]) {
        free.remove(range);
    }
    let early = layout::early_direct();
    let first = first_record(&managed);
    let place = place_records(first, &managed, &free, &early).ok_or(OutOfMemory)?;
    free.remove(place.clone());
    start_records(first, &place);

    let mut used = managed.clone();
    for range in free.iter() {
        used.remove(range);
    }
    for range in used.iter() {
        frames::add_used(numbers(&range));
    }
    // Low memory first: what is added last is used first, and the tables must
    // be where the boot code's mapping reaches.
    for range in free.iter().filter_map(|range| common(&range, &early)) {
        frames::add(numbers(&range));
    }

    let features = features::get();
    assert!(
        features.no_execute,
        "the processor cannot forbid execution (NX)"
    );
    usercopy::prepare();
    let mut mapped = managed.clone();
    for range in taken.iter() {
        mapped.remove(range);
    }
    let root = kernel_map::build(mapped.iter(), features.gigabyte_pages);
    let root = root.map_err(|error| {
        log::error!("the kernel's page tables: {error:?}");
        OutOfMemory
    })?;
    // SAFETY: `build` mapped the image (code, data, this stack) where it is,
    // and the direct map with everything that the allocators use.
    unsafe { space::adopt_kernel_root(root) };

    for late in [0..early.start, early.end..MANAGED_END] {
        for range in free.iter().filter_map(|range| common(&range, &late)) {
            frames::add(numbers(&range));
        }
    }
    frames::finish()
}

/// The memory that the kernel image uses for good: all of its own but the guard
/// pages of its stacks, which are not to be reached there by anybody, and the
/// boot code's tables.
fn taken_by_image() -> Ranges {
    let mut taken = Ranges::new();
    let Range { start, end } = image::physical();
    // Only whole pages are added.
    taken.add(start / PAGE * PAGE..end.next_multiple_of(PAGE));
    for guard in layout::guard_pages() {
        let guard = layout::to_physical(guard);
        taken.remove(guard..guard + PAGE);
    }
    taken.remove(image::boot_tables());
    taken
}

/// Frees the boot code's tables.
///
/// # Safety
/// Once, after [`init`]; no processor will start any more.
pub(crate) unsafe fn release_boot_tables() {
    for page in image::boot_tables().step_by(PAGE_SIZE) {
        // SAFETY: reserved by `init`, which left the tables, and now of no use
        // to others.
        unsafe { frames::release(page) };
    }
}

/// The address of the first frame that has a record: where memory begins, but a
/// multiple of the largest block, so that blocks are aligned as their numbers are.
fn first_record(managed: &Ranges) -> u64 {
    if layout::MEMORY_BEGINS_AT_0 {
        return 0;
    }
    let start = managed.iter().map(|range| range.start).min();
    start.unwrap_or(0) & !((PAGE << MAX_ORDER) - 1)
}

/// Where the records of the frames from `first` on go: the lowest free place in
/// `early` that is large enough.
fn place_records(
    first: u64,
    managed: &Ranges,
    free: &Ranges,
    early: &Range<u64>,
) -> Option<Range<u64>> {
    let end = managed.iter().map(|range| range.end).max()?;
    let bytes = ((end - first) / PAGE * size_of::<Record>() as u64).next_multiple_of(PAGE);
    free.iter().find_map(|range| {
        let range = common(&range, early)?;
        let end = range.start.checked_add(bytes)?;
        (end <= range.end).then_some(range.start..end)
    })
}

/// Makes empty records at `place` and gives them to the frame allocator.
fn start_records(first: u64, place: &Range<u64>) {
    let bytes = place.end - place.start;
    let records = direct::pointer_to(place.start);
    // CAST: it fits in memory, so in a `usize`.
    let len = bytes as usize;
    // SAFETY: free memory that the boot code mapped; `place_records` chose it.
    unsafe { bytes::zero(records, len) };
    let count = (len / size_of::<Record>()).min(Record::MAX_FRAMES as usize);
    // SAFETY: aligned to a page, `count` records long, zeroed, which is
    // `UNMANAGED` for each, and nobody else's for ever.
    let records = unsafe { core::slice::from_raw_parts(records.cast::<Record>(), count) };
    // CAST: below `MAX_FRAMES`, 28 bits.
    frames::start((first / PAGE) as u32, records);
}

/// The frames of a range of whole pages below `MANAGED_END`.
fn numbers(range: &Range<u64>) -> Range<u32> {
    // CAST: below `MAX_FRAMES`, 28 bits.
    (range.start / PAGE) as u32..(range.end / PAGE) as u32
}

fn common(one: &Range<u64>, other: &Range<u64>) -> Option<Range<u64>> {
    let range = one.start.max(other.start)..one.end.min(other.end);
    (!range.is_empty()).then_some(range)
}

#[cfg(test)]
mod tests {
    use super::{common, place_records};
    use crate::boot::memory_map::Ranges;

    fn ranges(list: &[core::ops::Range<u64>]) -> Ranges {
        let mut ranges = Ranges::new();
        for range in list {
            ranges.add(range.clone());
        }
        ranges
    }

    #[test]
    fn records_go_to_the_lowest_place_that_holds_them() {
        // 1 GiB: 2 MiB of records.
        let managed = ranges(&[0x1000..0x9_f000, 0x10_0000..0x4000_0000]);
        let mut free = managed.clone();
        free.remove(0x20_0000..0x38_0000);
        let place = place_records(0, &managed, &free, &(0..1 << 32));
        assert_eq!(place, Some(0x38_0000..0x58_0000));
    }

    #[test]
    fn records_stay_where_the_boot_code_mapped() {
        let managed = ranges(&[0x10_0000..0x20_0000, 1 << 32..1 << 36]);
        assert_eq!(place_records(0, &managed, &managed, &(0..1 << 32)), None);
        assert!(place_records(0, &managed, &managed, &(0..1 << 37)).is_some());
        assert_eq!(
            place_records(0, &Ranges::new(), &managed, &(0..1 << 32)),
            None
        );
    }

    #[test]
    fn what_is_below_memory_has_no_records() {
        // From 1 GiB on, as on AArch64, to 3 GiB: 4 MiB of records.
        let managed = ranges(&[1 << 30..2 << 30, 5 << 29..3 << 30]);
        let place = place_records(1 << 30, &managed, &managed, &(0..4 << 30));
        assert_eq!(place, Some(1 << 30..(1 << 30) + (4 << 20)));
    }

    #[test]
    fn a_hole_counts_by_its_end() {
        // 16 GiB with the hole below 4 GiB: 18 GiB of numbers, 36 MiB.
        let managed = ranges(&[0x10_0000..0x8000_0000, 1 << 32..(1 << 32) + (14 << 30)]);
        let place = place_records(0, &managed, &managed, &(0..1 << 32));
        assert_eq!(place, Some(0x10_0000..0x10_0000 + (36 << 20)));
    }

    #[test]
    fn ranges_meet() {
        assert_eq!(common(&(1..5), &(3..9)), Some(3..5));
        assert_eq!(common(&(1..3), &(3..9)), None);
    }
}
