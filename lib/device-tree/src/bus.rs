//! How the addresses that a bus' children write become the processor's.
//!
//! A device's `reg` is in numbers of its parent. The parent's `ranges` say where
//! those are in numbers of *its* parent, and so on up to the root, whose
//! children write the processor's. Empty `ranges` mean the same numbers, none at
//! all mean that the children are not seen from outside (Specification 2.3.8).

use core::ops::Range;

use crate::blob::number;
use crate::node::Cells;

/// Entries of `ranges` that are looked at: many devices on a bus with many of
/// them would take hours otherwise.
const ENTRIES: usize = 256;

/// Longer addresses are no numbers alone: PCI's have flags in them.
const ADDRESS_CELLS: usize = 2;

/// A node, as far as addresses in it go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bus<'a> {
    /// How its children write addresses ([`Cells`]), in little room: a node has
    /// one of these for each node around it.
    pub(crate) address_cells: u8,
    pub(crate) size_cells: u8,
    pub(crate) ranges: Option<&'a [u8]>,
}

impl Bus<'_> {
    /// A node that says nothing.
    pub(crate) const SILENT: Bus<'static> = Bus {
        address_cells: Cells::DEFAULT.address as u8,
        size_cells: Cells::DEFAULT.size as u8,
        ranges: None,
    };

    /// How its children write addresses.
    pub(crate) fn cells(&self) -> Cells {
        Cells {
            address: self.address_cells.into(),
            size: self.size_cells.into(),
        }
    }

    /// What children of this bus call `region`, as it is called around the bus,
    /// where an address has so many cells.
    fn outside(&self, address_cells: usize, region: &Range<u64>) -> Option<Range<u64>> {
        let ranges = self.ranges?;
        if ranges.is_empty() {
            return Some(region.clone());
        }
        let Cells { address, size } = self.cells();
        if address > ADDRESS_CELLS || address_cells > ADDRESS_CELLS {
            return None;
        }
        let bytes = (address + address_cells + size) * 4;
        if bytes == 0 {
            return None;
        }
        let len = region.end - region.start;
        ranges.chunks_exact(bytes).take(ENTRIES).find_map(|entry| {
            let (inner, rest) = entry.split_at_checked(address * 4)?;
            let (outer, size) = rest.split_at_checked(address_cells * 4)?;
            let offset = region.start.checked_sub(number(inner))?;
            let rest = number(size).checked_sub(offset)?;
            if rest == 0 || len > rest {
                return None;
            }
            let start = number(outer).checked_add(offset)?;
            Some(start..start.checked_add(len)?)
        })
    }
}

/// The processor's numbers of a region: `buses` are around it, outermost first.
pub(crate) fn to_processor(buses: &[Bus<'_>], region: Range<u64>) -> Option<Range<u64>> {
    let mut pairs = buses.windows(2).rev();
    pairs.try_fold(region, |region, pair| match pair {
        [around, bus] => bus.outside(around.cells().address, &region),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::{Bus, to_processor};

    /// The root, whose children write addresses and sizes in two cells.
    const ROOT: Bus<'static> = Bus {
        address_cells: 2,
        size_cells: 2,
        ranges: None,
    };

    /// A bus whose children write both in one.
    fn bus(ranges: Option<&[u8]>) -> Bus<'_> {
        Bus {
            address_cells: 1,
            size_cells: 1,
            ranges,
        }
    }

    fn bytes(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    #[test]
    fn a_region_comes_out_bus_by_bus() {
        let outer = bytes(&[0x4000, 0, 0x9000, 0x10, 0x7e00, 1, 0x8000, 0x1000]);
        let inner = bytes(&[0x100, 0x7e00, 0x200]);
        let (outer, inner) = (bus(Some(&outer)), bus(Some(&inner)));
        let of_inner = |region| to_processor(&[ROOT, outer, inner], region);
        assert_eq!(of_inner(0x110..0x120), Some(0x1_0000_8010..0x1_0000_8020));
        assert_eq!(of_inner(0x100..0x300), Some(0x1_0000_8000..0x1_0000_8200));
        // Before, behind, and not all of it.
        for region in [0xff..0x110, 0x300..0x301, 0x2ff..0x301] {
            assert_eq!(of_inner(region.clone()), None, "{region:x?}");
        }
        let of_outer = |region| to_processor(&[ROOT, outer], region);
        assert_eq!(of_outer(0x4008..0x4010), Some(0x9008..0x9010));
        assert_eq!(to_processor(&[ROOT], 5..6), Some(5..6));
    }

    #[test]
    fn what_nobody_says_where_it_is_is_nowhere() {
        let outside = |inner: Bus<'_>, region| to_processor(&[ROOT, inner], region);
        assert_eq!(outside(bus(Some(&[])), 5..6), Some(5..6));
        assert_eq!(outside(bus(None), 5..6), None);
        // At the end of all addresses; cut short.
        let last = bytes(&[0, u32::MAX, u32::MAX, 0x10]);
        assert_eq!(outside(bus(Some(&last)), 0..1), None);
        assert_eq!(outside(bus(Some(&last[..12])), 0..1), None);
        // Longer addresses are not moved.
        let long = bytes(&[0, 0, 0, 0, 0x9000, 0x10]);
        let long = Bus {
            address_cells: 3,
            ..bus(Some(&long))
        };
        assert_eq!(outside(long, 0..1), None);
    }
}
