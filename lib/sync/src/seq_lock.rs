//! Sequence lock: readers that never write, and never keep a writer waiting.
//!
//! `sequence` is even while the words belong together and odd while a writer is
//! at them. A reader reads it, the words, and it again: what it has is one
//! writer's work if both times it was the same even number. It writes nothing, so
//! read-only memory will do, and a reader that is stopped for ever disturbs nobody:
//! that is how Linux gives programs the time.
//!
//! | step | sequence | ordering |
//! | --- | --- | --- |
//! | a writer begins | even n to n + 1 | Acquire, then a fence with Release |
//! | it writes the words | | Relaxed |
//! | it ends | n + 1 to n + 2 | Release |
//! | a reader begins | read | Acquire |
//! | it reads the words | | Relaxed |
//! | it ends | read again | a fence with Acquire, then Relaxed |
//!
//! If a reader gets a word of a writer, that writer's fence happens before the
//! reader's, so the reader's second look sees the odd number at least, and it
//! tries again.
//!
//! # No torn reads
//! To read while another thread writes is undefined unless both are atomic, also
//! if what was read is thrown away. So the value is kept in atomic words, and
//! becomes a value again only when they are known to belong together
//! ([`Words`]). That is why it has to be plain words, without pointers that
//! somebody might free.

use core::fmt;
use core::marker::PhantomData;

use crate::primitive::atomic::{AtomicU64, Ordering, fence};
use crate::primitive::spin_loop;

/// A value that is `N` words, nothing else.
///
/// ```
/// use ochre_sync::Words;
///
/// #[derive(Clone, Copy)]
/// struct Point(u32, u32);
///
/// impl Words<1> for Point {
///     fn to_words(self) -> [u64; 1] {
///         [u64::from(self.0) << 32 | u64::from(self.1)]
///     }
///
///     fn from_words([word]: [u64; 1]) -> Point {
///         Point((word >> 32) as u32, word as u32)
///     }
/// }
/// assert_eq!(Point::from_words(Point(1, 2).to_words()).1, 2);
/// ```
///
/// Every reader makes one of its own from the words, so there must be nothing that
/// a copy would own twice:
///
/// ```compile_fail,E0277
/// # use ochre_sync::Words;
/// struct Name(String);
///
/// impl Words<1> for Name {
///     fn to_words(self) -> [u64; 1] {
///         [self.0.as_ptr().addr() as u64]
///     }
///
///     fn from_words(_: [u64; 1]) -> Name {
///         Name(String::new())
///     }
/// }
/// ```
pub trait Words<const N: usize>: Copy {
    /// The value's words.
    fn to_words(self) -> [u64; N];

    /// The value of these words, which come from one [`to_words`](Words::to_words).
    fn from_words(words: [u64; N]) -> Self;
}

impl<const N: usize> Words<N> for [u64; N] {
    fn to_words(self) -> [u64; N] {
        self
    }

    fn from_words(words: [u64; N]) -> [u64; N] {
        words
    }
}

/// The words and their sequence, as they are in memory: 8 bytes of sequence, then
/// the words in order, each 8 bytes in the machine's order.
///
/// Readers in another address space map the memory (read-only) and use it as a
/// `&SeqWords`; what they need of this library is [`try_read`](SeqWords::try_read).
///
/// ```
/// use ochre_sync::SeqWords;
///
/// static NOW: SeqWords<2> = SeqWords::new([0, 0]);
/// NOW.update(|[seconds, _]| [seconds + 1, 500]);
/// assert_eq!(NOW.try_read(), Some([1, 500]));
/// ```
#[repr(C)]
pub struct SeqWords<const N: usize> {
    sequence: AtomicU64,
    words: [AtomicU64; N],
}

impl<const N: usize> SeqWords<N> {
    /// These words.
    ///
    /// ```
    /// use ochre_sync::SeqWords;
    ///
    /// /// What user space sees: a page that begins with the time.
    /// #[repr(C, align(4096))]
    /// struct Page {
    ///     time: SeqWords<2>,
    /// }
    ///
    /// static PAGE: Page = Page { time: SeqWords::new([0, 0]) };
    /// assert_eq!((PAGE.time.read(), size_of::<SeqWords<2>>()), ([0, 0], 24));
    /// ```
    #[cfg(not(loom))]
    #[must_use]
    pub const fn new(words: [u64; N]) -> SeqWords<N> {
        let mut atomics = [const { AtomicU64::new(0) }; N];
        let mut index = 0;
        while index < N {
            atomics[index] = AtomicU64::new(words[index]);
            index += 1;
        }
        SeqWords {
            sequence: AtomicU64::new(0),
            words: atomics,
        }
    }

    /// These words.
    #[cfg(loom)]
    #[must_use]
    pub fn new(words: [u64; N]) -> SeqWords<N> {
        SeqWords {
            sequence: AtomicU64::new(0),
            words: words.map(AtomicU64::new),
        }
    }

    /// The words, if no writer came in between. Never waits: for readers that
    /// do not trust the writer, or may have interrupted it.
    ///
    /// ```
    /// use ochre_sync::SeqWords;
    ///
    /// let words = SeqWords::new([1, 1]);
    /// words.update(|[one, other]| {
    ///     // As a handler would see it that interrupts the writer: nothing, and no wait.
    ///     assert_eq!(words.try_read(), None);
    ///     [one + 1, other + 1]
    /// });
    /// assert_eq!(words.try_read(), Some([2, 2]));
    /// ```
    #[inline]
    pub fn try_read(&self) -> Option<[u64; N]> {
        // ORDERING: Acquire pairs with the Release of the writer that ended with
        // this number: the words are its own, or later ones.
        let before = self.sequence.load(Ordering::Acquire);
        if !before.is_multiple_of(2) {
            return None;
        }
        let mut words = [0; N];
        for (word, atomic) in words.iter_mut().zip(&self.words) {
            // ORDERING: Relaxed; the fence below orders all of them at once.
            *word = atomic.load(Ordering::Relaxed);
        }
        // ORDERING: Acquire pairs with the Release fence of the writer of any word
        // read above: the load below sees what that writer did before, which is to
        // make the number odd.
        fence(Ordering::Acquire);
        (self.sequence.load(Ordering::Relaxed) == before).then_some(words)
    }

    /// The words; spins while a writer is at them.
    ///
    /// ```
    /// use ochre_sync::SeqWords;
    ///
    /// let words = SeqWords::new([0, 0]);
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| (1..100).for_each(|round| words.update(|_| [round, round])));
    ///     for _ in 0..100 {
    ///         let [one, other] = words.read();
    ///         assert_eq!(one, other, "of one write, both");
    ///     }
    /// });
    /// ```
    #[inline]
    pub fn read(&self) -> [u64; N] {
        loop {
            if let Some(words) = self.try_read() {
                return words;
            }
            spin_loop();
        }
    }

    /// What to copy to memory that readers have as a `&SeqWords`, by a writer that
    /// has no reference to it: where, in bytes from its beginning, and which word.
    ///
    /// `sequence` is the even number that is there; two more is there afterwards.
    /// There may be one such writer at a time. Each copy is one store of a word,
    /// after a fence with Release.
    ///
    /// ```
    /// use ochre_sync::SeqWords;
    ///
    /// let copies: Vec<(usize, u64)> = SeqWords::copies(6, [10, 20]).collect();
    /// assert_eq!(copies, [(0, 7), (8, 10), (16, 20), (0, 8)]);
    /// ```
    pub fn copies(sequence: u64, words: [u64; N]) -> impl Iterator<Item = (usize, u64)> {
        let begin = (0, sequence.wrapping_add(1));
        let end = (0, sequence.wrapping_add(2));
        let places = (1..).map(|place| place * size_of::<u64>());
        let words = places.zip(words);
        core::iter::once(begin)
            .chain(words)
            .chain(core::iter::once(end))
    }

    /// Writes what `f` makes of the words. Writers exclude each other, by spinning.
    ///
    /// Keep out of interrupt handlers that read or write the same words:
    /// they would spin for the code that they interrupted.
    ///
    /// ```
    /// use ochre_sync::SeqWords;
    ///
    /// static SENT: SeqWords<2> = SeqWords::new([0, 0]);
    /// for size in [10, 20] {
    ///     SENT.update(|[packets, bytes]| [packets + 1, bytes + size]);
    /// }
    /// assert_eq!(SENT.read(), [2, 30]);
    /// ```
    pub fn update(&self, f: impl FnOnce([u64; N]) -> [u64; N]) {
        let _writer = Writer::begin(&self.sequence);
        let mut words = [0; N];
        for (word, atomic) in words.iter_mut().zip(&self.words) {
            // ORDERING: Relaxed; the writers before happen before this one.
            *word = atomic.load(Ordering::Relaxed);
        }
        // If this panics, the words are as they were.
        let words = f(words);
        for (word, atomic) in words.into_iter().zip(&self.words) {
            // ORDERING: Relaxed; the fence in `begin` and the store at the end order them.
            atomic.store(word, Ordering::Relaxed);
        }
    }
}

/// The only writer there is; the words belong together again when it is dropped.
struct Writer<'a> {
    sequence: &'a AtomicU64,
    even: u64,
}

impl Writer<'_> {
    fn begin(sequence: &AtomicU64) -> Writer<'_> {
        loop {
            // ORDERING: Relaxed; the compare-exchange looks again.
            let now = sequence.load(Ordering::Relaxed);
            // ORDERING: Acquire pairs with the Release of the writer before: its
            // words come before ours in every reader's eyes.
            if now.is_multiple_of(2)
                && sequence
                    .compare_exchange_weak(
                        now,
                        now.wrapping_add(1),
                        Ordering::Acquire,
                        Ordering::Relaxed,
                    )
                    .is_ok()
            {
                // ORDERING: Release pairs with the Acquire fence of a reader that
                // gets one of the words to be written: it sees the odd number.
                fence(Ordering::Release);
                return Writer {
                    sequence,
                    even: now,
                };
            }
            spin_loop();
        }
    }
}

impl Drop for Writer<'_> {
    fn drop(&mut self) {
        // ORDERING: Release pairs with the Acquire of readers and of the next writer.
        self.sequence
            .store(self.even.wrapping_add(2), Ordering::Release);
    }
}

impl<const N: usize> fmt::Debug for SeqWords<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SeqWords").field(&self.try_read()).finish()
    }
}

/// A value that is read far more often than written, by readers that must not
/// write: the time, a configuration, where something is.
///
/// ```
/// use ochre_sync::{SeqLock, Words};
///
/// #[derive(Clone, Copy, Debug, PartialEq)]
/// struct Time { seconds: u64, nanoseconds: u32 }
///
/// impl Words<2> for Time {
///     fn to_words(self) -> [u64; 2] {
///         [self.seconds, self.nanoseconds.into()]
///     }
///     fn from_words([seconds, nanoseconds]: [u64; 2]) -> Time {
///         Time { seconds, nanoseconds: nanoseconds as u32 }
///     }
/// }
///
/// static NOW: SeqLock<Time, 2> = SeqLock::new([0, 0]);
///
/// NOW.write(Time { seconds: 1, nanoseconds: 500 });
/// assert_eq!(NOW.read().nanoseconds, 500);
/// ```
#[repr(transparent)]
pub struct SeqLock<T, const N: usize> {
    words: SeqWords<N>,
    value: PhantomData<fn(T) -> T>,
}

impl<T: Words<N>, const N: usize> SeqLock<T, N> {
    crate::maybe_const! {
        /// The value of these words (a `const` cannot ask a trait for them).
        ///
        /// ```
        /// use ochre_sync::SeqLock;
        ///
        /// static LOAD: SeqLock<[u64; 3], 3> = SeqLock::new([1, 5, 15]);
        /// assert_eq!(LOAD.read(), [1, 5, 15]);
        /// ```
        #[must_use]
        pub fn new(words: [u64; N]) -> SeqLock<T, N> {
            SeqLock { words: SeqWords::new(words), value: PhantomData }
        }
    }

    /// The value; spins while a writer is at it.
    ///
    /// ```
    /// use ochre_sync::SeqLock;
    ///
    /// static PLACE: SeqLock<[u64; 2], 2> = SeqLock::new([3, 4]);
    /// let [x, y] = PLACE.read(); // a copy: nothing is held
    /// assert_eq!(x * x + y * y, 25);
    /// ```
    #[inline]
    pub fn read(&self) -> T {
        T::from_words(self.words.read())
    }

    /// The value, if no writer came in between.
    ///
    /// ```
    /// use ochre_sync::SeqLock;
    ///
    /// let lock = SeqLock::new([1]);
    /// lock.update(|value: [u64; 1]| {
    ///     assert_eq!(lock.try_read(), None, "it is being written");
    ///     value
    /// });
    /// assert_eq!(lock.try_read(), Some([1]));
    /// ```
    #[inline]
    pub fn try_read(&self) -> Option<T> {
        self.words.try_read().map(T::from_words)
    }

    /// Writes another value. Writers exclude each other, by spinning.
    ///
    /// ```
    /// use ochre_sync::SeqLock;
    ///
    /// static GOAL: SeqLock<[u64; 2], 2> = SeqLock::new([0, 0]);
    /// GOAL.write([8, 9]);
    /// assert_eq!(GOAL.read(), [8, 9]);
    /// ```
    pub fn write(&self, value: T) {
        let words = value.to_words();
        self.words.update(|_| words);
    }

    /// Writes what `f` makes of the value.
    ///
    /// ```
    /// use ochre_sync::SeqLock;
    ///
    /// let total: SeqLock<[u64; 1], 1> = SeqLock::new([0]);
    /// std::thread::scope(|scope| {
    ///     for _ in 0..2 {
    ///         scope.spawn(|| (0..10).for_each(|_| total.update(|[sum]| [sum + 1])));
    ///     }
    /// });
    /// assert_eq!(total.read(), [20]);
    /// ```
    pub fn update(&self, f: impl FnOnce(T) -> T) {
        self.words
            .update(|words| f(T::from_words(words)).to_words());
    }

    /// The words, as readers elsewhere see them.
    ///
    /// ```
    /// use ochre_sync::{SeqLock, SeqWords};
    ///
    /// static TIME: SeqLock<[u64; 2], 2> = SeqLock::new([1, 2]);
    ///
    /// /// Somebody in another address space, to whom types say nothing.
    /// fn elsewhere(words: &SeqWords<2>) -> Option<[u64; 2]> {
    ///     words.try_read()
    /// }
    ///
    /// assert_eq!(elsewhere(TIME.words()), Some([1, 2]));
    /// ```
    #[must_use]
    pub fn words(&self) -> &SeqWords<N> {
        &self.words
    }
}

impl<T: Words<N> + fmt::Debug, const N: usize> fmt::Debug for SeqLock<T, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SeqLock").field(&self.try_read()).finish()
    }
}

#[cfg(test)]
impl<const N: usize> SeqWords<N> {
    /// One of the [`copies`](SeqWords::copies).
    fn copy(&self, (at, word): (usize, u64)) {
        let place = match at / size_of::<u64>() {
            0 => &self.sequence,
            place => &self.words[place - 1],
        };
        // ORDERING: Release, as `copies` asks, pairs with the Acquire fence of a
        // reader, or with its first look.
        fence(Ordering::Release);
        place.store(word, Ordering::Relaxed);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{SeqLock, SeqWords};
    use core::panic::AssertUnwindSafe;
    use core::sync::atomic::{AtomicBool, Ordering::Relaxed};
    use std::panic::{catch_unwind, resume_unwind};
    use std::thread;

    #[test]
    fn readers_never_see_half_a_write() {
        let rounds = if cfg!(miri) { 20 } else { 50_000 };
        let lock: SeqLock<[u64; 4], 4> = SeqLock::new([0; 4]);
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !stop.load(Relaxed) {
                        let [one, rest @ ..] = lock.read();
                        assert!(rest.iter().all(|word| *word == one));
                    }
                });
            }
            let writer = scope.spawn(|| {
                for _ in 0..rounds {
                    lock.update(|words| words.map(|word| word + 1));
                }
            });
            for _ in 0..rounds {
                lock.update(|words| words.map(|word| word + 1));
            }
            writer.join().expect("no panic");
            stop.store(true, Relaxed);
        });
        assert_eq!(lock.read(), [2 * rounds; 4]);
    }

    #[test]
    fn a_reader_does_not_wait_for_a_writer_that_does_not_end() {
        let lock: SeqLock<[u64; 2], 2> = SeqLock::new([1, 1]);
        lock.update(|words| {
            assert_eq!(lock.try_read(), None);
            words
        });
        assert_eq!(lock.try_read(), Some([1, 1]));
        assert_eq!(format!("{lock:?}"), "SeqLock(Some([1, 1]))");
    }

    #[test]
    fn a_panic_leaves_the_value_as_it_was() {
        let words = SeqWords::new([3]);
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            words.update(|_| resume_unwind(Box::new(())));
        }));
        assert!(panicked.is_err());
        assert_eq!(words.read(), [3]);
        assert_eq!(format!("{words:?}"), "SeqWords(Some([3]))");
    }

    /// As a writer in another address space does.
    #[test]
    fn what_is_copied_is_read_whole() {
        let rounds = if cfg!(miri) { 20 } else { 50_000 };
        let lock: SeqLock<[u64; 3], 3> = SeqLock::new([0; 3]);
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut last = 0;
                while !stop.load(Relaxed) {
                    let [one, two, three] = lock.read();
                    assert!(one == two && two == three && one >= last);
                    last = one;
                }
            });
            for round in 1..=rounds {
                for copy in SeqWords::copies(2 * round - 2, [round; 3]) {
                    lock.words.copy(copy);
                }
            }
            stop.store(true, Relaxed);
        });
        assert_eq!(lock.read(), [rounds; 3]);
    }

    #[test]
    fn copies_begin_with_an_odd_number_and_end_with_an_even_one() {
        let words = SeqWords::new([1]);
        let [odd, word, even] = [0, 1, 2].map(|nth| SeqWords::copies(0, [2]).nth(nth));
        for (copy, read) in [(odd, None), (word, None), (even, Some([2]))] {
            words.copy(copy.expect("there are three"));
            assert_eq!(words.try_read(), read);
        }
        let numbers: Vec<u64> = SeqWords::copies(u64::MAX - 1, [])
            .map(|copy| copy.1)
            .collect();
        assert_eq!(numbers, [u64::MAX, 0]);
    }

    /// What another address space sees.
    #[test]
    fn the_layout_is_the_sequence_and_the_words() {
        assert_eq!(size_of::<SeqWords<3>>(), 32);
        assert_eq!(core::mem::offset_of!(SeqWords<3>, words), 8);
        assert_eq!(size_of::<SeqLock<[u64; 3], 3>>(), 32);
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::SeqWords;
    use loom::sync::Arc;
    use loom::thread;

    #[test]
    fn a_reader_sees_one_writer_or_nothing() {
        loom::model(|| {
            let words = Arc::new(SeqWords::new([0, 0]));
            let reader = Arc::clone(&words);
            let thread = thread::spawn(move || {
                if let Some([one, two]) = reader.try_read() {
                    assert_eq!(one, two);
                }
            });
            words.update(|_| [1, 1]);
            words.update(|_| [2, 2]);
            thread.join().expect("no panic");
            assert_eq!(words.try_read(), Some([2, 2]));
        });
    }

    #[test]
    fn a_reader_sees_all_copies_or_nothing() {
        loom::model(|| {
            let words = Arc::new(SeqWords::new([0, 0]));
            let reader = Arc::clone(&words);
            let thread = thread::spawn(move || {
                if let Some([one, two]) = reader.try_read() {
                    assert_eq!(one, two);
                }
            });
            for round in [1, 2] {
                for copy in SeqWords::copies(2 * round - 2, [round; 2]) {
                    words.copy(copy);
                }
            }
            thread.join().expect("no panic");
            assert_eq!(words.try_read(), Some([2, 2]));
        });
    }

    #[test]
    fn writers_come_one_after_the_other() {
        loom::model(|| {
            let words = Arc::new(SeqWords::new([0, 0]));
            let writer = Arc::clone(&words);
            let add = |words: [u64; 2]| words.map(|word| word + 1);
            let thread = thread::spawn(move || writer.update(add));
            words.update(add);
            thread.join().expect("no panic");
            assert_eq!(words.try_read(), Some([2, 2]));
        });
    }

    #[test]
    fn what_happened_before_a_write_is_seen_by_its_reader() {
        loom::model(|| {
            let words = Arc::new((SeqWords::new([0]), loom::cell::UnsafeCell::new(0)));
            let reader = Arc::clone(&words);
            let thread = thread::spawn(move || {
                if reader.0.try_read() == Some([1]) {
                    // SAFETY: loom checks that nobody writes it meanwhile.
                    assert_eq!(reader.1.with(|value| unsafe { *value }), 7);
                }
            });
            // SAFETY: as above.
            words.1.with_mut(|value| unsafe { *value = 7 });
            words.0.update(|_| [1]);
            thread.join().expect("no panic");
        });
    }
}
