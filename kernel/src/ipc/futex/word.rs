//! The word itself: loads and changes in user memory.
//!
//! The plain functions fault pages in and are called without a lock; the
//! `try_` forms answer `None` at a fault and may be called under one.

use ochre_abi::Errno;
use ochre_hal::user::Access;

use crate::memory::AddressSpace;

/// Loads the word; `None` at a fault.
pub(super) fn try_load(space: &AddressSpace, address: u64) -> Option<u32> {
    space.root().load_u32(address).ok()
}

/// Loads the word, faulting its page in. It is aligned: a [`Key`](super::Key)
/// was made for it.
///
/// # Errors
/// EFAULT; ENOMEM.
pub(super) fn load(space: &AddressSpace, address: u64) -> Result<u32, Errno> {
    loop {
        match space.root().load_u32(address) {
            Ok(value) => return Ok(value),
            Err(_) if !address.is_multiple_of(4) => return Err(Errno::EINVAL),
            Err(fault) => space.fault_for_copy(fault.address, Access::Read)?,
        }
    }
}

/// Makes the word's page writable, so that the next change of it succeeds if
/// nobody changes the mapping meanwhile.
///
/// # Errors
/// EFAULT; ENOMEM.
pub(super) fn fault_in(space: &AddressSpace, address: u64) -> Result<(), Errno> {
    space.fault_for_copy(address, Access::Write)
}

/// Replaces the word if it holds `current`: what it held, `None` at a fault.
pub(super) fn try_exchange(
    space: &AddressSpace,
    address: u64,
    current: u32,
    new: u32,
) -> Option<u32> {
    space
        .root()
        .compare_exchange_u32(address, current, new)
        .ok()
}

/// What `FUTEX_WAKE_OP` does to a word, decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Change {
    operation: u32,
    operand: u32,
    comparison: u32,
    compared: i32,
}

impl Change {
    /// From the operation's last argument: four bits of operation (the highest
    /// shifts the operand), four of comparison, two signed fields of twelve.
    pub(super) fn decode(encoded: u32) -> Change {
        let field = |shift: u32| ((encoded >> shift) << 20).cast_signed() >> 20;
        let operand = field(12).cast_unsigned();
        Change {
            operation: encoded >> 28 & 7,
            operand: if encoded >> 31 != 0 {
                1_u32.wrapping_shl(operand)
            } else {
                operand
            },
            comparison: encoded >> 24 & 0xf,
            compared: field(0),
        }
    }

    /// What becomes of `old`.
    ///
    /// # Errors
    /// ENOSYS for an operation that there is not.
    fn apply(self, old: u32) -> Result<u32, Errno> {
        match self.operation {
            0 => Ok(self.operand),
            1 => Ok(old.wrapping_add(self.operand)),
            2 => Ok(old | self.operand),
            3 => Ok(old & !self.operand),
            4 => Ok(old ^ self.operand),
            _ => Err(Errno::ENOSYS),
        }
    }

    /// Whether `old` meets the condition.
    ///
    /// # Errors
    /// ENOSYS for a comparison that there is not.
    fn is_met(self, old: u32) -> Result<bool, Errno> {
        let old = old.cast_signed();
        match self.comparison {
            0 => Ok(old == self.compared),
            1 => Ok(old != self.compared),
            2 => Ok(old < self.compared),
            3 => Ok(old <= self.compared),
            4 => Ok(old > self.compared),
            5 => Ok(old >= self.compared),
            _ => Err(Errno::ENOSYS),
        }
    }

    /// Changes the word and says whether what it held meets the condition;
    /// `None` at a fault, with nothing changed. As on Linux an unknown
    /// comparison is an error after the change.
    ///
    /// # Errors
    /// ENOSYS.
    pub(super) fn try_make(
        self,
        space: &AddressSpace,
        address: u64,
    ) -> Result<Option<bool>, Errno> {
        let Some(mut old) = try_load(space, address) else {
            return Ok(None);
        };
        loop {
            let new = self.apply(old)?;
            match try_exchange(space, address, old, new) {
                None => return Ok(None),
                Some(held) if held == old => return self.is_met(old).map(Some),
                Some(held) => old = held,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Change;
    use ochre_abi::Errno;

    /// As `FUTEX_OP` of futex(2) encodes.
    fn change(operation: u32, operand: i32, comparison: u32, compared: i32) -> Change {
        let field = |value: i32| value.cast_unsigned() & 0xfff;
        Change::decode(operation << 28 | comparison << 24 | field(operand) << 12 | field(compared))
    }

    #[test]
    fn operations_and_their_operands() {
        let rows: [(u32, i32, u32, u32); 9] = [
            (0, 5, 9, 5),
            (1, 5, 9, 14),
            (1, -1, 9, 8),
            (2, 6, 9, 15),
            (3, 8, 9, 1),
            (4, 1, 9, 8),
            (8, 4, 9, 16),
            (9, 31, 0, 1 << 31),
            (10, 33, 0, 2),
        ];
        for (operation, operand, old, new) in rows {
            let got = change(operation, operand, 0, 0).apply(old);
            assert_eq!(got, Ok(new), "{operation} {operand} {old}");
        }
        assert_eq!(change(5, 0, 0, 0).apply(1), Err(Errno::ENOSYS));
    }

    #[test]
    fn comparisons_are_signed() {
        let minus_one = (-1_i32).cast_unsigned();
        let rows = [
            (0, -1, true),
            (1, -1, false),
            (2, 0, true),
            (3, -1, true),
            (4, -2, true),
            (5, 0, false),
        ];
        for (comparison, with, met) in rows {
            let got = change(0, 0, comparison, with).is_met(minus_one);
            assert_eq!(got, Ok(met), "{comparison} {with}");
        }
        assert_eq!(change(0, 0, 6, 0).is_met(1), Err(Errno::ENOSYS));
    }
}
