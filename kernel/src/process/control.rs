//! What prctl(2) and its kin set for a process.

use ochre_abi::system::ADDR_NO_RANDOMIZE;
use ochre_sync::primitive::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, Ordering};

use super::attach::Attachers;

/// How much later than asked a sleep may end by default.
const DEFAULT_SLACK_NS: u64 = 50_000;

/// Switches and numbers; each stands alone.
#[derive(Debug)]
pub struct Control {
    /// The signal for when the parent ends; 0 for none.
    pub parent_death_signal: AtomicU32,
    /// `PR_SET_DUMPABLE`.
    pub dumpable: AtomicU32,
    /// Whether orphaned descendants become children of this process.
    pub is_subreaper: AtomicBool,
    /// `PR_SET_TIMERSLACK`; timers are exact all the same.
    pub timer_slack_ns: AtomicU64,
    /// What `membarrier(2)` was told to expect.
    pub barriers: AtomicU32,
    /// `personality(2)`: the flags of it that there are.
    pub personality: AtomicU32,
    /// How much rather it is killed for memory, -1000 (never) to 1000.
    pub oom_adjustment: AtomicI32,
    /// What that can be without privilege: what it was set to with it last.
    pub oom_least: AtomicI32,
    /// `PR_SET_PTRACER`.
    pub attachers: Attachers,
}

impl Default for Control {
    fn default() -> Control {
        Control {
            parent_death_signal: AtomicU32::new(0),
            dumpable: AtomicU32::new(1),
            is_subreaper: AtomicBool::new(false),
            timer_slack_ns: AtomicU64::new(DEFAULT_SLACK_NS),
            barriers: AtomicU32::new(0),
            personality: AtomicU32::new(0),
            oom_adjustment: AtomicI32::new(0),
            oom_least: AtomicI32::new(0),
            attachers: Attachers::default(),
        }
    }
}

impl Control {
    /// What a new process starts with.
    #[must_use]
    pub fn for_child(&self) -> Control {
        // ORDERING: Relaxed throughout; every value stands alone.
        Control {
            dumpable: AtomicU32::new(self.dumpable.load(Ordering::Relaxed)),
            timer_slack_ns: AtomicU64::new(self.timer_slack_ns.load(Ordering::Relaxed)),
            personality: AtomicU32::new(self.personality.load(Ordering::Relaxed)),
            oom_adjustment: AtomicI32::new(self.oom_adjustment.load(Ordering::Relaxed)),
            oom_least: AtomicI32::new(self.oom_least.load(Ordering::Relaxed)),
            ..Control::default()
        }
    }

    /// Whether programs are to find everything at the same addresses each time.
    #[must_use]
    pub fn has_fixed_addresses(&self) -> bool {
        self.personality.load(Ordering::Relaxed) & ADDR_NO_RANDOMIZE != 0
    }

    /// What is left when a program gets more rights: nobody else says how
    /// it runs.
    pub fn clear_personality(&self) {
        // ORDERING: Relaxed; as above.
        self.personality.store(0, Ordering::Relaxed);
    }

    /// The default of the timer slack.
    #[must_use]
    pub fn default_slack_ns() -> u64 {
        DEFAULT_SLACK_NS
    }
}
