//! Kernel instructions that may fault, and where they go on.
//!
//! Assembly that touches user memory (or loads state that a program made)
//! adds an entry to the section `.ochre_extable`: two 32-bit offsets, each
//! relative to its own place: the instruction that may fault, and where to go
//! on. A fault there changes nothing but the instruction pointer.
//!
//! ```text
//! "2: rep movsb",
//! "3:",
//! ".pushsection .ochre_extable, \"a\"",
//! ".long 2b - ., 3b - .",
//! ".popsection",
//! ```

use crate::relative::target;

/// One entry, as assembled.
#[repr(C)]
struct Entry {
    fault: i32,
    resume: i32,
}

#[cfg(target_os = "none")]
mod symbols {
    unsafe extern "C" {
        pub(super) safe static __ochre_extable_start: super::Entry;
        pub(super) safe static __ochre_extable_end: super::Entry;
    }

    /// The table.
    pub(super) fn entries() -> &'static [super::Entry] {
        let bounds = (
            &raw const __ochre_extable_start,
            &raw const __ochre_extable_end,
        );
        // SAFETY: the linker script puts exactly the entries between the two
        // symbols, aligned and never written.
        unsafe { crate::relative::entries(bounds.0, bounds.1) }
    }
}

/// On a host nothing faults.
#[cfg(not(target_os = "none"))]
mod symbols {
    /// The table.
    pub(super) fn entries() -> &'static [super::Entry] {
        &[]
    }
}

/// Where to go on after a fault at `address`, if that was expected.
pub(crate) fn fixup(address: u64) -> Option<u64> {
    find(symbols::entries(), address)
}

fn find(entries: &[Entry], address: u64) -> Option<u64> {
    entries
        .iter()
        .find(|entry| target(&entry.fault) as u64 == address)
        .map(|entry| target(&entry.resume) as u64)
}

#[cfg(test)]
mod tests {
    use super::{Entry, find, target};

    #[test]
    fn finds_the_entry_of_an_address() {
        let table = [
            Entry {
                fault: 16,
                resume: 20,
            },
            Entry {
                fault: 100,
                resume: -8,
            },
        ];
        let fault = target(&table[1].fault) as u64;
        let resume = target(&table[1].resume) as u64;
        assert_eq!(find(&table, fault), Some(resume));
        assert_eq!(find(&table, fault + 1), None);
    }
}
