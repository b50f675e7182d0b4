//! An order of locks, as types.
//!
//! Two threads that take two locks in different order wait for each other, some
//! day. So locks get levels, and a thread that holds one of some level takes
//! only locks of later ones. Here a level is a type, and the rule is checked
//!
//! - by the compiler, where a thread's way can be seen: [`Ordered::lock_with`] wants
//!   the [`Token`] of what is held, and lends one of its own level; while that is
//!   used, the earlier one cannot be;
//! - at run time where it cannot be (callbacks, drops): [`Ordered::lock`] panics if
//!   the order is broken, in builds with debug assertions, the first time the
//!   wrong order is taken, not the first time it deadlocks.
//!
//! Both note what is held, so that one sees what the other took.
//!
//! ```
//! use ochre_sync::levels::{Ordered, Token};
//!
//! ochre_sync::lock_order! {
//!     /// The locks of this program, outermost first.
//!     in ochre_sync::levels::Anywhere;
//!     /// Which processes there are.
//!     pub Table,
//!     /// One process.
//!     pub Process,
//!     /// Its files.
//!     Files,
//! }
//!
//! static TABLE: Ordered<Table, u32> = Ordered::new(1);
//! static FILES: Ordered<Files, u32> = Ordered::new(2);
//!
//! let mut token = Token::root();
//! let (table, mut token) = TABLE.lock_with(&mut token);
//! let (files, _) = FILES.lock_with(&mut token);
//! assert_eq!(*table + *files, 3);
//! ```
//!
//! The other way round does not compile:
//!
//! ```compile_fail,E0277
//! # use ochre_sync::levels::{Ordered, Token};
//! # ochre_sync::lock_order! { in ochre_sync::levels::Anywhere; Table, Files }
//! # static TABLE: Ordered<Table, u32> = Ordered::new(1);
//! # static FILES: Ordered<Files, u32> = Ordered::new(2);
//! let mut token = Token::root();
//! let (files, mut token) = FILES.lock_with(&mut token);
//! let (table, _) = TABLE.lock_with(&mut token); // `Files` is not before `Table`
//! ```
//!
//! Nor does the same level twice:
//!
//! ```compile_fail,E0277
//! # use ochre_sync::levels::{Ordered, Token};
//! # ochre_sync::lock_order! { in ochre_sync::levels::Anywhere; Table, Files }
//! # static ONE: Ordered<Files, u32> = Ordered::new(1);
//! # static TWO: Ordered<Files, u32> = Ordered::new(2);
//! let mut token = Token::root();
//! let (one, mut token) = ONE.lock_with(&mut token);
//! let (two, _) = TWO.lock_with(&mut token);
//! ```
//!
//! Nor is there a way past the token of what is held:
//!
//! ```compile_fail,E0499
//! # use ochre_sync::levels::{Ordered, Token};
//! # ochre_sync::lock_order! { in ochre_sync::levels::Anywhere; Table, Files }
//! # static TABLE: Ordered<Table, u32> = Ordered::new(1);
//! # static FILES: Ordered<Files, u32> = Ordered::new(2);
//! let mut root = Token::root();
//! let (files, _) = FILES.lock_with(&mut root);
//! let (table, _) = TABLE.lock_with(&mut root);
//! drop(files);
//! ```
//!
//! What neither sees: two roots in one thread are as good as none, except in
//! builds that check. No memory is at risk, whatever is done.

use core::fmt;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};

use crate::maybe_const;
use crate::primitive::atomic::{AtomicU64, Ordering};
use crate::spin::{Guard, Lock, RawSpin, TestAndSet};

/// A level, declared with [`lock_order!`](crate::lock_order).
///
/// ```
/// use ochre_sync::levels::Level;
///
/// ochre_sync::lock_order! { in ochre_sync::levels::Anywhere; Table, Files }
/// assert_eq!((Table::RANK, Files::RANK, Files::NAME), (0, 1, "Files"));
/// ```
pub trait Level: 'static {
    /// Its place in the order, outermost 0.
    const RANK: u32;

    /// What it is called in messages.
    const NAME: &'static str;

    /// Who notes what is held.
    type Context: Context;
}

/// A lock of level `L` may be taken while one of this level is held.
///
/// ```
/// use ochre_sync::levels::Before;
///
/// ochre_sync::lock_order! { in ochre_sync::levels::Anywhere; Table, Files }
///
/// /// What a function says that needs a lock of level `Files`.
/// fn may_take_files<H: Before<Files>>(_held: H) {}
///
/// may_take_files(Table);
/// ```
pub trait Before<L> {}

/// No lock is held.
///
/// ```
/// use ochre_sync::levels::{Nothing, Token};
///
/// let token: Token<'static, Nothing> = Token::root();
/// # drop(token);
/// ```
#[derive(Debug)]
pub struct Nothing;

impl<L: Level> Before<L> for Nothing {}

/// Who holds locks: the thread or the processor that asks. [`Held`] shows how a
/// machine says it.
///
/// ```
/// use ochre_sync::levels::{Context, ThisThread};
///
/// // On the host it is there: each thread's own.
/// ThisThread::with_held(|held| println!("{held:?}"));
/// ```
pub trait Context: 'static {
    /// Calls `f` with what it holds.
    fn with_held<R>(f: impl FnOnce(&Held) -> R) -> R;
}

/// Which levels somebody holds. Part of what the machine keeps for each processor.
///
/// ```
/// use ochre_sync::levels::{Context, Held};
///
/// /// The processor that asks.
/// struct Processor;
///
/// impl Context for Processor {
///     fn with_held<R>(f: impl FnOnce(&Held) -> R) -> R {
///         static FIRST: Held = Held::new(); // of the processor this runs on
///         f(&FIRST)
///     }
/// }
/// ochre_sync::lock_order! { in Processor; Table, Files }
/// ```
#[derive(Debug, Default)]
pub struct Held {
    /// One bit for each level; only its owner touches it.
    ranks: AtomicU64,
}

impl Held {
    maybe_const! {
        /// None.
        ///
        /// ```
        /// use ochre_sync::levels::Held;
        ///
        /// /// What a machine keeps for each processor.
        /// struct PerProcessor {
        ///     held: Held,
        /// }
        ///
        /// static FIRST: PerProcessor = PerProcessor { held: Held::new() };
        /// # let _ = &FIRST.held;
        /// ```
        #[must_use]
        pub fn new() -> Held {
            Held { ranks: AtomicU64::new(0) }
        }
    }

    /// Notes a level. Returns false if it, or a later one, is held already.
    fn note(&self, rank: u32) -> bool {
        // ORDERING: Relaxed, both; no other thread looks.
        let ranks = self.ranks.load(Ordering::Relaxed);
        self.ranks.store(ranks | 1 << rank, Ordering::Relaxed);
        ranks >> rank == 0
    }

    fn clear(&self, rank: u32) {
        // ORDERING: Relaxed, both; as above.
        let ranks = self.ranks.load(Ordering::Relaxed);
        self.ranks.store(ranks & !(1 << rank), Ordering::Relaxed);
    }
}

/// Notes nothing: for programs that use tokens only.
///
/// ```
/// use ochre_sync::levels::{Anywhere, Ordered};
///
/// ochre_sync::lock_order! { in Anywhere; Table, Files }
/// let (table, files) = (Ordered::<Table, _>::new(1), Ordered::<Files, _>::new(2));
/// // Wrong, and nobody notes it: without tokens nothing is checked.
/// let (files, table) = (files.lock(), table.lock());
/// assert_eq!(*files + *table, 3);
/// ```
#[derive(Debug)]
pub struct Anywhere;

impl Context for Anywhere {
    fn with_held<R>(f: impl FnOnce(&Held) -> R) -> R {
        f(&Held::new())
    }
}

/// Notes what each thread of a program on the host holds.
///
/// ```
/// use ochre_sync::levels::Ordered;
///
/// ochre_sync::lock_order! { in ochre_sync::levels::ThisThread; Table, Files }
/// let (table, files) = (Ordered::<Table, _>::new(1), Ordered::<Files, _>::new(2));
/// let _files = files.lock();
/// let wrong = std::panic::catch_unwind(core::panic::AssertUnwindSafe(|| drop(table.lock())));
/// assert_eq!(wrong.is_err(), cfg!(debug_assertions));
/// ```
#[cfg(all(feature = "std", not(loom)))]
#[derive(Debug)]
pub struct ThisThread;

#[cfg(all(feature = "std", not(loom)))]
impl Context for ThisThread {
    fn with_held<R>(f: impl FnOnce(&Held) -> R) -> R {
        std::thread_local! {
            static HELD: Held = const { Held::new() };
        }
        HELD.with(f)
    }
}

/// Declares levels, outermost first, and what notes who holds them.
///
/// See [`levels`](crate::levels). Sixty-four levels at most.
///
/// ```
/// ochre_sync::lock_order! {
///     in ochre_sync::levels::ThisThread;
///     /// Which processes there are.
///     pub Table,
///     /// One process's files.
///     pub Files,
/// }
///
/// # use ochre_sync::levels::{Level, Ordered};
/// static TABLE: Ordered<Table, u32> = Ordered::new(1);
/// # assert!(*TABLE.lock() == 1 && Table::RANK < Files::RANK);
/// ```
#[macro_export]
macro_rules! lock_order {
    (
        $(#[$about:meta])* in $context:ty;
        $($(#[$meta:meta])* $vis:vis $level:ident),+ $(,)?
    ) => {
        $crate::lock_order!(@levels $context; 0; $([$(#[$meta])* $vis] $level,)+);
    };
    (
        @levels $context:ty; $rank:expr;
        [$(#[$meta:meta])* $vis:vis] $level:ident,
        $([$(#[$metas:meta])* $later_vis:vis] $later:ident,)*
    ) => {
        $(#[$meta])*
        $vis struct $level;

        impl $crate::levels::Level for $level {
            const RANK: u32 = {
                assert!($rank < 64, "sixty-four levels at most");
                $rank
            };
            const NAME: &'static str = stringify!($level);
            type Context = $context;
        }

        $(impl $crate::levels::Before<$later> for $level {})*

        $crate::lock_order!(@levels $context; $rank + 1; $([$(#[$metas])* $later_vis] $later,)*);
    };
    (@levels $context:ty; $rank:expr;) => {};
}

/// Says that the highest level held is `L`. To be had from [`Token::root`], or with a lock.
///
/// ```
/// use ochre_sync::levels::{Ordered, Token};
///
/// ochre_sync::lock_order! { in ochre_sync::levels::Anywhere; Table }
/// let table: Ordered<Table, u32> = Ordered::new(1);
/// let mut token = Token::root();
/// let (guard, _for_what_comes_after) = table.lock_with(&mut token);
/// assert_eq!(*guard, 1);
/// ```
pub struct Token<'t, L> {
    /// Borrows the token of the level before; stays with its thread.
    before: PhantomData<&'t *mut ()>,
    level: PhantomData<fn() -> L>,
}

impl Token<'static, Nothing> {
    /// Nothing is held. One for each thread (or task), where it begins.
    ///
    /// ```
    /// use ochre_sync::levels::{Ordered, Token};
    ///
    /// ochre_sync::lock_order! { in ochre_sync::levels::Anywhere; Table }
    /// let table: Ordered<Table, u32> = Ordered::new(1);
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| {
    ///         let mut token = Token::root(); // where a thread begins
    ///         *table.lock_with(&mut token).0 += 1;
    ///     });
    /// });
    /// assert_eq!(table.into_inner(), 2);
    /// ```
    #[must_use]
    pub fn root() -> Token<'static, Nothing> {
        Token::new()
    }
}

impl<L> Token<'_, L> {
    fn new() -> Self {
        Token {
            before: PhantomData,
            level: PhantomData,
        }
    }
}

impl<L> fmt::Debug for Token<'_, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

/// A level that is noted as held, in builds that check; until dropped.
struct Noted<L: Level> {
    level: PhantomData<fn() -> L>,
    here: PhantomData<*mut ()>,
}

impl<L: Level> Noted<L> {
    #[inline]
    fn new() -> Noted<L> {
        if cfg!(debug_assertions) {
            let allowed = L::Context::with_held(|held| held.note(L::RANK));
            // Panicking, this does not take its note back: what is held is wrong
            // by now, and so the message stays the first one.
            assert!(
                allowed,
                "a lock of level {} is taken with one of the same or a later level in hand",
                L::NAME
            );
        }
        Noted {
            level: PhantomData,
            here: PhantomData,
        }
    }
}

impl<L: Level> Drop for Noted<L> {
    #[inline]
    fn drop(&mut self) {
        if cfg!(debug_assertions) {
            L::Context::with_held(|held| held.clear(L::RANK));
        }
    }
}

/// A spin lock with a level.
///
/// ```
/// use ochre_sync::levels::Ordered;
///
/// ochre_sync::lock_order! { in ochre_sync::levels::ThisThread; Table, Files }
/// static TABLE: Ordered<Table, u32> = Ordered::new(1);
/// static FILES: Ordered<Files, u32> = Ordered::new(2);
///
/// let table = TABLE.lock();
/// let files = FILES.lock(); // the other way round panics where it is checked
/// assert_eq!(*table + *files, 3);
/// ```
pub struct Ordered<L, T: ?Sized, R = TestAndSet> {
    level: PhantomData<fn() -> L>,
    lock: Lock<R, T>,
}

impl<L: Level, T> Ordered<L, T> {
    maybe_const! {
        /// A free lock around `value`.
        ///
        /// ```
        /// use ochre_sync::levels::Ordered;
        ///
        /// ochre_sync::lock_order! { in ochre_sync::levels::ThisThread; Table, Files }
        /// static TABLE: Ordered<Table, u32> = Ordered::new(1);
        /// static FILES: Ordered<Files, u32> = Ordered::new(2);
        /// assert_eq!(*TABLE.lock() + *FILES.lock(), 3);
        /// ```
        #[must_use]
        pub fn new(value: T) -> Ordered<L, T> {
            Ordered::with_lock(Lock::with_raw(TestAndSet::new(), value))
        }
    }
}

impl<L, T, R> Ordered<L, T, R> {
    maybe_const! {
        /// Gives a lock of any kind a level.
        ///
        /// ```
        /// use ochre_sync::TicketLock;
        /// use ochre_sync::levels::Ordered;
        /// use ochre_sync::spin::Ticket;
        ///
        /// ochre_sync::lock_order! { in ochre_sync::levels::ThisThread; Queue }
        /// static QUEUE: Ordered<Queue, u32, Ticket> = Ordered::with_lock(TicketLock::new(1));
        /// assert_eq!(*QUEUE.lock(), 1);
        /// ```
        #[must_use]
        pub fn with_lock(lock: Lock<R, T>) -> Ordered<L, T, R> {
            Ordered { level: PhantomData, lock }
        }
    }

    /// Gives the value back; nobody else can hold the lock.
    ///
    /// ```
    /// use ochre_sync::levels::Ordered;
    ///
    /// ochre_sync::lock_order! { in ochre_sync::levels::ThisThread; Names }
    /// let names: Ordered<Names, Vec<&str>> = Ordered::new(Vec::new());
    /// names.lock().push("one");
    /// assert_eq!(names.into_inner(), ["one"]);
    /// ```
    pub fn into_inner(self) -> T {
        self.lock.into_inner()
    }
}

impl<L: Level, T: ?Sized, R: RawSpin> Ordered<L, T, R> {
    /// Takes the lock. Compiles only if what the token stands for comes before
    /// it; gives a token for what comes after.
    ///
    /// ```
    /// use ochre_sync::levels::{Before, Ordered, Token};
    ///
    /// ochre_sync::lock_order! { in ochre_sync::levels::Anywhere; Table, Files }
    /// static TABLE: Ordered<Table, u32> = Ordered::new(1);
    /// static FILES: Ordered<Files, u32> = Ordered::new(2);
    ///
    /// /// Called with the table held, or with nothing.
    /// fn files(token: &mut Token<'_, impl Before<Files>>) -> u32 {
    ///     *FILES.lock_with(token).0
    /// }
    ///
    /// let mut token = Token::root();
    /// assert_eq!(files(&mut token), 2);
    /// let (table, mut token) = TABLE.lock_with(&mut token);
    /// assert_eq!(*table + files(&mut token), 3);
    /// ```
    ///
    /// # Panics
    /// As [`lock`](Ordered::lock), if the token does not tell the truth.
    #[inline]
    pub fn lock_with<'t, H: Before<L>>(
        &'t self,
        _token: &'t mut Token<'_, H>,
    ) -> (OrderedGuard<'t, L, T, R>, Token<'t, L>) {
        (self.lock(), Token::new())
    }

    /// Takes the lock, where no token can be had.
    ///
    /// ```
    /// use ochre_sync::levels::Ordered;
    ///
    /// ochre_sync::lock_order! { in ochre_sync::levels::ThisThread; Table, Files }
    /// static TABLE: Ordered<Table, u32> = Ordered::new(1);
    /// static FILES: Ordered<Files, u32> = Ordered::new(2);
    ///
    /// struct Open;
    ///
    /// impl Drop for Open {
    ///     fn drop(&mut self) {
    ///         *FILES.lock() -= 1; // a drop is given no token
    ///     }
    /// }
    ///
    /// let table = TABLE.lock();
    /// drop(Open);
    /// assert_eq!(*table, 1);
    /// drop(table);
    /// assert_eq!(*FILES.lock(), 1);
    /// ```
    ///
    /// # Panics
    /// With debug assertions, if a lock of the same or a later level is held.
    #[inline]
    pub fn lock(&self) -> OrderedGuard<'_, L, T, R> {
        let noted = Noted::new();
        OrderedGuard {
            guard: self.lock.lock(),
            _noted: noted,
        }
    }

    /// The value, through an exclusive reference to the lock.
    ///
    /// ```
    /// use ochre_sync::levels::Ordered;
    ///
    /// ochre_sync::lock_order! { in ochre_sync::levels::ThisThread; Table }
    /// let mut table: Ordered<Table, u32> = Ordered::new(1);
    /// *table.get_mut() = 2; // nobody else knows it yet, so there is nothing to take
    /// assert_eq!(*table.lock(), 2);
    /// ```
    pub fn get_mut(&mut self) -> &mut T {
        self.lock.get_mut()
    }
}

impl<L, T: ?Sized + fmt::Debug, R: RawSpin> fmt::Debug for Ordered<L, T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.lock, f)
    }
}

/// Access to an [`Ordered`] lock's value; gives the lock back when dropped.
///
/// ```
/// use ochre_sync::levels::Ordered;
///
/// ochre_sync::lock_order! { in ochre_sync::levels::ThisThread; Table }
/// let table: Ordered<Table, u32> = Ordered::new(1);
/// let mut guard = table.lock();
/// *guard += 1;
/// drop(guard);
/// assert_eq!(table.into_inner(), 2);
/// ```
#[must_use = "the lock is given back at once if the guard is not kept"]
pub struct OrderedGuard<'t, L: Level, T: ?Sized, R: RawSpin = TestAndSet> {
    // First the lock goes, then the note.
    guard: Guard<'t, R, T>,
    _noted: Noted<L>,
}

impl<L: Level, T: ?Sized, R: RawSpin> Deref for OrderedGuard<'_, L, T, R> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<L: Level, T: ?Sized, R: RawSpin> DerefMut for OrderedGuard<'_, L, T, R> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}

impl<L: Level, T: ?Sized + fmt::Debug, R: RawSpin> fmt::Debug for OrderedGuard<'_, L, T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.guard, f)
    }
}

#[cfg(all(test, not(loom)))]
mod tests;

#[cfg(all(test, loom))]
mod loom_tests;
