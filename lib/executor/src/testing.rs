//! Tasks for tests of the queues: a number each, and nothing to do.

use alloc::sync::Arc;

use crate::policy::Attributes;
use crate::task::{Body, Step, Task};

/// A body that ends at once.
pub(crate) struct Dummy(u32);

impl Body for Dummy {
    fn poll(_task: &Arc<Task<Self>>) -> Step {
        Step::End
    }

    fn enqueue(_task: Arc<Task<Self>>) {}
}

/// A task of a number.
pub(crate) fn dummy(name: u32, attributes: Attributes) -> Arc<Task<Dummy>> {
    Task::with(Dummy(name), attributes, u64::MAX)
}

/// Tasks numbered from 0.
pub(crate) fn dummies(count: u32) -> Vec<Arc<Task<Dummy>>> {
    (0..count)
        .map(|name| dummy(name, Attributes::default()))
        .collect()
}

/// A task's number.
pub(crate) fn name(task: &Arc<Task<Dummy>>) -> u32 {
    task.body().0
}
