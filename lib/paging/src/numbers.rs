//! Numbers by which processors tell the translations of address spaces apart.
//!
//! A machine has few of them (255, or 65535), and processors remember
//! translations by them for as long as they like. So numbers are given out in
//! *generations*, each number once; when a generation has no more, the next
//! one begins, and every processor forgets everything before it uses a number
//! of that.
//!
//! # Tickets
//! A space's slot holds its ticket: 0, or generation and number. It counts
//! only in its generation. Bit 0 is clear, so that a slot may be a word that
//! the machine takes for a page-table entry: one that leads nowhere.
//!
//! ```text
//! | generation: 47 | number: 16 | 0 |
//! ```
//!
//! # Who may touch what
//! | field | written by | when |
//! |---|---|---|
//! | a slot | who enters the space | with the lock; new spaces start with 0 |
//! | `generation` | who finds no number left | with the lock |
//! | `active` of a processor | that processor | by compare-exchange if it is not 0; else with the lock |
//! | | who begins a generation | with the lock: swapped for 0 |
//! | `kept`, `stale`, `next` | | with the lock |
//!
//! # A processor that goes on through a new generation
//! It runs its space and asks for nothing, so its number must stay that
//! space's: it is `kept`, not given out in the new generation but to the same
//! space again. The compare-exchange of [`enter`](SpaceNumbers::enter) makes
//! this whole: `active` is swapped for 0 when a generation begins, so either
//! the exchange came first, and what it put there is kept, or it fails.
//!
//! # Spaces that end
//! Their numbers are not given back. No processor runs under such a number,
//! so what is remembered by it is used by nobody, until it is forgotten with
//! the generation.
//!
//! # What this leaves to the caller
//! Whoever changes tables asks the slot which translations are to be
//! forgotten ([`space_number`]): first the change, then a full barrier, then the
//! look. Whoever enters a space stores the slot here, then has a full barrier,
//! then uses the tables. So one of the two sees the other.

use ochre_sync::primitive::atomic::{AtomicU64, Ordering};
use ochre_sync::{SpinLock, maybe_const};

/// Where a ticket's generation begins.
const GENERATION: u32 = 17;

/// The generation of all-zero slots is never the current one.
const FIRST: u64 = 1;

/// The numbers of a machine of up to `CPUS` processors; see the module.
#[derive(Debug)]
pub struct SpaceNumbers<const CPUS: usize> {
    generation: AtomicU64,
    active: [Active; CPUS],
    shared: SpinLock<Shared<CPUS>>,
}

/// The ticket that a processor entered last; 0 from the beginning of a
/// generation until it enters again. In a cache line of its own.
#[derive(Debug)]
#[repr(align(64))]
struct Active(AtomicU64);

impl Active {
    maybe_const! {
        fn new() -> Active {
            Active(AtomicU64::new(0))
        }
    }
}

#[derive(Debug)]
struct Shared<const CPUS: usize> {
    /// The number that is looked at next.
    next: u32,
    /// What each processor had when the generation began.
    kept: [u64; CPUS],
    /// Which ones must forget everything first.
    stale: [bool; CPUS],
}

impl<const CPUS: usize> SpaceNumbers<CPUS> {
    maybe_const! {
        /// No number is given out yet.
        #[must_use]
        pub fn new() -> SpaceNumbers<CPUS> {
            SpaceNumbers {
                generation: AtomicU64::new(FIRST),
                #[cfg(not(loom))]
                active: [const { Active::new() }; CPUS],
                #[cfg(loom)]
                active: core::array::from_fn(|_| Active::new()),
                shared: SpinLock::new(Shared {
                    next: 1,
                    kept: [0; CPUS],
                    stale: [false; CPUS],
                }),
            }
        }
    }

    /// The number under which processor `cpu`, which asks, is to use the space
    /// of `slot`, until it asks for another space. Numbers go from 1 to
    /// `last`, which is asked where it matters, and is above `CPUS`. `forget`
    /// makes the processor forget all translations of all numbers.
    #[inline]
    pub fn enter(
        &self,
        cpu: usize,
        slot: &AtomicU64,
        last: impl FnOnce() -> u16,
        forget: impl FnOnce(),
    ) -> u16 {
        let active = &self.active[cpu].0;
        // ORDERING: Acquire pairs with the Release in `enter_slowly`: a ticket of
        // a new generation was stored after that swapped this processor's word
        // for 0, with the lock held throughout, so the exchange below comes
        // after the swap, and fails.
        // UNMODELLED: loom has each thread store in its order; what this keeps
        // away is a ticket that is seen before the swap that came first.
        let ticket = slot.load(Ordering::Acquire);
        // ORDERING: Relaxed for the rest: that the processor's own word is
        // exchanged before or after the swap of a new generation is all that
        // counts (see the module). An older ticket is good if the exchange
        // came first, and if not that fails.
        let before = active.load(Ordering::Relaxed);
        if before != 0
            && ticket >> GENERATION == self.generation.load(Ordering::Relaxed)
            && active
                .compare_exchange(before, ticket, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
        {
            return number_of(ticket);
        }
        self.enter_slowly(cpu, slot, last(), forget)
    }

    #[cold]
    fn enter_slowly(&self, cpu: usize, slot: &AtomicU64, last: u16, forget: impl FnOnce()) -> u16 {
        let mut shared = self.shared.lock();
        // ORDERING: Relaxed here and below: written with the lock held.
        let mut ticket = slot.load(Ordering::Relaxed);
        if ticket >> GENERATION != self.generation.load(Ordering::Relaxed) {
            ticket = self.renew(&mut shared, ticket, u32::from(last));
            // ORDERING: Release; see `enter`.
            // UNMODELLED: as there.
            slot.store(ticket, Ordering::Release);
        }
        if core::mem::take(&mut shared.stale[cpu]) {
            forget();
        }
        self.active[cpu].0.store(ticket, Ordering::Relaxed);
        number_of(ticket)
    }

    /// A ticket of this generation, or a new one, for the space that had `old`.
    fn renew(&self, shared: &mut Shared<CPUS>, old: u64, last: u32) -> u64 {
        // ORDERING: Relaxed; with the lock.
        let generation = self.generation.load(Ordering::Relaxed);
        let old_number = number_of(old);
        let mut is_kept = false;
        for kept in &mut shared.kept {
            if old != 0 && *kept == old {
                *kept = ticket(generation, old_number);
                is_kept = true;
            }
        }
        if is_kept {
            return ticket(generation, old_number);
        }
        loop {
            if shared.next > last {
                self.begin_generation(shared);
            }
            // CAST: at most `last`.
            let number = shared.next as u16;
            shared.next += 1;
            if !shared.kept.iter().any(|kept| number_of(*kept) == number) {
                // ORDERING: as above; it may be a new one.
                return ticket(self.generation.load(Ordering::Relaxed), number);
            }
        }
    }

    fn begin_generation(&self, shared: &mut Shared<CPUS>) {
        // ORDERING: Relaxed; see `enter`.
        self.generation.fetch_add(1, Ordering::Relaxed);
        for (active, kept) in self.active.iter().zip(&mut shared.kept) {
            // A processor that has not entered anything since the last time
            // still runs what it had then.
            let ticket = active.0.swap(0, Ordering::Relaxed);
            if ticket != 0 {
                *kept = ticket;
            }
        }
        shared.stale = [true; CPUS];
        shared.next = 1;
    }
}

impl<const CPUS: usize> Default for SpaceNumbers<CPUS> {
    fn default() -> SpaceNumbers<CPUS> {
        SpaceNumbers::new()
    }
}

/// The number by which processors may remember translations of the space of a
/// slot; none if they cannot remember any. The caller has a full barrier
/// between its change and this.
#[inline]
pub fn space_number(slot: &AtomicU64) -> Option<u16> {
    // ORDERING: Relaxed; the barrier is the caller's.
    match slot.load(Ordering::Relaxed) {
        0 => None,
        ticket => Some(number_of(ticket)),
    }
}

fn ticket(generation: u64, number: u16) -> u64 {
    generation << GENERATION | u64::from(number) << 1
}

fn number_of(ticket: u64) -> u16 {
    // CAST: 16 bits of it.
    (ticket >> 1) as u16
}

#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(all(test, not(loom)))]
mod tests;
