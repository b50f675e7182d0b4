//! The algebra of range locks on one file.
//!
//! # Invariants
//! Locks of one owner do not overlap, and neighbours of the same kind are one.

use crate::memory::MakeRoom;
use alloc::vec::Vec;

use ochre_abi::Errno;

/// Who holds a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A process, by number.
    Process(u32),
    /// An open file description, by address.
    Description(usize),
}

/// A range of bytes, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub first: u64,
    /// Last byte; [`Span::END`] for "to the end, wherever it will be".
    pub last: u64,
}

impl Span {
    /// The last byte that a file can have.
    pub const END: u64 = i64::MAX as u64;

    /// From fcntl(2)'s start and length, counted from `base`.
    ///
    /// # Errors
    /// EINVAL below 0, EOVERFLOW above what can be.
    pub fn new(base: u64, start: i64, len: i64) -> Result<Span, Errno> {
        let start = i64::try_from(base)
            .ok()
            .and_then(|base| base.checked_add(start))
            .ok_or(Errno::EOVERFLOW)?;
        let (first, last) = match len {
            0 => (start, i64::MAX),
            1.. => (start, start.checked_add(len - 1).ok_or(Errno::EOVERFLOW)?),
            _ => (start.checked_add(len).ok_or(Errno::EINVAL)?, start - 1),
        };
        Ok(Span {
            first: u64::try_from(first).map_err(|_| Errno::EINVAL)?,
            last: u64::try_from(last).map_err(|_| Errno::EINVAL)?,
        })
    }

    fn overlaps(self, other: Span) -> bool {
        self.first <= other.last && other.first <= self.last
    }

    fn touches(self, other: Span) -> bool {
        self.first <= other.last.saturating_add(1) && other.first <= self.last.saturating_add(1)
    }
}

/// A lock that is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// By whom.
    pub owner: Owner,
    /// Where.
    pub span: Span,
    /// Whether nobody else may have one there.
    pub exclusive: bool,
}

/// The range locks of one file.
#[derive(Debug, Default)]
pub struct RangeLocks {
    held: Vec<Held>,
}

impl RangeLocks {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// The first lock in the way of `owner`.
    #[must_use]
    pub fn conflict(&self, owner: Owner, span: Span, exclusive: bool) -> Option<Held> {
        self.held
            .iter()
            .filter(|held| {
                held.owner != owner && held.span.overlaps(span) && (exclusive || held.exclusive)
            })
            .min_by_key(|held| held.span.first)
            .copied()
    }

    /// Makes `span` locked by `owner` so (`None`: not locked). Conflicts were
    /// looked for before.
    ///
    /// # Errors
    /// ENOLCK without memory; nothing is changed then.
    pub fn set(&mut self, owner: Owner, span: Span, exclusive: Option<bool>) -> Result<(), Errno> {
        // A split makes one more, the lock itself another.
        self.held.make_room(2).map_err(|_| Errno::ENOLCK)?;
        let mut new = span;
        let mut index = 0;
        while let Some(held) = self.held.get(index).copied() {
            if held.owner != owner || !held.span.touches(new) {
                index += 1;
                continue;
            }
            if exclusive == Some(held.exclusive) {
                new.first = new.first.min(held.span.first);
                new.last = new.last.max(held.span.last);
                self.held.swap_remove(index);
                continue;
            }
            if !held.span.overlaps(span) {
                index += 1;
                continue;
            }
            self.held.swap_remove(index);
            if held.span.first < span.first {
                self.held.push(Held {
                    span: Span {
                        last: span.first - 1,
                        ..held.span
                    },
                    ..held
                });
            }
            if held.span.last > span.last {
                self.held.push(Held {
                    span: Span {
                        first: span.last + 1,
                        ..held.span
                    },
                    ..held
                });
            }
        }
        if let Some(exclusive) = exclusive {
            self.held.push(Held {
                owner,
                span: new,
                exclusive,
            });
        }
        Ok(())
    }

    /// Ends every lock of an owner.
    pub fn release(&mut self, owner: Owner) {
        self.held.retain(|held| held.owner != owner);
    }

    /// Every lock, for `/proc/locks`.
    #[must_use]
    pub fn held(&self) -> &[Held] {
        &self.held
    }
}

#[cfg(test)]
mod tests {
    use super::{Held, Owner, RangeLocks, Span};
    use ochre_abi::Errno;
    use proptest::prelude::{Strategy, prop_assert_eq, proptest};

    const ME: Owner = Owner::Process(1);
    const OTHER: Owner = Owner::Description(1);

    fn span(first: u64, last: u64) -> Span {
        Span { first, last }
    }

    fn spans(locks: &RangeLocks) -> Vec<(u64, u64, bool)> {
        let mut list: Vec<_> = locks
            .held()
            .iter()
            .map(|held| (held.span.first, held.span.last, held.exclusive))
            .collect();
        list.sort_unstable();
        list
    }

    #[test]
    fn neighbours_become_one_and_middles_split() {
        let mut locks = RangeLocks::default();
        locks.set(ME, span(0, 9), Some(true)).unwrap();
        locks.set(ME, span(10, 19), Some(true)).unwrap();
        assert_eq!(spans(&locks), [(0, 19, true)]);
        locks.set(ME, span(5, 7), Some(false)).unwrap();
        assert_eq!(spans(&locks), [(0, 4, true), (5, 7, false), (8, 19, true)]);
        locks.set(ME, span(3, 9), None).unwrap();
        assert_eq!(spans(&locks), [(0, 2, true), (10, 19, true)]);
        locks.set(ME, span(0, Span::END), Some(false)).unwrap();
        assert_eq!(spans(&locks), [(0, Span::END, false)]);
    }

    #[test]
    fn only_others_are_in_the_way() {
        let mut locks = RangeLocks::default();
        locks.set(OTHER, span(10, 20), Some(false)).unwrap();
        assert_eq!(locks.conflict(ME, span(0, 30), false), None);
        assert_eq!(locks.conflict(OTHER, span(0, 30), true), None);
        assert_eq!(locks.conflict(ME, span(0, 9), true), None);
        assert_eq!(
            locks.conflict(ME, span(20, 30), true),
            Some(Held {
                owner: OTHER,
                span: span(10, 20),
                exclusive: false
            })
        );
    }

    #[test]
    fn ranges_are_read_as_fcntl_does() {
        assert_eq!(Span::new(0, 5, 10), Ok(span(5, 14)));
        assert_eq!(Span::new(100, 0, 0), Ok(span(100, Span::END)));
        assert_eq!(Span::new(100, 0, -10), Ok(span(90, 99)));
        assert_eq!(Span::new(0, 0, -1), Err(Errno::EINVAL));
        assert_eq!(Span::new(0, -1, 1), Err(Errno::EINVAL));
        assert_eq!(Span::new(0, i64::MAX, 2), Err(Errno::EOVERFLOW));
        assert_eq!(Span::new(1, i64::MAX, 1), Err(Errno::EOVERFLOW));
        assert_eq!(Span::new(0, i64::MIN, -1), Err(Errno::EINVAL));
    }

    fn operation() -> impl Strategy<Value = (bool, u64, u64, Option<bool>)> {
        use proptest::prelude::any;
        (any::<bool>(), 0..24_u64, 0..8_u64, any::<Option<bool>>())
    }

    proptest! {
        /// Byte by byte, the locks are what a plain array says.
        #[test]
        fn agrees_with_one_cell_a_byte(operations in proptest::collection::vec(operation(), 0..40)) {
            let mut locks = RangeLocks::default();
            let mut cells = [[None; 32]; 2];
            for (mine, first, len, kind) in operations {
                let (owner, row) = if mine { (ME, 0) } else { (OTHER, 1) };
                let last = first + len;
                locks.set(owner, span(first, last), kind).unwrap();
                for cell in &mut cells[row][first as usize..=last as usize] {
                    *cell = kind;
                }
                for (row, owner) in [(0, ME), (1, OTHER)] {
                    for byte in 0..32_u64 {
                        let held: Vec<bool> = locks
                            .held()
                            .iter()
                            .filter(|held| held.owner == owner && held.span.overlaps(span(byte, byte)))
                            .map(|held| held.exclusive)
                            .collect();
                        let expected: Vec<bool> = cells[row][byte as usize].into_iter().collect();
                        prop_assert_eq!(held, expected);
                    }
                }
            }
        }
    }
}
