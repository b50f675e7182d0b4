//! Moving the kernel before it runs ([`places`]): the seed, and the tables of
//! the boot code.
//!
//! The seed is the loader's, from the device tree, and the processor's own with
//! it. The loader's is wiped when it was read: what was chosen by it could be
//! worked out again.

use ochre_device_tree::DeviceTree;

use crate::boot::image;
use crate::boot::places::{self, LARGE_PAGE, Places};

use super::entry::{EarlyTables, OCHRE_EARLY_TABLES};
use super::start::early_bytes;
use super::system::clean_code;
use super::{layout, random};

/// An entry for a table.
const TABLE: u64 = 3;

/// The property of `/chosen` that has a seed.
const SEED: &[u8] = b"kaslr-seed";

/// Chooses the places and prepares the boot code's tables for them; how far
/// the image is to move. The boot code's only caller: first of all, once, on
/// the boot stack, where the image is linked.
pub(super) extern "C" fn choose(tree: u64) -> u64 {
    let Ok(found) = DeviceTree::new(early_bytes(tree)) else {
        return 0;
    };
    let chosen = found
        .nodes()
        .find(|node| node.depth() == 1 && node.base_name() == b"chosen");
    let (mut loaders, mut is_wanted) = (0, true);
    if let Some(chosen) = chosen {
        is_wanted = places::may_move(chosen.text(b"bootargs").unwrap_or_default());
        if let Some(bytes) = chosen.property(SEED) {
            loaders = bytes
                .iter()
                .fold(0_u64, |all, byte| all << 8 | u64::from(*byte));
            // No reference to the tree is used after this.
            wipe(bytes.as_ptr_range());
        }
    }
    if !is_wanted {
        return 0;
    }
    let (mut seed, _) = random::seed();
    let (words, _) = seed.as_chunks_mut::<8>();
    for (word, turn) in words.iter_mut().zip(0..) {
        // A step of a generator for each, so that they are not alike.
        let step = loaders
            .wrapping_add(turn)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = u64::from_le_bytes(*word) ^ step ^ step >> 29;
        *word = mixed.to_le_bytes();
    }
    let image = image::whole();
    let end = layout::LINKED_INTO + (image.end - image.start);
    let chosen = Places::random(&seed, end, layout::DIRECT_STEP);
    let tables = &raw mut OCHRE_EARLY_TABLES;
    // SAFETY: the boot code has written them and nobody else is there yet; the
    // processor only reads them, and what is written here was empty.
    let tables = unsafe { &mut *tables };
    prepare(tables, &chosen);
    places::keep_windows(chosen.windows);
    layout::move_to(chosen.slide);
    for place in places::bases::<u32>() {
        // SAFETY: an instruction of ours, aligned; nobody else is there yet.
        let instruction = unsafe { place.read() };
        let moved = layout::with_base(instruction, chosen.direct_map());
        // SAFETY: the boot code's mapping lets us write the code.
        unsafe { place.write(moved) };
        clean_code(place.cast(), size_of::<u32>());
    }
    chosen.slide
}

/// Zeroes bytes of the loader's.
fn wipe(bytes: core::ops::Range<*const u8>) {
    for at in bytes.start.expose_provenance()..bytes.end.addr() {
        let at = core::ptr::with_exposed_provenance_mut::<u8>(at);
        // SAFETY: memory that the boot code mapped for reading and writing, of
        // the loader's tree; the caller uses no reference to it any more.
        unsafe { at.write_volatile(0) };
    }
}

/// Maps the direct map and the image where they will be, too.
fn prepare(tables: &mut EarlyTables, places: &Places) {
    let physical = |table: *const u64| layout::to_physical(table.addr() as u64) | TABLE;
    let (slot, place) = places.direct;
    // Two tables, one behind the other: 512 gigabytes from any place.
    for (entry, gigabyte) in tables
        .direct
        .as_flattened_mut()
        .iter_mut()
        .skip(place as usize)
        .zip(&tables.memory)
    {
        *entry = *gigabyte;
    }
    for (entry, table) in tables
        .root
        .iter_mut()
        .skip(slot as usize)
        .zip(&tables.direct)
    {
        *entry = physical(table.as_ptr());
    }
    // As the image is mapped now, so far up.
    let pages = (places.slide / LARGE_PAGE) as usize;
    for (entry, page) in tables.moved.iter_mut().skip(pages).zip(&tables.image) {
        *entry = *page;
    }
}
