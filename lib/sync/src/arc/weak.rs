//! `Weak`: knows a value without keeping it alive.
//!
//! # What must hold
//! While a `Weak` exists, `weak >= 1`, so the memory is there; the value need not be.

use alloc::alloc::dealloc;
use core::alloc::Layout;
use core::fmt;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::num::NonZero;
use core::ptr::{self, NonNull};

use super::Arc;
use super::inner::{self, Header, Inner, MAX_COUNT, overflow};
use crate::primitive::atomic::{Ordering, fence};

/// Knows a value that [`Arc`]s own, without being an owner.
///
/// For the way back in a circle (a child's parent), for caches, for lists of
/// those who want to hear of something.
///
/// ```
/// use ochre_sync::Arc;
///
/// let value = Arc::new(String::from("here"));
/// let weak = Arc::downgrade(&value);
/// assert_eq!(*weak.upgrade().unwrap(), "here");
/// drop(value);
/// assert!(weak.upgrade().is_none());
/// ```
#[repr(transparent)]
pub struct Weak<T: ?Sized> {
    /// May dangle: address `usize::MAX`, where no `Inner` fits, is [`Weak::new`]'s.
    inner: NonNull<Inner<T>>,
    owns: PhantomData<Inner<T>>,
}

// SAFETY: a `Weak` becomes an `Arc` wherever it is sent, so it needs what `Arc` needs.
unsafe impl<T: ?Sized + Send + Sync> Send for Weak<T> {}
// SAFETY: as above; an `&Weak` can be upgraded on another thread.
unsafe impl<T: ?Sized + Send + Sync> Sync for Weak<T> {}

impl<T> Weak<T> {
    /// A `Weak` to nothing, which takes no memory.
    ///
    /// ```
    /// use ochre_sync::Weak;
    ///
    /// static NOBODY: Weak<u32> = Weak::new();
    /// assert!(NOBODY.upgrade().is_none());
    /// ```
    #[must_use]
    pub const fn new() -> Weak<T> {
        Weak {
            inner: NonNull::without_provenance(NonZero::<usize>::MAX),
            owns: PhantomData,
        }
    }

    /// Where the value is, if it is still there; some address otherwise.
    ///
    /// ```
    /// use ochre_sync::Arc;
    ///
    /// let value = Arc::new(1);
    /// assert_eq!(Arc::downgrade(&value).as_ptr(), Arc::as_ptr(&value));
    /// ```
    #[must_use]
    pub fn as_ptr(&self) -> *const T {
        if self.dangles() {
            // A handle to nothing survives the way through a pointer: `from_raw`
            // comes to the same address again.
            return self
                .inner
                .as_ptr()
                .wrapping_byte_add(Self::OFFSET)
                .cast::<T>();
        }
        // SAFETY: the memory is there as long as this handle is.
        unsafe { inner::value(self.inner) }
    }

    /// Turns the handle into a pointer; [`from_raw`](Weak::from_raw) turns it
    /// back. The count stays as it is.
    ///
    /// ```
    /// use ochre_sync::{Arc, Weak};
    ///
    /// let value = Arc::new(1);
    /// let pointer = Arc::downgrade(&value).into_raw();
    /// assert_eq!(Arc::weak_count(&value), 1);
    /// // SAFETY: from `into_raw`, used once.
    /// drop(unsafe { Weak::from_raw(pointer) });
    /// assert_eq!(Arc::weak_count(&value), 0);
    /// ```
    #[must_use = "the memory is leaked unless the pointer comes back to from_raw"]
    pub fn into_raw(self) -> *const T {
        ManuallyDrop::new(self).as_ptr()
    }

    /// Turns a pointer from [`into_raw`](Weak::into_raw) back into the handle.
    ///
    /// ```
    /// use ochre_sync::{Arc, Weak};
    ///
    /// let value = Arc::new(1);
    /// let pointer = Arc::downgrade(&value).into_raw();
    /// drop(value);
    /// // SAFETY: from `into_raw`, used once; that the value is gone does not matter.
    /// let weak = unsafe { Weak::from_raw(pointer) };
    /// assert!(weak.upgrade().is_none());
    /// ```
    ///
    /// # Safety
    /// The pointer must come from `into_raw` of a `Weak<T>`, and be used for this once.
    #[must_use]
    pub unsafe fn from_raw(pointer: *const T) -> Weak<T> {
        let inner = pointer.wrapping_byte_sub(Self::OFFSET).cast_mut().cast();
        // SAFETY: an allocation's start, or `Weak::new`'s address; neither is null.
        let inner = unsafe { NonNull::new_unchecked(inner) };
        // SAFETY: `into_raw` gave up its handle without taking the count back.
        unsafe { Weak::from_inner(inner) }
    }

    /// How far the value is inside its `Inner`.
    const OFFSET: usize = core::mem::offset_of!(Inner<T>, value);
}

impl<T: ?Sized> Weak<T> {
    /// A `Weak` at an allocation.
    ///
    /// # Safety
    /// `weak` must count this handle.
    #[inline]
    pub(super) unsafe fn from_inner(inner: NonNull<Inner<T>>) -> Weak<T> {
        Weak {
            inner,
            owns: PhantomData,
        }
    }

    /// Whether this is [`Weak::new`]'s.
    #[inline]
    fn dangles(&self) -> bool {
        self.inner.as_ptr().cast::<()>().addr() == usize::MAX
    }

    /// The counts. Not for a handle to nothing.
    #[inline]
    pub(super) fn header(&self) -> &Header {
        // SAFETY: the memory is there as long as this handle is; callers have
        // made sure that it is not one to nothing.
        unsafe { &(*self.inner.as_ptr()).header }
    }

    /// An owner, if the value is still there.
    ///
    /// ```
    /// use ochre_sync::Arc;
    ///
    /// let picture = Arc::new([0; 64]);
    /// let cached = Arc::downgrade(&picture);
    /// let found = cached.upgrade();
    /// drop(picture);
    /// assert!(cached.upgrade().is_some(), "what was found is an owner");
    /// drop(found);
    /// assert!(cached.upgrade().is_none());
    /// ```
    ///
    /// # Panics
    /// If there are more than `usize::MAX / 2` owners.
    #[must_use]
    pub fn upgrade(&self) -> Option<Arc<T>> {
        if self.dangles() {
            return None;
        }
        let strong = &self.header().strong;
        // ORDERING: Relaxed; the compare-exchange looks again.
        let mut count = strong.load(Ordering::Relaxed);
        loop {
            // 0 is for ever, but for `new_cyclic` and `make_mut`, whose value is not
            // there (yet).
            if count == 0 {
                return None;
            }
            assert!(count <= MAX_COUNT, "too many references to one value");
            // ORDERING: Acquire pairs with the Release of `new_cyclic`, whose
            // `Weak`s are out before the value is there. Everything else that an
            // owner may see it owes to how it got this `Weak`.
            match strong.compare_exchange_weak(
                count,
                count + 1,
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                // SAFETY: `strong` was not 0, so the value is there, and counts the new handle.
                Ok(_) => return Some(unsafe { Arc::from_inner(self.inner) }),
                Err(seen) => count = seen,
            }
        }
    }

    /// How many [`Arc`]s there are. It may have changed before the caller looks at it.
    ///
    /// ```
    /// use ochre_sync::{Arc, Weak};
    ///
    /// let value = Arc::new(1);
    /// let weak = Arc::downgrade(&value);
    /// assert_eq!((weak.strong_count(), Weak::<u32>::new().strong_count()), (1, 0));
    /// ```
    #[must_use]
    pub fn strong_count(&self) -> usize {
        if self.dangles() {
            return 0;
        }
        // ORDERING: Relaxed; a number to look at, nothing follows from it.
        self.header().strong.load(Ordering::Relaxed)
    }

    /// Whether two `Weak`s know the same value, or both nothing.
    ///
    /// ```
    /// use ochre_sync::{Arc, Weak};
    ///
    /// let (one, other) = (Arc::new(1), Arc::new(1));
    /// let mut observers = vec![Arc::downgrade(&one), Arc::downgrade(&other)];
    /// // One no longer wants to hear of it.
    /// observers.retain(|weak| !weak.ptr_eq(&Arc::downgrade(&one)));
    /// assert_eq!(observers.len(), 1);
    /// assert!(Weak::<u32>::new().ptr_eq(&Weak::new()));
    /// ```
    #[must_use]
    pub fn ptr_eq(&self, other: &Weak<T>) -> bool {
        ptr::addr_eq(self.inner.as_ptr(), other.inner.as_ptr())
    }
}

impl<T: ?Sized> Clone for Weak<T> {
    #[inline]
    fn clone(&self) -> Weak<T> {
        if !self.dangles() {
            // ORDERING: Relaxed; as for `Arc`. `LOCKED` is never met here: it is
            // taken from 1, that is, when there is no `Weak`.
            let before = self.header().weak.fetch_add(1, Ordering::Relaxed);
            if before > MAX_COUNT {
                overflow();
            }
        }
        // SAFETY: `weak` counts the new handle.
        unsafe { Weak::from_inner(self.inner) }
    }
}

impl<T: ?Sized> Drop for Weak<T> {
    #[inline]
    fn drop(&mut self) {
        if self.dangles() {
            return;
        }
        // ORDERING: Release: what this handle did with the memory (and the drop
        // of the value, if this is the one of the last `Arc`) happens before it
        // is freed.
        if self.header().weak.fetch_sub(1, Ordering::Release) != 1 {
            return;
        }
        // ORDERING: Acquire: the other side of that Release.
        fence(Ordering::Acquire);
        self.header().access.with_mut(|_| ());
        // SAFETY: the memory is still there.
        let layout = Layout::for_value(unsafe { &*self.inner.as_ptr() });
        // SAFETY: this was the last handle, so nobody looks at the counts again (`repr(C)`: they come first).
        // (Plain numbers need no drop; loom's do.)
        unsafe { self.inner.cast::<Header>().drop_in_place() };
        // SAFETY: allocated by the global allocator with the layout of this
        // `Inner`, and this was the last handle.
        unsafe { dealloc(self.inner.as_ptr().cast(), layout) };
    }
}

impl<T> Default for Weak<T> {
    fn default() -> Weak<T> {
        Weak::new()
    }
}

impl<T: ?Sized> fmt::Debug for Weak<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(Weak)")
    }
}
