//! The interleavings of two threads that keep the order.

use super::{Ordered, Token};
use loom::sync::Arc;
use loom::thread;

crate::lock_order! {
    in super::Anywhere;
    /// The first one.
    Outer,
    /// The last one.
    Inner,
}

#[test]
fn two_that_keep_the_order_come_through() {
    loom::model(|| {
        let locks = Arc::new((Ordered::<Outer, _>::new(0), Ordered::<Inner, _>::new(0)));
        let run = |locks: &(Ordered<Outer, u32>, Ordered<Inner, u32>)| {
            let mut token = Token::root();
            let (mut outer, mut token) = locks.0.lock_with(&mut token);
            let (mut inner, _) = locks.1.lock_with(&mut token);
            *outer += 1;
            *inner += 1;
        };
        let other = Arc::clone(&locks);
        let thread = thread::spawn(move || run(&other));
        run(&locks);
        thread.join().expect("no panic");
        assert_eq!((*locks.0.lock(), *locks.1.lock()), (2, 2));
    });
}
