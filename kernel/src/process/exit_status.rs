//! How a process ended, in wait(2)'s encoding.

/// A wait status: exit code in bits 8 to 15, signal in bits 0 to 6, core flag
/// in bit 7.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExitStatus(u32);

impl ExitStatus {
    /// Ended by `exit`; the low eight bits count.
    #[must_use]
    pub fn exited(code: i32) -> ExitStatus {
        ExitStatus((code.cast_unsigned() & 0xff) << 8)
    }

    /// Ended by a signal.
    #[must_use]
    pub fn signaled(signal: u32, core: bool) -> ExitStatus {
        ExitStatus((signal & 0x7f) | if core { 0x80 } else { 0 })
    }

    /// From its status word.
    pub(super) fn from_raw(raw: u32) -> ExitStatus {
        ExitStatus(raw)
    }

    /// The status word of wait4(2).
    #[must_use]
    pub fn raw(self) -> u32 {
        self.0
    }

    /// The signal, if one ended it.
    #[must_use]
    pub fn signal(self) -> Option<u32> {
        Some(self.0 & 0x7f).filter(|signal| *signal != 0)
    }

    /// What a shell calls it: the code, or 128 and the signal.
    #[must_use]
    pub fn as_shell(self) -> u8 {
        match self.signal() {
            Some(signal) => (128 + signal) as u8,
            None => (self.0 >> 8) as u8,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ExitStatus;

    #[test]
    fn encodes_as_wait_does() {
        assert_eq!(ExitStatus::exited(3).raw(), 0x300);
        assert_eq!(ExitStatus::exited(-1).raw(), 0xff00);
        assert_eq!(ExitStatus::signaled(9, false).raw(), 9);
        assert_eq!(ExitStatus::signaled(11, true).raw(), 0x8b);
    }

    #[test]
    fn shells_add_128() {
        assert_eq!(ExitStatus::exited(3).as_shell(), 3);
        assert_eq!(ExitStatus::signaled(15, false).as_shell(), 143);
    }
}
