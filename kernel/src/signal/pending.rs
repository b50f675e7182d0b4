//! Signals sent and not yet taken: a set, and what is told of each.
//!
//! A standard signal is pending once; a real-time signal as often as it was
//! sent, in order. A signal may be in the set without an entry: then its
//! details were lost for want of memory, as on Linux.

use alloc::vec::Vec;

use ochre_abi::signal::{Signal, SignalSet};

use super::Info;
use crate::memory::MakeRoom;
use crate::process::SignalCharge;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Pending {
    set: SignalSet,
    queue: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    signal: Signal,
    info: Info,
    /// Held for its drop, which gives the place in the user's account back.
    _charge: Option<SignalCharge>,
}

/// No memory for what a signal tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoMemory;

impl Pending {
    /// The signals pending.
    #[inline]
    pub(super) fn set(&self) -> SignalSet {
        self.set
    }

    /// Adds a signal with what it tells. Whether a standard signal is pending
    /// already is the caller's to look at.
    pub(super) fn push(
        &mut self,
        signal: Signal,
        info: Info,
        charge: Option<SignalCharge>,
    ) -> Result<(), NoMemory> {
        self.queue.make_room(1).map_err(|_| NoMemory)?;
        self.queue.push(Entry {
            signal,
            info,
            _charge: charge,
        });
        self.set.insert(signal);
        Ok(())
    }

    /// Adds a signal without what it tells.
    pub(super) fn push_bare(&mut self, signal: Signal) {
        self.set.insert(signal);
    }

    /// Takes one instance of `signal`, which must be pending; the oldest first.
    pub(super) fn take(&mut self, signal: Signal) -> Info {
        let mut of_signal = self
            .queue
            .iter()
            .enumerate()
            .filter(|(_, entry)| entry.signal == signal)
            .map(|(index, _)| index);
        let first = of_signal.next();
        if of_signal.next().is_none() {
            self.set.remove(signal);
        }
        first.map_or(Info::NONE, |index| self.queue.remove(index).info)
    }

    /// Forgets signals.
    pub(super) fn flush(&mut self, signals: SignalSet) {
        if !self.set.intersection(signals).is_empty() {
            self.set = self.set.without(signals);
            self.queue.retain(|entry| !signals.contains(entry.signal));
        }
    }

    /// Forgets the signals of a POSIX timer.
    pub(super) fn flush_timer(&mut self, id: i32) {
        let mut left = SignalSet::EMPTY;
        let mut taken = SignalSet::EMPTY;
        self.queue.retain(|entry| {
            let keep = entry.info.timer_id() != Some(id);
            if keep {
                left.insert(entry.signal);
            } else {
                taken.insert(entry.signal);
            }
            keep
        });
        self.set = self.set.without(taken.without(left));
    }

    /// Signals queued, for `/proc`.
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }
}

#[cfg(test)]
mod tests {
    use super::Pending;
    use crate::process::Pid;
    use crate::signal::Info;
    use ochre_abi::signal::{Signal, SignalSet};

    fn rt(number: u32) -> Signal {
        Signal::new(number).expect("in range")
    }

    #[test]
    fn instances_come_in_the_order_sent() {
        let mut pending = Pending::default();
        for sender in 1..=3 {
            assert!(
                pending
                    .push(rt(40), Info::user(Pid(sender), 0), None)
                    .is_ok()
            );
            assert!(
                pending
                    .push(rt(34), Info::user(Pid(sender), 0), None)
                    .is_ok()
            );
        }
        assert_eq!(pending.set().next_to_deliver(), Some(rt(34)));
        let order: Vec<u32> = (0..3).map(|_| pending.take(rt(40)).pid()).collect();
        assert_eq!(order, [1, 2, 3]);
        assert_eq!(pending.set(), SignalSet::of(&[rt(34)]));
        assert_eq!(pending.len(), 3);
    }

    #[test]
    fn a_bare_signal_tells_nothing() {
        let mut pending = Pending::default();
        pending.push_bare(Signal::SIGHUP);
        assert_eq!(pending.take(Signal::SIGHUP), Info::NONE);
        assert!(pending.set().is_empty());
    }

    #[test]
    fn flushing_forgets_set_and_entries() {
        let mut pending = Pending::default();
        assert!(pending.push(Signal::SIGCONT, Info::KERNEL, None).is_ok());
        assert!(pending.push(Signal::SIGINT, Info::KERNEL, None).is_ok());
        pending.flush(SignalSet::of(&[Signal::SIGCONT]));
        assert_eq!(pending.set(), SignalSet::of(&[Signal::SIGINT]));
        assert_eq!(pending.len(), 1);
    }

    #[test]
    fn a_timers_signals_go_alone() {
        let mut pending = Pending::default();
        assert!(pending.push(rt(34), Info::timer(1, 0), None).is_ok());
        assert!(pending.push(rt(34), Info::timer(2, 0), None).is_ok());
        assert!(pending.push(rt(35), Info::timer(1, 0), None).is_ok());
        pending.flush_timer(1);
        assert_eq!(pending.set(), SignalSet::of(&[rt(34)]));
        assert_eq!(pending.take(rt(34)).timer_id(), Some(2));
        assert!(pending.set().is_empty());
    }

    proptest::proptest! {
        #[test]
        fn the_set_tells_what_is_queued(steps in proptest::collection::vec((0_u8..3, 1_u32..=64), 0..200)) {
            let mut pending = Pending::default();
            let mut model: Vec<u32> = Vec::new();
            for (step, number) in steps {
                let signal = rt(number);
                match step {
                    0 => {
                        assert!(pending.push(signal, Info::KERNEL, None).is_ok());
                        model.push(number);
                    }
                    1 if pending.set().contains(signal) => {
                        pending.take(signal);
                        let at = model.iter().position(|n| *n == number).expect("it was queued");
                        model.remove(at);
                    }
                    1 => assert!(!model.contains(&number)),
                    _ => {
                        pending.flush(SignalSet::of(&[signal]));
                        model.retain(|n| *n != number);
                    }
                }
                for n in 1..=64 {
                    assert_eq!(pending.set().contains(rt(n)), model.contains(&n));
                }
            }
        }
    }
}
