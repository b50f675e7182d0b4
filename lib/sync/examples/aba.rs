//! ABA: a compare-exchange succeeds on a pointer that is the same and means another thing.
//!
//! A stack that keeps its nodes in an array and reuses them, as allocators do.
//! Thread one begins to pop: it reads the top (A) and what is below (B). Before it
//! goes on, thread two pops A and B and pushes A again. The top is A, as thread one
//! expects; it makes B the top, which nobody pushed. Here the two are played by one
//! thread, step by step, so that it happens every time.
//!
//! Then two ways out: a number that grows with every change beside the index, and
//! (what `ochre_sync::lockfree` does) not to reuse a node while anybody may have
//! seen it.
//!
//! ```sh
//! cargo run -p ochre-sync --example aba
//! ```
#![forbid(unsafe_code)]

use ochre_sync::lockfree::Stack;
use ochre_sync::primitive::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use ochre_sync::rcu::{Host, pinned};

const A: u32 = 0;
const B: u32 = 1;
const C: u32 = 2;
const NONE: u32 = u32::MAX;

/// What is below each node.
type Below = [AtomicU32; 3];

fn below(nodes: &Below, node: u32) -> u32 {
    nodes[node as usize].load(Relaxed)
}

/// The stack C, B, A (A on top).
fn nodes() -> Below {
    [AtomicU32::new(B), AtomicU32::new(C), AtomicU32::new(NONE)]
}

fn everything(nodes: &Below, mut top: u32) -> Vec<u32> {
    let mut all = Vec::new();
    while top != NONE {
        all.push(top);
        top = below(nodes, top);
    }
    all
}

/// With the index alone.
fn reused() -> Vec<u32> {
    let (nodes, top) = (nodes(), AtomicU32::new(A));

    // One begins to pop.
    let seen = top.load(Relaxed);
    let next = below(&nodes, seen);

    // Two pops A, pops B (which it keeps), and pushes A.
    top.store(C, Relaxed);
    nodes[A as usize].store(C, Relaxed);
    top.store(A, Relaxed);

    // One goes on, and has no way to tell.
    let popped = top.compare_exchange(seen, next, Relaxed, Relaxed);
    assert_eq!(popped, Ok(A));
    everything(&nodes, top.load(Relaxed))
}

/// With a number beside the index.
fn numbered() -> Vec<u32> {
    let pack = |count: u64, node: u32| count << 32 | u64::from(node);
    let (nodes, top) = (nodes(), AtomicU64::new(pack(0, A)));

    let seen = top.load(Relaxed);
    let next = below(&nodes, A);

    top.store(pack(2, C), Relaxed);
    nodes[A as usize].store(C, Relaxed);
    top.store(pack(3, A), Relaxed);

    let popped = top.compare_exchange(seen, pack(1, next), Relaxed, Relaxed);
    assert!(popped.is_err(), "the number tells");
    everything(&nodes, A)
}

pub(crate) fn main() {
    let wrong = reused();
    println!(
        "reused nodes:  A was popped, and the stack is {wrong:?}: B, which is in use elsewhere, is on it"
    );
    assert_eq!(wrong, [B, C]);

    let right = numbered();
    println!("with a number: the pop tries again, and the stack is {right:?}");
    assert_eq!(right, [A, C]);

    // A node is not freed, so not reused, while this thread has a guard: what
    // it has seen stays what it is.
    let stack: Stack<u32, Host> = Stack::new();
    pinned(|guard| {
        for node in [C, B, A] {
            stack.push(node);
        }
        let (a, _b) = (stack.pop(guard), stack.pop(guard));
        stack.push(a.expect("three are there"));
        assert_eq!((stack.pop(guard), stack.pop(guard)), (Some(A), Some(C)));
    });
    println!("with guards:   the second A is another node");
}
