//! Address space numbers, where the machine has them: what is not forgotten,
//! and that nobody is taken for another one.

use alloc::sync::Arc;
use alloc::vec::Vec;

use ochre_sync::SpinLock;
use ochre_sync::primitive::atomic::{AtomicUsize, Ordering};

use crate::arch::machine::{ktests::wanderer, tlb};
use crate::ktest;
use crate::memory::numbers::{FORGOTTEN, LAST};
use crate::smp::ktests::on_every_processor;
use crate::user::ktests::{DATA, Guest};

/// A program that tells the word that the test put into its page.
struct Marked {
    guest: Guest,
    mark: u64,
}

impl Marked {
    fn new(mark: u64) -> Marked {
        let mut guest = Guest::new(wanderer());
        assert!(guest.context.set_thread_pointer(DATA + 16));
        let space = guest.table.space();
        assert_eq!(space.copy_out(DATA, &mark.to_le_bytes()), Ok(()));
        Marked { guest, mark }
    }

    fn check(&mut self) {
        let _ = self.guest.call();
        assert_eq!(self.guest.context.syscall().arguments[2], self.mark);
        self.guest.context.leave().expect("memory");
    }
}

#[ktest]
fn going_between_spaces_forgets_nothing() {
    if !tlb::BROADCASTS {
        return;
    }
    let mut guests: Vec<Marked> = (1..=3).map(Marked::new).collect();
    guests.iter_mut().for_each(Marked::check);
    let before = FORGOTTEN.load(Ordering::Relaxed);
    for _ in 0..100 {
        guests.iter_mut().for_each(Marked::check);
    }
    assert_eq!(FORGOTTEN.load(Ordering::Relaxed), before);
    // The count counts.
    drop(guests);
    assert!(FORGOTTEN.load(Ordering::Relaxed) >= before + 3);
}

/// Twenty spaces, eight numbers: each processor comes by each space again and
/// again, while others do.
#[ktest]
fn numbers_run_out_and_nobody_is_taken_for_another() {
    if !tlb::BROADCASTS {
        return;
    }
    LAST.store(8, Ordering::Relaxed);
    let guests = (1..=20).map(|mark| SpinLock::new(Marked::new(mark)));
    let guests: Arc<Vec<_>> = Arc::new(guests.collect());
    let turns = Arc::new(AtomicUsize::new(0));
    let before = FORGOTTEN.load(Ordering::Relaxed);
    on_every_processor(|| {
        let (guests, turns) = (Arc::clone(&guests), Arc::clone(&turns));
        move || {
            for _ in 0..400 {
                let turn = turns.fetch_add(7, Ordering::Relaxed);
                guests[turn % guests.len()].lock().check();
            }
        }
    });
    assert!(FORGOTTEN.load(Ordering::Relaxed) >= before + 20);
    LAST.store(u16::MAX, Ordering::Relaxed);
}
