//! Programs on tables of their own: not on this machine, whose two halves have
//! a root each, and of whose processors few load ahead what they may not.

use crate::cpu::Meltdown;

/// No root's entry.
pub(crate) const WINDOW: usize = 0;

/// No root's entry.
pub(crate) const VIEW: usize = 0;

/// Never.
#[inline]
pub(crate) const fn is_on() -> bool {
    false
}

/// Not asked.
pub(crate) fn meltdown() -> Meltdown {
    Meltdown::NotAsked
}

/// An entry of a space's root as the kernel's view has it.
#[inline]
pub(crate) fn in_kernel(entry: u64) -> u64 {
    entry
}

/// Nothing.
#[cfg(feature = "ktest")]
pub(crate) fn shown() -> [(u64, ochre_paging::Rights); 0] {
    []
}
