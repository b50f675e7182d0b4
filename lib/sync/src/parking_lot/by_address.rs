//! The table's functions, for the tests: at addresses that are a test's own,
//! where all who park take any token.

use super::{ParkingLot, Unpark};
use crate::blocking::Blocking;

/// Wakes the first that sleeps there.
pub(super) fn wake_one<B: Blocking, const N: usize>(
    lot: &ParkingLot<B, N>,
    address: usize,
    token: usize,
) -> Unpark {
    // SAFETY: all who park here take any token.
    unsafe { lot.unpark_one(address, |_| token) }
}

/// Wakes all that sleep there.
pub(super) fn wake_all<B: Blocking, const N: usize>(
    lot: &ParkingLot<B, N>,
    address: usize,
    token: usize,
) -> usize {
    // SAFETY: as above.
    unsafe { lot.unpark_all(address, token) }
}

/// Moves all that sleep there, if `valid`.
pub(super) fn move_all<B: Blocking, const N: usize>(
    lot: &ParkingLot<B, N>,
    from: usize,
    to: usize,
    valid: bool,
) -> usize {
    // SAFETY: as above.
    unsafe { lot.requeue(from, to, || valid) }
}
