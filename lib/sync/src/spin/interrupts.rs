//! Locks that interrupt handlers take, too.
//!
//! A handler that wants a lock which the code it interrupted holds waits for
//! ever. So interrupts stay out of the processor for as long as it holds such a
//! lock, and come back when it holds none.
//!
//! # Order of the guards
//! A guard cannot restore what was there when it was made: of two guards, the
//! first may be dropped first, and would let interrupts in while the second still
//! holds its lock. Each processor counts instead ([`Depth`]): whoever makes the
//! count 0 again restores what was there when it left 0.

use core::fmt;
use core::marker::PhantomData;

use super::lock::RawSpin;
use crate::maybe_const;
use crate::primitive::atomic::{AtomicBool, AtomicU32, Ordering};
use crate::primitive::spin_loop;

/// The interrupts of the processor that asks.
///
/// The machine implements it. Whatever it does, no memory is at risk; but locks
/// that are taken in handlers deadlock if it lets interrupts in.
///
/// ```
/// use ochre_sync::spin::{self, Depth, Interrupts};
/// # use core::cell::Cell;
/// # std::thread_local! {
/// #     static ENABLED: Cell<bool> = const { Cell::new(true) };
/// #     static DEPTH: Depth = const { Depth::new() };
/// # }
///
/// struct Machine;
///
/// impl Interrupts for Machine {
///     fn disable() -> bool {
///         ENABLED.replace(false) // `pushfq; cli`
///     }
///
///     fn enable() {
///         ENABLED.set(true); // `sti`
///     }
///
///     fn with_depth<R>(f: impl FnOnce(&Depth) -> R) -> R {
///         DEPTH.with(f) // a field of what the machine keeps for each processor
///     }
/// }
///
/// spin::without::<Machine, _>(|| {
///     spin::without::<Machine, _>(|| ());
///     assert!(!ENABLED.get(), "there is a reason left");
/// });
/// assert!(ENABLED.get());
/// ```
pub trait Interrupts {
    /// Keeps interrupts out of this processor. Returns whether they could come
    /// in before.
    fn disable() -> bool;

    /// Lets interrupts in again.
    fn enable();

    /// Calls `f` with this processor's count. Interrupts are kept out meanwhile,
    /// so the code stays on this processor.
    fn with_depth<R>(f: impl FnOnce(&Depth) -> R) -> R;
}

/// How many reasons a processor has to keep interrupts out. Part of what the
/// machine keeps for each processor.
///
/// ```
/// use ochre_sync::spin::Depth;
///
/// /// What a machine keeps for each processor.
/// struct PerProcessor {
///     reasons: Depth,
/// }
///
/// static FIRST: PerProcessor = PerProcessor { reasons: Depth::new() };
/// # let _ = &FIRST.reasons;
/// ```
#[derive(Debug, Default)]
pub struct Depth {
    /// Only this processor writes these; they are atomic so that they can be in
    /// a static, and are never read, changed and written at once.
    count: AtomicU32,
    were_enabled: AtomicBool,
}

impl Depth {
    maybe_const! {
        /// No reason.
        ///
        /// ```
        /// use ochre_sync::spin::Depth;
        ///
        /// /// What a machine keeps for each of its processors.
        /// static REASONS: [Depth; 4] = [const { Depth::new() }; 4];
        /// # assert_eq!(REASONS.len(), 4);
        /// ```
        #[must_use]
        pub fn new() -> Depth {
            Depth {
                count: AtomicU32::new(0),
                were_enabled: AtomicBool::new(false),
            }
        }
    }

    /// One reason more; the first remembers whether interrupts could come in.
    fn enter(&self, enabled: bool) {
        // ORDERING: Relaxed, all of them; no other processor looks.
        let count = self.count.load(Ordering::Relaxed);
        if count == 0 {
            self.were_enabled.store(enabled, Ordering::Relaxed);
        }
        // Forgotten guards only ever add: at the limit it stays, and
        // interrupts stay out.
        self.count.store(count.saturating_add(1), Ordering::Relaxed);
    }

    /// One reason less. Returns whether interrupts may come in now.
    fn leave(&self) -> bool {
        // ORDERING: Relaxed, all of them; as in `enter`.
        let count = self.count.load(Ordering::Relaxed);
        if count == u32::MAX {
            return false;
        }
        self.count.store(count.saturating_sub(1), Ordering::Relaxed);
        count == 1 && self.were_enabled.load(Ordering::Relaxed)
    }
}

/// One reason to keep interrupts out; over when dropped.
struct Quiet<I: Interrupts>(PhantomData<(I, *mut ())>);

impl<I: Interrupts> Quiet<I> {
    #[inline]
    fn enter() -> Quiet<I> {
        let enabled = I::disable();
        I::with_depth(|depth| depth.enter(enabled));
        Quiet(PhantomData)
    }

    /// Ends the reason of a `Quiet` that was forgotten.
    #[inline]
    fn leave() {
        if I::with_depth(Depth::leave) {
            I::enable();
        }
    }
}

impl<I: Interrupts> Drop for Quiet<I> {
    fn drop(&mut self) {
        Self::leave();
    }
}

/// Calls `f` with interrupts kept out of this processor. Around
/// [`McsLock::with`](super::McsLock::with) it makes a queue lock that handlers
/// may take.
///
/// ```
/// # use ochre_sync::spin::{self, Depth, Interrupts};
/// # use core::cell::Cell;
/// # std::thread_local! {
/// #     static ENABLED: Cell<bool> = const { Cell::new(true) };
/// #     static DEPTH: Depth = const { Depth::new() };
/// # }
/// #
/// # struct Machine;
/// #
/// # impl Interrupts for Machine {
/// #     fn disable() -> bool {
/// #         ENABLED.replace(false) // `pushfq; cli`
/// #     }
/// #
/// #     fn enable() {
/// #         ENABLED.set(true); // `sti`
/// #     }
/// #
/// #     fn with_depth<R>(f: impl FnOnce(&Depth) -> R) -> R {
/// #         DEPTH.with(f) // a field of what the machine keeps for each processor
/// #     }
/// # }
/// spin::without::<Machine, _>(|| {
///     spin::without::<Machine, _>(|| ());
///     assert!(!ENABLED.get(), "there is a reason left");
/// });
/// assert!(ENABLED.get());
/// ```
pub fn without<I: Interrupts, R>(f: impl FnOnce() -> R) -> R {
    let _quiet = Quiet::<I>::enter();
    f()
}

/// Makes a lock that interrupt handlers may take: interrupts are kept out of the
/// processor while it holds the lock.
///
/// While it waits for a lock that is not fair, interrupts come in as before; for
/// a fair one, they are kept out while it waits, too: whoever has a place in the
/// queue must be there when its turn comes.
///
/// ```
/// use ochre_sync::spin::{Depth, Interrupts, IrqSafe, Lock, TestAndSet};
/// # use core::cell::Cell;
/// # std::thread_local! {
/// #     static ENABLED: Cell<bool> = const { Cell::new(true) };
/// #     static DEPTH: Depth = const { Depth::new() };
/// # }
///
/// struct Machine;
///
/// impl Interrupts for Machine {
///     fn disable() -> bool {
///         // `pushfq; cli`
/// #       ENABLED.replace(false)
///     }
///     fn enable() {
///         // `sti`
/// #       ENABLED.set(true);
///     }
///     fn with_depth<R>(f: impl FnOnce(&Depth) -> R) -> R {
///         // a field of what the machine keeps for each processor
/// #       DEPTH.with(f)
///     }
/// }
///
/// type IrqLock<T> = Lock<IrqSafe<TestAndSet, Machine>, T>;
///
/// static EVENTS: IrqLock<u32> = Lock::with_raw(IrqSafe::new(TestAndSet::new()), 0);
///
/// let mut events = EVENTS.lock();
/// assert!(!ENABLED.get());
/// *events += 1;
/// drop(events);
/// assert!(ENABLED.get());
/// ```
pub struct IrqSafe<R, I> {
    raw: R,
    interrupts: PhantomData<fn() -> I>,
}

impl<R, I> IrqSafe<R, I> {
    maybe_const! {
        /// The lock `raw`, safe to take in interrupt handlers.
        ///
        /// ```
        /// use ochre_sync::spin::{IrqSafe, Lock, Ticket};
        /// # use ochre_sync::spin::{Depth, Interrupts};
        /// #
        /// # struct Machine;
        /// # std::thread_local! {
        /// #     static DEPTH: Depth = const { Depth::new() };
        /// # }
        /// #
        /// # impl Interrupts for Machine {
        /// #     fn disable() -> bool {
        /// #         false
        /// #     }
        /// #
        /// #     fn enable() {}
        /// #
        /// #     fn with_depth<R>(f: impl FnOnce(&Depth) -> R) -> R {
        /// #         DEPTH.with(f)
        /// #     }
        /// # }
        ///
        /// // Around any lock that spins, here a fair one.
        /// static LOG: Lock<IrqSafe<Ticket, Machine>, u32> = Lock::with_raw(IrqSafe::new(Ticket::new()), 0);
        /// *LOG.lock() += 1;
        /// assert_eq!(*LOG.lock(), 1);
        /// ```
        pub fn new(raw: R) -> IrqSafe<R, I> {
            IrqSafe {
                raw,
                interrupts: PhantomData,
            }
        }
    }
}

impl<R: Default, I> Default for IrqSafe<R, I> {
    fn default() -> IrqSafe<R, I> {
        IrqSafe::new(R::default())
    }
}

impl<R: fmt::Debug, I> fmt::Debug for IrqSafe<R, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("IrqSafe").field(&self.raw).finish()
    }
}

// SAFETY: each operation is that of `raw`, which promises what is asked.
unsafe impl<R: RawSpin, I: Interrupts> RawSpin for IrqSafe<R, I> {
    const NAME: &'static str = R::NAME;
    const FAIR: bool = R::FAIR;

    fn lock(&self) {
        if R::FAIR {
            core::mem::forget(Quiet::<I>::enter());
            self.raw.lock();
            return;
        }
        while !self.try_lock() {
            while self.raw.is_locked() {
                spin_loop();
            }
        }
    }

    fn try_lock(&self) -> bool {
        let quiet = Quiet::<I>::enter();
        if !self.raw.try_lock() {
            return false;
        }
        core::mem::forget(quiet);
        true
    }

    fn is_locked(&self) -> bool {
        self.raw.is_locked()
    }

    unsafe fn unlock(&self) {
        // First the lock: a handler that comes in must find it free.
        // SAFETY: as the caller promises.
        unsafe { self.raw.unlock() };
        Quiet::<I>::leave();
    }
}
