//! What a thread may still ask of the kernel (seccomp(2)).
//!
//! Calls go straight to their handlers while their numbers are below
//! [`direct_calls`](Seccomp::direct_calls), which is every number for a thread
//! without restrictions and none for one with them: looking a number up, which
//! compares it with something anyway, costs an unrestricted thread nothing more.
//! Where calls are told ([`trace`]), all threads have none, and so has one whose
//! calls take addresses with tags ([`tags`](crate::syscall::tags)).
//!
//! # Who may change what
//! | from | to | by |
//! |---|---|---|
//! | free | strict | the thread |
//! | free, filtered | filtered by one more | the thread; another of its process with `TSYNC` |
//!
//! Nothing leads back. Who changes others' holds the list of the process's
//! threads, and so does a new thread that takes over its maker's: none is
//! missed. The lock of a thread's own state is innermost and held for a copy of
//! a handle.

use alloc::sync::Arc;

use ochre_abi::Errno;
use ochre_abi::arch::AUDIT_ARCH;
use ochre_abi::seccomp::{DATA_WORDS, STRICT_CALLS, mode};
use ochre_abi::signal::Signal;
use ochre_hal::clock;
use ochre_hal::user::{SyscallRequest, UserContext};
use ochre_sync::SpinLock;
use ochre_sync::primitive::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use super::{ExitStatus, Pid, Thread};
use crate::memory;
use crate::signal::{self, Info};
use crate::syscall::trace;

mod filter;

pub use filter::{Action, CallData, CallProgram, Filter};

/// The end of the numbers that are looked up at once.
pub const DIRECT_CALLS: u32 = 512;

/// See the module.
///
/// Each thread has one, and there may be very many, so it is as small as can be.
#[derive(Debug)]
pub struct Seccomp {
    direct: AtomicU32,
    /// Written with the lock held.
    is_strict: AtomicBool,
    /// See [`accepts_tags`](Seccomp::accepts_tags).
    tags: AtomicBool,
    filter: SpinLock<Option<Arc<Filter>>>,
}

/// How a thread is restricted.
#[derive(Clone, Debug)]
enum State {
    Free,
    Strict,
    Filtered(Arc<Filter>),
}

impl State {
    fn filter(&self) -> Option<&Arc<Filter>> {
        match self {
            State::Filtered(filter) => Some(filter),
            State::Free | State::Strict => None,
        }
    }
}

impl Default for Seccomp {
    fn default() -> Seccomp {
        Seccomp {
            direct: AtomicU32::new(if trace::is_on() { 0 } else { DIRECT_CALLS }),
            is_strict: AtomicBool::new(false),
            tags: AtomicBool::new(false),
            filter: SpinLock::default(),
        }
    }
}

impl Seccomp {
    /// Numbers below this are nobody's business: their handlers are called.
    #[inline]
    #[must_use]
    pub fn direct_calls(&self) -> u32 {
        // ORDERING: Relaxed. Who restricts another thread, and tells it, does
        // both in this order, and it learns of both in this order by however it
        // was told. What is looked at then is behind a lock.
        self.direct.load(Ordering::Relaxed)
    }

    /// `PR_GET_SECCOMP`, and how many filters there are.
    #[must_use]
    pub fn mode(&self) -> (u64, u32) {
        match self.state() {
            State::Free => (mode::DISABLED, 0),
            State::Strict => (mode::STRICT, 0),
            State::Filtered(filter) => (mode::FILTER, filter.count()),
        }
    }

    fn state(&self) -> State {
        let filter = self.filter.lock();
        // ORDERING: Relaxed, here and below; guarded by the lock.
        match &*filter {
            Some(filter) => State::Filtered(Arc::clone(filter)),
            None if self.is_strict.load(Ordering::Relaxed) => State::Strict,
            None => State::Free,
        }
    }

    /// Makes it strict or filtered.
    fn restrict(&self, to: State) {
        let mut filter = self.filter.lock();
        self.is_strict
            .store(matches!(to, State::Strict), Ordering::Relaxed);
        let old = core::mem::replace(&mut *filter, to.filter().map(Arc::clone));
        drop(filter);
        self.direct.store(0, Ordering::Relaxed);
        drop(old);
    }

    /// A new thread takes over its maker's, before it runs.
    pub(super) fn take_over(&self, of: &Seccomp) {
        if of.direct_calls() == DIRECT_CALLS {
            return;
        }
        if of.accepts_tags() {
            self.set_tags(true);
        }
        let state = of.state();
        if !matches!(state, State::Free) {
            self.restrict(state);
        }
    }

    /// Whether calls take addresses with tags (`PR_TAGGED_ADDR_ENABLE`).
    #[must_use]
    pub fn accepts_tags(&self) -> bool {
        // ORDERING: Relaxed; the thread's own, but for its maker before it runs.
        self.tags.load(Ordering::Relaxed)
    }

    /// Sets [`accepts_tags`](Seccomp::accepts_tags).
    pub fn set_tags(&self, accepted: bool) {
        let filter = self.filter.lock();
        let is_strict = self.is_strict.load(Ordering::Relaxed);
        let is_direct = !accepted && !is_strict && filter.is_none() && !trace::is_on();
        self.tags.store(accepted, Ordering::Relaxed);
        let direct = if is_direct { DIRECT_CALLS } else { 0 };
        self.direct.store(direct, Ordering::Relaxed);
    }

    /// Strict mode, while nobody else restricts the thread.
    fn set_strict(&self) -> Result<(), Errno> {
        if self.state().filter().is_some() {
            return Err(Errno::EINVAL);
        }
        self.restrict(State::Strict);
        Ok(())
    }
}

/// Strict mode for the thread.
///
/// # Errors
/// EINVAL for a thread that has filters.
pub fn set_strict(thread: &Thread) -> Result<(), Errno> {
    // Others of the process may give this one filters meanwhile.
    let _threads = thread.process.threads.lock();
    thread.seccomp.set_strict()
}

/// Puts a filter in front of the thread's.
///
/// # Errors
/// EINVAL in strict mode; ENOMEM.
pub fn install(thread: &Thread, program: CallProgram, logs: bool) -> Result<(), Errno> {
    // Others of the process may give this one filters meanwhile.
    let _threads = thread.process.threads.lock();
    let filter = in_front(&thread.seccomp.state(), program, logs)?;
    thread.seccomp.restrict(State::Filtered(filter));
    Ok(())
}

/// Puts a filter in front of the thread's and gives all threads of the process
/// what it has then; the thread that cannot follow, if there is one, and then
/// nothing is changed.
///
/// # Errors
/// EINVAL in strict mode; ENOMEM.
pub fn install_for_all(
    thread: &Thread,
    program: CallProgram,
    logs: bool,
) -> Result<Option<Pid>, Errno> {
    let threads = thread.process.threads.lock();
    let state = thread.seccomp.state();
    let filter = in_front(&state, program, logs)?;
    let others = || threads.iter().filter(|other| other.tid() != thread.tid());
    let follows = |other: &Thread| match (other.seccomp.state(), state.filter()) {
        (State::Free, _) => true,
        (State::Filtered(theirs), Some(ours)) => theirs.is_part_of(ours),
        (State::Strict | State::Filtered(_), _) => false,
    };
    if let Some(stray) = others().find(|other| !follows(other)) {
        return Ok(Some(stray.tid()));
    }
    for other in others() {
        other.seccomp.restrict(State::Filtered(Arc::clone(&filter)));
        if thread.has_no_new_privileges() {
            other.set_no_new_privileges();
        }
    }
    thread.seccomp.restrict(State::Filtered(filter));
    Ok(None)
}

fn in_front(state: &State, program: CallProgram, logs: bool) -> Result<Arc<Filter>, Errno> {
    if matches!(state, State::Strict) {
        return Err(Errno::EINVAL);
    }
    memory::check_headroom()?;
    let before = state.filter().map(Arc::clone);
    Ok(Arc::new(Filter::new(program, logs, before)?))
}

/// What became of a call that did not go straight to its handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judged {
    /// It is to be made.
    Made,
    /// It is over: the result register, or the end of the thread, says how.
    Over,
}

/// Looks at a call before it is made.
pub fn judge(thread: &Thread, user: &mut UserContext, number: u32) -> Judged {
    match thread.seccomp.state() {
        State::Free => Judged::Made,
        State::Strict => {
            let is_left = STRICT_CALLS.contains(&Some(number as usize));
            if is_left {
                return Judged::Made;
            }
            thread.begin_exit_by(Signal::SIGKILL);
            Judged::Over
        }
        State::Filtered(filter) => {
            let instruction = user.instruction_pointer();
            let data = call_data(number, instruction, &user.syscall());
            let (action, logs) = filter.judge(&data);
            if action != Action::Allow {
                carry_out(thread, user, (number, instruction), action, logs)
            } else {
                Judged::Made
            }
        }
    }
}

/// `struct seccomp_data`.
fn call_data(number: u32, instruction: u64, request: &SyscallRequest) -> CallData {
    let mut data = [0; DATA_WORDS];
    let words = core::iter::once(instruction)
        .chain(request.arguments)
        .flat_map(|long| [long as u32, (long >> 32) as u32]);
    let all = [number, AUDIT_ARCH].into_iter().chain(words);
    for (place, word) in data.iter_mut().zip(all) {
        *place = word;
    }
    data
}

fn carry_out(
    thread: &Thread,
    user: &mut UserContext,
    (number, instruction): (u32, u64),
    action: Action,
    logs: bool,
) -> Judged {
    let kills = matches!(action, Action::KillThread | Action::KillProcess);
    if logs || kills || action == Action::Log {
        log_call(thread, number, action);
    }
    match action {
        Action::Allow | Action::Log => return Judged::Made,
        Action::Errno(errno) => user.set_syscall_result(-i64::from(errno)),
        // There is nobody to ask.
        Action::Trace => user.set_syscall_result(-i64::from(Errno::ENOSYS.number())),
        Action::Trap(reason) => {
            let info = Info::call(instruction, number, AUDIT_ARCH, reason);
            signal::force(thread, Signal::SIGSYS, info);
        }
        Action::KillThread if thread.process.threads.lock().len() > 1 => {
            thread.begin_exit_by(Signal::SIGSYS);
        }
        Action::KillThread | Action::KillProcess => {
            let status = ExitStatus::signaled(Signal::SIGSYS.number(), false);
            thread.process.begin_group_exit(status);
        }
    }
    Judged::Over
}

/// A line for the log, unless there was one only just: a program can ask for
/// any number of them.
fn log_call(thread: &Thread, number: u32, action: Action) {
    /// Between two lines at least.
    const PAUSE_NS: u64 = 100_000_000;
    static NEXT_NS: AtomicU64 = AtomicU64::new(0);
    let now = clock::now_ns();
    // ORDERING: Relaxed; a line more or less.
    if now >= NEXT_NS.load(Ordering::Relaxed) {
        NEXT_NS.store(now.saturating_add(PAUSE_NS), Ordering::Relaxed);
        let pid = thread.process.pid;
        log::info!("seccomp: process {pid}: call {number}: {action:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::{AUDIT_ARCH, DIRECT_CALLS, Seccomp, State, call_data};
    use ochre_abi::Errno;
    use ochre_hal::user::SyscallRequest;

    #[test]
    fn the_data_is_laid_out_as_the_abi_has_it() {
        let request = SyscallRequest {
            number: 39,
            arguments: [1, 2 << 32, 3, 4, 5, 6 | 7 << 32],
        };
        let data = call_data(39, 0x7f00_1234_5678, &request);
        assert_eq!(
            data,
            [
                39,
                AUDIT_ARCH,
                0x1234_5678,
                0x7f00,
                1,
                0,
                0,
                2,
                3,
                0,
                4,
                0,
                5,
                0,
                6,
                7
            ]
        );
    }

    #[test]
    fn whoever_is_restricted_calls_nothing_directly() {
        let free = Seccomp::default();
        assert_eq!(free.direct_calls(), DIRECT_CALLS);
        let child = Seccomp::default();
        child.take_over(&free);
        assert_eq!(child.direct_calls(), DIRECT_CALLS);
        free.set_strict().expect("from free");
        free.set_strict().expect("again");
        assert_eq!((free.direct_calls(), free.mode()), (0, (1, 0)));
        child.take_over(&free);
        assert_eq!((child.direct_calls(), child.mode()), (0, (1, 0)));
        assert!(matches!(child.state(), State::Strict));
        assert_eq!(
            super::in_front(&child.state(), program(), false).err(),
            Some(Errno::EINVAL)
        );
    }

    fn program() -> super::CallProgram {
        use ochre_bpf::{Instruction, code};
        super::CallProgram::check(&[Instruction::new(code::RET | code::K, 0)]).expect("it ends")
    }
}
