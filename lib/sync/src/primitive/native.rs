//! The seam's ordinary side: what `core` has; and its side for shuttle, whose
//! atomics are made the same way.

#[cfg(not(shuttle))]
pub use core::{hint::spin_loop, sync::atomic};
#[cfg(shuttle)]
pub use shuttle::{hint::spin_loop, sync::atomic};

use core::fmt;

/// The base of interior mutability, reached through closures so that loom can
/// take its place.
///
/// ```
/// use ochre_sync::primitive::UnsafeCell;
///
/// let mut cell = UnsafeCell::new(1);
/// // SAFETY: nobody else reaches the cell.
/// cell.with_mut(|value| unsafe { *value += 1 });
/// assert_eq!(*cell.get_mut(), 2);
/// ```
#[repr(transparent)]
#[derive(Default)]
pub struct UnsafeCell<T: ?Sized>(core::cell::UnsafeCell<T>);

impl<T> UnsafeCell<T> {
    /// A cell that holds `value`.
    ///
    /// ```
    /// use ochre_sync::primitive::UnsafeCell;
    ///
    /// /// A cell that only one processor has a way to.
    /// struct Own(UnsafeCell<u32>);
    ///
    /// const FIRST: Own = Own(UnsafeCell::new(1));
    /// assert_eq!(FIRST.0.into_inner(), 1);
    /// ```
    #[inline]
    pub const fn new(value: T) -> UnsafeCell<T> {
        UnsafeCell(core::cell::UnsafeCell::new(value))
    }

    /// The value.
    ///
    /// ```
    /// use ochre_sync::primitive::UnsafeCell;
    ///
    /// let cell = UnsafeCell::new(String::from("moved out"));
    /// assert_eq!(cell.into_inner(), "moved out");
    /// ```
    #[inline]
    pub fn into_inner(self) -> T {
        self.0.into_inner()
    }
}

impl<T: ?Sized> UnsafeCell<T> {
    /// Shared access to the value through a pointer.
    ///
    /// ```
    /// use ochre_sync::primitive::UnsafeCell;
    ///
    /// let cell = UnsafeCell::new([1, 2]);
    /// // SAFETY: nobody writes meanwhile.
    /// let sum: u32 = cell.with(|numbers| unsafe { (*numbers).iter().sum() });
    /// assert_eq!(sum, 3);
    /// ```
    #[inline]
    pub fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        f(self.0.get())
    }

    /// Exclusive access to the value through a pointer.
    ///
    /// ```
    /// use ochre_sync::primitive::UnsafeCell;
    ///
    /// let cell = UnsafeCell::new(1);
    /// // SAFETY: nobody else reads or writes meanwhile.
    /// let before = cell.with_mut(|number| unsafe { number.replace(2) });
    /// assert_eq!((before, cell.into_inner()), (1, 2));
    /// ```
    #[inline]
    pub fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        f(self.0.get())
    }

    /// The value, through an exclusive reference to the cell.
    ///
    /// ```
    /// use ochre_sync::primitive::UnsafeCell;
    ///
    /// let mut cell = UnsafeCell::new(1);
    /// *cell.get_mut() += 1; // safe, as the reference proves that nobody else is there
    /// assert_eq!(cell.into_inner(), 2);
    /// ```
    #[inline]
    pub fn get_mut(&mut self) -> &mut T {
        self.0.get_mut()
    }
}

impl<T: ?Sized> fmt::Debug for UnsafeCell<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UnsafeCell")
    }
}
