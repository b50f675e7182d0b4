//! Before there are locks: who may change what, from `&mut` to a mutex.
//!
//! A value that one thread has may be changed through `&mut`, which is checked
//! when the program is compiled. Changing it through `&` takes a cell: `Cell`
//! moves values in and out whole, `RefCell` counts its borrows while the program
//! runs and panics where two would meet. Neither may be shared between threads;
//! a mutex is a `RefCell` that others wait for instead.
//!
//! The last steps are about how long a guard lives, which is longer than it
//! looks: a mutex is asked from within whether it is held.
//!
//! ```sh
//! cargo run -p ochre-sync --example cells
//! ```
#![forbid(unsafe_code)]

use core::cell::{Cell, RefCell};
use core::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::thread;

use ochre_sync::host::Mutex;

/// Checked by the compiler: while one borrows to change, nobody else does.
fn exclusive() -> Vec<u32> {
    let mut numbers = vec![1];
    let last = &mut numbers;
    last.push(2);
    // `numbers.push(3)` is an error for as long as `last` is used after it.
    numbers.push(3);
    numbers
}

/// Values go in and out; nothing is ever borrowed, so nothing can clash. What
/// one of two references writes the other one sees.
fn cell() -> (u32, u32) {
    let number = Cell::new(5);
    let (one, other) = (&number, &number);
    one.set(one.get() + 1);
    let before = other.replace(7);
    // A vector cannot be copied out, but taken out and put back.
    let numbers = Cell::new(vec![1]);
    let mut taken = numbers.take();
    taken.push(2);
    numbers.set(taken);
    assert_eq!(numbers.into_inner(), [1, 2]);
    (before, number.get())
}

/// Counted while the program runs: as many readers as there are, or one that
/// changes. Gives what the second borrow of each kind comes to.
fn ref_cell() -> [&'static str; 3] {
    let numbers = RefCell::new(vec![1]);
    numbers.borrow_mut().push(2);
    let told = |worked: bool| if worked { "works" } else { "panics" };
    let quiet = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));

    let reader = numbers.borrow();
    let reading = catch_unwind(AssertUnwindSafe(|| numbers.borrow().len())).is_ok();
    let changing = catch_unwind(AssertUnwindSafe(|| numbers.borrow_mut().push(3))).is_ok();
    drop(reader);
    let changer = numbers.borrow_mut();
    let twice = catch_unwind(AssertUnwindSafe(|| numbers.borrow_mut().push(3))).is_ok();
    // The form that asks first does not panic.
    assert!(numbers.try_borrow().is_err());
    drop(changer);

    std::panic::set_hook(quiet);
    assert_eq!(
        numbers.into_inner(),
        [1, 2],
        "what panicked changed nothing"
    );
    [told(reading), told(changing), told(twice)]
}

/// Two threads may not both borrow to change (the page of `Mutex` has that
/// program, and the compiler's answer); they may share a mutex.
fn mutex() -> u32 {
    let number = Mutex::new(0);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| *number.lock().expect("nobody panics") += 1);
        }
    });
    number.into_inner().expect("nobody panicked")
}

/// Whether the mutex is held in the body of each statement that locks it.
fn guards() -> [(&'static str, bool); 5] {
    let mutex = Mutex::new(Some(1));
    let lock = || mutex.lock().expect("nobody panics");
    let is_held = || mutex.try_lock().is_err();

    // A guard without a name is gone at the end of its statement,
    let number = lock().unwrap_or(0);
    assert_eq!(number, 1);
    let statement = is_held();
    // and so is that of a condition, which is an expression of its own.
    let condition = if lock().is_some() { is_held() } else { false };
    // What a pattern is matched with is borrowed from: it lives on.
    let if_let = if let Some(1) = *lock() {
        is_held()
    } else {
        false
    };
    let matched = match *lock() {
        Some(1) => is_held(),
        _ => false,
    };
    let mut while_let = false;
    while let Some(1) = lock().take() {
        while_let = is_held();
    }
    [
        ("after a statement", statement),
        ("in the body of `if lock().is_some()`", condition),
        ("in the body of `if let Some(1) = *lock()`", if_let),
        ("in an arm of `match *lock()`", matched),
        (
            "in the body of `while let Some(1) = lock().take()`",
            while_let,
        ),
    ]
}

pub(crate) fn main() {
    println!("&mut:    {:?}", exclusive());

    let (before, after) = cell();
    println!("Cell:    {before} came out, {after} is in it");
    assert_eq!((before, after), (6, 7));

    let borrows = ref_cell();
    println!(
        "RefCell: a second reader {}, a change beside it {}, two changes at once {}",
        borrows[0], borrows[1], borrows[2]
    );
    assert_eq!(borrows, ["works", "panics", "panics"]);

    let count = mutex();
    println!("Mutex:   two threads counted to {count}");
    assert_eq!(count, 2);

    let held = guards();
    for (place, held) in held {
        println!("held {place}: {held}");
    }
    assert_eq!(held.map(|(_, held)| held), [false, false, true, true, true]);
}
