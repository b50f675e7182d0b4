//! `Arc`: one of the owners.
//!
//! # What must hold
//! While an `Arc` exists, `strong >= 1`, the value is alive, and `weak >= 1` (the
//! one that all `Arc`s share), so its memory is there.

use alloc::alloc::alloc;
use alloc::boxed::Box;
use core::alloc::Layout;
use core::marker::PhantomData;
use core::mem::{self, ManuallyDrop, MaybeUninit};
use core::ops::Deref;
use core::pin::Pin;
use core::ptr::{self, NonNull};

use super::Weak;
use super::inner::{self, Header, Inner, LOCKED, MAX_COUNT, Shared, overflow};
use crate::primitive::atomic::{Ordering, fence};
use crate::primitive::spin_loop;

/// One of the owners of a value, which lives as long as it has one.
///
/// Give each thread a clone. A clone costs one read-modify-write, and all clones
/// write the same cache line: where a reference will do, lend one. Where owners
/// form a circle, one of them must be a [`Weak`], or none of them ever goes.
///
/// ```
/// use ochre_sync::Arc;
///
/// let numbers = Arc::new([1, 2, 3]);
/// let thread = {
///     let numbers = Arc::clone(&numbers);
///     std::thread::spawn(move || numbers.iter().sum::<u32>())
/// };
/// assert_eq!(thread.join().unwrap(), 6);
/// assert_eq!(numbers[0], 1);
/// ```
///
/// The value can be changed through an `Arc` only if it is the only one
/// ([`get_mut`](Arc::get_mut)) or if the value itself allows it, as a lock does:
///
/// ```compile_fail,E0596
/// # use ochre_sync::Arc;
/// let numbers = Arc::new(vec![1]);
/// numbers.push(2);
/// ```
///
/// Owners may be on different threads, so the value must allow both to be sent
/// and to be shared:
///
/// ```compile_fail,E0277
/// # use ochre_sync::Arc;
/// let shared = Arc::new(core::cell::Cell::new(1));
/// std::thread::spawn(move || shared.set(2));
/// ```
///
/// A thread that may outlive this function cannot borrow from it, not even a
/// clone of an `Arc`: the clone has to move there (`move ||`).
///
/// ```compile_fail,E0373
/// # use ochre_sync::Arc;
/// let numbers = Arc::new([1, 2, 3]);
/// std::thread::spawn(|| println!("{}", numbers.len()));
/// ```
///
/// `Option<Arc<T>>` is as large as `Arc<T>`.
#[repr(transparent)]
pub struct Arc<T: ?Sized> {
    pub(super) inner: NonNull<Inner<T>>,
    owns: PhantomData<Inner<T>>,
}

// SAFETY: an `Arc` gives `&T` to any thread it is sent to while others have it
// too (`T: Sync`), and whichever thread is last drops the value (`T: Send`).
unsafe impl<T: ?Sized + Send + Sync> Send for Arc<T> {}
// SAFETY: as above; an `&Arc` can be cloned into an `Arc` on another thread.
unsafe impl<T: ?Sized + Send + Sync> Sync for Arc<T> {}

impl<T> Arc<T> {
    /// The first owner of `value`.
    ///
    /// ```
    /// use ochre_sync::Arc;
    ///
    /// let names = Arc::new(vec!["one"]);
    /// assert_eq!((names.len(), Arc::strong_count(&names)), (1, 1));
    /// ```
    #[must_use]
    pub fn new(value: T) -> Arc<T> {
        Arc::from_box(Box::new(Inner::new(1, value)))
    }

    /// As [`new`](Arc::new), for places where memory may be short.
    ///
    /// ```
    /// # use ochre_sync::Arc;
    /// let shared = Arc::try_new(7).expect("a word of memory");
    /// assert_eq!(*shared, 7);
    /// ```
    ///
    /// # Errors
    /// Gives the value back if there is no memory.
    pub fn try_new(value: T) -> Result<Arc<T>, T> {
        // SAFETY: the layout is not of size 0: it holds two counts.
        let memory = unsafe { alloc(Layout::new::<Inner<T>>()) };
        let Some(inner) = NonNull::new(memory.cast::<Inner<T>>()) else {
            return Err(value);
        };
        // SAFETY: the memory has just been allocated for an `Inner<T>`.
        unsafe { inner.write(Inner::new(1, value)) };
        // SAFETY: the counts say that there is one `Arc`: this one.
        Ok(unsafe { Arc::from_inner(inner) })
    }

    /// As [`new`](Arc::new), pinned: the value stays where it is for ever.
    ///
    /// ```
    /// use ochre_sync::Arc;
    ///
    /// let one = Arc::pin(7);
    /// let two = one.clone();
    /// assert!(core::ptr::eq(&*one, &*two), "a clone moves nothing");
    /// ```
    #[must_use]
    pub fn pin(value: T) -> Pin<Arc<T>> {
        // SAFETY: nobody moves the value of an `Arc` but `try_unwrap`,
        // `into_inner` and `get_mut`, which a pinned `Arc` does not give out.
        unsafe { Pin::new_unchecked(Arc::new(value)) }
    }

    /// The first owner of a value that holds a [`Weak`] to itself.
    ///
    /// The `Weak` cannot be upgraded until the value is there.
    ///
    /// ```
    /// use ochre_sync::{Arc, Weak};
    ///
    /// struct Node { own: Weak<Node>, name: &'static str }
    ///
    /// let node = Arc::new_cyclic(|own| {
    ///     assert!(own.upgrade().is_none());
    ///     Node { own: own.clone(), name: "root" }
    /// });
    /// assert_eq!(node.own.upgrade().unwrap().name, "root");
    /// ```
    #[must_use]
    pub fn new_cyclic(value: impl FnOnce(&Weak<T>) -> T) -> Arc<T> {
        // No `Arc` yet; the one `weak` is this function's.
        let uninit: Box<Inner<MaybeUninit<T>>> = Box::new(Inner::new(0, MaybeUninit::uninit()));
        let inner = NonNull::from(Box::leak(uninit)).cast::<Inner<T>>();
        // SAFETY: the memory is there and `weak` counts this handle.
        let weak = unsafe { Weak::from_inner(inner) };
        // If this panics, `weak` frees the memory, and no value is dropped.
        let made = value(&weak);
        // SAFETY: `weak` keeps the memory.
        let place = unsafe { inner::value(inner) };
        // SAFETY: the memory is for a `T`, and while `strong` is 0 nobody looks at it.
        unsafe { place.write(made) };
        // ORDERING: Release publishes the value to the Acquire of an `upgrade`
        // on another thread, which may have had a `Weak` before the value was there.
        weak.header().strong.store(1, Ordering::Release);
        mem::forget(weak);
        // SAFETY: `strong` is 1 and counts this handle; its `weak` has just been forgotten.
        unsafe { Arc::from_inner(inner) }
    }

    /// The value, if this is its only owner.
    ///
    /// Of several threads that try at once, all may fail. To have the last one
    /// succeed for certain, use [`into_inner`](Arc::into_inner).
    ///
    /// ```
    /// use ochre_sync::Arc;
    ///
    /// let one = Arc::new(5);
    /// let two = Arc::clone(&one);
    /// let one = Arc::try_unwrap(one).expect_err("there are two");
    /// drop(two);
    /// assert_eq!(Arc::try_unwrap(one), Ok(5));
    /// ```
    ///
    /// # Errors
    /// Gives the `Arc` back if there are others.
    pub fn try_unwrap(this: Arc<T>) -> Result<T, Arc<T>> {
        // ORDERING: Relaxed; the fence below orders what follows a success.
        let last =
            this.header()
                .strong
                .compare_exchange(1, 0, Ordering::Relaxed, Ordering::Relaxed);
        if last.is_err() {
            return Err(this);
        }
        // ORDERING: Acquire pairs with the Release of every other owner's drop.
        fence(Ordering::Acquire);
        // SAFETY: `strong` went from 1 to 0 by this thread alone.
        Ok(unsafe { Arc::take(this) })
    }

    /// Gives up this handle; the value, if it was the last one. Of all owners
    /// that call this, exactly one gets the value.
    ///
    /// ```
    /// use ochre_sync::Arc;
    ///
    /// let one = Arc::new(String::from("for whoever is last"));
    /// let two = Arc::clone(&one);
    /// let thread = std::thread::spawn(move || Arc::into_inner(two));
    /// let got = [Arc::into_inner(one), thread.join().unwrap()];
    /// assert_eq!(got.iter().flatten().count(), 1);
    /// ```
    #[must_use]
    pub fn into_inner(this: Arc<T>) -> Option<T> {
        // ORDERING: Release, and Acquire for the last one, as in drop.
        if this.header().strong.fetch_sub(1, Ordering::Release) != 1 {
            mem::forget(this);
            return None;
        }
        fence(Ordering::Acquire);
        // SAFETY: `strong` went from 1 to 0 by this thread alone.
        Some(unsafe { Arc::take(this) })
    }

    /// The value if this is its only owner, else a clone of it.
    ///
    /// ```
    /// use ochre_sync::Arc;
    ///
    /// let one = Arc::new(vec![1]);
    /// let two = Arc::clone(&one);
    /// let mut numbers = Arc::unwrap_or_clone(one); // a clone: `two` is there
    /// numbers.push(2);
    /// assert_eq!((*two).len(), 1);
    /// ```
    #[must_use]
    pub fn unwrap_or_clone(this: Arc<T>) -> T
    where
        T: Clone,
    {
        Arc::try_unwrap(this).unwrap_or_else(|this| T::clone(&this))
    }

    /// Moves the value out.
    ///
    /// # Safety
    /// The caller has brought `strong` to 0.
    unsafe fn take(this: Arc<T>) -> T {
        let this = ManuallyDrop::new(this);
        // Frees the memory, in the end, unless there are others.
        // SAFETY: the last `Arc` gives up the `weak` that all of them had.
        let _weak = unsafe { Weak::from_inner(this.inner) };
        this.header().access.with_mut(|_| ());
        // SAFETY: nobody else reaches the value, and nobody will read or drop
        // it again: `strong` is 0.
        unsafe { this.data().read() }
    }
}

impl<T: ?Sized> Arc<T> {
    /// An `Arc` at an allocation.
    ///
    /// # Safety
    /// `strong` must count this handle, and the value be initialised.
    #[inline]
    pub(super) unsafe fn from_inner(inner: NonNull<Inner<T>>) -> Arc<T> {
        Arc {
            inner,
            owns: PhantomData,
        }
    }

    /// The first `Arc` at a new allocation.
    pub(super) fn from_box(inner: Box<Inner<T>>) -> Arc<T> {
        // SAFETY: whoever has the box has the only handle.
        unsafe { Arc::from_inner(NonNull::from(Box::leak(inner))) }
    }

    #[inline]
    pub(super) fn header(&self) -> &Header {
        // SAFETY: the memory is there as long as this handle is.
        unsafe { &(*self.inner.as_ptr()).header }
    }

    #[inline]
    fn data(&self) -> *mut T {
        // SAFETY: the memory is there as long as this handle is.
        unsafe { inner::value(self.inner) }
    }

    /// A [`Weak`] to the same value, which does not keep it alive.
    ///
    /// ```
    /// use ochre_sync::{Arc, Weak};
    ///
    /// struct Child { parent: Weak<&'static str> }
    ///
    /// let parent = Arc::new("parent");
    /// let child = Child { parent: Arc::downgrade(&parent) };
    /// assert_eq!(*child.parent.upgrade().unwrap(), "parent");
    /// drop(parent);
    /// assert!(child.parent.upgrade().is_none(), "a child keeps no parent alive");
    /// ```
    ///
    /// # Panics
    /// If there are more than `usize::MAX / 2` of them.
    pub fn downgrade(this: &Arc<T>) -> Weak<T> {
        let weak = &this.header().weak;
        // ORDERING: Relaxed; the compare-exchange below looks again.
        let mut count = weak.load(Ordering::Relaxed);
        loop {
            if count == LOCKED {
                spin_loop();
                // ORDERING: Relaxed; as above.
                count = weak.load(Ordering::Relaxed);
                continue;
            }
            assert!(count <= MAX_COUNT, "too many references to one value");
            // ORDERING: Acquire pairs with the Release by which `get_mut` unlocks:
            // what this thread does next to its `Arc` (drop it, above all) happens
            // after `get_mut` has counted it.
            // UNMODELLED: without it, get_mut's load would see a store of its own
            // future; loom does not explore loads that read from the future.
            match weak.compare_exchange_weak(count, count + 1, Ordering::Acquire, Ordering::Relaxed)
            {
                // SAFETY: the memory is there, and `weak` counts the new handle.
                Ok(_) => return unsafe { Weak::from_inner(this.inner) },
                Err(seen) => count = seen,
            }
        }
    }

    /// The value, to change, if there is no other `Arc` or [`Weak`] to it.
    ///
    /// ```
    /// # use ochre_sync::Arc;
    /// let mut one = Arc::new(1);
    /// *Arc::get_mut(&mut one).unwrap() += 1;
    /// let two = Arc::clone(&one);
    /// assert!(Arc::get_mut(&mut one).is_none());
    /// assert_eq!(*two, 2);
    /// ```
    pub fn get_mut(this: &mut Arc<T>) -> Option<&mut T> {
        if !this.is_unique() {
            return None;
        }
        this.header().access.with_mut(|_| ());
        // SAFETY: this is the only handle, and it is borrowed exclusively.
        Some(unsafe { &mut *this.data() })
    }

    /// Whether this is the only handle of either kind.
    fn is_unique(&mut self) -> bool {
        let header = self.header();
        // ORDERING: Acquire pairs with the Release of a `Weak`'s drop: if a thread
        // upgraded that `Weak` before it dropped it, the load of `strong` below
        // sees the `Arc` it got.
        let locked = header
            .weak
            .compare_exchange(1, LOCKED, Ordering::Acquire, Ordering::Relaxed);
        if locked.is_err() {
            return false;
        }
        // ORDERING: Relaxed; the fence below orders what follows if it is 1.
        let unique = header.strong.load(Ordering::Relaxed) == 1;
        // ORDERING: Release pairs with the Acquire of `downgrade`; see there.
        // UNMODELLED: as in `downgrade`.
        header.weak.store(1, Ordering::Release);
        if unique {
            // ORDERING: Acquire pairs with the Release of every other owner's
            // drop: their reads of the value are over.
            fence(Ordering::Acquire);
        }
        unique
    }

    /// Whether two `Arc`s own the same value.
    ///
    /// ```
    /// use ochre_sync::Arc;
    ///
    /// let one = Arc::new(1);
    /// assert!(Arc::ptr_eq(&one, &Arc::clone(&one)));
    /// assert!(!Arc::ptr_eq(&one, &Arc::new(1)), "an equal one is another");
    /// ```
    #[must_use]
    pub fn ptr_eq(this: &Arc<T>, other: &Arc<T>) -> bool {
        ptr::addr_eq(this.inner.as_ptr(), other.inner.as_ptr())
    }

    /// How many `Arc`s there are. It may have changed before the caller looks at it.
    ///
    /// ```
    /// use ochre_sync::Arc;
    ///
    /// let one = Arc::new(1);
    /// let two = Arc::clone(&one);
    /// assert_eq!(Arc::strong_count(&one), 2);
    /// drop(two);
    /// assert_eq!(Arc::strong_count(&one), 1);
    /// ```
    #[must_use]
    pub fn strong_count(this: &Arc<T>) -> usize {
        // ORDERING: Relaxed; a number to look at, nothing follows from it.
        this.header().strong.load(Ordering::Relaxed)
    }

    /// How many [`Weak`]s there are. It may have changed before the caller looks at it.
    ///
    /// ```
    /// use ochre_sync::Arc;
    ///
    /// let subject = Arc::new(1);
    /// let observers = [Arc::downgrade(&subject), Arc::downgrade(&subject)];
    /// assert_eq!((Arc::weak_count(&subject), Arc::strong_count(&subject)), (2, 1));
    /// drop(observers);
    /// assert_eq!(Arc::weak_count(&subject), 0);
    /// ```
    #[must_use]
    pub fn weak_count(this: &Arc<T>) -> usize {
        // ORDERING: Relaxed; as above.
        match this.header().weak.load(Ordering::Relaxed) {
            LOCKED => 0,
            count => count - 1,
        }
    }

    /// Where the value is.
    ///
    /// ```
    /// use ochre_sync::Arc;
    ///
    /// let shared = Arc::new(1);
    /// assert_eq!(Arc::as_ptr(&shared), &raw const *shared);
    /// ```
    #[must_use]
    pub fn as_ptr(this: &Arc<T>) -> *const T {
        this.data()
    }

    /// Turns the handle into a pointer to the value; [`from_raw`](Arc::from_raw)
    /// turns it back. The count stays as it is.
    ///
    /// ```
    /// use ochre_sync::Arc;
    ///
    /// /// What a C library calls, with the word that it was given for it.
    /// fn call_back(word: *const ()) -> u32 {
    ///     // SAFETY: the word is from `into_raw` of an `Arc<u32>`, and used once.
    ///     *unsafe { Arc::from_raw(word.cast::<u32>()) }
    /// }
    ///
    /// let word = Arc::into_raw(Arc::new(7_u32)).cast::<()>();
    /// assert_eq!(call_back(word), 7);
    /// ```
    #[must_use = "the value is leaked unless the pointer comes back to from_raw"]
    pub fn into_raw(this: Arc<T>) -> *const T {
        ManuallyDrop::new(this).data()
    }

    /// Turns a pointer from [`into_raw`](Arc::into_raw) back into the handle.
    ///
    /// ```
    /// # use ochre_sync::Arc;
    /// let pointer = Arc::into_raw(Arc::new(5));
    /// // SAFETY: the pointer is from `into_raw`, and used once.
    /// let shared = unsafe { Arc::from_raw(pointer) };
    /// assert_eq!(*shared, 5);
    /// ```
    ///
    /// # Safety
    /// The pointer must come from `into_raw` of an `Arc<T>`, and each `into_raw`
    /// (or [`increment_strong_count`](Arc::increment_strong_count)) allows one `from_raw`.
    #[must_use]
    pub unsafe fn from_raw(pointer: *const T) -> Arc<T> {
        // SAFETY: the count that `into_raw` left behind keeps the value alive.
        let align = align_of_val(unsafe { &*pointer });
        // Where `#[repr(C)]` puts a field of this alignment behind the header.
        let offset = size_of::<Header>().next_multiple_of(align);
        // SAFETY: the value is that far inside its `Inner`.
        let start = unsafe { pointer.byte_sub(offset) };
        let inner = start as *mut Inner<T>;
        // SAFETY: the start of an allocation is not null.
        let inner = unsafe { NonNull::new_unchecked(inner) };
        // SAFETY: `into_raw` gave up its handle without taking the count back.
        unsafe { Arc::from_inner(inner) }
    }

    /// Adds an owner by a pointer from [`into_raw`](Arc::into_raw).
    ///
    /// ```
    /// use ochre_sync::Arc;
    ///
    /// let pointer = Arc::into_raw(Arc::new(1));
    /// // SAFETY: the handle that went into the pointer is there still.
    /// unsafe { Arc::increment_strong_count(pointer) };
    /// // SAFETY: one for `into_raw`, and one for the owner that was added.
    /// let (one, two) = unsafe { (Arc::from_raw(pointer), Arc::from_raw(pointer)) };
    /// assert_eq!((*two, Arc::strong_count(&one)), (1, 2));
    /// ```
    ///
    /// # Safety
    /// As for [`from_raw`](Arc::from_raw), except that the handle that went into
    /// the pointer remains there.
    pub unsafe fn increment_strong_count(pointer: *const T) {
        // SAFETY: as the caller promises; the handle is not dropped.
        let this = ManuallyDrop::new(unsafe { Arc::from_raw(pointer) });
        mem::forget(Arc::clone(&this));
    }

    /// Takes an owner away by a pointer from [`into_raw`](Arc::into_raw).
    ///
    /// ```
    /// use ochre_sync::Arc;
    ///
    /// let kept = Arc::new(1);
    /// let pointer = Arc::into_raw(Arc::clone(&kept));
    /// // SAFETY: the pointer is from `into_raw`, and this is its one use.
    /// unsafe { Arc::decrement_strong_count(pointer) };
    /// assert_eq!(Arc::strong_count(&kept), 1);
    /// ```
    ///
    /// # Safety
    /// As for [`from_raw`](Arc::from_raw).
    pub unsafe fn decrement_strong_count(pointer: *const T) {
        // SAFETY: as the caller promises.
        drop(unsafe { Arc::from_raw(pointer) });
    }

    /// Forgets what the value is except for what it can do: `Arc<T>` to
    /// `Arc<dyn Trait>`, `Arc<[T; N]>` to `Arc<[T]>`.
    ///
    /// The standard library's does this by itself; the traits for it are not
    /// stable, so the coercion is written at the place where both types are
    /// known, as a closure that returns what it is given.
    ///
    /// ```
    /// use ochre_sync::Arc;
    ///
    /// let number = Arc::new(7_u32);
    /// let shown: Arc<dyn core::fmt::Display + Send + Sync> =
    ///     Arc::unsize(Arc::clone(&number), |shared| shared);
    /// assert_eq!(shown.to_string(), "7");
    /// let slice: Arc<[u8]> = Arc::unsize(Arc::new([1, 2, 3]), |shared| shared);
    /// assert_eq!(slice.len(), 3);
    /// ```
    ///
    /// # Panics
    /// If `coerce` does something else, which safe code cannot.
    #[must_use]
    pub fn unsize<U: ?Sized>(
        this: Arc<T>,
        coerce: for<'a> fn(&'a Shared<T>) -> &'a Shared<U>,
    ) -> Arc<U> {
        let shared = this.inner.as_ptr() as *const Shared<T>;
        // SAFETY: the memory is there as long as `this` is, and a `Shared`, being
        // one cell around it, claims nothing about what is in it.
        let coerced: *const Shared<U> = coerce(unsafe { &*shared });
        assert!(
            ptr::addr_eq(shared, coerced),
            "the coercion returns what it is given"
        );
        mem::forget(this);
        // SAFETY: a pointer made from a reference is not null.
        let inner = unsafe { NonNull::new_unchecked(coerced as *mut Inner<U>) };
        // SAFETY: nobody but this function makes a `&Shared`, and it is for the
        // length of a call: the only one of the lifetime `'a` is the one given
        // to `coerce`, and safe code can do nothing to it but coerce it. So it is
        // the same value as a `U`; `this`, forgotten, left its count.
        unsafe { Arc::from_inner(inner) }
    }

    /// Drops the value after `strong` has reached 0, and gives up the `weak` that all `Arc`s had.
    #[inline(never)]
    fn drop_slow(&mut self) {
        // First, so that a panic in the value's drop does not leak the memory.
        // SAFETY: the last `Arc` gives up the `weak` that all of them had.
        let _weak = unsafe { Weak::from_inner(self.inner) };
        self.header().access.with_mut(|_| ());
        // SAFETY: `strong` is 0: no other handle reaches the value, none ever
        // will, and it is dropped here only.
        unsafe { self.data().drop_in_place() };
    }
}

impl<T: Clone> Arc<T> {
    /// The value, to change: this `Arc`'s own, cloned first if there are other
    /// owners. [`Weak`]s to it find it gone.
    ///
    /// ```
    /// # use ochre_sync::Arc;
    /// let mut one = Arc::new(1);
    /// let other = Arc::clone(&one);
    /// *Arc::make_mut(&mut one) += 1;
    /// assert_eq!((*one, *other), (2, 1));
    /// ```
    pub fn make_mut(this: &mut Arc<T>) -> &mut T {
        let header = this.header();
        // With `strong` at 0 no `Weak` can be upgraded while this looks.
        // ORDERING: Acquire pairs with the Release of every other owner's drop:
        // their reads are over, and a `Weak` they made is counted below.
        let alone = header
            .strong
            .compare_exchange(1, 0, Ordering::Acquire, Ordering::Relaxed);
        if alone.is_err() {
            *this = Arc::new(T::clone(this));
        } else if header.weak.load(Ordering::Relaxed) == 1 {
            // ORDERING: Relaxed, both: there is no other handle, so nobody reads
            // this but those who get it from this thread.
            header.strong.store(1, Ordering::Relaxed);
        } else {
            // There are `Weak`s: they keep the old memory, the value moves.
            // SAFETY: this handle was the last `Arc`, and stops being one below.
            let old = ManuallyDrop::new(unsafe { Arc::from_inner(this.inner) });
            let room = Box::new(Inner::new(1, MaybeUninit::<T>::uninit()));
            let inner = NonNull::from(Box::leak(room)).cast::<Inner<T>>();
            // SAFETY: `inner` has just been made.
            let place = unsafe { inner::value(inner) };
            old.header().access.with_mut(|_| ());
            // SAFETY: one value's room, in two allocations; nobody else reaches
            // the old one, whose `strong` is 0, and nobody drops it.
            unsafe { place.copy_from_nonoverlapping(old.data(), 1) };
            this.inner = inner;
            // SAFETY: the last `Arc` of the old memory gives up its `weak`.
            drop(unsafe { Weak::from_inner(old.inner) });
        }
        this.header().access.with_mut(|_| ());
        // SAFETY: `this` is the only `Arc` at its memory and no `Weak` can become
        // one: either there is none or the memory is new.
        unsafe { &mut *this.data() }
    }
}

impl<T: ?Sized> Clone for Arc<T> {
    #[inline]
    fn clone(&self) -> Arc<T> {
        // ORDERING: Relaxed; the new handle is known to whoever gets it from this
        // thread, and this one keeps the count above 0 meanwhile.
        let before = self.header().strong.fetch_add(1, Ordering::Relaxed);
        if before > MAX_COUNT {
            overflow();
        }
        // SAFETY: `strong` counts the new handle.
        unsafe { Arc::from_inner(self.inner) }
    }
}

impl<T: ?Sized> Drop for Arc<T> {
    #[inline]
    fn drop(&mut self) {
        // ORDERING: Release: this owner's use of the value happens before the
        // drop of it by whoever is last.
        if self.header().strong.fetch_sub(1, Ordering::Release) != 1 {
            return;
        }
        // ORDERING: Acquire: the other side of that Release, for the last one only.
        fence(Ordering::Acquire);
        self.drop_slow();
    }
}

impl<T: ?Sized> Deref for Arc<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        self.header().access.with(|_| ());
        // SAFETY: the value is alive as long as this handle is, and nobody
        // changes it unless there is no other handle.
        unsafe { &*self.data() }
    }
}
