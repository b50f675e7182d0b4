//! What decides who runs first: policy, priority, nice level, and the rank made
//! of them.
//!
//! An [`Attributes`] is what a user sets. Beside it a task may be *boosted* (a
//! more urgent one waits for something that it holds). Both are kept packed in
//! one word, so that whoever queues a task reads them in one step:
//!
//! | bits | what |
//! | --- | --- |
//! | 0–2 | policy |
//! | 3–9 | real-time priority, 0 to 99 |
//! | 10–15 | nice level plus 20, 0 to 39 |
//! | 16 | goes back to the default in children |
//! | 17–23 | boost: a real-time priority, 0 for none |

/// The weight of nice 0.
pub(crate) const WEIGHT_0: u64 = 1024;

/// The weight of [`Policy::Idle`]: a hundredth part beside most others.
const WEIGHT_IDLE: u64 = 3;

/// The highest real-time priority.
pub const MAX_PRIORITY: u8 = 99;

/// The weights of the nice levels from -20 to 19.
const WEIGHTS: [u64; 40] = {
    let mut weights = [0; 40];
    let mut nice = -20;
    while nice < 20 {
        weights[(nice + 20) as usize] = compute_weight(nice);
        nice += 1;
    }
    weights
};

const fn compute_weight(nice: i32) -> u64 {
    let mut weight = WEIGHT_0 * 1024;
    let mut step = 0;
    while step < nice.unsigned_abs() {
        weight = if nice < 0 {
            weight * 5 / 4
        } else {
            weight * 4 / 5
        };
        step += 1;
    }
    weight / 1024
}

/// The weight of a nice level from -20 to 19 (others are clamped): 1024 for 0,
/// each step a factor of 1.25.
#[must_use]
pub fn weight_of_nice(nice: i32) -> u64 {
    WEIGHTS[(nice.clamp(-20, 19) + 20).unsigned_abs() as usize]
}

/// What `ran` nanoseconds are in virtual time for somebody of a weight.
#[must_use]
#[inline]
pub fn virtual_time(ran: u64, weight: u64) -> u64 {
    if weight == WEIGHT_0 {
        return ran;
    }
    ran.saturating_mul(WEIGHT_0) / weight.max(1)
}

/// How a task shares processors with others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// A fair share, by nice level.
    #[default]
    Other,
    /// A fair share; a wake-up of it does not interrupt others.
    Batch,
    /// A very small share; gives way to all others.
    Idle,
    /// Real time: runs until it waits, yields, or a higher priority comes.
    Fifo,
    /// Real time: as [`Policy::Fifo`], and takes turns with its equals.
    RoundRobin,
    /// Short work of the kernel: before everything else.
    Urgent,
}

impl Policy {
    const ALL: [Policy; 8] = [
        Policy::Other,
        Policy::Batch,
        Policy::Idle,
        Policy::Fifo,
        Policy::RoundRobin,
        Policy::Urgent,
        // Never packed.
        Policy::Other,
        Policy::Other,
    ];

    /// Whether it has a priority from 1 to 99.
    #[must_use]
    pub fn is_real_time(self) -> bool {
        matches!(self, Policy::Fifo | Policy::RoundRobin)
    }
}

/// What a user sets of a task's scheduling.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// How it shares processors with others.
    pub policy: Policy,
    /// 1 to 99 with a real-time policy, else 0.
    pub priority: u8,
    /// -20 to 19; kept while a real-time policy has no use for it.
    pub nice: i8,
    /// Children start with the default, if this is better than that.
    pub resets_on_fork: bool,
}

impl Attributes {
    /// What a child starts with.
    #[must_use]
    pub fn of_child(self) -> Attributes {
        if !self.resets_on_fork {
            return self;
        }
        let is_better = self.policy.is_real_time();
        Attributes {
            policy: if is_better {
                Policy::Other
            } else {
                self.policy
            },
            priority: 0,
            nice: if is_better { 0 } else { self.nice.max(0) },
            resets_on_fork: false,
        }
    }
}

/// The order of tasks: a higher rank runs first, equals share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank(u8);

impl Rank {
    /// Of a processor that runs nothing.
    pub(crate) const NOTHING: Rank = Rank(0);
    /// Of those with a fair share.
    pub(crate) const FAIR: Rank = Rank(1);
    /// Of the kernel's own work.
    pub(crate) const URGENT: Rank = Rank(FIRST_REAL_TIME + MAX_PRIORITY);

    /// Of a priority from 1 to 99.
    pub(crate) const fn real_time(priority: u8) -> Rank {
        Rank(FIRST_REAL_TIME + priority - 1)
    }

    pub(crate) const fn from_raw(raw: u8) -> Rank {
        Rank(raw)
    }

    pub(crate) const fn raw(self) -> u8 {
        self.0
    }

    /// Its place among those above the fair ones, from 0.
    pub(crate) const fn index(self) -> usize {
        self.0.saturating_sub(FIRST_REAL_TIME) as usize
    }

    /// The rank at a place given by [`index`](Rank::index).
    pub(crate) const fn from_index(index: u32) -> Rank {
        Rank(FIRST_REAL_TIME + (index & 127) as u8)
    }

    pub(crate) const fn is_fair(self) -> bool {
        self.0 < FIRST_REAL_TIME
    }
}

const FIRST_REAL_TIME: u8 = 2;

const PRIORITY_SHIFT: u32 = 3;
const NICE_SHIFT: u32 = 10;
const RESET_SHIFT: u32 = 16;
const BOOST_SHIFT: u32 = 17;
const SEVEN_BITS: u32 = 0x7f;

/// [`Attributes`] and a boost in a word; see the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Packed(u32);

impl Packed {
    pub(crate) const fn from_raw(raw: u32) -> Packed {
        Packed(raw)
    }

    pub(crate) const fn raw(self) -> u32 {
        self.0
    }

    pub(crate) fn new(attributes: Attributes, boost: u8) -> Packed {
        let policy = Policy::ALL
            .iter()
            .position(|policy| *policy == attributes.policy)
            .unwrap_or(0) as u32;
        let nice = (i32::from(attributes.nice.clamp(-20, 19)) + 20).unsigned_abs();
        let priority = u32::from(attributes.priority.min(MAX_PRIORITY));
        Packed(
            policy
                | priority << PRIORITY_SHIFT
                | nice << NICE_SHIFT
                | u32::from(attributes.resets_on_fork) << RESET_SHIFT
                | u32::from(boost.min(MAX_PRIORITY)) << BOOST_SHIFT,
        )
    }

    pub(crate) fn attributes(self) -> Attributes {
        Attributes {
            policy: self.policy(),
            priority: self.priority(),
            nice: (((self.0 >> NICE_SHIFT) & 0x3f) as i8) - 20,
            resets_on_fork: (self.0 >> RESET_SHIFT) & 1 != 0,
        }
    }

    #[inline]
    pub(crate) fn policy(self) -> Policy {
        Policy::ALL[(self.0 & 7) as usize]
    }

    fn priority(self) -> u8 {
        ((self.0 >> PRIORITY_SHIFT) & SEVEN_BITS) as u8
    }

    pub(crate) fn boost(self) -> u8 {
        ((self.0 >> BOOST_SHIFT) & SEVEN_BITS) as u8
    }

    /// The real-time priority that counts: its own or the boost; 0 for none.
    pub(crate) fn effective_priority(self) -> u8 {
        let own = if self.policy().is_real_time() {
            self.priority()
        } else {
            0
        };
        own.max(self.boost())
    }

    #[inline]
    pub(crate) fn rank(self) -> Rank {
        let policy = self.policy();
        if matches!(policy, Policy::Other | Policy::Batch | Policy::Idle) && self.boost() == 0 {
            return Rank::FAIR;
        }
        match self.effective_priority() {
            _ if policy == Policy::Urgent => Rank::URGENT,
            0 => Rank::FAIR,
            priority => Rank::real_time(priority),
        }
    }

    /// Whether it takes turns with its equals: a boosted one does not.
    pub(crate) fn takes_turns(self) -> bool {
        self.policy() == Policy::RoundRobin && self.boost() == 0
    }

    #[inline]
    pub(crate) fn weight(self) -> u64 {
        if self.policy() == Policy::Idle {
            return WEIGHT_IDLE;
        }
        let nice = (self.0 >> NICE_SHIFT) & 0x3f;
        WEIGHTS.get(nice as usize).copied().unwrap_or(WEIGHT_0)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{Attributes, Packed, Policy, Rank, virtual_time, weight_of_nice};

    const REAL_TIME: Attributes = Attributes {
        policy: Policy::RoundRobin,
        priority: 99,
        nice: -20,
        resets_on_fork: true,
    };

    #[test]
    fn weights_fall_with_nice() {
        assert_eq!(weight_of_nice(0), 1024);
        assert!((-20..19).all(|nice| weight_of_nice(nice) > weight_of_nice(nice + 1)));
        assert_eq!(weight_of_nice(-100), weight_of_nice(-20));
        assert_eq!(virtual_time(1000, weight_of_nice(0)), 1000);
        assert!(virtual_time(1000, weight_of_nice(5)) > 2900);
    }

    #[test]
    fn what_is_packed_comes_out() {
        for policy in [
            Policy::Other,
            Policy::Batch,
            Policy::Idle,
            Policy::Fifo,
            Policy::RoundRobin,
            Policy::Urgent,
        ] {
            for nice in [-20, 0, 19] {
                let attributes = Attributes {
                    policy,
                    nice,
                    ..REAL_TIME
                };
                let packed = Packed::new(attributes, 42);
                assert_eq!(packed.attributes(), attributes);
                assert_eq!(packed.boost(), 42);
            }
        }
        assert_eq!(Packed::from_raw(Packed::new(REAL_TIME, 0).raw()).boost(), 0);
    }

    #[test]
    fn ranks_are_in_order() {
        let rank = |policy, priority, boost| {
            let attributes = Attributes {
                policy,
                priority,
                ..Attributes::default()
            };
            Packed::new(attributes, boost).rank()
        };
        assert_eq!(rank(Policy::Other, 0, 0), Rank::FAIR);
        assert_eq!(rank(Policy::Idle, 0, 0), Rank::FAIR);
        assert!(rank(Policy::Fifo, 1, 0) > Rank::FAIR);
        assert!(rank(Policy::Fifo, 2, 0) > rank(Policy::RoundRobin, 1, 0));
        assert!(rank(Policy::Urgent, 0, 0) > rank(Policy::Fifo, 99, 0));
        assert_eq!(rank(Policy::Other, 0, 7), rank(Policy::Fifo, 7, 0));
        assert_eq!(rank(Policy::Fifo, 9, 7), rank(Policy::Fifo, 9, 0));
        for priority in 1..=99 {
            let rank = Rank::real_time(priority);
            assert_eq!(Rank::from_index(rank.index() as u32), rank);
        }
    }

    #[test]
    fn children_lose_what_was_to_be_lost() {
        let plain = Attributes::default();
        assert_eq!(REAL_TIME.of_child(), plain);
        let nice = Attributes {
            policy: Policy::Batch,
            priority: 0,
            nice: -5,
            resets_on_fork: true,
        };
        assert_eq!(
            (nice.of_child().policy, nice.of_child().nice),
            (Policy::Batch, 0)
        );
        let kept = Attributes {
            resets_on_fork: false,
            ..REAL_TIME
        };
        assert_eq!(kept.of_child(), kept);
    }
}
