//! What the tables show that a program runs on, where those are its own.

use alloc::vec::Vec;
use core::ops::Range;

use ochre_paging::{Leaf, Rights as Bits};
use ochre_sync::primitive::atomic::Ordering;

use crate::arch::machine::apart;
use crate::arch::machine::paging::{Machine, USER_ROOT_ENTRIES};
use crate::ktest;
use crate::memory::kernel_map::Direct;
use crate::memory::table::Table;
use crate::memory::{PAGE_SIZE, PageTable, Rights, USER_END, UserFrame, user_view};

/// What one entry of a root leads to.
const ENTRY: u64 = 1 << 39;

fn mapped(root: Table, range: Range<u64>) -> Vec<Leaf> {
    let mut found = Vec::new();
    let root = u64::from(root.frame()) * PAGE_SIZE as u64;
    ochre_paging::visit::<Machine>(&Direct, root, range, |leaf| found.push(leaf));
    found
}

/// Pages behind three entries of the root.
fn some_pages() -> PageTable {
    let mut table = PageTable::new().expect("memory");
    for address in [ENTRY, 7 * ENTRY, 7 * ENTRY + (3 << 30), 250 * ENTRY] {
        let frame = UserFrame::zeroed().expect("memory");
        table.map(address, frame, Rights::READ).expect("memory");
    }
    table
}

#[ktest]
fn a_program_is_shown_nothing_of_the_kernel_but_the_window() {
    let table = some_pages();
    let root = table.space().table();
    if !apart::is_on() {
        assert_eq!(root.entries()[apart::VIEW].load(Ordering::Relaxed), 0);
        return;
    }
    let view = user_view::of(root);
    let bits = Bits::WRITE | Bits::EXECUTE | Bits::USER;
    let found: Vec<_> = mapped(view, ochre_paging::sign_extend(1 << 47)..u64::MAX)
        .iter()
        .map(|leaf| {
            (
                leaf.virtual_address,
                leaf.attributes.rights & bits,
                leaf.len,
            )
        })
        .collect();
    let expected: Vec<_> = apart::shown()
        .into_iter()
        .map(|(address, rights)| (address, rights, PAGE_SIZE as u64))
        .collect();
    assert_eq!(found, expected);
    // Not to be found by the processor, and nothing that is half there.
    for (at, entry) in view.entries().iter().enumerate().skip(USER_ROOT_ENTRIES) {
        let is_there = entry.load(Ordering::Relaxed) != 0;
        assert_eq!(is_there, at == apart::WINDOW, "entry {at}");
    }
}

#[ktest]
fn a_program_is_shown_its_own_pages_while_they_are_mapped() {
    let mut table = some_pages();
    if !apart::is_on() {
        return;
    }
    let root = table.space().table();
    let view = user_view::of(root);
    let at = |leaf: &Leaf| (leaf.virtual_address, leaf.physical_address);
    let check = |count| {
        let ours: Vec<_> = mapped(root, 0..USER_END).iter().map(at).collect();
        let shown: Vec<_> = mapped(view, 0..USER_END).iter().map(at).collect();
        assert_eq!(ours, shown);
        assert_eq!(ours.len(), count);
        for at in 0..USER_ROOT_ENTRIES {
            let [ours, shown] = [root, view].map(|root| root.entries()[at].load(Ordering::Relaxed));
            let rights = if shown == 0 {
                0
            } else {
                apart::in_kernel(shown)
            };
            assert_eq!(ours, rights, "entry {at}");
        }
    };
    check(4);
    table.unmap(ENTRY..2 * ENTRY).expect("memory").flush();
    check(3);
    table
        .unmap(7 * ENTRY..7 * ENTRY + (1 << 30))
        .expect("memory")
        .flush();
    check(2);
    let space = table.space().clone();
    drop(table);
    // Whoever still has the space finds nothing.
    assert!(mapped(view, 0..USER_END).is_empty());
    drop(space);
}
