//! `futex`: wait and wake, as locks and joins need them.

use crate::call;
use crate::report::{check, check_child, wait};
use crate::sys::{self, BAD};

const WAIT: i32 = libc::FUTEX_WAIT;
const WAKE: i32 = libc::FUTEX_WAKE;
const PRIVATE: i32 = libc::FUTEX_PRIVATE_FLAG;

fn shared_page() -> usize {
    let prot = libc::PROT_READ | libc::PROT_WRITE;
    call!(
        SYS_mmap,
        0,
        4096,
        prot,
        libc::MAP_SHARED | libc::MAP_ANONYMOUS,
        -1,
        0
    )
    .unwrap_or(0) as usize
}

/// The cases.
pub(crate) fn run() {
    let mut word = 5_u32;
    let zero = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let short = libc::timespec {
        tv_sec: 0,
        tv_nsec: 20_000_000,
    };
    check(
        "wait on another value",
        call!(SYS_futex, &mut word, WAIT | PRIVATE, 6, 0),
    );
    check(
        "wait, no time",
        call!(SYS_futex, &mut word, WAIT | PRIVATE, 5, &zero),
    );
    check(
        "wait, some time",
        call!(SYS_futex, &mut word, WAIT | PRIVATE, 5, &short),
    );
    check(
        "wake nobody",
        call!(SYS_futex, &mut word, WAKE | PRIVATE, 1),
    );
    check("not aligned", call!(SYS_futex, 0x1001, WAIT, 0, 0));
    check("bad address", call!(SYS_futex, BAD, WAIT, 0, &zero));
    check(
        "wake at a bad private address",
        call!(SYS_futex, BAD, WAKE | PRIVATE, 1),
    );
    check("bad time", call!(SYS_futex, &mut word, WAIT, 5, BAD));
    let bad = libc::timespec {
        tv_sec: 0,
        tv_nsec: 1_000_000_000,
    };
    check(
        "bad nanoseconds",
        call!(SYS_futex, &mut word, WAIT, 5, &bad),
    );
    check("bad operation", call!(SYS_futex, &mut word, 77, 0, 0));
    let bitset = libc::FUTEX_WAIT_BITSET | PRIVATE;
    check(
        "bitset 0",
        call!(SYS_futex, &mut word, bitset, 5, &zero, 0, 0),
    );
    check(
        "bitset, past deadline",
        call!(SYS_futex, &mut word, bitset, 5, &zero, 0, 1),
    );
    let page = shared_page();
    check_child("between processes", || {
        let child = sys::fork(|| {
            while sys::peek32(page) == 0 {
                let _ = call!(SYS_futex, page, WAIT, 0, 0);
            }
            sys::peek32(page) as i32
        });
        std::thread::sleep(core::time::Duration::from_millis(30));
        sys::poke(page, 9);
        check(
            "woken",
            call!(SYS_futex, page, WAKE, 10).is_ok_and(|count| count <= 1),
        );
        check("child", wait(child));
        0
    });
    check_child("wakes as many as asked", || {
        sys::poke(page, 0);
        let children: Vec<i32> = (0..4)
            .map(|_| {
                sys::fork(|| {
                    let _ = call!(SYS_futex, page, WAIT, 0, 0);
                    0
                })
            })
            .collect();
        let mut woken = 0;
        // They may not wait yet; so waking is tried until all were.
        for _ in 0..500 {
            woken += call!(SYS_futex, page, WAKE, 1).unwrap_or(0);
            if woken == 4 {
                break;
            }
            std::thread::sleep(core::time::Duration::from_millis(5));
        }
        check("one by one", woken);
        for child in children {
            check("child", wait(child));
        }
        0
    });
    let mut list = [0_usize; 3];
    let head = core::ptr::from_ref(&list).addr();
    list[0] = head;
    check("set_robust_list", call!(SYS_set_robust_list, &list, 24));
    check(
        "set_robust_list size",
        call!(SYS_set_robust_list, &list, 23),
    );
    let (mut got, mut size) = (0_usize, 0_usize);
    check(
        "get_robust_list",
        call!(SYS_get_robust_list, 0, &mut got, &mut size),
    );
    check("list", got == head && size == 24);
}
