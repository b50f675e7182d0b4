//! `Arc`s of slices and strings: one allocation for the counts and all elements.

use alloc::alloc::{alloc, dealloc, handle_alloc_error};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::alloc::Layout;
use core::mem;
use core::ptr::{self, NonNull};

use super::Arc;
use super::inner::{self, Header, Inner};

/// Memory for a slice in the making; drops the elements that are there, and
/// frees the memory, if making the next one panics.
struct Filling<T> {
    inner: NonNull<Inner<[T]>>,
    layout: Layout,
    filled: usize,
}

impl<T> Filling<T> {
    fn new(len: usize) -> Filling<T> {
        let elements = Layout::array::<T>(len).expect("a slice that exists fits the address space");
        let (layout, _) = Layout::new::<Header>()
            .extend(elements)
            .expect("two counts more fit, too");
        let layout = layout.pad_to_align();
        // SAFETY: the layout is not of size 0: it holds two counts.
        let memory = unsafe { alloc(layout) };
        let slice = ptr::slice_from_raw_parts_mut(memory.cast::<T>(), len) as *mut Inner<[T]>;
        let Some(inner) = NonNull::new(slice) else {
            handle_alloc_error(layout)
        };
        // SAFETY: the memory has been allocated for an `Inner` of this length.
        let header = unsafe { &raw mut (*inner.as_ptr()).header };
        // SAFETY: as above.
        unsafe { header.write(Header::new(1)) };
        Filling {
            inner,
            layout,
            filled: 0,
        }
    }

    fn first(&self) -> *mut T {
        // SAFETY: `new` allocated the memory, and it is freed by drop only.
        let elements = unsafe { inner::value(self.inner) };
        elements.cast::<T>()
    }

    fn push(&mut self, element: T) {
        let len = self.inner.as_ptr() as *const [T];
        assert!(self.filled < len.len(), "there is room for `len` elements");
        // SAFETY: fewer than `len` elements are there.
        let place = unsafe { self.first().add(self.filled) };
        // SAFETY: the place is inside the memory and holds nothing yet.
        unsafe { place.write(element) };
        self.filled += 1;
    }

    fn finish(self) -> Arc<[T]> {
        let len = self.inner.as_ptr() as *const [T];
        assert!(self.filled == len.len(), "every element is there");
        let inner = self.inner;
        mem::forget(self);
        // SAFETY: the counts say that there is one `Arc`, and the value is complete.
        unsafe { Arc::from_inner(inner) }
    }
}

impl<T> Drop for Filling<T> {
    fn drop(&mut self) {
        let elements = ptr::slice_from_raw_parts_mut(self.first(), self.filled);
        // SAFETY: so many elements have been written, and nobody else has them.
        unsafe { elements.drop_in_place() };
        // SAFETY: written by `new`; nobody looks at the counts again (`repr(C)`: they come first).
        unsafe { self.inner.cast::<Header>().drop_in_place() };
        // SAFETY: allocated in `new` with this layout.
        unsafe { dealloc(self.inner.as_ptr().cast(), self.layout) };
    }
}

impl<T: Clone> From<&[T]> for Arc<[T]> {
    fn from(elements: &[T]) -> Arc<[T]> {
        let mut filling = Filling::new(elements.len());
        for element in elements {
            filling.push(element.clone());
        }
        filling.finish()
    }
}

impl<T> From<Vec<T>> for Arc<[T]> {
    fn from(elements: Vec<T>) -> Arc<[T]> {
        let mut filling = Filling::new(elements.len());
        for element in elements {
            filling.push(element);
        }
        filling.finish()
    }
}

impl<T> FromIterator<T> for Arc<[T]> {
    fn from_iter<I: IntoIterator<Item = T>>(elements: I) -> Arc<[T]> {
        elements.into_iter().collect::<Vec<T>>().into()
    }
}

impl<T> From<Box<[T]>> for Arc<[T]> {
    fn from(elements: Box<[T]>) -> Arc<[T]> {
        elements.into_vec().into()
    }
}

impl From<&str> for Arc<str> {
    fn from(text: &str) -> Arc<str> {
        let bytes: Arc<[u8]> = text.as_bytes().into();
        let inner = bytes.inner.as_ptr() as *mut Inner<str>;
        mem::forget(bytes);
        // SAFETY: the start of an allocation is not null.
        let inner = unsafe { NonNull::new_unchecked(inner) };
        // SAFETY: `bytes`, forgotten, left its count; the bytes are a `str`'s.
        unsafe { Arc::from_inner(inner) }
    }
}

impl From<String> for Arc<str> {
    fn from(text: String) -> Arc<str> {
        text.as_str().into()
    }
}
