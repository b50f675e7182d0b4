//! The copy routines on the host's own memory: every length, no byte beside.
//! Faults are tried in the kernel's own tests.

use super::{StringEnd, UserAccess, compare_exchange_u32, copy, copy_string, load_u32, zero};

#[test]
fn copies_every_length_exactly() {
    let from: Vec<u8> = (0..=255).cycle().skip(1).take(300).collect();
    for len in 0..280 {
        for offset in 0..9 {
            let mut to = [0xee; 300];
            // SAFETY: both ranges are in bounds.
            let left = unsafe {
                copy(
                    &UserAccess::on_a_host(),
                    to.as_mut_ptr().wrapping_add(offset),
                    from.as_ptr(),
                    len,
                )
            };
            assert_eq!(left, 0);
            assert_eq!(to[offset..offset + len], from[..len]);
            assert!(to[..offset].iter().all(|&byte| byte == 0xee));
            assert!(to[offset + len..].iter().all(|&byte| byte == 0xee));
        }
    }
}

#[test]
fn zeroes_every_length_exactly() {
    for len in 0..60 {
        let mut to = [0xee_u8; 64];
        // SAFETY: inside of the array.
        let left = unsafe {
            zero(
                &UserAccess::on_a_host(),
                to.as_mut_ptr().wrapping_add(1),
                len,
            )
        };
        assert_eq!(left, 0);
        assert_eq!(to[0], 0xee);
        assert!(to[1..=len].iter().all(|&byte| byte == 0));
        assert!(to[len + 1..].iter().all(|&byte| byte == 0xee));
    }
}

#[test]
fn strings_end_at_the_first_nul() {
    for len in 0..40 {
        let mut from = [0x80_u8; 64];
        from[len] = 0;
        from[len + 1] = 0;
        let mut to = [0xee; 50];
        // SAFETY: 50 bytes from there are inside of the array.
        let end = unsafe { copy_string(&UserAccess::on_a_host(), from.as_ptr(), &mut to) };
        assert_eq!(end, StringEnd::Nul(len));
        assert!(to[..len].iter().all(|&byte| byte == 0x80));
        let mut short = vec![0; len];
        // SAFETY: as above.
        let end = unsafe { copy_string(&UserAccess::on_a_host(), from.as_ptr(), &mut short) };
        assert_eq!(end, StringEnd::Full);
    }
}

#[test]
fn bytes_of_one_are_not_taken_for_nul() {
    let from = *b"\x01\x00\x01\x01\x01\x01\x01\x01";
    let mut to = [0xee; 8];
    // SAFETY: eight bytes are there.
    let end = unsafe { copy_string(&UserAccess::on_a_host(), from.as_ptr(), &mut to) };
    assert_eq!(end, StringEnd::Nul(1));
}

#[test]
fn words_are_loaded_and_exchanged() {
    let mut word = 7_u32;
    let at = &raw mut word;
    // SAFETY: an aligned word of this test's.
    assert_eq!(unsafe { load_u32(&UserAccess::on_a_host(), at) }, Some(7));
    // SAFETY: as above.
    assert_eq!(
        // SAFETY: as above.
        unsafe { compare_exchange_u32(&UserAccess::on_a_host(), at, 8, 9) },
        Some(7)
    );
    // SAFETY: as above.
    assert_eq!(
        // SAFETY: as above.
        unsafe { compare_exchange_u32(&UserAccess::on_a_host(), at, 7, 9) },
        Some(7)
    );
    // SAFETY: as above.
    assert_eq!(unsafe { load_u32(&UserAccess::on_a_host(), at) }, Some(9));
}
