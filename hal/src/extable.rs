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
        let start = &raw const __ochre_extable_start;
        let bytes = (&raw const __ochre_extable_end).addr() - start.addr();
        // SAFETY: the linker script puts exactly the entries between the two
        // symbols, aligned and never written.
        unsafe { core::slice::from_raw_parts(start, bytes / size_of::<super::Entry>()) }
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
        .find(|entry| resolve(&entry.fault) == address)
        .map(|entry| resolve(&entry.resume))
}

/// The address that a field names.
fn resolve(field: &i32) -> u64 {
    let place = core::ptr::from_ref(field).addr() as u64;
    place.wrapping_add_signed(i64::from(*field))
}

#[cfg(test)]
mod tests {
    use super::{Entry, find, resolve};

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
        let fault = resolve(&table[1].fault);
        let resume = resolve(&table[1].resume);
        assert_eq!(find(&table, fault), Some(resume));
        assert_eq!(find(&table, fault + 1), None);
        assert_eq!(
            resume,
            core::ptr::from_ref(&table[1].resume).addr() as u64 - 8
        );
    }
}
