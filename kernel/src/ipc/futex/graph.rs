//! Who waits for whose mutex, and what priority that gives: priority
//! inheritance (futex(2), "Priority-inheritance futexes").
//!
//! A word is here as long as somebody waits for it in the kernel. Its owner
//! then runs with at least the priority of the first who waits, and if it waits
//! itself, so does the owner of that word, and so on. The graph has no circle:
//! a wait that would close one is refused.
//!
//! ```text
//! thread ──waits for──▶ word ──owned by──▶ thread ──waits for──▶ word ...
//! ```
//!
//! The words in user memory are not looked at here; `pi` keeps both in step.
//!
//! # Invariants
//! 1. A word here has a waiter, and an owner, which lists it in `owns`.
//! 2. The waiters of a word are in the order in which they get it: by priority,
//!    then by their coming.
//! 3. A thread is here as long as it owns or waits for a word here; its boost
//!    is the highest priority of those who wait for its words.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use ochre_abi::Errno;

use super::key::Key;
use crate::memory::MakeRoom;
use crate::process::Pid;

/// Owners followed before a chain counts as a circle.
const LONGEST_CHAIN: usize = 1024;

/// What the graph needs to know of a thread, and may do to it.
pub(super) trait Schedule {
    /// Its own real-time priority, 0 for none.
    fn priority(&self) -> u8;

    /// Has it run with at least this priority; 0 for its own.
    fn boost(&self, priority: u8);
}

/// Somebody who waits for a word.
#[derive(Debug)]
struct Waiting<W> {
    priority: u8,
    serial: u64,
    tid: Pid,
    handle: W,
}

impl<W> Waiting<W> {
    /// What comes first is less.
    fn rank(&self) -> (u8, u64) {
        (u8::MAX - self.priority, self.serial)
    }
}

#[derive(Debug)]
struct Word<W> {
    owner: Pid,
    waiters: Vec<Waiting<W>>,
}

#[derive(Debug)]
struct Member<T> {
    thread: T,
    owns: Vec<Key>,
    waits_for: Option<Key>,
    boost: u8,
}

/// See the module. `T` is a thread, `W` what is told to one that waits.
#[derive(Debug)]
pub(super) struct Graph<T, W> {
    words: BTreeMap<Key, Word<W>>,
    members: BTreeMap<Pid, Member<T>>,
    serial: u64,
}

impl<T: Schedule, W> Graph<T, W> {
    pub(super) const fn new() -> Graph<T, W> {
        Graph {
            words: BTreeMap::new(),
            members: BTreeMap::new(),
            serial: 0,
        }
    }

    /// The owner of a word that somebody waits for.
    pub(super) fn owner(&self, key: &Key) -> Option<Pid> {
        self.words.get(key).map(|word| word.owner)
    }

    /// The word that a thread waits for, and who has it.
    pub(super) fn waited_for(&self, tid: Pid) -> Option<(Key, Pid)> {
        let key = self.members.get(&tid)?.waits_for?;
        Some((key, self.owner(&key)?))
    }

    /// The first who waits for a word.
    pub(super) fn first(&self, key: &Key) -> Option<Pid> {
        Some(self.words.get(key)?.waiters.first()?.tid)
    }

    /// Has a thread wait for a word that `owner` has. The owner that the word
    /// has here, if it is here, counts.
    ///
    /// # Errors
    /// EDEADLK if the owner waits, directly or not, for the thread; ENOMEM.
    pub(super) fn wait(
        &mut self,
        key: Key,
        (owner, owner_thread): (Pid, T),
        (tid, thread): (Pid, T),
        handle: W,
    ) -> Result<(), Errno> {
        let owner = self.owner(&key).unwrap_or(owner);
        self.check_chain(owner, tid)?;
        let word = self.words.entry(key).or_insert(Word {
            owner,
            waiters: Vec::new(),
        });
        let is_new = word.waiters.is_empty();
        // All that may fail comes first: room for the waiter, for the owner's
        // word, and for the waiter's own when it is given the word.
        let mut has_room = word.waiters.make_room(1).is_ok();
        let owning = member(&mut self.members, owner, owner_thread);
        has_room &= owning.owns.make_room(1).is_ok();
        let waiting = member(&mut self.members, tid, thread);
        has_room &= waiting.owns.make_room(1).is_ok();
        if !has_room {
            if is_new {
                self.words.remove(&key);
            }
            self.forget(owner);
            self.forget(tid);
            return Err(Errno::ENOMEM);
        }
        waiting.waits_for = Some(key);
        self.serial += 1;
        let entry = Waiting {
            priority: waiting.thread.priority().max(waiting.boost),
            serial: self.serial,
            tid,
            handle,
        };
        if let Some(word) = self.words.get_mut(&key) {
            let at = word
                .waiters
                .partition_point(|other| other.rank() < entry.rank());
            word.waiters.insert(at, entry);
        }
        if is_new && let Some(owning) = self.members.get_mut(&owner) {
            owning.owns.push(key);
        }
        self.spread(owner);
        Ok(())
    }

    /// Whether `owner` can be waited for by `tid` without a circle.
    fn check_chain(&self, owner: Pid, tid: Pid) -> Result<(), Errno> {
        let mut at = owner;
        for _ in 0..LONGEST_CHAIN {
            if at == tid {
                return Err(Errno::EDEADLK);
            }
            let next = self
                .members
                .get(&at)
                .and_then(|member| member.waits_for)
                .and_then(|key| self.owner(&key));
            match next {
                Some(next) => at = next,
                None => return Ok(()),
            }
        }
        Err(Errno::EDEADLK)
    }

    /// A thread gives up waiting; false if it did not wait for the word.
    pub(super) fn give_up(&mut self, key: &Key, tid: Pid) -> bool {
        let Some(word) = self.words.get_mut(key) else {
            return false;
        };
        let before = word.waiters.len();
        word.waiters.retain(|waiting| waiting.tid != tid);
        if word.waiters.len() == before {
            return false;
        }
        let (owner, is_over) = (word.owner, word.waiters.is_empty());
        if is_over {
            self.words.remove(key);
            self.disown(owner, key);
        }
        if let Some(member) = self.members.get_mut(&tid) {
            member.waits_for = None;
        }
        self.spread(owner);
        self.forget(owner);
        self.forget(tid);
        true
    }

    /// The word's owner gives it to the first who waits; what was told here of
    /// that one.
    pub(super) fn hand_over(&mut self, key: &Key) -> Option<W> {
        let word = self.words.get_mut(key)?;
        if word.waiters.is_empty() {
            return None;
        }
        let next = word.waiters.remove(0);
        let old = core::mem::replace(&mut word.owner, next.tid);
        let is_over = word.waiters.is_empty();
        if is_over {
            self.words.remove(key);
        }
        self.disown(old, key);
        if let Some(member) = self.members.get_mut(&next.tid) {
            member.waits_for = None;
            if !is_over {
                // There is room since it began to wait.
                member.owns.push(*key);
            }
        }
        self.spread(old);
        self.spread(next.tid);
        self.forget(old);
        self.forget(next.tid);
        Some(next.handle)
    }

    /// A word that a thread owns, if there is one here.
    pub(super) fn owned_by(&self, tid: Pid) -> Option<Key> {
        self.members.get(&tid)?.owns.last().copied()
    }

    /// A thread's own priority changed.
    pub(super) fn priority_changed(&mut self, tid: Pid) {
        self.spread_from(tid, true);
    }

    fn disown(&mut self, owner: Pid, key: &Key) {
        if let Some(member) = self.members.get_mut(&owner) {
            member.owns.retain(|owned| owned != key);
        }
    }

    /// Takes a thread out that neither owns nor waits.
    fn forget(&mut self, tid: Pid) {
        if let Some(member) = self.members.get(&tid)
            && member.owns.is_empty()
            && member.waits_for.is_none()
        {
            self.members.remove(&tid);
        }
    }

    /// Sets the boost of a thread anew, and of those whom it waits for.
    fn spread(&mut self, tid: Pid) {
        self.spread_from(tid, false);
    }

    fn spread_from(&mut self, tid: Pid, own_changed: bool) {
        let mut at = tid;
        let mut goes_on = own_changed;
        for _ in 0..LONGEST_CHAIN {
            let Some(member) = self.members.get_mut(&at) else {
                return;
            };
            let boost = member
                .owns
                .iter()
                .filter_map(|key| self.words.get(key)?.waiters.first())
                .map(|waiting| waiting.priority)
                .max()
                .unwrap_or(0);
            if member.boost != boost {
                member.boost = boost;
                member.thread.boost(boost);
            } else if !goes_on {
                return;
            }
            goes_on = false;
            let priority = member.thread.priority().max(boost);
            let Some(word) = member.waits_for.and_then(|key| self.words.get_mut(&key)) else {
                return;
            };
            let Some(place) = word.waiters.iter().position(|waiting| waiting.tid == at) else {
                return;
            };
            let mut waiting = word.waiters.remove(place);
            waiting.priority = priority;
            let to = word
                .waiters
                .partition_point(|other| other.rank() < waiting.rank());
            word.waiters.insert(to, waiting);
            at = word.owner;
        }
    }
}

fn member<T>(members: &mut BTreeMap<Pid, Member<T>>, tid: Pid, thread: T) -> &mut Member<T> {
    members.entry(tid).or_insert(Member {
        thread,
        owns: Vec::new(),
        waits_for: None,
        boost: 0,
    })
}

#[cfg(test)]
mod tests {
    use super::{Graph, Key, Pid, Schedule};
    use alloc::sync::Arc;
    use core::sync::atomic::{AtomicU8, Ordering};
    use ochre_abi::Errno;

    #[derive(Clone, Debug)]
    struct Thread(Arc<(AtomicU8, AtomicU8)>);

    impl Schedule for Thread {
        fn priority(&self) -> u8 {
            self.0.0.load(Ordering::Relaxed)
        }

        fn boost(&self, priority: u8) {
            self.0.1.store(priority, Ordering::Relaxed);
        }
    }

    struct World {
        graph: Graph<Thread, u32>,
        threads: Vec<Thread>,
    }

    fn key(n: u64) -> Key {
        Key::Private(1, n * 4)
    }

    impl World {
        fn new(priorities: &[u8]) -> World {
            World {
                graph: Graph::new(),
                threads: priorities
                    .iter()
                    .map(|own| Thread(Arc::new((AtomicU8::new(*own), AtomicU8::new(0)))))
                    .collect(),
            }
        }

        /// Thread `who` waits for word `n`, which `owner` has.
        fn wait(&mut self, who: u32, n: u64, owner: u32) -> Result<(), Errno> {
            let thread = |who: u32| (Pid(who), self.threads[who as usize].clone());
            let (owner, who_thread) = (thread(owner), thread(who));
            self.graph.wait(key(n), owner, who_thread, who)
        }

        fn boosts(&self) -> Vec<u8> {
            self.threads
                .iter()
                .map(|thread| thread.0.1.load(Ordering::Relaxed))
                .collect()
        }

        fn is_empty(&self) -> bool {
            self.graph.words.is_empty() && self.graph.members.is_empty()
        }
    }

    #[test]
    fn the_owner_gets_the_highest_priority_and_loses_it() {
        let mut world = World::new(&[0, 5, 9, 7]);
        for who in [1, 2, 3] {
            assert_eq!(world.wait(who, 1, 0), Ok(()));
        }
        assert_eq!(world.boosts(), [9, 0, 0, 0]);
        assert_eq!(world.graph.first(&key(1)), Some(Pid(2)));
        assert_eq!(world.graph.hand_over(&key(1)), Some(2));
        assert_eq!(world.boosts(), [0, 0, 7, 0]);
        assert_eq!(world.graph.hand_over(&key(1)), Some(3));
        assert_eq!(world.graph.hand_over(&key(1)), Some(1));
        assert_eq!(world.graph.hand_over(&key(1)), None);
        assert_eq!(world.boosts(), [0; 4]);
        assert!(world.is_empty());
    }

    #[test]
    fn a_boost_goes_down_the_chain_and_back() {
        let mut world = World::new(&[0, 0, 0, 9]);
        assert_eq!(world.wait(1, 1, 0), Ok(()));
        assert_eq!(world.wait(2, 2, 1), Ok(()));
        assert_eq!(world.boosts(), [0; 4]);
        assert_eq!(world.wait(3, 3, 2), Ok(()));
        assert_eq!(world.boosts(), [9, 9, 9, 0]);
        assert!(world.graph.give_up(&key(3), Pid(3)));
        assert!(!world.graph.give_up(&key(3), Pid(3)));
        assert_eq!(world.boosts(), [0; 4]);
        assert!(world.graph.give_up(&key(2), Pid(2)));
        assert!(world.graph.give_up(&key(1), Pid(1)));
        assert!(world.is_empty());
    }

    #[test]
    fn a_changed_priority_moves_the_waiter_and_the_boost() {
        let mut world = World::new(&[0, 3, 4]);
        assert_eq!(world.wait(1, 1, 0), Ok(()));
        assert_eq!(world.wait(2, 1, 0), Ok(()));
        world.threads[1].0.0.store(8, Ordering::Relaxed);
        world.graph.priority_changed(Pid(1));
        assert_eq!(world.graph.first(&key(1)), Some(Pid(1)));
        assert_eq!(world.boosts(), [8, 0, 0]);
        world.threads[1].0.0.store(1, Ordering::Relaxed);
        world.graph.priority_changed(Pid(1));
        assert_eq!(world.graph.first(&key(1)), Some(Pid(2)));
        assert_eq!(world.boosts(), [4, 0, 0]);
    }

    #[test]
    fn circles_are_refused() {
        let mut world = World::new(&[0; 4]);
        assert_eq!(world.wait(0, 1, 0), Err(Errno::EDEADLK));
        assert_eq!(world.wait(0, 1, 1), Ok(()));
        assert_eq!(world.wait(1, 2, 2), Ok(()));
        assert_eq!(world.wait(2, 3, 3), Ok(()));
        assert_eq!(world.graph.waited_for(Pid(1)), Some((key(2), Pid(2))));
        assert_eq!(world.graph.waited_for(Pid(3)), None);
        assert_eq!(world.wait(3, 4, 0), Err(Errno::EDEADLK));
        assert_eq!(world.wait(3, 2, 2), Err(Errno::EDEADLK));
        assert!(world.graph.give_up(&key(1), Pid(0)));
        assert_eq!(world.wait(3, 4, 0), Ok(()));
    }

    #[test]
    fn an_owner_of_several_keeps_the_rest_of_its_boost() {
        let mut world = World::new(&[0, 5, 9]);
        assert_eq!(world.wait(1, 1, 0), Ok(()));
        assert_eq!(world.wait(2, 2, 0), Ok(()));
        assert_eq!(world.boosts(), [9, 0, 0]);
        assert_eq!(world.graph.hand_over(&key(2)), Some(2));
        assert_eq!(world.boosts(), [5, 0, 0]);
        assert_eq!(world.graph.owned_by(Pid(0)), Some(key(1)));
        assert_eq!(world.graph.hand_over(&key(1)), Some(1));
        assert_eq!(world.boosts(), [0, 0, 0]);
        assert_eq!(world.graph.owned_by(Pid(0)), None);
    }

    #[test]
    fn equals_get_it_in_the_order_of_their_coming() {
        let mut world = World::new(&[0; 5]);
        for who in 1..5 {
            assert_eq!(world.wait(who, 1, 0), Ok(()));
        }
        let order: Vec<u32> = core::iter::from_fn(|| world.graph.hand_over(&key(1))).collect();
        assert_eq!(order, [1, 2, 3, 4]);
        assert!(world.is_empty());
    }
}
