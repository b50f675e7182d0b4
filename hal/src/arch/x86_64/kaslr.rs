//! Moving the kernel before it runs ([`places`]): the tables of the boot code.
//!
//! One more place is chosen here: where that begins which programs' own tables
//! show ([`apart`](super::apart)), 2 MiB apart in 512 GiB, 18 bits.

use crate::boot::image;
use crate::boot::places::{self, LARGE_PAGE, Places};

use super::entry::{EarlyTables, OCHRE_EARLY_TABLES};
use super::pvh;
use super::start::EarlyMap;
use super::{layout, random};

/// An entry for a table: present, writable.
const TABLE: u64 = 3;

/// An entry for a large page: present, writable, large.
const PAGE: u64 = 0x83;

/// Entries of a table.
const ENTRIES: u64 = 512;

/// How far into its window that begins which programs' own tables show; from
/// the half of a word that the other places leave.
fn apart_offset(seed: &[u8; 32]) -> u64 {
    let (words, _) = seed.as_chunks::<8>();
    let word = words.get(2).copied().map_or(0, u64::from_le_bytes);
    (word >> 32) % (ENTRIES * ENTRIES) * LARGE_PAGE
}

/// Chooses the places and prepares the boot code's tables for them; how far
/// the image is to move. The boot code's only caller: first of all, once, on
/// the boot stack, where the image is linked.
pub(super) extern "C" fn choose(start_info: u64) -> u64 {
    let image = image::physical();
    let handover = pvh::read(&EarlyMap, start_info, &image);
    if !handover.is_ok_and(|handover| places::may_move(handover.cmdline())) {
        return 0;
    }
    let (seed, _) = random::seed();
    let chosen = Places::random(&seed, image.end, 1);
    let tables = &raw mut OCHRE_EARLY_TABLES;
    // SAFETY: the boot code has written them and nobody else is there yet; the
    // processor reads entries that are not written here, and sets flags in
    // them that nobody looks at.
    let tables = unsafe { &mut *tables };
    prepare(tables, &chosen);
    places::keep_windows(chosen.windows);
    layout::move_to(chosen.slide, apart_offset(&seed));
    for place in places::bases::<u64>() {
        // SAFETY: the boot code's mapping lets us write the code, and nobody
        // else is there yet. What was decoded of it is forgotten when the boot
        // code loads the tables anew.
        unsafe { place.write_unaligned(chosen.direct_map()) };
    }
    chosen.slide
}

/// Maps the direct map and the image where they will be, too.
fn prepare(tables: &mut EarlyTables, places: &Places) {
    let physical = |table: &[u64; 512]| layout::to_physical(table.as_ptr().addr() as u64);
    let (slot, place) = places.direct;
    for (gigabyte, directory) in (place..).zip(&tables.directories) {
        if let Some(entry) = tables.direct.get_mut(gigabyte as usize) {
            *entry = physical(directory) | TABLE;
        }
    }
    if let Some(entry) = tables.root.get_mut(slot as usize) {
        *entry = physical(&tables.direct) | TABLE;
    }
    let first = (places.slide / LARGE_PAGE) as usize;
    for (entry, page) in tables.moved.iter_mut().skip(first).zip(0..) {
        *entry = (page * LARGE_PAGE) | PAGE;
    }
}

#[cfg(test)]
mod tests {
    use super::{EarlyTables, LARGE_PAGE, Places, apart_offset, prepare};
    use proptest::prelude::{any, proptest};

    const IMAGE_END: u64 = 0x38_0000;

    proptest! {
        #[test]
        fn what_programs_see_fits_into_its_window(seed in any::<[u8; 32]>()) {
            let offset = apart_offset(&seed);
            assert!(offset.is_multiple_of(LARGE_PAGE) && offset < 512 << 30);
        }

        #[test]
        fn the_tables_lead_there(seed in any::<[u8; 32]>()) {
            let places = Places::random(&seed, IMAGE_END, 1);
            let mut tables = EarlyTables::EMPTY;
            prepare(&mut tables, &places);
            let (slot, place) = places.direct;
            assert_ne!(tables.root[slot as usize], 0);
            let used: Vec<usize> = (0..512).filter(|at| tables.direct[*at] != 0).collect();
            let place = place as usize;
            assert_eq!(used, (place..place + 4).collect::<Vec<_>>());
            let first = (places.slide / LARGE_PAGE) as usize;
            assert_eq!(tables.moved[first], 0x83);
            assert_eq!(tables.moved[first + 1], LARGE_PAGE | 0x83);
            assert!(tables.moved[..first].iter().all(|entry| *entry == 0));
        }
    }
}
