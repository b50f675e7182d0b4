//! What an operation on an atomic answers, for every width: the value before it;
//! and that additions go round at either end.
//!
//! The seam hands on what `core` has, so this is about what all of the crate
//! takes for granted, and about the widths a machine has at all.
#![cfg(not(any(loom, shuttle)))]
#![forbid(unsafe_code)]

use ochre_sync::primitive::atomic::{
    AtomicBool, AtomicI8, AtomicI16, AtomicI32, AtomicI64, AtomicIsize, AtomicPtr, AtomicU8,
    AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed,
};

/// A test of one width.
macro_rules! width {
    ($name:ident, $atomic:ident, $number:ident) => {
        #[test]
        fn $name() {
            // Made when it is compiled, and changed through a shared reference.
            static SHARED: $atomic = $atomic::new(100);
            let a: &$atomic = &SHARED;
            assert_eq!((a.fetch_add(23, Relaxed), a.load(Relaxed)), (100, 123));
            assert_eq!((a.fetch_sub(23, Relaxed), a.load(Relaxed)), (123, 100));
            assert_eq!((a.fetch_or(3, Relaxed), a.load(Relaxed)), (100, 103));
            assert_eq!((a.fetch_and(0x0f, Relaxed), a.load(Relaxed)), (103, 7));
            assert_eq!((a.fetch_xor(2, Relaxed), a.load(Relaxed)), (7, 5));
            assert_eq!((a.fetch_nand(4, Relaxed), a.load(Relaxed)), (5, !4));
            assert_eq!((a.swap(50, Relaxed), a.load(Relaxed)), (!4, 50));
            assert_eq!((a.fetch_max(60, Relaxed), a.load(Relaxed)), (50, 60));
            assert_eq!((a.fetch_max(9, Relaxed), a.load(Relaxed)), (60, 60));
            assert_eq!((a.fetch_min(9, Relaxed), a.load(Relaxed)), (60, 9));
            assert_eq!((a.fetch_min(60, Relaxed), a.load(Relaxed)), (9, 9));
            assert_eq!(a.compare_exchange(1, 2, Relaxed, Relaxed), Err(9));
            assert_eq!(a.compare_exchange(9, 2, Relaxed, Relaxed), Ok(9));
            let half = |now| (now % 2 == 0).then_some(now / 2);
            assert_eq!(a.fetch_update(Relaxed, Relaxed, half), Ok(2));
            assert_eq!(a.fetch_update(Relaxed, Relaxed, half), Err(1));

            // Round, without a panic, whatever it is built for.
            a.store($number::MAX, Relaxed);
            assert_eq!(a.fetch_add(1, Relaxed), $number::MAX);
            assert_eq!(a.fetch_sub(1, Relaxed), $number::MIN);
            assert_eq!(a.load(Relaxed), $number::MAX);

            // Who has it alone needs no operation.
            let mut own = $atomic::new(1);
            *own.get_mut() += 1;
            assert_eq!(own.into_inner(), 2);
        }
    };
}

width!(bytes, AtomicU8, u8);
width!(signed_bytes, AtomicI8, i8);
width!(of_16_bits, AtomicU16, u16);
width!(signed_of_16_bits, AtomicI16, i16);
width!(of_32_bits, AtomicU32, u32);
width!(signed_of_32_bits, AtomicI32, i32);
width!(of_64_bits, AtomicU64, u64);
width!(signed_of_64_bits, AtomicI64, i64);
width!(of_an_address, AtomicUsize, usize);
width!(signed_of_an_address, AtomicIsize, isize);

#[test]
fn flags() {
    static FLAG: AtomicBool = AtomicBool::new(false);
    assert!(!FLAG.swap(true, Relaxed));
    assert!(FLAG.fetch_and(false, Relaxed));
    assert!(!FLAG.fetch_or(true, Relaxed));
    assert!(FLAG.fetch_xor(true, Relaxed));
    assert!(!FLAG.fetch_nand(true, Relaxed));
    assert_eq!(
        FLAG.compare_exchange(true, false, Relaxed, Relaxed),
        Ok(true)
    );
    assert!(!FLAG.load(Relaxed));
}

#[test]
fn pointers() {
    let (mut one, mut two) = (1, 2);
    let (one, two) = (&raw mut one, &raw mut two);
    let place = AtomicPtr::new(one);
    assert_eq!(place.swap(two, Relaxed), one);
    assert_eq!(place.compare_exchange(one, one, Relaxed, Relaxed), Err(two));
    assert_eq!(place.compare_exchange(two, one, Relaxed, Relaxed), Ok(two));
    assert_eq!(place.into_inner(), one);
}
