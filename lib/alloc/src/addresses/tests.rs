//! The address windows against a model: a set of the granules that are free.

use std::collections::BTreeSet;

use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

use super::{AddressError, Addresses};
use crate::testing::config;

#[test]
fn a_bar_is_aligned_to_its_size() {
    let mut window: Addresses<64> = Addresses::new();
    assert_eq!(window.allocate(1), Err(AddressError::Exhausted));
    window.add(0xe010_0000, 0x0fe0_1000).expect("there is room");
    for size in [0x1000, 0x10, 0x400_0000, 0x2_0000] {
        let bar = window.allocate(size).expect("there is room");
        assert_eq!(bar % size, 0);
        assert!(bar >= 0xe010_0000 && bar + size <= 0xeff0_1000 + 0x1000);
    }
}

#[test]
fn all_addresses_there_are() {
    let mut all: Addresses<80> = Addresses::new();
    all.add(0, u64::MAX).expect("there is room");
    assert_eq!(all.free_addresses(), u128::from(u64::MAX));
    assert_eq!(all.add(5, 1), Err(AddressError::AlreadyFree));
    assert_eq!(all.add(u64::MAX, 1), Ok(()));
    assert_eq!(all.free_addresses(), 1 << 64);
    assert_eq!(all.allocate(1 << 63), Ok(0));
    assert_eq!(all.free(0, 1 << 63), Ok(()));
}

#[test]
fn malformed_ranges_are_refused() {
    let mut window: Addresses<8> = Addresses::new();
    for (start, len) in [(0, 0), (u64::MAX, 2), (5, u64::MAX)] {
        assert_eq!(window.add(start, len), Err(AddressError::Malformed));
    }
    assert_eq!(window.allocate(0), Err(AddressError::Malformed));
    assert_eq!(window.allocate(u64::MAX), Err(AddressError::Malformed));
    assert_eq!(window.free(0x1800, 0x1000), Err(AddressError::Malformed));
    assert_eq!(window.free(0, 0), Err(AddressError::Malformed));
}

#[test]
fn a_full_table_is_an_error_and_changes_nothing() {
    let mut window: Addresses<4> = Addresses::new();
    window.add(0, 0x1_0000).expect("one block");
    assert_eq!(window.allocate(1), Err(AddressError::Full));
    assert_eq!(window.free_addresses(), 0x1_0000);
    assert_eq!(window.add(0x10_0001, 0xffff), Err(AddressError::Full));
    assert_eq!(window.free_addresses(), 0x1_0000);
    let at = window.allocate(0x2000).expect("three halves fit");
    assert_eq!(window.free(at, 0x2000), Ok(()));
    assert_eq!(window.free(at, 0x2000), Err(AddressError::AlreadyFree));
}

/// Less under Miri, where each address of the model takes its time.
const FIRST: u64 = if cfg!(miri) { 40 } else { 400 };
const STEPS: usize = if cfg!(miri) { 10 } else { 80 };

proptest! {
    #![proptest_config(config())]
    #[test]
    fn agrees_with_a_set(
        windows in proptest::collection::vec((0..FIRST, 1..FIRST), 0..4),
        steps in proptest::collection::vec((0_u64..70, 0_usize..16, proptest::bool::ANY), 0..STEPS),
    ) {
        let mut addresses: Addresses<64> = Addresses::new();
        let mut free: BTreeSet<u64> = BTreeSet::new();
        for (start, len) in windows {
            let fits = (start..start + len).all(|address| !free.contains(&address));
            let added = addresses.add(start, len);
            prop_assert_eq!(added.is_ok(), fits);
            if fits {
                free.extend(start..start + len);
            }
        }
        let mut held: Vec<(u64, u64)> = Vec::new();
        for (size, which, frees) in steps {
            if frees && !held.is_empty() {
                let (start, size) = held.swap_remove(which % held.len());
                prop_assert_eq!(addresses.free(start, size), Ok(()));
                free.extend(start..start + size.next_power_of_two());
            } else if let Ok(start) = addresses.allocate(size) {
                let rounded = size.next_power_of_two();
                prop_assert!(start.is_multiple_of(rounded));
                for address in start..start + rounded {
                    prop_assert!(free.remove(&address), "{address} was not free");
                }
                held.push((start, size));
            } else if size == 1 {
                prop_assert!(free.is_empty());
            }
            prop_assert_eq!(addresses.free_addresses(), free.len() as u128);
        }
    }
}
