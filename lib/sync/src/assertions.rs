//! Which types may be sent to other threads, and which may be shared. One line each.
//!
//! A change that would let a type out, or keep one in, does not compile.

/// The types are `Send`, `Sync` or whatever else the list asks for.
macro_rules! is {
    ($($type:ty: $trait:path),+ $(,)?) => {
        $(const _: fn() = || {
            fn holds<T: ?Sized + $trait>() {}
            holds::<$type>();
        };)+
    };
}

/// The types are not: if one were, there would be two `Either`s for it to be,
/// and the compiler could not say which is meant.
macro_rules! is_not {
    ($($type:ty: $trait:path),+ $(,)?) => {
        $(const _: fn() = || {
            struct Yes;
            trait Either<A> {
                const IT: () = ();
            }
            impl<T: ?Sized> Either<()> for T {}
            impl<T: ?Sized + $trait> Either<Yes> for T {}
            <$type as Either<_>>::IT
        };)+
    };
}

use core::cell::Cell;
/// `Send`, and not `Sync`.
type Unshared = Cell<u32>;
/// Neither.
type Local = *const u32;

#[cfg(feature = "alloc")]
mod arc {
    use super::{Local, Unshared};
    use crate::{Arc, Shared, Weak};

    is!(Arc<u32>: Send, Arc<u32>: Sync, Weak<u32>: Send, Weak<u32>: Sync, Arc<Local>: Unpin);
    is_not!(Arc<Unshared>: Send, Arc<Unshared>: Sync, Arc<Local>: Send, Arc<Local>: Sync);
    is_not!(Shared<Unshared>: Sync, Shared<Local>: Sync);
    is_not!(Weak<Unshared>: Send, Weak<Unshared>: Sync, Weak<Local>: Send, Weak<Local>: Sync);
}

mod spin {
    use super::{Local, Unshared};
    use crate::spin::{
        ClhGuard, ClhHandle, ClhLock, ClhNode, Depth, Guard, IrqSafe, Lock, McsLock, SpinLock,
        SpinLockGuard, TestAndSet, Ticket, TicketLock, TicketLockGuard,
    };

    is!(SpinLock<Unshared>: Send, SpinLock<Unshared>: Sync);
    is_not!(SpinLock<Local>: Send, SpinLock<Local>: Sync);
    is!(SpinLockGuard<'static, u32>: Sync);
    is_not!(SpinLockGuard<'static, u32>: Send, SpinLockGuard<'static, Unshared>: Sync);

    is!(TicketLock<Unshared>: Send, TicketLock<Unshared>: Sync, TicketLockGuard<'static, u32>: Sync);
    is_not!(TicketLock<Local>: Send, TicketLock<Local>: Sync);
    is_not!(TicketLockGuard<'static, u32>: Send, TicketLockGuard<'static, Unshared>: Sync);

    is!(McsLock<Unshared>: Send, McsLock<Unshared>: Sync);
    is_not!(McsLock<Local>: Send, McsLock<Local>: Sync);

    is!(ClhLock<'static, Unshared>: Send, ClhLock<'static, Unshared>: Sync);
    is_not!(ClhLock<'static, Local>: Send, ClhLock<'static, Local>: Sync);
    is!(ClhHandle<'static>: Send, ClhHandle<'static>: Sync, ClhNode: Send, ClhNode: Sync);
    is!(ClhGuard<'static, 'static, u32>: Sync);
    is_not!(ClhGuard<'static, 'static, u32>: Send, ClhGuard<'static, 'static, Unshared>: Sync);

    /// A machine's name does not matter to who may share the lock.
    type Irq<T> = Lock<IrqSafe<TestAndSet, Local>, T>;
    is!(Irq<Unshared>: Send, Irq<Unshared>: Sync, Depth: Send, Depth: Sync);
    is_not!(Irq<Local>: Send, Irq<Local>: Sync);
    is!(TestAndSet: Send, TestAndSet: Sync, Ticket: Send, Ticket: Sync);
    is_not!(Guard<'static, Ticket, u32>: Send);
}

mod once {
    use super::{Local, Unshared};
    use crate::Once;

    is!(Once<u32>: Send, Once<u32>: Sync, Once<Unshared>: Send);
    is_not!(Once<Unshared>: Sync, Once<Local>: Send);
}

mod lock {
    use super::{Local, Unshared};
    use crate::blocking::Spin;
    use crate::lock::{Barrier, BinarySemaphore, CallOnce, Condvar, LazyLock, OnceLock, Permit};
    use crate::lock::{MappedMutexGuard, Mutex, MutexGuard, RawMutex, RawRwLock, Semaphore};
    use crate::lock::{QueueMutex, QueueMutexGuard, RawQueueMutex};
    use crate::lock::{RwLock, RwLockReadGuard, RwLockWriteGuard};
    use crate::park::Parker;
    use crate::parking_lot::{ByteMutex, ParkingLot};

    is!(RawMutex<Spin>: Send, RawMutex<Spin>: Sync, Parker<Spin>: Send, Parker<Spin>: Sync);
    is!(Condvar<Spin>: Send, Condvar<Spin>: Sync);
    is!(RawQueueMutex<Spin>: Send, RawQueueMutex<Spin>: Sync);
    is!(QueueMutex<Unshared, Spin>: Send, QueueMutex<Unshared, Spin>: Sync);
    is_not!(QueueMutex<Local, Spin>: Send, QueueMutex<Local, Spin>: Sync);
    is!(QueueMutexGuard<'static, u32, Spin>: Sync);
    is_not!(QueueMutexGuard<'static, u32, Spin>: Send, QueueMutexGuard<'static, Unshared, Spin>: Sync);
    is!(ParkingLot<Spin>: Send, ParkingLot<Spin>: Sync);
    is!(ByteMutex<Local>: Send, ByteMutex<Local>: Sync);
    is!(Mutex<Unshared, Spin>: Send, Mutex<Unshared, Spin>: Sync);
    is_not!(Mutex<Local, Spin>: Send, Mutex<Local, Spin>: Sync);
    is!(MutexGuard<'static, u32, Spin>: Sync, MappedMutexGuard<'static, u32, Spin>: Sync);
    is_not!(MutexGuard<'static, u32, Spin>: Send, MutexGuard<'static, Unshared, Spin>: Sync);
    is_not!(MappedMutexGuard<'static, u32, Spin>: Send);
    is_not!(MappedMutexGuard<'static, Unshared, Spin>: Sync);
    is!(RawRwLock<Spin>: Send, RawRwLock<Spin>: Sync);
    is!(RwLock<u32, Spin>: Send, RwLock<u32, Spin>: Sync, RwLock<Unshared, Spin>: Send);
    is_not!(RwLock<Unshared, Spin>: Sync, RwLock<Local, Spin>: Send);
    is!(RwLockReadGuard<'static, u32, Spin>: Sync, RwLockWriteGuard<'static, u32, Spin>: Sync);
    is_not!(RwLockReadGuard<'static, u32, Spin>: Send, RwLockWriteGuard<'static, u32, Spin>: Send);
    is_not!(RwLockReadGuard<'static, Unshared, Spin>: Sync);
    is_not!(RwLockWriteGuard<'static, Unshared, Spin>: Sync);
    is!(Semaphore<Spin>: Send, Semaphore<Spin>: Sync, Permit<'static, Spin>: Send);
    is!(BinarySemaphore<Spin>: Send, BinarySemaphore<Spin>: Sync, Permit<'static, Spin>: Sync);
    is!(Barrier<Spin>: Send, Barrier<Spin>: Sync, CallOnce<Spin>: Send, CallOnce<Spin>: Sync);
    is!(OnceLock<u32, Spin>: Send, OnceLock<u32, Spin>: Sync, OnceLock<Unshared, Spin>: Send);
    is_not!(OnceLock<Unshared, Spin>: Sync, OnceLock<Local, Spin>: Send);
    is!(LazyLock<u32, Spin>: Send, LazyLock<u32, Spin>: Sync, LazyLock<Unshared, Spin>: Send);
    is_not!(LazyLock<Unshared, Spin>: Sync, LazyLock<Local, Spin>: Send);
    is_not!(LazyLock<u32, Spin, Local>: Send, LazyLock<u32, Spin, Local>: Sync);
}

/// What calls answer with, and the names of policies and backends.
mod answers {
    use super::{Local, Unshared};
    use crate::blocking::Spin;
    use crate::lock::{BarrierWaitResult, WaitTimeoutResult};
    use crate::lock::{Plain, PoisonError, Poisoning, TryLockError};
    use crate::parking_lot::{Park, Unpark};

    is!(BarrierWaitResult: Send, BarrierWaitResult: Sync);
    is!(WaitTimeoutResult: Send, WaitTimeoutResult: Sync);
    is!(Plain: Send, Plain: Sync, Poisoning: Send, Poisoning: Sync, Spin: Send, Spin: Sync);
    is!(Park: Send, Park: Sync, Unpark: Send, Unpark: Sync);
    // A guard in an error is a guard.
    is!(PoisonError<u32>: Send, PoisonError<u32>: Sync, TryLockError<u32>: Send, TryLockError<u32>: Sync);
    is_not!(PoisonError<Local>: Send, PoisonError<Unshared>: Sync);
    is_not!(TryLockError<Local>: Send, TryLockError<Unshared>: Sync);
    // Checkers have cells of their own.
    #[cfg(not(any(loom, shuttle)))]
    const _: () = {
        use crate::primitive::UnsafeCell;
        is!(UnsafeCell<Unshared>: Send);
        is_not!(UnsafeCell<u32>: Sync, UnsafeCell<Local>: Send);
    };

    #[cfg(all(feature = "std", target_os = "linux", not(loom), not(shuttle)))]
    const _: () = {
        use crate::blocking::{Blocking, Futex};
        type Monotonic = <Futex as Blocking>::Instant;
        use crate::host::{HostLot, Thread};
        use crate::levels::ThisThread;
        use crate::rcu::Host;
        is!(ThisThread: Send, ThisThread: Sync);
        is!(Futex: Send, Futex: Sync, Monotonic: Send, Monotonic: Sync);
        is!(Host: Send, Host: Sync, HostLot: Send, HostLot: Sync, Thread: Send, Thread: Sync);
    };
}

mod small {
    use super::{Local, Unshared};
    use crate::{Counter, Ids, RaceBox, RaceWord, SeqLock, SeqWords};

    is!(Counter<Local, 2>: Send, Counter<Local, 2>: Sync, Ids: Send, Ids: Sync);
    is!(SeqLock<Local, 2>: Send, SeqLock<Local, 2>: Sync, SeqWords<2>: Send, SeqWords<2>: Sync);
    is!(RaceWord: Send, RaceWord: Sync, RaceBox<u32>: Send, RaceBox<u32>: Sync);
    is!(RaceBox<Unshared>: Send);
    is_not!(RaceBox<Unshared>: Sync, RaceBox<Local>: Send, RaceBox<Local>: Sync);
}

#[cfg(feature = "alloc")]
mod channel {
    use super::{Local, Unshared};
    use crate::blocking::Spin;
    use crate::channel::mpsc::Receiver as Only;
    use crate::channel::select::{Receiving, Sending};
    use crate::channel::{Receiver, RecvFuture, SendError, SendFuture, Sender};

    is!(Sender<Unshared, Spin>: Send, Sender<Unshared, Spin>: Sync, Sender<Local, Spin>: Unpin);
    is!(Receiver<Unshared, Spin>: Send, Receiver<Unshared, Spin>: Sync);
    is!(Only<Unshared, Spin>: Send, Only<Unshared, Spin>: Sync);
    is_not!(Sender<Local, Spin>: Send, Sender<Local, Spin>: Sync);
    is_not!(Receiver<Local, Spin>: Send, Receiver<Local, Spin>: Sync);
    is_not!(Only<Local, Spin>: Send, Only<Local, Spin>: Sync, Only<u32, Spin>: Clone);
    is!(SendFuture<'static, Unshared, Spin>: Send, RecvFuture<'static, Unshared, Spin>: Send);
    is_not!(SendFuture<'static, Local, Spin>: Send, RecvFuture<'static, Local, Spin>: Send);
    is_not!(SendFuture<'static, u32, Spin>: Unpin, RecvFuture<'static, u32, Spin>: Unpin);
    is!(Sending<'static, u32, Spin>: Send, Receiving<'static, u32, Spin>: Send);
    is_not!(Sending<'static, u32, Spin>: Sync, Receiving<'static, u32, Spin>: Sync);
    is!(SendError<u32>: core::error::Error);
}

#[cfg(feature = "alloc")]
mod channel_ends {
    use super::{Local, Unshared};
    use crate::blocking::Spin;
    use crate::channel::mpsc;
    use crate::channel::select::Turn;
    use crate::channel::{IntoIter, Iter, TryIter};
    use crate::channel::{RecvError, RecvTimeoutError, TryRecvError};
    use crate::channel::{SendTimeoutError, TrySendError};

    is!(Iter<'static, Unshared, Spin>: Send, Iter<'static, Unshared, Spin>: Sync);
    is!(TryIter<'static, Unshared, Spin>: Send, IntoIter<Unshared, Spin>: Send);
    is_not!(Iter<'static, Local, Spin>: Send, TryIter<'static, Local, Spin>: Send);
    is_not!(IntoIter<Local, Spin>: Send);
    is!(mpsc::Iter<'static, Unshared, Spin>: Send, mpsc::TryIter<'static, Unshared, Spin>: Send);
    is!(mpsc::IntoIter<Unshared, Spin>: Send);
    is_not!(mpsc::Iter<'static, Local, Spin>: Send, mpsc::TryIter<'static, Local, Spin>: Send);
    is_not!(mpsc::IntoIter<Local, Spin>: Send);
    is!(RecvError: Send, RecvError: Sync, RecvTimeoutError: Send, RecvTimeoutError: Sync);
    is!(TryRecvError: Send, TryRecvError: Sync);
    is!(TrySendError<Unshared>: Send, SendTimeoutError<Unshared>: Send);
    is_not!(TrySendError<Local>: Send, SendTimeoutError<Local>: Send);
    is_not!(TrySendError<Unshared>: Sync, SendTimeoutError<Unshared>: Sync);
    is_not!(Turn<'static>: Clone);
}

mod oneshot {
    use super::{Local, Unshared};
    use crate::blocking::Spin;
    use crate::channel::oneshot::{Channel, Checked, Receiver, Sender};

    is!(Checked<Unshared>: Send, Checked<Unshared>: Sync);
    is!(Channel<Unshared, Spin>: Send, Channel<Unshared, Spin>: Sync);
    is!(Sender<'static, Unshared, Spin>: Send, Receiver<'static, Unshared, Spin>: Send);
    is!(Sender<'static, Unshared, Spin>: Sync, Receiver<'static, Unshared, Spin>: Sync);
    is!(Receiver<'static, Local, Spin>: Unpin);
    is_not!(Checked<Local>: Send, Checked<Local>: Sync);
    is_not!(Channel<Local, Spin>: Send, Channel<Local, Spin>: Sync);
    is_not!(Sender<'static, Local, Spin>: Send, Receiver<'static, Local, Spin>: Send);
    is_not!(Sender<'static, u32, Spin>: Clone, Receiver<'static, u32, Spin>: Clone);
    #[cfg(all(feature = "std", target_os = "linux", not(loom), not(shuttle)))]
    const _: () = {
        use crate::channel::oneshot::parked;
        is!(parked::Sender<'static, Unshared>: Send, parked::Channel<Unshared>: Sync);
        is_not!(parked::Sender<'static, Local>: Send, parked::Receiver<'static, u32>: Send);
    };
}

#[cfg(feature = "alloc")]
mod shared_list {
    use super::{Local, Unshared};
    use crate::{Chain, List, Node, Verdict};

    is!(Node<Unshared, u32>: Send, Node<Unshared, u32>: Sync, List<Unshared, u32>: Send);
    is!(Verdict: Send, Verdict: Sync);
    is!(List<u32, u32>: Sync, Chain<Unshared, u32>: Send);
    is_not!(Node<Local, u32>: Sync, Node<u32, Unshared>: Sync, List<Unshared, u32>: Sync);
    is_not!(List<u32, Unshared>: Send, List<Local, u32>: Send, Chain<u32, Unshared>: Send);
}

#[cfg(feature = "alloc")]
mod rcu {
    use super::{Local, Unshared};
    use crate::lockfree::{List, Queue, Stack};
    use crate::rcu::{
        Domain, Epoch, GracePeriod, Participant, Pinned, RcuBox, RcuCell, ReadGuard, State,
    };

    struct Here;
    // SAFETY: never called.
    unsafe impl Domain for Here {
        fn state() -> &'static State {
            unreachable!("types are looked at, nothing runs")
        }
    }

    is!(RcuCell<u32, Here>: Send, RcuCell<u32, Here>: Sync, RcuBox<u32>: Send, State: Sync);
    is_not!(RcuCell<Unshared, Here>: Sync, RcuCell<Unshared, Here>: Send);
    is_not!(RcuCell<Local, Here>: Send, RcuBox<Local>: Send);
    is!(Participant<Here>: Send, Participant<Here>: Sync, GracePeriod<Here>: Send);
    is!(Epoch<Here>: Send, ReadGuard<'static, Here>: Send);
    is_not!(Epoch<Here>: Sync, Pinned<'static, Here>: Send);
    is!(Stack<Unshared, Local>: Send, Stack<Unshared, Local>: Sync);
    is_not!(Stack<Local, Here>: Send, Stack<Local, Here>: Sync);
    is!(Queue<Unshared, Local>: Send, Queue<Unshared, Local>: Sync);
    is_not!(Queue<Local, Here>: Send, Queue<Local, Here>: Sync);
    is!(List<u32, Local>: Send, List<u32, Local>: Sync);
    is_not!(List<Unshared, Here>: Send, List<Unshared, Here>: Sync, List<Local, Here>: Send);
}

mod task {
    use super::{Local, Unshared};
    use crate::task::{
        Acquire, Event, Lock, Mutex, MutexGuard, Permit, Semaphore, WaitQueue, WaitUntil,
    };

    is!(Semaphore: Send, Semaphore: Sync, Permit<'static>: Send, Permit<'static>: Sync);
    is!(Acquire<'static>: Send, WaitQueue: Send, WaitQueue: Sync, Event: Send, Event: Sync);
    is_not!(Acquire<'static>: Unpin, WaitUntil<'static, ()>: Unpin, Lock<'static, u32>: Unpin);
    is!(WaitUntil<'static, u32>: Send, Lock<'static, Unshared>: Send);
    is_not!(WaitUntil<'static, Local>: Send, Lock<'static, Local>: Send);
    is!(Mutex<Unshared>: Send, Mutex<Unshared>: Sync);
    is_not!(Mutex<Local>: Send, Mutex<Local>: Sync);
    is!(MutexGuard<'static, Unshared>: Send, MutexGuard<'static, u32>: Sync);
    is_not!(MutexGuard<'static, Unshared>: Sync, MutexGuard<'static, Local>: Send);
}

mod levels {
    use super::{Local, Unshared};
    use crate::levels::{Anywhere, Held, Level, Nothing, Ordered, OrderedGuard, Token};

    struct Only;
    impl Level for Only {
        const RANK: u32 = 0;
        const NAME: &'static str = "Only";
        type Context = Anywhere;
    }

    is!(Ordered<Only, Unshared>: Send, Ordered<Only, Unshared>: Sync, Held: Sync);
    is_not!(Ordered<Only, Local>: Send, Ordered<Only, Local>: Sync);
    is_not!(OrderedGuard<'static, Only, u32>: Send, Token<'static, Nothing>: Send);
    is_not!(OrderedGuard<'static, Only, Unshared>: Sync);
}
