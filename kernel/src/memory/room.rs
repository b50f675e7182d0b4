//! Room for more, or an answer that there is none.
//!
//! What a program can make the kernel allocate goes through here, and ends
//! with an error where there is no memory. A kernel that is tested for it
//! refuses what is asked here when it is told to
//! ([`shortage`]); that is why it is not the
//! standard library's `try_reserve` that is called.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

use ochre_abi::Errno;
use ochre_hal::memory::shortage;

/// Collections that can be asked for room before something is put in.
pub trait MakeRoom {
    /// Makes room for so many more, and for what may follow.
    ///
    /// # Errors
    /// ENOMEM; nothing has changed.
    fn make_room(&mut self, more: usize) -> Result<(), Errno>;

    /// Makes room for so many more and no others.
    ///
    /// # Errors
    /// ENOMEM; nothing has changed.
    fn make_room_exact(&mut self, more: usize) -> Result<(), Errno>;
}

macro_rules! make_room {
    ($($collection:ident),*) => { $(
        impl<T> MakeRoom for $collection<T> {
            #[inline]
            fn make_room(&mut self, more: usize) -> Result<(), Errno> {
                shortage::may_fail(|| self.try_reserve(more)).map_err(|_| Errno::ENOMEM)
            }

            #[inline]
            fn make_room_exact(&mut self, more: usize) -> Result<(), Errno> {
                shortage::may_fail(|| self.try_reserve_exact(more)).map_err(|_| Errno::ENOMEM)
            }
        }
    )* };
}
make_room!(Vec, VecDeque);

/// The value in a box of its own.
///
/// # Errors
/// Gives the value back if there is no memory.
#[inline]
pub fn try_box<T>(value: T) -> Result<Box<T>, T> {
    shortage::may_fail(|| ochre_alloc::try_box(value))
}
