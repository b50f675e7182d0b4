//! What a signal tells beside its number: `siginfo_t` without its padding.
//!
//! `siginfo_t` is 128 bytes of which a layout uses at most 48. What a queue
//! keeps is the error number, the code and the eight words of the layout.

use ochre_abi::Errno;
use ochre_abi::seccomp::SYS_SECCOMP;
use ochre_abi::signal::{
    SI_KERNEL, SI_TIMER, SI_TKILL, SI_USER, SIGINFO_SIZE, Signal, is_known_layout,
};

use crate::process::Pid;

/// Bytes before the words.
const HEADER: usize = 16;

/// Words of a layout.
const WORDS: usize = 8;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Info {
    /// `si_errno`.
    pub errno: i32,
    /// `si_code`.
    pub code: i32,
    words: [u32; WORDS],
}

impl Info {
    const fn with_code(code: i32) -> Info {
        Info {
            errno: 0,
            code,
            words: [0; WORDS],
        }
    }

    /// What is told of a signal whose details were lost.
    pub const NONE: Info = Info::with_code(SI_USER);

    /// From the kernel, without details.
    pub const KERNEL: Info = Info::with_code(SI_KERNEL);

    const fn word(mut self, index: usize, value: u32) -> Info {
        self.words[index] = value;
        self
    }

    const fn long(self, index: usize, value: u64) -> Info {
        self.word(index, value as u32)
            .word(index + 1, (value >> 32) as u32)
    }

    /// From `kill(2)`.
    #[must_use]
    pub const fn user(sender: Pid, uid: u32) -> Info {
        Info::NONE.word(0, sender.0).word(1, uid)
    }

    /// From `tkill(2)` and `tgkill(2)`.
    #[must_use]
    pub const fn tkill(sender: Pid, uid: u32) -> Info {
        Info::with_code(SI_TKILL).word(0, sender.0).word(1, uid)
    }

    /// Of a fault at `address`.
    #[must_use]
    pub const fn fault(code: i32, address: u64) -> Info {
        Info::with_code(code).long(0, address)
    }

    /// Of a system call that a filter caught, at the instruction before `after`.
    #[must_use]
    pub const fn call(after: u64, number: u32, machine: u32, reason: u32) -> Info {
        let mut info = Info::with_code(SYS_SECCOMP);
        info.errno = reason.cast_signed();
        info.long(0, after).word(2, number).word(3, machine)
    }

    /// Of a child that stopped, went on or ended; times in clock ticks.
    #[must_use]
    pub const fn child(
        code: i32,
        child: Pid,
        uid: u32,
        status: i32,
        user_ticks: u64,
        system_ticks: u64,
    ) -> Info {
        Info::with_code(code)
            .word(0, child.0)
            .word(1, uid)
            .word(2, status.cast_unsigned())
            .long(4, user_ticks)
            .long(6, system_ticks)
    }

    /// Of the POSIX timer `id`, with the value that its owner gave.
    #[must_use]
    pub const fn timer(id: i32, value: u64) -> Info {
        Info::with_code(SI_TIMER)
            .word(0, id.cast_unsigned())
            .long(2, value)
    }

    /// The timer, if this is of one.
    #[must_use]
    pub fn timer_id(&self) -> Option<i32> {
        (self.code == SI_TIMER).then_some(self.words[0].cast_signed())
    }

    /// The same with the count of expirations that were not told of.
    #[must_use]
    pub const fn with_overrun(self, overrun: i32) -> Info {
        self.word(1, overrun.cast_unsigned())
    }

    /// Of what a program queues: the bytes of its `siginfo_t`.
    ///
    /// # Errors
    /// E2BIG if the layout is unknown and more is set than would be kept.
    pub fn from_program(signal: Signal, bytes: &[u8; SIGINFO_SIZE]) -> Result<Info, Errno> {
        let mut words = bytes
            .as_chunks::<4>()
            .0
            .iter()
            .copied()
            .map(u32::from_ne_bytes);
        let mut next = || words.next().unwrap_or(0);
        let _signal = next();
        let errno = next().cast_signed();
        let code = next().cast_signed();
        let _padding = next();
        let mut info = Info {
            errno,
            code,
            words: [0; WORDS],
        };
        for word in &mut info.words {
            *word = next();
        }
        if !is_known_layout(signal, code) && words.any(|word| word != 0) {
            return Err(Errno::E2BIG);
        }
        Ok(info)
    }

    /// As the program sees it.
    #[must_use]
    pub fn to_bytes(&self, signal: Signal) -> [u8; SIGINFO_SIZE] {
        let mut bytes = [0; SIGINFO_SIZE];
        let header = [
            signal.number(),
            self.errno.cast_unsigned(),
            self.code.cast_unsigned(),
            0,
        ];
        let (places, _) = bytes.as_chunks_mut::<4>();
        for (place, word) in places.iter_mut().zip(header.iter().chain(&self.words)) {
            *place = word.to_ne_bytes();
        }
        bytes
    }

    /// The sender's or the child's number; the timer's where it is of one.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.words[0]
    }

    /// The sender's or the child's user; the overrun of a timer.
    #[must_use]
    pub fn uid(&self) -> u32 {
        self.words[1]
    }

    /// A child's status, or the low half of the value queued.
    #[must_use]
    pub fn status(&self) -> i32 {
        self.words[2].cast_signed()
    }

    /// The double word that starts at word `index`; 0 outside the layout.
    #[must_use]
    pub fn double(&self, index: usize) -> u64 {
        let word = |index: usize| u64::from(self.words.get(index).copied().unwrap_or(0));
        word(index) | word(index + 1) << 32
    }
}

const _: () = assert!(size_of::<Info>() + 8 == HEADER + WORDS * 4);

#[cfg(test)]
mod tests {
    use super::Info;
    use crate::process::Pid;
    use ochre_abi::Errno;
    use ochre_abi::signal::{CLD_EXITED, SI_QUEUE, Signal};

    fn u32_at(bytes: &[u8; 128], offset: usize) -> u32 {
        u32::from_ne_bytes(bytes[offset..offset + 4].try_into().expect("four bytes"))
    }

    #[test]
    fn fields_are_where_the_abi_has_them() {
        let bytes = Info::user(Pid(7), 1000).to_bytes(Signal::SIGUSR1);
        assert_eq!(
            [0, 4, 8, 16, 20].map(|offset| u32_at(&bytes, offset)),
            [10, 0, 0, 7, 1000]
        );
        let bytes =
            Info::child(CLD_EXITED, Pid(9), 5, 3, 0x1_0000_0002, 4).to_bytes(Signal::SIGCHLD);
        assert_eq!(
            [8, 16, 20, 24, 32, 36, 40].map(|offset| u32_at(&bytes, offset)),
            [1, 9, 5, 3, 2, 1, 4]
        );
        let bytes = Info::fault(1, 0x1234_5678_9abc).to_bytes(Signal::SIGSEGV);
        assert_eq!([16, 20].map(|at| u32_at(&bytes, at)), [0x5678_9abc, 0x1234]);
        let bytes = Info::timer(2, 77).with_overrun(3).to_bytes(Signal::SIGALRM);
        assert_eq!(
            [8, 16, 20, 24].map(|at| u32_at(&bytes, at)),
            [-2_i32 as u32, 2, 3, 77]
        );
    }

    #[test]
    fn what_a_program_queues_comes_back() {
        let mut bytes = [0; 128];
        bytes[8..12].copy_from_slice(&SI_QUEUE.to_ne_bytes());
        bytes[24] = 42;
        let info = Info::from_program(Signal::SIGUSR1, &bytes).expect("a known layout");
        assert_eq!(info.status(), 42);
        bytes[0] = 10;
        assert_eq!(info.to_bytes(Signal::SIGUSR1), bytes);
    }

    #[test]
    fn an_unknown_layout_may_not_use_the_padding() {
        let mut bytes = [0; 128];
        bytes[8..12].copy_from_slice(&(-20_i32).to_ne_bytes());
        assert!(Info::from_program(Signal::SIGUSR1, &bytes).is_ok());
        bytes[100] = 1;
        assert_eq!(
            Info::from_program(Signal::SIGUSR1, &bytes),
            Err(Errno::E2BIG)
        );
    }
}
