//! Process and thread numbers.

use core::fmt;

/// A process, thread, process group or session number: 1 and up; 0 stands for
/// "none" where Linux says 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pid(pub u32);

impl Pid {
    /// Process 1.
    pub const INIT: Pid = Pid(1);
    /// What the parent of process 1 is called.
    pub const NONE: Pid = Pid(0);

    /// The number as a result register has it.
    #[must_use]
    pub fn as_usize(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
