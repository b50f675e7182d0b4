//! The header, and the blocks that it names.

use core::ops::Range;

use crate::node::Nodes;

/// Bytes of the header.
pub const HEADER_BYTES: usize = 40;

/// A larger tree is not believed: Linux takes 2 MiB, loaders may make room for
/// more, and what cannot be read cannot be told.
pub const MAX_BYTES: usize = 64 << 20;

const MAGIC: u32 = 0xd00d_feed;

/// The layout that is read here, and the oldest one that it can be read as.
const VERSION: u32 = 17;

/// What is wrong with a tree as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadTree {
    /// It does not begin as trees do.
    Magic,
    /// Its layout is older or newer than version 17.
    Version,
    /// It is cut short, or says that it is larger than [`MAX_BYTES`].
    Size,
    /// A block lies outside of it.
    Block,
}

/// How long the tree is that begins with `header`.
///
/// # Errors
/// If that is no header, or the length is absurd.
pub fn total_bytes(header: &[u8]) -> Result<usize, BadTree> {
    if word(header, 0).ok_or(BadTree::Size)? != MAGIC {
        return Err(BadTree::Magic);
    }
    let total = word(header, 4).ok_or(BadTree::Size)? as usize;
    if (HEADER_BYTES..=MAX_BYTES).contains(&total) {
        Ok(total)
    } else {
        Err(BadTree::Size)
    }
}

/// A tree whose header makes sense.
#[derive(Clone, Copy, Debug)]
pub struct DeviceTree<'a> {
    structure: &'a [u8],
    strings: &'a [u8],
    reservations: &'a [u8],
}

impl<'a> DeviceTree<'a> {
    /// The tree at the beginning of `bytes`.
    ///
    /// # Errors
    /// See [`BadTree`].
    pub fn new(bytes: &'a [u8]) -> Result<DeviceTree<'a>, BadTree> {
        let blob = bytes.get(..total_bytes(bytes)?).ok_or(BadTree::Size)?;
        let field = |at| word(blob, at).ok_or(BadTree::Size);
        if field(20)? < VERSION || field(24)? > VERSION {
            return Err(BadTree::Version);
        }
        let block = |start: u32, len: u32| {
            let start = start as usize;
            let end = start.checked_add(len as usize).ok_or(BadTree::Block)?;
            blob.get(start..end).ok_or(BadTree::Block)
        };
        Ok(DeviceTree {
            structure: block(field(8)?, field(36)?)?,
            strings: block(field(12)?, field(32)?)?,
            // This block has no length: it ends with an empty entry.
            reservations: blob.get(field(16)? as usize..).ok_or(BadTree::Block)?,
        })
    }

    /// Every node, a parent before its children.
    #[must_use]
    pub fn nodes(&self) -> Nodes<'a> {
        Nodes::new(self.structure, self.strings)
    }

    /// Memory that the loader wants left alone.
    pub fn reservations(&self) -> impl Iterator<Item = Range<u64>> + use<'a> {
        let (entries, _) = self.reservations.as_chunks::<16>();
        entries
            .iter()
            .map(|entry| {
                let start = number(&entry[..8]);
                start..start.saturating_add(number(&entry[8..]))
            })
            .take_while(|range| *range != (0..0))
    }
}

/// The big-endian word at `at`.
pub(crate) fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_be_bytes(*bytes))
}

/// A big-endian number of any length; the upper bits of a long one are lost.
pub(crate) fn number(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0, |all, byte| all << 8 | u64::from(*byte))
}

/// A small tree, for examples and tests: a root, a serial port and memory.
#[doc(hidden)]
#[must_use]
pub fn example() -> [u8; 264] {
    let mut blob = [0; 264];
    let mut at = 0;
    let mut put = |bytes: &[u8]| {
        if let Some(place) = blob.get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
        at += bytes.len();
    };
    const STRINGS: &[u8] = b"#address-cells\0#size-cells\0compatible\0reg\0";
    const STRUCTURE: u32 = HEADER_BYTES as u32 + 32;
    const STRUCTURE_BYTES: u32 = 148;
    for word in [
        MAGIC,
        264,
        STRUCTURE,
        STRUCTURE + STRUCTURE_BYTES,
        HEADER_BYTES as u32,
        VERSION,
        16,
        0,
        STRINGS.len() as u32,
        STRUCTURE_BYTES,
    ] {
        put(&word.to_be_bytes());
    }
    for part in [0x8000_0000_u64, 0x1000, 0, 0] {
        put(&part.to_be_bytes());
    }
    let words = |put: &mut dyn FnMut(&[u8]), words: &[u32]| {
        for word in words {
            put(&word.to_be_bytes());
        }
    };
    // The root: two cells for an address, one for a size.
    words(&mut put, &[1, 0, 3, 4, 0, 2, 3, 4, 15, 1]);
    words(&mut put, &[1]);
    put(b"serial@9000000\0\0");
    words(&mut put, &[3, 10, 27]);
    put(b"arm,pl011\0\0\0");
    words(&mut put, &[3, 12, 38, 0, 0x900_0000, 0x1000, 2]);
    words(&mut put, &[1]);
    put(b"memory\0\0");
    words(&mut put, &[3, 0, 38, 2, 2, 9]);
    put(STRINGS);
    blob
}

#[cfg(test)]
mod tests {
    use super::{BadTree, DeviceTree, MAX_BYTES, example};
    use proptest::prelude::{Just, Strategy, any, prop, prop_oneof, proptest};

    #[test]
    fn reads_what_is_there() {
        let blob = example();
        let tree = DeviceTree::new(&blob).expect("a tree");
        let names: Vec<_> = tree
            .nodes()
            .map(|node| (node.depth(), node.name()))
            .collect();
        assert_eq!(
            names,
            [
                (0, &b""[..]),
                (1, &b"serial@9000000"[..]),
                (1, &b"memory"[..])
            ]
        );
        let reserved: Vec<_> = tree.reservations().collect();
        assert_eq!(reserved, [0x8000_0000..0x8000_1000; 1]);
        let serial = tree.nodes().nth(1).expect("the serial port");
        assert!(serial.is_compatible(b"arm,pl011"));
        assert!(!serial.is_compatible(b"arm,pl01"));
        let places: Vec<_> = serial.regions().collect();
        assert_eq!(places, [0x900_0000..0x900_1000; 1]);
    }

    #[test]
    fn refuses_wrong_headers() {
        let with = |at: usize, value: u32| {
            let mut blob = example();
            blob[at..at + 4].copy_from_slice(&value.to_be_bytes());
            DeviceTree::new(&blob).map(|_| ())
        };
        assert_eq!(with(0, 0xd00d_feee), Err(BadTree::Magic));
        assert_eq!(with(4, 39), Err(BadTree::Size));
        assert_eq!(with(4, 265), Err(BadTree::Size));
        assert_eq!(with(4, MAX_BYTES as u32 + 1), Err(BadTree::Size));
        assert_eq!(with(8, u32::MAX), Err(BadTree::Block));
        assert_eq!(with(36, 1000), Err(BadTree::Block));
        assert_eq!(with(20, 16), Err(BadTree::Version));
        assert_eq!(with(24, 18), Err(BadTree::Version));
        assert_eq!(DeviceTree::new(&[0xd0]).map(|_| ()), Err(BadTree::Size));
    }

    /// Looks at everything that there is to be seen; none of it is more than
    /// the tree has bytes for.
    fn look_at_all(blob: &[u8]) {
        let Ok(tree) = DeviceTree::new(blob) else {
            return;
        };
        let most = blob.len() + 1;
        assert!(tree.reservations().take(most).count() <= blob.len() / 16);
        let mut nodes = 0;
        for node in tree.nodes().take(most) {
            nodes += 1;
            assert!(node.name().len() + node.parent().len() <= 2 * blob.len());
            assert!(node.base_name().len() <= node.name().len());
            assert!(node.regions().take(most).count() <= blob.len() / 4);
            assert!(node.regions().all(|region| region.start <= region.end));
            let _ = (node.is_compatible(b"x"), node.is_enabled());
            let _ = (node.interrupt_parent(), node.phandle());
            assert!(node.regions_on_bus().take(most).count() <= blob.len() / 4);
            let _ = (node.number(b"reg"), node.text(b"compatible"));
            assert!(node.words(b"reg").take(most).count() <= blob.len() / 4);
            let properties = node.properties().take(most);
            let bytes: usize = properties.map(|(_, value)| value.len()).sum();
            assert!(bytes <= blob.len());
        }
        assert!(nodes <= blob.len() / 4);
        let _ = (tree.console(), tree.node_at(b"/a/b"), tree.node_at(b"c"));
    }

    /// A tree with this structure block, whose header is right.
    fn with_structure(words: &[u32]) -> Vec<u8> {
        let whole = example();
        let header = |at| super::word(&whole, at).expect("a header") as usize;
        let (structure, strings) = (header(8), header(12));
        let mut blob = whole[..structure].to_vec();
        for word in words {
            blob.extend(word.to_be_bytes());
        }
        let moved = blob.len();
        blob.extend(&whole[strings..]);
        for (at, value) in [(4, blob.len()), (12, moved), (36, words.len() * 4)] {
            blob[at..at + 4].copy_from_slice(&(value as u32).to_be_bytes());
        }
        blob
    }

    /// A few cells, or absurdly many.
    fn wild() -> impl Strategy<Value = u32> {
        prop_oneof![4 => 0_u32..4, 1 => any::<u32>()]
    }

    #[test]
    fn deep_and_endless_nesting_is_survived() {
        let nested = |count: usize| [1, 0].repeat(count);
        let closed = [nested(40_000), vec![2; 40_000], vec![9]].concat();
        let open = nested(40_000);
        let ends = vec![2; 40_000];
        for words in [closed, open, ends] {
            look_at_all(&with_structure(&words));
        }
    }

    #[test]
    fn every_cut_and_every_changed_byte_is_survived() {
        let blob = example();
        for at in 0..blob.len() {
            look_at_all(&blob[..at]);
            for value in [0, 1, 2, 3, 9, 0x7f, 0x80, 0xff] {
                let mut changed = blob;
                changed[at] = value;
                look_at_all(&changed);
            }
        }
    }

    proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig { failure_persistence: None, ..Default::default() })]
        #[test]
        fn any_bytes_behind_a_header_are_survived(
            tail in prop::collection::vec(any::<u8>(), 224),
        ) {
            let mut blob = example();
            blob[40..].copy_from_slice(&tail);
            look_at_all(&blob);
        }

        /// Mostly right: nodes and properties of all lengths, and what a reader of
        /// cells would trip over.
        #[test]
        fn any_nesting_is_survived(
            parts in prop::collection::vec(
                prop_oneof![
                    Just(vec![1, 0]),
                    Just(vec![2]),
                    Just(vec![4]),
                    // A node that says how its children write `reg`, and a child.
                    (wild(), wild(), prop::collection::vec(any::<u32>(), 0..20)).prop_map(
                        |(address, size, value)| {
                            let head = [1, 0, 3, 4, 0, address, 3, 4, 15, size, 1, 0];
                            let reg = [3, value.len() as u32 * 4, 38];
                            [&head[..], &reg, &value].concat()
                        }
                    ),
                    prop::collection::vec(any::<u32>(), 0..20).prop_map(|value| {
                        [vec![3, value.len() as u32 * 4, 38], value].concat()
                    }),
                    (any::<u32>(), any::<u32>()).prop_map(|(len, name)| vec![3, len, name]),
                ],
                0..200,
            ),
        ) {
            look_at_all(&with_structure(&parts.concat()));
        }

        #[test]
        fn any_words_are_survived(
            words in prop::collection::vec(prop::sample::select(vec![0_u32, 1, 2, 3, 4, 9, 15, 27, 38, u32::MAX]), 56),
        ) {
            let mut blob = example();
            for (place, word) in blob[40..].chunks_exact_mut(4).zip(words) {
                place.copy_from_slice(&word.to_be_bytes());
            }
            look_at_all(&blob);
        }
    }
}
