//! Tables that the assembler makes: each entry names a place by how far it is
//! from the entry itself, so that it is right wherever the image is.
//!
//! The linker script collects a section's entries between two symbols;
//! `entries` is the table, `target` the place that one of its fields names.

/// The table between two symbols of the linker script.
///
/// # Safety
/// Exactly entries are between the two, aligned and never written.
#[cfg(target_os = "none")]
pub(crate) unsafe fn entries<T>(start: *const T, end: *const T) -> &'static [T] {
    let bytes = end.addr() - start.addr();
    // SAFETY: by this function's contract.
    unsafe { core::slice::from_raw_parts(start, bytes / size_of::<T>()) }
}

/// The address that a field of an entry names.
pub(crate) fn target(distance: &i32) -> usize {
    let place = core::ptr::from_ref(distance).addr();
    // CAST: a distance within the image.
    place.wrapping_add_signed(*distance as isize)
}

#[cfg(test)]
mod tests {
    use super::target;

    #[test]
    fn a_distance_counts_from_where_it_stands() {
        let distances = [16, -8, 0];
        let places = distances
            .each_ref()
            .map(|place| core::ptr::from_ref(place).addr());
        let targets = distances.each_ref().map(target);
        assert_eq!(targets, [places[0] + 16, places[1] - 8, places[2]]);
    }
}
