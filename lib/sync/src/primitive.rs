//! The seam: every atomic, cell and spin hint of this crate, and of the crates
//! above, comes through here. Under `--cfg loom` they are loom's.

#[cfg(not(loom))]
mod real {
    pub use core::cell::UnsafeCell;
    pub use core::hint::spin_loop;
    pub use core::sync::atomic;
}

#[cfg(loom)]
mod real {
    pub use core::cell::UnsafeCell;
    pub use loom::hint::spin_loop;
    pub use loom::sync::atomic;
}

pub use real::{UnsafeCell, atomic, spin_loop};
