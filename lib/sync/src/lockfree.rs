//! Collections that no thread can stop others from using.
//!
//! Each operation is a few steps that become one at a compare-exchange; if that
//! fails, somebody else's has succeeded, and it begins again. What is taken out
//! is freed by [`rcu`](crate::rcu) when nobody can be looking at it, so every
//! operation wants a guard. That also rules out ABA: while a thread has a guard,
//! no node it has seen is freed, so no new one can be at its address
//! (`examples/aba.rs` shows what happens otherwise).
//!
//! | | what | when |
//! | --- | --- | --- |
//! | [`Stack`] | last in, first out | free lists, work nobody is waiting for |
//! | [`Queue`] | first in, first out, unbounded | handing things over where nobody may block |
//! | [`List`] | a sorted set | found often, changed now and then |
//!
//! Under contention a lock is often faster. These are for where a lock cannot be:
//! interrupt handlers, and places where its holder could be stopped.
//!
//! ```
//! use ochre_sync::lockfree::Stack;
//! use ochre_sync::rcu::{Host, pinned};
//!
//! let stack: Stack<u32, Host> = Stack::new();
//! stack.push(1);
//! stack.push(2);
//! assert_eq!(pinned(|guard| stack.pop(guard)), Some(2));
//! ```

mod list;
mod queue;
mod stack;

#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(all(test, not(loom)))]
mod tests;

pub use list::List;
pub use queue::Queue;
pub use stack::Stack;
