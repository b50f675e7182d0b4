//! Rules broken on purpose, for Miri to notice.
//!
//! A checker that has never complained proves little. `cargo xtask miri` runs each
//! of these under Miri and wants it to report undefined behaviour. Without Miri
//! most of them seem to work, which is why they are here; without a name, this
//! prints the names.
#![expect(unsafe_code, reason = "it is about what unsafe code must not do")]

#[path = "channel_steps/unsafe_one_shot.rs"]
mod unsafe_one_shot;

use core::hint;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering, compiler_fence};
use std::process::ExitCode;
use std::{env, thread};

use ochre_sync::primitive::UnsafeCell;
use unsafe_one_shot::UnsafeOneShot;

/// Each misuse, by its name.
const MISUSES: [(&str, fn()); 6] = [
    ("beyond-the-end", beyond_the_end),
    ("two-sends", two_sends),
    ("two-receives", two_receives),
    ("published-by-a-relaxed-store", relaxed_publication),
    ("freed-without-waiting-for-others", relaxed_count),
    ("a-lock-that-only-stops-the-compiler", compiler_lock),
];

fn main() -> ExitCode {
    let Some(name) = env::args().nth(1) else {
        for (name, _) in MISUSES {
            println!("{name}");
        }
        return ExitCode::SUCCESS;
    };
    let misuse = MISUSES.iter().find(|(known, _)| *known == name);
    let Some((_, misuse)) = misuse else {
        eprintln!("misuse: no {name:?}");
        return ExitCode::from(2);
    };
    misuse();
    ExitCode::SUCCESS
}

/// Reads what is not there. Nothing need go wrong at that place: the compiler may
/// take it that the index is small, and leave out the test for a large one *before*
/// it too, so that what is undefined reaches back in time.
fn beyond_the_end() {
    let numbers = [1, 2, 3];
    let index = hint::black_box(3);
    if index >= numbers.len() {
        println!("too large, and read all the same");
    }
    // SAFETY: none; the rule says within the array.
    println!("{}", unsafe { numbers.get_unchecked(index) });
}

/// Both write the place: a race.
fn two_sends() {
    let channel = UnsafeOneShot::new();
    thread::scope(|scope| {
        for number in 0..2_u64 {
            let channel = &channel;
            // SAFETY: none; the rule says once.
            scope.spawn(move || unsafe { channel.send(number) });
        }
    });
    println!("{}", channel.is_ready());
}

/// Both own the message: it is freed twice.
fn two_receives() {
    let channel = UnsafeOneShot::new();
    // SAFETY: the only send.
    unsafe { channel.send(Box::new(1)) };
    // SAFETY: the first receive.
    drop(unsafe { channel.receive() });
    // SAFETY: none; the rule says once.
    drop(unsafe { channel.receive() });
}

/// A value that anybody may use at any time.
struct Unguarded<T>(UnsafeCell<T>);

// SAFETY: none; that is what the misuses below are about.
unsafe impl<T> Sync for Unguarded<T> {}

impl<T> Unguarded<T> {
    const fn new(value: T) -> Unguarded<T> {
        Unguarded(UnsafeCell::new(value))
    }

    fn set(&self, value: T) {
        // SAFETY: none here.
        self.0.with_mut(|place| unsafe { *place = value });
    }

    fn get(&self) -> T
    where
        T: Copy,
    {
        // SAFETY: none here.
        self.0.with(|place| unsafe { *place })
    }
}

/// The flag comes, but nothing says that the data came before it.
fn relaxed_publication() {
    static DATA: Unguarded<u64> = Unguarded::new(0);
    static READY: AtomicBool = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            DATA.set(123);
            READY.store(true, Ordering::Relaxed);
        });
        while !READY.load(Ordering::Relaxed) {
            hint::spin_loop();
        }
        println!("{}", DATA.get());
    });
}

/// The last owner does not see that the other has finished with the value.
fn relaxed_count() {
    static VALUE: Unguarded<u64> = Unguarded::new(0);
    static OWNERS: AtomicUsize = AtomicUsize::new(2);
    let owner = || {
        let value = VALUE.get();
        // What `Arc` does with Release, and a fence for the last.
        if OWNERS.fetch_sub(1, Ordering::Relaxed) == 1 {
            VALUE.set(u64::MAX);
        }
        value
    };
    thread::scope(|scope| {
        scope.spawn(owner);
        scope.spawn(owner);
    });
}

/// On x86-64 the processor happens to order what this lock needs, on others it
/// does not: `examples/wrong_ordering.rs` counts.
fn compiler_lock() {
    static LOCKED: AtomicBool = AtomicBool::new(false);
    static COUNT: Unguarded<u64> = Unguarded::new(0);
    let count = || {
        for _ in 0..4 {
            while LOCKED.swap(true, Ordering::Relaxed) {
                hint::spin_loop();
            }
            compiler_fence(Ordering::Acquire);
            COUNT.set(COUNT.get() + 1);
            compiler_fence(Ordering::Release);
            LOCKED.store(false, Ordering::Relaxed);
        }
    };
    thread::scope(|scope| {
        scope.spawn(count);
        scope.spawn(count);
    });
}
