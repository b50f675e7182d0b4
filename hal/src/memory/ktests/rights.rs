//! What every entry of the kernel's own half says: no program may reach the page,
//! and no page is both written and executed.

use ochre_paging::{Entry, Format as _, Rights};

use crate::arch::machine::paging::Machine;
use crate::boot::image;
use crate::ktest;
use crate::memory::kernel_map::Direct;
use crate::memory::{PAGE_SIZE, space};

/// How many pages or blocks there were of a kind.
#[derive(Debug, Default)]
struct Seen {
    all: usize,
    code: usize,
    written: usize,
    /// Whether the kernel's text was among the code.
    text: bool,
}

#[ktest]
fn no_page_of_the_kernels_is_a_programs_or_writable_code() {
    let root = space::kernel_root().expect("the kernel is mapped");
    let root = u64::from(root.frame()) * PAGE_SIZE as u64;
    let text = image::text().start;
    let mut seen = Seen::default();
    let half = ochre_paging::sign_extend(1 << 47)..u64::MAX;
    ochre_paging::visit::<Machine>(&Direct, root, half, |leaf| {
        let (at, rights) = (leaf.virtual_address, leaf.attributes.rights);
        assert!(!rights.contains(Rights::USER), "{at:x} is a program's");
        let is_code = rights.contains(Rights::EXECUTE);
        let is_written = rights.contains(Rights::WRITE);
        assert!(!(is_code && is_written), "{at:x} is writable code");
        seen.all += 1;
        seen.code += usize::from(is_code);
        seen.written += usize::from(is_written);
        seen.text |= is_code && (at..at.wrapping_add(leaf.len)).contains(&text);
    });
    assert!(
        seen.text && seen.written > seen.code && seen.all > seen.written,
        "{seen:?}"
    );
}

#[ktest]
fn what_is_looked_for_is_what_entries_say() {
    // The test above is worth nothing if rights got lost on the way.
    let rights = Rights::USER | Rights::WRITE | Rights::EXECUTE;
    for level in 0..2 {
        let attributes = ochre_paging::Attributes {
            rights,
            ..Default::default()
        };
        let entry = Machine::leaf(0x4000_0000, level, attributes);
        let Entry::Leaf { attributes, .. } = Machine::decode(entry, level) else {
            panic!("no leaf: {entry:x}");
        };
        assert!(attributes.rights.contains(rights), "{entry:x}");
    }
}
