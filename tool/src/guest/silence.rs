//! A guest that says nothing: when to tell a person, and that once.

use core::{fmt, time::Duration};
use std::{
    sync::{Arc, OnceLock},
    time::Instant,
};

use super::limit::Limit;

/// What is told once, if nothing came of a guest for so long.
pub(super) struct Silence {
    limit: Limit,
    firsts: Vec<Arc<OnceLock<Instant>>>,
    tell: Box<dyn FnOnce() + Send>,
}

impl Silence {
    /// After this time, without what the machine waits for a processor of the host.
    pub(super) fn new(after: Duration, tell: impl FnOnce() + Send + 'static) -> Self {
        Self {
            limit: Limit::of_turns(after),
            firsts: Vec::new(),
            tell: Box::new(tell),
        }
    }

    /// How long it may be silent.
    pub(super) fn limit(&self) -> Limit {
        self.limit
    }

    /// A first byte there ends it.
    pub(super) fn ends_with(&mut self, first: Arc<OnceLock<Instant>>) {
        self.firsts.push(first);
    }

    /// Whether something came.
    pub(super) fn has_ended(&self) -> bool {
        self.firsts.iter().any(|first| first.get().is_some())
    }

    /// Tells it.
    pub(super) fn tell(self) {
        (self.tell)();
    }
}

impl fmt::Debug for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Silence")
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}
