//! Tables against a map of the same functions, and tables that nobody wrote.

use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::prelude::{any, proptest};

use crate::table::HEADER;
use crate::{MAX_NAME, Place, Refused, Table, Wrong, write};

const ID: [u8; 8] = *b"build id";

fn written(functions: &BTreeMap<u32, String>) -> Vec<u8> {
    let functions = functions
        .iter()
        .map(|(start, name)| (*start, name.as_str()));
    write(ID, functions).unwrap()
}

fn sample() -> Vec<u8> {
    write(
        ID,
        [(0, "boot"), (64, "a::b"), (65, "<a as b>::c"), (900, "d")],
    )
    .unwrap()
}

/// Whatever it is, it is refused or can be asked.
fn ask(bytes: &[u8]) {
    if let Ok(table) = Table::check(bytes) {
        for offset in [0, 1, 64, 65, 66, 899, 900, u32::MAX] {
            if let Some(place) = table.find(offset) {
                assert!(!place.name.is_empty() && place.offset <= offset);
            }
        }
    }
}

#[test]
fn what_is_wrong_is_said() {
    let good = sample();
    assert_eq!(Table::check(&good).unwrap().id(), ID);
    let changed = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        Table::check(&bytes).err()
    };
    assert_eq!(Table::check(b"").err(), Some(Wrong::NotATable));
    assert_eq!(changed(0, b'O'), Some(Wrong::NotATable));
    assert_eq!(changed(8, 2), Some(Wrong::Version(2)));
    for at in [12, 15, 16, 20] {
        assert_eq!(changed(at, 99), Some(Wrong::Length), "byte {at}");
    }
    // The second function before the first, and the fourth with the third.
    assert_eq!(changed(HEADER + 4, 0), Some(Wrong::Order(1)));
    assert_eq!(changed(HEADER + 8, 64), Some(Wrong::Order(2)));
    // The first name without an end, and the second that begins behind it.
    assert_eq!(changed(HEADER + 16, 0), Some(Wrong::Name(0)));
    assert_eq!(changed(HEADER + 16, 200), Some(Wrong::Name(0)));
    assert_eq!(changed(good.len() - 1, 0x1b), Some(Wrong::Name(3)));
    assert_eq!(changed(HEADER + 28, 19), Some(Wrong::Name(3)));
}

#[test]
fn every_cut_is_refused_and_every_changed_byte_does_no_harm() {
    let good = sample();
    for len in 0..good.len() {
        assert!(Table::check(&good[..len]).is_err(), "{len} bytes");
    }
    let longer: Vec<u8> = good.iter().copied().chain([b'x']).collect();
    assert_eq!(Table::check(&longer).err(), Some(Wrong::Length));
    for at in 0..good.len() {
        for bit in 0..8 {
            let mut bytes = good.clone();
            bytes[at] ^= 1 << bit;
            ask(&bytes);
        }
    }
}

#[test]
fn a_place_is_in_the_function_that_begins_last_before_it() {
    let good = sample();
    let table = Table::check(&good).unwrap();
    assert_eq!(table.count(), 4);
    assert_eq!(
        table.find(3),
        Some(Place {
            name: "boot",
            offset: 3
        })
    );
    let empty = write(ID, []).unwrap();
    assert_eq!(Table::check(&empty).unwrap().find(3), None);
}

#[test]
fn names_are_cut_and_cleaned() {
    let long = "x".repeat(300);
    let bytes = write(ID, [(1, "\u{1b}[2Jé"), (2, &long)]).unwrap();
    let table = Table::check(&bytes).unwrap();
    assert_eq!(table.find(0), None);
    assert_eq!(table.find(1).unwrap().name, "?[2J??");
    let cut = table.find(2).unwrap().name;
    assert!(cut.len() == MAX_NAME && cut.ends_with("x..."));
}

#[test]
fn what_cannot_be_read_is_not_written() {
    assert_eq!(write(ID, [(1, "")]), Err(Refused::NoName));
    for second in [0, 1] {
        let out_of_order = write(ID, [(1, "a"), (second, "b")]);
        assert_eq!(out_of_order, Err(Refused::Order("b".to_owned())));
    }
}

proptest! {
    #[test]
    fn finds_what_a_map_finds(
        functions in btree_map(any::<u32>(), "[ -~]{1,255}", 0..40),
        asked in vec(any::<u32>(), 0..40),
    ) {
        let bytes = written(&functions);
        let table = Table::check(&bytes).unwrap();
        let near = functions.keys().flat_map(|start| {
            [start.saturating_sub(1), *start, start.saturating_add(1)]
        });
        for offset in asked.into_iter().chain(near) {
            let expected = functions.range(..=offset).next_back();
            let expected = expected.map(|(start, name)| Place { name, offset: offset - start });
            assert_eq!(table.find(offset), expected);
        }
    }

    #[test]
    fn anything_may_come(bytes in vec(any::<u8>(), 0..200), fields in vec(0..50_u32, 4)) {
        ask(&bytes);
        let mut table = b"ochresym".to_vec();
        table.extend([1, 0, 0, 0]);
        for field in fields {
            table.extend(field.to_le_bytes());
        }
        table.extend(bytes);
        ask(&table);
    }
}
