//! Queues whose links are in the tasks themselves: putting a task in needs no
//! memory, and taking one out of the middle no search.
//!
//! Each task is in one list at most. Its two links are strong references to its
//! neighbours; the list has one to each end. A list of one task has its head
//! only, so the common case touches no link.
//!
//! # Who may use what when
//! The links of a task belong to the list that it is in, and whoever has the
//! list exclusively (the lock of its run queue) may use them. Each task's own
//! lock around them is there to say so in safe code; it is never contended.
//!
//! The rejected alternative: a vector or heap per processor with room reserved
//! for every task. Since a task may be woken anywhere, each processor would have
//! to have room for all: memory that grows with the product of both, and a
//! counter that each new task writes.

use alloc::sync::Arc;

use crate::task::Task;

/// The neighbours of a task in its list.
pub(crate) struct Links<B> {
    next: Option<Arc<Task<B>>>,
    previous: Option<Arc<Task<B>>>,
}

impl<B> Links<B> {
    pub(crate) const fn new() -> Links<B> {
        Links {
            next: None,
            previous: None,
        }
    }
}

/// A queue of tasks.
pub(crate) struct List<B> {
    head: Option<Arc<Task<B>>>,
    /// The other end, unless it is the head.
    tail: Option<Arc<Task<B>>>,
}

impl<B> List<B> {
    pub(crate) const fn new() -> List<B> {
        List {
            head: None,
            tail: None,
        }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.head.is_none()
    }

    #[inline]
    pub(crate) fn push_back(&mut self, task: Arc<Task<B>>) {
        let Some(head) = &self.head else {
            self.head = Some(task);
            return;
        };
        let last = self.tail.take().unwrap_or_else(|| Arc::clone(head));
        last.node.links.lock().next = Some(Arc::clone(&task));
        task.node.links.lock().previous = Some(last);
        self.tail = Some(task);
    }

    pub(crate) fn push_front(&mut self, task: Arc<Task<B>>) {
        let Some(head) = self.head.take() else {
            self.head = Some(task);
            return;
        };
        head.node.links.lock().previous = Some(Arc::clone(&task));
        if self.tail.is_none() {
            self.tail = Some(Arc::clone(&head));
        }
        task.node.links.lock().next = Some(head);
        self.head = Some(task);
    }

    #[inline]
    pub(crate) fn pop_front(&mut self) -> Option<Arc<Task<B>>> {
        let head = self.head.take()?;
        if self.tail.is_some() {
            let next = head.node.links.lock().next.take();
            self.begin_with(next);
        }
        Some(head)
    }

    /// Makes `first` the head, when what was before it has gone.
    fn begin_with(&mut self, first: Option<Arc<Task<B>>>) {
        if let Some(first) = &first {
            let mut links = first.node.links.lock();
            // Never the last reference: whoever takes a task out holds one.
            links.previous = None;
            if links.next.is_none() {
                self.tail = None;
            }
        }
        self.head = first;
    }

    /// Takes a task of this list out of it.
    pub(crate) fn remove(&mut self, task: &Arc<Task<B>>) {
        let (next, previous) = {
            let mut links = task.node.links.lock();
            (links.next.take(), links.previous.take())
        };
        match (previous, next) {
            (None, None) => self.head = None,
            (None, next) => self.begin_with(next),
            (Some(previous), None) => {
                let mut links = previous.node.links.lock();
                links.next = None;
                let is_head = links.previous.is_none();
                drop(links);
                self.tail = if is_head { None } else { Some(previous) };
            }
            (Some(previous), Some(next)) => {
                next.node.links.lock().previous = Some(Arc::clone(&previous));
                previous.node.links.lock().next = Some(next);
            }
        }
    }

    /// The first of at most `looks` tasks that is wanted; it stays where it is.
    pub(crate) fn find(
        &self,
        looks: usize,
        wanted: impl Fn(&Arc<Task<B>>) -> bool,
    ) -> Option<Arc<Task<B>>> {
        let mut at = self.head.clone();
        for _ in 0..looks {
            let task = at?;
            if wanted(&task) {
                return Some(task);
            }
            at = task.node.links.lock().next.clone();
        }
        None
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::List;
    use crate::testing::{Dummy, dummies, name};
    use alloc::sync::Arc;

    fn names(list: &mut List<Dummy>) -> Vec<u32> {
        core::iter::from_fn(|| list.pop_front())
            .map(|task| name(&task))
            .collect()
    }

    #[test]
    fn first_in_first_out() {
        let mut list = List::new();
        for task in dummies(4) {
            list.push_back(task);
        }
        assert_eq!(names(&mut list), [0, 1, 2, 3]);
        assert!(list.is_empty());
    }

    #[test]
    fn the_front_goes_before_the_rest() {
        let tasks = dummies(3);
        let mut list = List::new();
        for task in &tasks {
            list.push_front(Arc::clone(task));
        }
        assert_eq!(names(&mut list), [2, 1, 0]);
    }

    /// Removes each of up to five and looks at what is left, both ways.
    #[test]
    fn any_can_be_taken_out() {
        for count in 1..=5 {
            for gone in 0..count {
                let tasks = dummies(count);
                let mut list = List::new();
                for task in &tasks {
                    list.push_back(Arc::clone(task));
                }
                list.remove(&tasks[gone as usize]);
                list.push_back(Arc::clone(&tasks[gone as usize]));
                let expected: Vec<u32> = (0..count)
                    .filter(|other| *other != gone)
                    .chain([gone])
                    .collect();
                assert_eq!(names(&mut list), expected);
            }
        }
    }

    #[test]
    fn nothing_is_kept_alive() {
        let tasks = dummies(5);
        let mut list = List::new();
        for task in &tasks {
            list.push_back(Arc::clone(task));
        }
        list.remove(&tasks[2]);
        list.remove(&tasks[4]);
        list.remove(&tasks[0]);
        let _ = names(&mut list);
        assert!(tasks.iter().all(|task| Arc::strong_count(task) == 1));
    }

    #[test]
    fn looking_is_bounded() {
        let tasks = dummies(5);
        let mut list = List::new();
        for task in &tasks {
            list.push_back(Arc::clone(task));
        }
        let found = |looks| list.find(looks, |task| name(task) == 3).is_some();
        assert!(!found(3));
        assert!(found(4));
        assert!(list.find(9, |task| name(task) == 7).is_none());
    }
}
