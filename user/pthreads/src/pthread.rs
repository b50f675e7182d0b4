//! glibc's synchronisation objects behind interfaces that safe code cannot misuse.
//!
//! Each object is boxed, for it must not move once it is used, and destroyed
//! when dropped. The calls answer what the C functions answer: 0 or an error
//! number. What they guard is nothing in Rust's sense; counters beside them
//! are atomics that the locks alone keep right.
//!
//! # Safety
//! An object may be used through shared references from any thread: that is
//! what POSIX says of each of these functions. It is initialised before `new`
//! returns, and can be destroyed only when nobody borrows it any more.

use core::{cell::UnsafeCell, mem::MaybeUninit, ptr, time::Duration};

use libc::{c_int, clockid_t, timespec};

unsafe extern "C" {
    fn pthread_mutex_clocklock(
        mutex: *mut libc::pthread_mutex_t,
        clock: clockid_t,
        until: *const timespec,
    ) -> c_int;
    fn pthread_mutexattr_setprioceiling(
        attributes: *mut libc::pthread_mutexattr_t,
        ceiling: c_int,
    ) -> c_int;
    fn pthread_mutex_getprioceiling(
        mutex: *const libc::pthread_mutex_t,
        ceiling: *mut c_int,
    ) -> c_int;
    fn pthread_mutex_setprioceiling(
        mutex: *mut libc::pthread_mutex_t,
        ceiling: c_int,
        old: *mut c_int,
    ) -> c_int;
    fn pthread_rwlock_clockrdlock(
        lock: *mut libc::pthread_rwlock_t,
        clock: clockid_t,
        until: *const timespec,
    ) -> c_int;
    fn pthread_rwlock_clockwrlock(
        lock: *mut libc::pthread_rwlock_t,
        clock: clockid_t,
        until: *const timespec,
    ) -> c_int;
    fn pthread_cond_clockwait(
        cond: *mut libc::pthread_cond_t,
        mutex: *mut libc::pthread_mutex_t,
        clock: clockid_t,
        until: *const timespec,
    ) -> c_int;
    fn pthread_rwlock_timedrdlock(
        lock: *mut libc::pthread_rwlock_t,
        until: *const timespec,
    ) -> c_int;
    fn pthread_rwlock_timedwrlock(
        lock: *mut libc::pthread_rwlock_t,
        until: *const timespec,
    ) -> c_int;
}

/// `PTHREAD_RWLOCK_PREFER_READER_NP`, which the crate `libc` does not have.
pub(crate) const PREFER_READER: c_int = 0;
/// `PTHREAD_RWLOCK_PREFER_WRITER_NP`, likewise: glibc lets readers past waiting
/// writers all the same, as they may have the lock already.
pub(crate) const PREFER_WRITER_RECURSIVE: c_int = 1;
/// `PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP`, likewise.
pub(crate) const PREFER_WRITER: c_int = 2;

/// A C object at an address of its own.
#[derive(Debug)]
struct Pinned<T>(Box<UnsafeCell<MaybeUninit<T>>>);

impl<T> Pinned<T> {
    fn new() -> Self {
        Self(Box::new(UnsafeCell::new(MaybeUninit::uninit())))
    }

    fn get(&self) -> *mut T {
        self.0.get().cast()
    }
}

/// Declares a wrapper and its methods that take nothing but the object.
macro_rules! object {
    ($(#[$doc:meta])* $name:ident($c:ident), $destroy:ident; $($(#[$what:meta])* $method:ident => $function:ident),* $(,)?) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub(crate) struct $name(Pinned<libc::$c>);

        // SAFETY: POSIX lets every thread use an initialised object; see the
        // head of this file.
        unsafe impl Send for $name {}
        // SAFETY: as above.
        unsafe impl Sync for $name {}

        impl $name {
            $(
                $(#[$what])*
                pub(crate) fn $method(&self) -> c_int {
                    // SAFETY: the object is initialised and lives as long as
                    // the borrow.
                    unsafe { libc::$function(self.0.get()) }
                }
            )*
        }

        impl Drop for $name {
            fn drop(&mut self) {
                // SAFETY: nobody borrows the object any more.
                let _ = unsafe { libc::$destroy(self.0.get()) };
            }
        }
    };
}

object! {
    /// A mutex.
    Mutex(pthread_mutex_t), pthread_mutex_destroy;
    /// Waits for it.
    lock => pthread_mutex_lock,
    /// Takes it if it is free.
    try_lock => pthread_mutex_trylock,
    /// Gives it back.
    unlock => pthread_mutex_unlock,
    /// Says that what a dead owner left is in order again.
    consistent => pthread_mutex_consistent,
}

object! {
    /// A read-write lock.
    RwLock(pthread_rwlock_t), pthread_rwlock_destroy;
    /// Waits for a share.
    read => pthread_rwlock_rdlock,
    /// Takes a share if one is to be had.
    try_read => pthread_rwlock_tryrdlock,
    /// Waits for the whole.
    write => pthread_rwlock_wrlock,
    /// Takes the whole if it is free.
    try_write => pthread_rwlock_trywrlock,
    /// Gives back what the caller has.
    unlock => pthread_rwlock_unlock,
}

object! {
    /// A condition variable.
    Cond(pthread_cond_t), pthread_cond_destroy;
    /// Wakes one who waits.
    signal => pthread_cond_signal,
    /// Wakes all who wait.
    broadcast => pthread_cond_broadcast,
}

object! {
    /// A barrier.
    Barrier(pthread_barrier_t), pthread_barrier_destroy;
    /// Waits for the others; one of them is answered
    /// `PTHREAD_BARRIER_SERIAL_THREAD`.
    wait => pthread_barrier_wait,
}

object! {
    /// A spin lock.
    Spin(pthread_spinlock_t), pthread_spin_destroy;
    /// Spins for it.
    lock => pthread_spin_lock,
    /// Takes it if it is free.
    try_lock => pthread_spin_trylock,
    /// Gives it back.
    unlock => pthread_spin_unlock,
}

object! {
    /// A semaphore; its calls answer -1 and leave the error in `errno`.
    Semaphore(sem_t), sem_destroy;
    /// Waits for a unit.
    wait => sem_wait,
    /// Takes a unit if there is one.
    try_wait => sem_trywait,
    /// Adds a unit.
    post => sem_post,
}

/// Which mutex is wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    /// `PTHREAD_MUTEX_NORMAL` and the like.
    pub(crate) kind: c_int,
    /// `PTHREAD_PRIO_NONE` and the like.
    pub(crate) protocol: c_int,
    /// Whether the death of its owner is told to the next one.
    pub(crate) robust: bool,
    /// With `PTHREAD_PRIO_PROTECT`: the priority that who has it is lifted to.
    pub(crate) ceiling: c_int,
}

impl Kind {
    /// One that does nothing special but be of this kind.
    pub(crate) const fn plain(kind: c_int) -> Self {
        Self {
            kind,
            protocol: libc::PTHREAD_PRIO_NONE,
            robust: false,
            ceiling: 0,
        }
    }
}

impl Mutex {
    /// A mutex of this kind, or the error that it cannot be had for.
    pub(crate) fn new(kind: Kind) -> Result<Self, c_int> {
        let place = Pinned::new();
        // SAFETY: the place is not used yet, and stays where it is.
        unsafe { Self::init(place.get(), kind, false) }?;
        Ok(Self(place))
    }

    /// Initialises a mutex at a place, for several processes if asked.
    ///
    /// # Safety
    /// The place is valid for writes and holds no mutex that is in use.
    pub(crate) unsafe fn init(
        place: *mut libc::pthread_mutex_t,
        kind: Kind,
        shared: bool,
    ) -> Result<(), c_int> {
        let mut attributes = MaybeUninit::uninit();
        let attributes = attributes.as_mut_ptr();
        let robust = if kind.robust {
            libc::PTHREAD_MUTEX_ROBUST
        } else {
            libc::PTHREAD_MUTEX_STALLED
        };
        // SAFETY: a local place for the attributes.
        check(unsafe { libc::pthread_mutexattr_init(attributes) })?;
        // SAFETY: initialised above; here and in the next three calls.
        check(unsafe { libc::pthread_mutexattr_settype(attributes, kind.kind) })?;
        // SAFETY: as above.
        check(unsafe { libc::pthread_mutexattr_setprotocol(attributes, kind.protocol) })?;
        // SAFETY: as above.
        check(unsafe { libc::pthread_mutexattr_setrobust(attributes, robust) })?;
        // SAFETY: as above.
        check(unsafe { libc::pthread_mutexattr_setpshared(attributes, sharing(shared)) })?;
        if kind.protocol == libc::PTHREAD_PRIO_PROTECT {
            // SAFETY: as above.
            check(unsafe { pthread_mutexattr_setprioceiling(attributes, kind.ceiling) })?;
        }
        // SAFETY: the place is the caller's promise, the attributes are
        // initialised.
        check(unsafe { libc::pthread_mutex_init(place, attributes) })
    }

    /// The priority that who has it is lifted to, or the error.
    pub(crate) fn ceiling(&self) -> Result<c_int, c_int> {
        let mut ceiling = 0;
        // SAFETY: initialised; the ceiling is a local.
        check(unsafe { pthread_mutex_getprioceiling(self.0.get(), &raw mut ceiling) })?;
        Ok(ceiling)
    }

    /// Changes it, and gives what it was.
    pub(crate) fn set_ceiling(&self, ceiling: c_int) -> Result<c_int, c_int> {
        let mut old = 0;
        // SAFETY: initialised; the old ceiling is a local.
        check(unsafe { pthread_mutex_setprioceiling(self.0.get(), ceiling, &raw mut old) })?;
        Ok(old)
    }

    /// Waits for it until a moment of the real-time clock.
    pub(crate) fn lock_until(&self, until: timespec) -> c_int {
        // SAFETY: initialised; the time lives for the call.
        unsafe { libc::pthread_mutex_timedlock(self.0.get(), &raw const until) }
    }

    /// Waits for it until a moment of this clock.
    pub(crate) fn lock_by(&self, clock: clockid_t, until: timespec) -> c_int {
        // SAFETY: as above.
        unsafe { pthread_mutex_clocklock(self.0.get(), clock, &raw const until) }
    }
}

impl RwLock {
    /// A lock of this kind, like [`PREFER_READER`].
    pub(crate) fn new(kind: c_int) -> Self {
        let place = Pinned::new();
        // SAFETY: the place is not used yet, and stays where it is.
        unsafe { Self::init(place.get(), kind, false) };
        Self(place)
    }

    /// Initialises one at a place, for several processes if asked.
    ///
    /// # Safety
    /// The place is valid for writes and holds none that is in use.
    pub(crate) unsafe fn init(place: *mut libc::pthread_rwlock_t, kind: c_int, shared: bool) {
        let mut attributes = MaybeUninit::uninit();
        let attributes = attributes.as_mut_ptr();
        // SAFETY: a local place for the attributes.
        expect(unsafe { libc::pthread_rwlockattr_init(attributes) });
        // SAFETY: initialised above; here and in the next call.
        expect(unsafe { libc::pthread_rwlockattr_setkind_np(attributes, kind) });
        // SAFETY: as above.
        expect(unsafe { libc::pthread_rwlockattr_setpshared(attributes, sharing(shared)) });
        // SAFETY: the place is the caller's promise.
        expect(unsafe { libc::pthread_rwlock_init(place, attributes) });
    }

    /// Waits for a share until a moment of this clock.
    pub(crate) fn read_by(&self, clock: clockid_t, until: timespec) -> c_int {
        // SAFETY: initialised; the time lives for the call.
        unsafe { pthread_rwlock_clockrdlock(self.0.get(), clock, &raw const until) }
    }

    /// Waits for the whole until a moment of this clock.
    pub(crate) fn write_by(&self, clock: clockid_t, until: timespec) -> c_int {
        // SAFETY: as above.
        unsafe { pthread_rwlock_clockwrlock(self.0.get(), clock, &raw const until) }
    }

    /// Waits for a share until a moment of the real-time clock.
    pub(crate) fn read_until(&self, until: timespec) -> c_int {
        // SAFETY: initialised; the time lives for the call.
        unsafe { pthread_rwlock_timedrdlock(self.0.get(), &raw const until) }
    }

    /// Waits for the whole until a moment of the real-time clock.
    pub(crate) fn write_until(&self, until: timespec) -> c_int {
        // SAFETY: as above.
        unsafe { pthread_rwlock_timedwrlock(self.0.get(), &raw const until) }
    }
}

impl Cond {
    /// A condition variable that measures time by this clock.
    pub(crate) fn new(clock: clockid_t) -> Self {
        let place = Pinned::new();
        // SAFETY: the place is not used yet, and stays where it is.
        unsafe { Self::init(place.get(), clock, false) };
        Self(place)
    }

    /// Initialises one at a place, for several processes if asked.
    ///
    /// # Safety
    /// The place is valid for writes and holds none that is in use.
    pub(crate) unsafe fn init(place: *mut libc::pthread_cond_t, clock: clockid_t, shared: bool) {
        let mut attributes = MaybeUninit::uninit();
        let attributes = attributes.as_mut_ptr();
        // SAFETY: a local place for the attributes.
        expect(unsafe { libc::pthread_condattr_init(attributes) });
        // SAFETY: initialised above; here and in the next call.
        expect(unsafe { libc::pthread_condattr_setclock(attributes, clock) });
        // SAFETY: as above.
        expect(unsafe { libc::pthread_condattr_setpshared(attributes, sharing(shared)) });
        // SAFETY: the place is the caller's promise.
        expect(unsafe { libc::pthread_cond_init(place, attributes) });
    }

    /// Gives the mutex back, waits, and takes it again.
    pub(crate) fn wait(&self, mutex: &Mutex) -> c_int {
        // SAFETY: both are initialised and live.
        unsafe { libc::pthread_cond_wait(self.0.get(), mutex.0.get()) }
    }

    /// The same, until a moment of the clock it was made with.
    pub(crate) fn wait_until(&self, mutex: &Mutex, until: timespec) -> c_int {
        // SAFETY: as above; the time lives for the call.
        unsafe { libc::pthread_cond_timedwait(self.0.get(), mutex.0.get(), &raw const until) }
    }

    /// The same, until a moment of this clock.
    pub(crate) fn wait_by(&self, mutex: &Mutex, clock: clockid_t, until: timespec) -> c_int {
        // SAFETY: as above.
        unsafe { pthread_cond_clockwait(self.0.get(), mutex.0.get(), clock, &raw const until) }
    }
}

impl Barrier {
    /// A barrier for so many threads, or the error.
    pub(crate) fn new(count: u32) -> Result<Self, c_int> {
        let place = Pinned::new();
        // SAFETY: a place of ours, default attributes.
        check(unsafe { libc::pthread_barrier_init(place.get(), ptr::null(), count) })?;
        Ok(Self(place))
    }

    /// Initialises one at a place, for several processes.
    ///
    /// # Safety
    /// The place is valid for writes and holds none that is in use.
    pub(crate) unsafe fn init(place: *mut libc::pthread_barrier_t, count: u32) {
        let mut attributes = MaybeUninit::uninit();
        let attributes = attributes.as_mut_ptr();
        // SAFETY: a local place for the attributes.
        expect(unsafe { libc::pthread_barrierattr_init(attributes) });
        // SAFETY: initialised above.
        expect(unsafe { libc::pthread_barrierattr_setpshared(attributes, sharing(true)) });
        // SAFETY: the place is the caller's promise.
        expect(unsafe { libc::pthread_barrier_init(place, attributes, count) });
    }
}

impl Spin {
    /// A spin lock.
    pub(crate) fn new() -> Self {
        let place = Pinned::new();
        // SAFETY: a place of ours.
        expect(unsafe { libc::pthread_spin_init(place.get(), libc::PTHREAD_PROCESS_PRIVATE) });
        Self(place)
    }
}

impl Semaphore {
    /// A semaphore with so many units.
    pub(crate) fn new(units: u32) -> Self {
        let place = Pinned::new();
        // SAFETY: a place of ours.
        expect(unsafe { libc::sem_init(place.get(), 0, units) });
        Self(place)
    }

    /// Waits for a unit until a moment of the real-time clock.
    pub(crate) fn wait_until(&self, until: timespec) -> c_int {
        // SAFETY: initialised; the time lives for the call.
        unsafe { libc::sem_timedwait(self.0.get(), &raw const until) }
    }

    /// How many units there are.
    pub(crate) fn value(&self) -> i32 {
        let mut value = 0;
        // SAFETY: initialised; the value is a local.
        unsafe { libc::sem_getvalue(self.0.get(), &raw mut value) };
        value
    }
}

fn sharing(shared: bool) -> c_int {
    if shared {
        libc::PTHREAD_PROCESS_SHARED
    } else {
        libc::PTHREAD_PROCESS_PRIVATE
    }
}

fn check(answer: c_int) -> Result<(), c_int> {
    if answer == 0 { Ok(()) } else { Err(answer) }
}

#[track_caller]
fn expect(answer: c_int) {
    assert_eq!(answer, 0, "initialising with valid arguments");
}

/// The kernel's policy and priority of this thread.
pub(crate) fn priority() -> String {
    let mut parameter = libc::sched_param { sched_priority: 0 };
    // SAFETY: asks about the calling thread.
    let policy = unsafe { libc::sched_getscheduler(0) };
    // SAFETY: likewise; the parameter is a local.
    unsafe { libc::sched_getparam(0, &raw mut parameter) };
    format!("policy {policy}, priority {}", parameter.sched_priority)
}

/// Makes this thread a real-time one.
pub(crate) fn set_priority(priority: c_int) -> c_int {
    let parameter = libc::sched_param {
        sched_priority: priority,
    };
    // SAFETY: takes nothing.
    let own = unsafe { libc::pthread_self() };
    // SAFETY: the calling thread; the parameter lives for the call.
    unsafe { libc::pthread_setschedparam(own, libc::SCHED_FIFO, &raw const parameter) }
}

/// What a clock shows.
pub(crate) fn now(clock: clockid_t) -> timespec {
    let mut time = timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the time is a local.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    time
}

/// A moment so much after what a clock shows.
pub(crate) fn after(clock: clockid_t, wait: Duration) -> timespec {
    let now = now(clock);
    let nanoseconds = now.tv_nsec + i64::from(wait.subsec_nanos());
    timespec {
        tv_sec: now.tv_sec + wait.as_secs() as i64 + nanoseconds / 1_000_000_000,
        tv_nsec: nanoseconds % 1_000_000_000,
    }
}

/// Whether a clock has reached a moment.
pub(crate) fn reached(clock: clockid_t, moment: timespec) -> bool {
    let now = now(clock);
    (now.tv_sec, now.tv_nsec) >= (moment.tv_sec, moment.tv_nsec)
}

/// The C library's error of the calling thread.
pub(crate) fn errno() -> c_int {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}
