//! The allocation that `Arc` and `Weak` point to, and its counts.
//!
//! # Who touches what
//! | field | read | written |
//! | --- | --- | --- |
//! | `strong`, `weak` | every handle | every handle |
//! | `value` | by whoever has an `Arc` | by the only handle: `get_mut`, `make_mut`, the last drop |
//! | `access` | with `value` | with `value`; it is nothing, except to loom |

use core::cell;
use core::mem::ManuallyDrop;
use core::ptr::NonNull;

use crate::primitive::UnsafeCell;
use crate::primitive::atomic::AtomicUsize;

/// The most that a count may be before something is added to it.
pub(super) const MAX_COUNT: usize = usize::MAX / 2;

/// What `weak` holds while `get_mut` looks.
pub(super) const LOCKED: usize = usize::MAX;

/// The counts. Of one size whatever the value is, so that memory for slices
/// can be laid out.
pub(super) struct Header {
    pub(super) strong: AtomicUsize,
    pub(super) weak: AtomicUsize,
    /// Accessed whenever the value is: loom watches this instead of the value,
    /// whose layout it would change.
    pub(super) access: UnsafeCell<()>,
}

impl Header {
    pub(super) fn new(strong: usize) -> Header {
        Header {
            strong: AtomicUsize::new(strong),
            weak: AtomicUsize::new(1),
            access: UnsafeCell::new(()),
        }
    }
}

/// The counts and the value.
#[repr(C)]
pub(super) struct Inner<T: ?Sized> {
    pub(super) header: Header,
    /// Dropped by hand when `strong` reaches 0, long before the memory is freed.
    pub(super) value: cell::UnsafeCell<ManuallyDrop<T>>,
}

impl<T> Inner<T> {
    pub(super) fn new(strong: usize, value: T) -> Inner<T> {
        Inner {
            header: Header::new(strong),
            value: cell::UnsafeCell::new(ManuallyDrop::new(value)),
        }
    }
}

/// Where the value is.
///
/// # Safety
/// The memory `inner` points to must not have been freed.
#[inline]
pub(super) unsafe fn value<T: ?Sized>(inner: NonNull<Inner<T>>) -> *mut T {
    // SAFETY: the memory is there, says the caller; nothing is read.
    let value = unsafe { &raw mut (*inner.as_ptr()).value };
    value as *mut T
}

/// What an [`Arc`](super::Arc) points to, as seen by the coercion given to
/// [`Arc::unsize`](super::Arc::unsize). Nothing can be done with it but to coerce
/// references to it.
///
/// ```
/// use core::any::Any;
/// use ochre_sync::{Arc, Shared};
///
/// fn as_any(shared: &Shared<u32>) -> &Shared<dyn Any> {
///     shared
/// }
///
/// assert!(Arc::unsize(Arc::new(7), as_any).is::<u32>());
/// ```
#[repr(transparent)]
pub struct Shared<T: ?Sized>(cell::UnsafeCell<Inner<T>>);

/// Ends the program: a count is so high that going on would be undefined.
#[cold]
#[inline(never)]
pub(super) fn overflow() -> ! {
    #[cfg(feature = "std")]
    std::process::abort();
    #[cfg(not(feature = "std"))]
    no_unwinding();
}

/// A panic cannot leave a function with the C calling convention: it ends the
/// program there.
#[cfg(not(feature = "std"))]
extern "C" fn no_unwinding() -> ! {
    panic!("too many references to one value");
}
