//! Copies between the kernel and a program's address space.
//!
//! Every copy makes its space the active one (usually it is), checks that the
//! range lies below [`USER_END`], and stops at the first byte that is not mapped
//! for it. Nothing here waits, allocates or takes a lock.
//!
//! The check is a comparison, whose outcome a processor may guess. So the pointer
//! that the copies get is made by [`SpaceRef::enter`] alone, behind a mask
//! (`speculation::user_address`): with a wrong guess, too, a copy of what a
//! program points to is one of the program's half.

use ochre_paging::is_user_range;

use crate::arch::machine::speculation;
use crate::arch::machine::usercopy::{self, StringEnd, UserAccess};

use super::{SpaceRef, USER_END, UserFrame};

/// A copy to or from user memory stopped at a page that is not mapped for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyFault {
    /// Bytes copied before the fault.
    pub copied: usize,
    /// The user address that faulted.
    pub address: u64,
}

impl SpaceRef {
    /// Copies from user memory. Never waits and never resolves a fault: the
    /// caller faults the page in and goes on from `copied`.
    ///
    /// # Errors
    /// Where the copy stopped. Addresses outside the user half stop it at once.
    #[inline]
    pub fn copy_in(&self, from: u64, to: &mut [u8]) -> Result<(), CopyFault> {
        let len = to.len();
        let (access, user) = self.enter(from, len)?;
        // SAFETY: `to` is a slice of the kernel's, borrowed for the call;
        // `enter` checked that the other range lies in the user half.
        let left = unsafe { usercopy::copy(&access, to.as_mut_ptr(), user, len) };
        outcome(user, len, left)
    }

    /// Copies to user memory; see [`copy_in`](SpaceRef::copy_in).
    ///
    /// # Errors
    /// Where the copy stopped.
    #[inline]
    pub fn copy_out(&self, to: u64, from: &[u8]) -> Result<(), CopyFault> {
        let len = from.len();
        let (access, user) = self.enter(to, len)?;
        // SAFETY: as in `copy_in`.
        let left = unsafe { usercopy::copy(&access, user, from.as_ptr(), len) };
        outcome(user, len, left)
    }

    /// Copies `len` bytes of a frame, from `offset` on, to user memory; see
    /// [`copy_in`](SpaceRef::copy_in).
    ///
    /// # Errors
    /// Where the copy stopped.
    ///
    /// # Panics
    /// If the range leaves the frame: the caller's bug.
    #[inline]
    pub fn copy_out_frame(
        &self,
        to: u64,
        frame: &UserFrame,
        offset: usize,
        len: usize,
    ) -> Result<(), CopyFault> {
        let from = frame.at(offset, len);
        let (access, user) = self.enter(to, len)?;
        // SAFETY: `at` checked the range, in a frame that the handle keeps;
        // `enter` checked that the other one lies in the user half.
        let left = unsafe { usercopy::copy(&access, user, from, len) };
        outcome(user, len, left)
    }

    /// Copies `len` bytes of user memory to a frame, from `offset` on; see
    /// [`copy_in`](SpaceRef::copy_in).
    ///
    /// # Errors
    /// Where the copy stopped.
    ///
    /// # Panics
    /// If the range leaves the frame: the caller's bug.
    #[inline]
    pub fn copy_in_frame(
        &self,
        from: u64,
        frame: &UserFrame,
        offset: usize,
        len: usize,
    ) -> Result<(), CopyFault> {
        let to = frame.at(offset, len);
        let (access, user) = self.enter(from, len)?;
        // SAFETY: as in `copy_out_frame`.
        let left = unsafe { usercopy::copy(&access, to, user, len) };
        outcome(user, len, left)
    }

    /// Writes zeroes to user memory.
    ///
    /// # Errors
    /// Where it stopped.
    pub fn zero_out(&self, to: u64, len: usize) -> Result<(), CopyFault> {
        let (access, user) = self.enter(to, len)?;
        // SAFETY: `enter` checked that the range lies in the user half.
        let left = unsafe { usercopy::zero(&access, user, len) };
        outcome(user, len, left)
    }

    /// Copies a NUL-terminated string from user memory up to and without the
    /// NUL; `Ok(None)` when `to` filled up first. What `to` holds after the
    /// string's end is unspecified.
    ///
    /// # Errors
    /// Where it stopped.
    pub fn copy_in_string(&self, from: u64, to: &mut [u8]) -> Result<Option<usize>, CopyFault> {
        // A string near the end of the user half must end before it.
        let room = usize::try_from(USER_END.saturating_sub(from)).unwrap_or(usize::MAX);
        let len = to.len().min(room);
        let cut = len < to.len();
        let (access, user) = self.enter(from, len)?;
        let Some(to) = to.get_mut(..len) else {
            return Ok(None);
        };
        // SAFETY: `enter` checked that the range lies in the user half.
        match unsafe { usercopy::copy_string(&access, user, to) } {
            StringEnd::Nul(count) => Ok(Some(count)),
            StringEnd::Full if cut => Err(CopyFault {
                copied: len,
                address: from.max(USER_END),
            }),
            StringEnd::Full => Ok(None),
            StringEnd::Fault(copied) => Err(CopyFault {
                copied,
                address: from + copied as u64,
            }),
        }
    }

    /// Atomically loads an aligned 32-bit word (sequentially consistent).
    ///
    /// # Errors
    /// A misaligned or unmapped address.
    #[inline]
    pub fn load_u32(&self, at: u64) -> Result<u32, CopyFault> {
        let (access, user) = self.enter_word(at)?;
        // SAFETY: `enter_word` checked that the word lies in the user half.
        unsafe { usercopy::load_u32(&access, user.cast()) }.ok_or(CopyFault {
            copied: 0,
            address: at,
        })
    }

    /// Atomically replaces an aligned 32-bit word if it holds `current`;
    /// returns what it held.
    ///
    /// # Errors
    /// A misaligned or unmapped address, or one without the store right.
    pub fn compare_exchange_u32(&self, at: u64, current: u32, new: u32) -> Result<u32, CopyFault> {
        let (access, user) = self.enter_word(at)?;
        // SAFETY: `enter_word` checked that the word lies in the user half.
        unsafe { usercopy::compare_exchange_u32(&access, user.cast(), current, new) }.ok_or(
            CopyFault {
                copied: 0,
                address: at,
            },
        )
    }

    /// Begins a copy of `len` bytes of user memory, to be made by the copy
    /// routines: with the pointer to them.
    #[inline(always)]
    fn enter(&self, start: u64, len: usize) -> Result<(UserAccess, *mut u8), CopyFault> {
        if !is_user_range(start, len as u64, USER_END) {
            return Err(outside(start));
        }
        let last = USER_END.wrapping_sub(len as u64);
        // CAST: addresses have 64 bits here.
        let start = speculation::user_address(start, last) as usize;
        let user = core::ptr::with_exposed_provenance_mut(start);
        Ok((UserAccess::begin(self), user))
    }

    #[inline(always)]
    fn enter_word(&self, at: u64) -> Result<(UserAccess, *mut u8), CopyFault> {
        if !at.is_multiple_of(4) {
            return Err(CopyFault {
                copied: 0,
                address: at,
            });
        }
        self.enter(at, 4)
    }
}

/// The first address of a range that is not the program's.
#[cold]
fn outside(start: u64) -> CopyFault {
    CopyFault {
        copied: 0,
        address: start.max(USER_END),
    }
}

#[inline]
fn outcome(start: *mut u8, len: usize, left: usize) -> Result<(), CopyFault> {
    if left == 0 {
        return Ok(());
    }
    let copied = len - left.min(len);
    Err(CopyFault {
        copied,
        address: start.addr() as u64 + copied as u64,
    })
}
