//! Filters, one in front of the other, and what they say together.
//!
//! A filter is never changed once it is in use: a newer one stands in front of
//! it and keeps it. So threads and processes share what they have in common,
//! and one thread's filters come before another's if the one's first is found
//! among the other's.

use alloc::sync::Arc;

use ochre_abi::Errno;
use ochre_abi::seccomp::{DATA_WORDS, action};
use ochre_bpf::Program;

/// A program about a system call.
pub type CallProgram = Program<DATA_WORDS>;

/// What filters look at (`struct seccomp_data`), word by word.
pub type CallData = [u32; DATA_WORDS];

/// Instructions that all filters of a thread may have together.
const MAX_COST: usize = (1 << 18) / 8;

/// What each filter but the newest costs beyond its instructions.
const COST_OF_MORE: usize = 4;

/// The largest error number that a filter can answer with.
const MAX_ERRNO: u32 = 4095;

/// See the module.
#[derive(Debug)]
pub struct Filter {
    program: CallProgram,
    /// Whether what it does not allow is logged.
    logs: bool,
    before: Option<Arc<Filter>>,
    /// How many there are, this one included.
    count: u32,
    /// What it and those before it cost, as for [`MAX_COST`].
    cost: usize,
}

/// What is to become of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It is made.
    Allow,
    /// It is made, and logged.
    Log,
    /// A tracer decides.
    Trace,
    /// It fails with this number; 0 for none.
    Errno(u32),
    /// SIGSYS, with this for `si_errno`.
    Trap(u32),
    /// The thread ends.
    KillThread,
    /// The process ends.
    KillProcess,
}

/// What a filter's answer asks for; the end of the process where nobody knows.
fn decode(answer: u32) -> Action {
    let data = answer & action::DATA;
    match answer & action::FULL {
        action::ALLOW => Action::Allow,
        action::LOG => Action::Log,
        action::TRACE => Action::Trace,
        // Nobody listens: like a call that there is not, as a tracer's.
        action::USER_NOTIF => Action::Errno(u32::from(Errno::ENOSYS.number())),
        action::ERRNO => Action::Errno(data.min(MAX_ERRNO)),
        action::TRAP => Action::Trap(data),
        action::KILL_THREAD => Action::KillThread,
        _ => Action::KillProcess,
    }
}

/// The order of answers: the lowest is the strictest.
fn rank(answer: u32) -> i32 {
    (answer & action::FULL).cast_signed()
}

impl Filter {
    /// A filter in front of those `before`.
    ///
    /// # Errors
    /// ENOMEM if they are too many or too long together.
    pub fn new(
        program: CallProgram,
        logs: bool,
        before: Option<Arc<Filter>>,
    ) -> Result<Filter, Errno> {
        let (count, cost) = match &before {
            None => (0, 0),
            Some(before) => (before.count, before.cost + COST_OF_MORE),
        };
        let cost = cost + program.len();
        if cost > MAX_COST {
            return Err(Errno::ENOMEM);
        }
        Ok(Filter {
            program,
            logs,
            before,
            count: count + 1,
            cost,
        })
    }

    /// How many there are, this one included.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    fn all(&self) -> impl Iterator<Item = &Filter> {
        core::iter::successors(Some(self), |filter| filter.before.as_deref())
    }

    /// What all of them say about a call, and whether that is to be logged: the
    /// strictest answer counts, among equals that of the newest filter.
    #[must_use]
    pub fn judge(&self, data: &CallData) -> (Action, bool) {
        let mut strictest = action::ALLOW;
        let mut logs = false;
        for filter in self.all() {
            let answer = filter.program.run(data);
            if rank(answer) < rank(strictest) {
                strictest = answer;
                logs = filter.logs;
            }
        }
        (decode(strictest), logs)
    }

    /// Whether `self` is `other` or stands somewhere behind it.
    #[must_use]
    pub fn is_part_of(&self, other: &Filter) -> bool {
        other.all().any(|filter| core::ptr::eq(filter, self))
    }
}

impl Drop for Filter {
    fn drop(&mut self) {
        // One after the other: there may be more than a stack is deep.
        let mut next = self.before.take();
        while let Some(mut filter) = next.and_then(Arc::into_inner) {
            next = filter.before.take();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Action, CallProgram, DATA_WORDS, Filter, MAX_COST, action, decode};
    use alloc::sync::Arc;
    use ochre_abi::Errno;
    use ochre_bpf::{Instruction, code};
    use std::vec;

    fn answering(answer: u32) -> CallProgram {
        CallProgram::check(&[Instruction::new(code::RET | code::K, answer)]).expect("it ends")
    }

    fn long(len: usize) -> CallProgram {
        let program = vec![Instruction::new(code::RET | code::K, action::ALLOW); len];
        CallProgram::check(&program).expect("it ends")
    }

    /// Filters that answer these, the first one the oldest.
    fn stack(answers: &[u32]) -> Arc<Filter> {
        let mut newest = None;
        for answer in answers {
            let filter = Filter::new(answering(*answer), false, newest.take());
            newest = Some(Arc::new(filter.expect("few")));
        }
        newest.expect("one at least")
    }

    fn judge(answers: &[u32]) -> Action {
        stack(answers).judge(&[0; DATA_WORDS]).0
    }

    #[test]
    fn answers_are_actions_and_what_is_none_ends_the_process() {
        assert_eq!(decode(action::ALLOW | 7), Action::Allow);
        assert_eq!(decode(action::ERRNO | 7), Action::Errno(7));
        assert_eq!(decode(action::ERRNO | 0xffff), Action::Errno(4095));
        assert_eq!(decode(action::TRAP | 0xffff), Action::Trap(0xffff));
        assert_eq!(decode(action::USER_NOTIF), Action::Errno(38));
        assert_eq!(decode(0x1234), Action::KillThread);
        assert_eq!(decode(action::KILL_PROCESS | 1), Action::KillProcess);
        for unknown in [0x0001_0000, 0x7ffe_0000, 0xffff_0000, 0x0004_0000] {
            assert_eq!(decode(unknown), Action::KillProcess, "{unknown:#x}");
        }
    }

    #[test]
    fn the_strictest_wins_and_of_equals_the_newest() {
        assert_eq!(judge(&[action::ALLOW, action::LOG]), Action::Log);
        assert_eq!(
            judge(&[action::TRAP, action::ALLOW, action::ERRNO | 1]),
            Action::Trap(0)
        );
        assert_eq!(
            judge(&[action::ERRNO | 1, action::ERRNO | 2]),
            Action::Errno(2)
        );
        assert_eq!(
            judge(&[action::KILL_PROCESS, action::KILL_THREAD]),
            Action::KillProcess
        );
    }

    #[test]
    fn together_they_are_not_too_long() {
        let mut newest = Some(Arc::new(
            Filter::new(long(4096), false, None).expect("fits"),
        ));
        for _ in 0..6 {
            let filter = Filter::new(long(4096), false, newest.take()).expect("fits");
            newest = Some(Arc::new(filter));
        }
        let left = MAX_COST - 7 * 4096 - 7 * 4;
        let filter = |len| Filter::new(long(len), false, newest.clone()).map(|filter| filter.count);
        assert_eq!(filter(left), Ok(8));
        assert_eq!(filter(left + 1), Err(Errno::ENOMEM));
    }

    #[test]
    fn as_many_as_there_can_be_are_dropped_on_a_small_stack() {
        let drop_all = || {
            let mut newest: Option<Arc<Filter>> = None;
            while let Ok(filter) = Filter::new(answering(0), false, newest.clone()) {
                newest = Some(Arc::new(filter));
            }
            newest.map_or(0, |newest| newest.count)
        };
        let thread = std::thread::Builder::new().stack_size(64 << 10);
        let count = thread.spawn(drop_all).expect("a thread").join();
        assert_eq!(count.expect("it came to its end"), 6554);
    }

    #[test]
    fn a_part_is_known_by_itself() {
        let old = stack(&[action::ALLOW]);
        let same_text = stack(&[action::ALLOW]);
        let newer = Filter::new(answering(0), false, Some(Arc::clone(&old))).expect("few");
        assert!(old.is_part_of(&newer) && old.is_part_of(&old));
        assert!(!newer.is_part_of(&old) && !same_text.is_part_of(&newer));
    }
}
