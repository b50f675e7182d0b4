//! Boxes that may fail: what `Box::try_new` is on nightly toolchains.
//!
//! `Box::new` ends the program when there is no memory. A kernel that answers a
//! program ENOMEM instead needs the value back, or at least the chance.

use alloc::alloc::alloc;
use alloc::boxed::Box;
use core::alloc::Layout;

/// The value in a box of its own.
///
/// ```
/// assert_eq!(ochre_alloc::try_box([1; 100]).map(|array| array[99]), Ok(1));
/// ```
///
/// # Errors
/// Gives the value back if there is no memory.
pub fn try_box<T>(value: T) -> Result<Box<T>, T> {
    let layout = Layout::new::<T>();
    if layout.size() == 0 {
        // It takes no memory.
        return Ok(Box::new(value));
    }
    // SAFETY: the size is not zero.
    let memory = unsafe { alloc(layout) }.cast::<T>();
    if memory.is_null() {
        return Err(value);
    }
    // SAFETY: just allocated for a `T`.
    unsafe { memory.write(value) };
    // SAFETY: from the global allocator with the layout of `T`, and
    // initialised on the line before.
    Ok(unsafe { Box::from_raw(memory) })
}

#[cfg(test)]
mod tests {
    use super::try_box;

    #[test]
    fn a_box_like_any_other() {
        let text = try_box(String::from("text")).expect("there is memory");
        assert_eq!(*text, "text");
        let future: Box<dyn Fn() -> u32> = try_box(|| 5).map_err(drop).expect("there is memory");
        assert_eq!(future(), 5);
        assert!(try_box(()).is_ok());
    }
}
