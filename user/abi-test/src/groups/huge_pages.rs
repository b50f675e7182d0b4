//! Huge pages: memory that was advised so is memory as any other, whatever is
//! done to a part of it.
//!
//! Whether a machine gives huge pages, its administrator says; so what comes of
//! it is compared, and only on Ochre whether there are any ([`are_huge`]).

use crate::call;
use crate::groups::{exec, memory::readable};
use crate::report::{check, check_child};
use crate::runner::SELF;
use crate::sys::{self, ANON, PAGE, RW};

/// Pages in a huge one.
const HUGE: usize = 512;

/// Where the machine's policy is.
const ENABLED: &str = "/sys/kernel/mm/transparent_hugepage/enabled";

/// Whether this is the machine whose policy is known.
fn is_ochre() -> bool {
    std::fs::exists("/proc/ochre").unwrap_or(false)
}

/// Whether memory from `at` on is in so many huge pages, as far as that is known.
fn are_huge(at: usize, count: usize) -> bool {
    let text = std::fs::read_to_string("/proc/self/smaps").unwrap_or_default();
    let mut is_it = false;
    let mut kib = 0;
    for line in text.lines() {
        let start = line.split('-').next().unwrap_or_default();
        if let Ok(start) = usize::from_str_radix(start, 16) {
            is_it = (at..at + count.max(1) * HUGE * PAGE).contains(&start);
        }
        let size = line.strip_prefix("AnonHugePages:").filter(|_| is_it);
        let size = size.and_then(|size| size.trim().strip_suffix(" kB"));
        kib += size.and_then(|size| size.parse().ok()).unwrap_or(0);
    }
    !is_ochre() || kib == count * HUGE * PAGE / 1024
}

/// An aligned range of so many huge pages, between two that are not accessible,
/// so that it is no part of a larger area.
fn aligned(places: usize) -> usize {
    let len = (places + 2) * HUGE * PAGE;
    let at = call!(SYS_mmap, 0, len, libc::PROT_NONE, ANON, -1, 0).unwrap_or(0) as usize;
    let start = (at + 1).next_multiple_of(HUGE * PAGE);
    let _ = call!(SYS_mprotect, start, places * HUGE * PAGE, RW);
    start
}

fn advise(at: usize, pages: usize, advice: i32) -> sys::Ret {
    call!(SYS_madvise, at, pages * PAGE, advice)
}

/// A range of huge pages, each page of which says another number.
fn filled(places: usize) -> usize {
    let at = aligned(places);
    check("HUGEPAGE", advise(at, places * HUGE, libc::MADV_HUGEPAGE));
    for page in 0..places * HUGE {
        sys::poke(at + page * PAGE, mark(page));
    }
    check("are huge", are_huge(at, places));
    at
}

fn mark(page: usize) -> u8 {
    (page % 251) as u8 + 1
}

/// What pages of a range do not say what they did, by number.
fn changed(at: usize, pages: usize) -> String {
    let mut ends = [0_i32; 2];
    let _ = call!(SYS_pipe2, &mut ends, 0);
    let mut changed = Vec::new();
    for page in 0..pages {
        let mut byte = [0_u8];
        if call!(SYS_write, ends[1], at + page * PAGE, 1) != Ok(1) {
            changed.push(format!("{page}: gone"));
            continue;
        }
        let _ = call!(SYS_read, ends[0], &mut byte, 1);
        if byte[0] != mark(page) {
            changed.push(format!("{page}: {}", byte[0]));
        }
    }
    for end in ends {
        let _ = call!(SYS_close, end);
    }
    changed.join(", ")
}

/// The cases without rights.
pub(crate) fn run() {
    parts();
    forks();
    all();
    whole();
    gathered();
    others();
    refused();
}

/// Each way to change a part.
fn parts() {
    let at = filled(2);
    let page = |page: usize| at + page * PAGE;
    check(
        "mprotect of a part",
        call!(SYS_mprotect, page(3), 2 * PAGE, libc::PROT_READ),
    );
    check("one is left", are_huge(at, 1));
    check_child("a store to it", || {
        sys::poke(page(4), 1);
        0
    });
    check("and back", call!(SYS_mprotect, page(3), 2 * PAGE, RW));
    check("changed", changed(at, 2 * HUGE));
    check("munmap", call!(SYS_munmap, page(10), 2 * PAGE));
    check("changed", changed(at, 2 * HUGE));
    let again = ANON | libc::MAP_FIXED;
    let anew = call!(SYS_mmap, page(10), 2 * PAGE, RW, again, -1, 0);
    check("mapped anew", anew == Ok(page(10) as i64));
    check("changed", changed(at, 2 * HUGE));
    for (number, value) in [(10, mark(10)), (11, mark(11))] {
        sys::poke(page(number), value);
    }

    let at = filled(2);
    let page = |page: usize| at + page * PAGE;
    check("DONTNEED", advise(page(20), 3, libc::MADV_DONTNEED));
    check("changed", changed(at, 2 * HUGE));
    check(
        "DONTNEED over the border",
        advise(page(HUGE - 1), 2, libc::MADV_DONTNEED),
    );
    check("changed", changed(at, 2 * HUGE));
    check("none is left", are_huge(at, 0));

    let at = filled(2);
    let page = |page: usize| at + page * PAGE;
    let to = aligned(1);
    let how = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
    let moved = call!(SYS_mremap, page(30), 3 * PAGE, 3 * PAGE, how, to);
    check("mremap of a part", moved == Ok(to as i64));
    check(
        "there",
        (0..3).all(|number| sys::peek(to + number * PAGE) == mark(30 + number)),
    );
    check("changed", changed(at, 2 * HUGE));
    let moved = call!(SYS_mremap, page(HUGE), HUGE * PAGE, HUGE * PAGE, how, to);
    check("mremap of all", moved == Ok(to as i64));
    check(
        "there",
        (0..HUGE).all(|number| sys::peek(to + number * PAGE) == mark(HUGE + number)),
    );
    let shorter = call!(SYS_mremap, to, HUGE * PAGE, 9 * PAGE, 0, 0);
    check("shorter", shorter == Ok(to as i64));
    check(
        "the last",
        (readable(to + 8 * PAGE), readable(to + 9 * PAGE)),
    );

    let at = filled(1);
    check("NOHUGEPAGE of a part", advise(at, 5, libc::MADV_NOHUGEPAGE));
    check("munmap of that", call!(SYS_munmap, at, 5 * PAGE));
    check("changed", changed(at, 9));
    check("the others", changed(at + 251 * PAGE, 100));
}

fn forks() {
    let at = filled(2);
    let page = |page: usize| at + page * PAGE;
    let (mut ends, mut back) = ([0_i32; 2], [0_i32; 2]);
    let _ = call!(SYS_pipe2, &mut ends, 0);
    let _ = call!(SYS_pipe2, &mut back, 0);
    let child = sys::fork(|| {
        sys::poke(page(5), 255);
        let mut byte = [0_u8];
        let _ = call!(SYS_read, ends[0], &mut byte, 1);
        let said = changed(at, 2 * HUGE);
        let _ = call!(SYS_write, back[1], said.as_bytes(), said.len());
        0
    });
    sys::poke(page(6), 254);
    let _ = call!(SYS_munmap, page(HUGE), PAGE);
    let _ = call!(SYS_write, ends[1], b"x", 1);
    let mut said = [0_u8; 200];
    let len = call!(SYS_read, back[0], &mut said, said.len()).unwrap_or(0) as usize;
    check(
        "the child's",
        String::from_utf8_lossy(&said[..len]).into_owned(),
    );
    check("the parent's", changed(at, 2 * HUGE));
    check("it ends", crate::report::wait(child));
    sys::poke(page(7), 253);
    check("alone again", changed(at, 2 * HUGE));

    let at = filled(1);
    check(
        "DONTFORK of a part",
        advise(at + PAGE, 2, libc::MADV_DONTFORK),
    );
    check(
        "WIPEONFORK",
        advise(at + 4 * PAGE, 2, libc::MADV_WIPEONFORK),
    );
    check_child("a child", || {
        check("changed", changed(at, HUGE));
        0
    });
    check("not the parent's", changed(at, HUGE));
}

fn all() {
    let at = filled(3);
    check("DONTNEED", advise(at, 2 * HUGE, libc::MADV_DONTNEED));
    check("one is left", are_huge(at, 1));
    let zeroes = (0..2 * HUGE).all(|page| sys::peek(at + page * PAGE) == 0);
    check("zeroes", zeroes);
    check("kept", sys::peek(at + 2 * HUGE * PAGE) == mark(2 * HUGE));
    let read_only = call!(SYS_mprotect, at, 3 * HUGE * PAGE, libc::PROT_READ);
    check("mprotect", read_only);
    check_child("a store", || {
        sys::poke(at + 2 * HUGE * PAGE, 1);
        0
    });
    let none = call!(SYS_mprotect, at, 3 * HUGE * PAGE, libc::PROT_NONE);
    check("and NONE", (none, readable(at + 2 * HUGE * PAGE)));
    check("and back", call!(SYS_mprotect, at, 3 * HUGE * PAGE, RW));
    sys::poke(at + 2 * HUGE * PAGE + PAGE, 9);
    check("kept", sys::peek(at + 2 * HUGE * PAGE) == mark(2 * HUGE));
    check("munmap", call!(SYS_munmap, at, 3 * HUGE * PAGE));
    check("gone", readable(at));

    let at = aligned(2);
    let _ = advise(at, 2 * HUGE, libc::MADV_HUGEPAGE);
    check("mlock", call!(SYS_mlock, at, 2 * HUGE * PAGE));
    check("are huge", are_huge(at, 2));
    let mut there = [0_u8; 4];
    let asked = call!(
        SYS_mincore,
        at + HUGE * PAGE - 2 * PAGE,
        4 * PAGE,
        &mut there
    );
    check("mincore", (asked, there.map(|byte| byte & 1)));
    check("munlock of a part", call!(SYS_munlock, at + PAGE, PAGE));
    check("DONTNEED of it", advise(at + PAGE, 1, libc::MADV_DONTNEED));
    check("of locked ones", advise(at, HUGE, libc::MADV_DONTNEED));
}

/// What leaves huge pages huge: changes of all of one.
fn whole() {
    let at = filled(2);
    for (name, rights) in [("READ", libc::PROT_READ), ("NONE", 0), ("both", RW)] {
        check(name, call!(SYS_mprotect, at, 2 * HUGE * PAGE, rights));
        check("are huge", are_huge(at, 2));
    }
    sys::poke(at + 9 * PAGE, mark(9));
    check("after a store", (are_huge(at, 2), changed(at, 2 * HUGE)));

    let to = aligned(2);
    let how = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
    let moved = call!(SYS_mremap, at, 2 * HUGE * PAGE, 2 * HUGE * PAGE, how, to);
    check("mremap", moved == Ok(to as i64));
    check("moved", (are_huge(to, 2), changed(to, 2 * HUGE)));
    check("gone", readable(at));

    check_child("a child", || {
        check("are huge", (are_huge(to, 2), changed(to, 2 * HUGE)));
        check_child("its child", || i32::from(!are_huge(to, 2)));
        sys::poke(to, 77);
        check("one is left", (are_huge(to, 1), changed(to, 2 * HUGE)));
        0
    });
    check("still huge", (are_huge(to, 2), changed(to, 2 * HUGE)));
    sys::poke(to + PAGE, mark(1));
    sys::poke(to + HUGE * PAGE, mark(HUGE));
    check("and stored to", (are_huge(to, 2), changed(to, 2 * HUGE)));
    check("munmap", call!(SYS_munmap, to, 2 * HUGE * PAGE));
}

/// `MADV_COLLAPSE`.
fn gathered() {
    const COLLAPSE: i32 = 25;
    let at = aligned(3);
    check("nothing there", advise(at, HUGE, COLLAPSE));
    sys::poke(at + 5 * PAGE, mark(5));
    sys::poke(at + HUGE * PAGE, mark(HUGE));
    check("two", advise(at, 2 * HUGE, COLLAPSE));
    check("are huge", are_huge(at, 2));
    check("again", advise(at, 2 * HUGE, COLLAPSE));
    let there = [5, 6, HUGE, HUGE + 1].map(|page| sys::peek(at + page * PAGE));
    check("what is there", there);
    check("with an empty one", advise(at, 3 * HUGE, COLLAPSE));
    check("nothing", advise(at, 0, COLLAPSE));
    check("a page at the beginning", advise(at, 1, COLLAPSE));
    check("a page within", advise(at + PAGE, 1, COLLAPSE));
    check("none as a whole", advise(at + PAGE, HUGE, COLLAPSE));
    check("not aligned", advise(at + 1, HUGE, COLLAPSE));
    check(
        "refused",
        advise(at + HUGE * PAGE, HUGE, libc::MADV_NOHUGEPAGE),
    );
    check("as advised", advise(at, 2 * HUGE, COLLAPSE));

    let at = aligned(3);
    for page in [0, 2 * HUGE] {
        sys::poke(at + page * PAGE, 1);
    }
    let hole = call!(SYS_munmap, at + HUGE * PAGE, HUGE * PAGE);
    check("a hole", (hole, advise(at, 3 * HUGE, COLLAPSE)));
    check(
        "are huge",
        are_huge(at, 1) && are_huge(at + 2 * HUGE * PAGE, 1),
    );

    let at = aligned(1);
    for page in 0..HUGE {
        sys::poke(at + page * PAGE, mark(page));
    }
    let (mut ends, mut back) = ([0_i32; 2], [0_i32; 2]);
    let _ = call!(SYS_pipe2, &mut ends, 0);
    let _ = call!(SYS_pipe2, &mut back, 0);
    let child = sys::fork(|| {
        let mut byte = [0_u8];
        let _ = call!(SYS_read, ends[0], &mut byte, 1);
        let said = changed(at, HUGE);
        let _ = call!(SYS_write, back[1], said.as_bytes(), said.len());
        i32::from(!are_huge(at, 0))
    });
    sys::poke(at, 255);
    check("a child has them, too", advise(at, HUGE, COLLAPSE));
    sys::poke(at + PAGE, 254);
    check("changed", (are_huge(at, 1), changed(at, HUGE)));
    let _ = call!(SYS_write, ends[1], b"x", 1);
    check("it ends", crate::report::wait(child));
    let _ = call!(SYS_close, back[1]);
    let mut said = [0_u8; 200];
    check(
        "the child's",
        call!(SYS_read, back[0], &mut said, said.len()),
    );
    for end in [ends[0], ends[1], back[0]] {
        let _ = call!(SYS_close, end);
    }
}

/// Those who look from elsewhere: the kernel's copies, other processes.
fn others() {
    let at = filled(1);
    let mut ends = [0_i32; 2];
    let _ = call!(SYS_pipe2, &mut ends, 0);
    let from = at + 100 * PAGE - 10;
    let wrote = call!(SYS_write, ends[1], from, 3 * PAGE);
    let read = call!(SYS_read, ends[0], at + 200 * PAGE - 10, 3 * PAGE);
    check("through a pipe", (wrote, read));
    let marks = [200, 201, 202].map(|page| sys::peek(at + page * PAGE));
    check("what came", marks);
    check("still huge", are_huge(at, 1));

    let parent = call!(SYS_getpid).unwrap_or(0);
    let mut bytes = [0_u8; 3];
    let local = [libc::iovec {
        iov_base: bytes.as_mut_ptr().cast(),
        iov_len: 3,
    }];
    let remote = [libc::iovec {
        iov_base: core::ptr::with_exposed_provenance_mut(at + 300 * PAGE - 1),
        iov_len: 3,
    }];
    let copied = call!(SYS_process_vm_readv, parent, &local, 1, &remote, 1, 0);
    check("process_vm_readv", (copied, bytes));
    let copied = call!(SYS_process_vm_writev, parent, &local, 1, &remote, 1, 0);
    check("process_vm_writev", copied);
    check("changed", changed(at + 251 * PAGE, 100));
}

/// `PR_SET_THP_DISABLE`.
fn refused() {
    let prctl = |operation: i32, value: usize, third: usize| {
        call!(SYS_prctl, operation, value, third, 0, 0)
    };
    let (set, get) = (libc::PR_SET_THP_DISABLE, libc::PR_GET_THP_DISABLE);
    check("not refused", prctl(get, 0, 0));
    check("two words", (prctl(set, 1, 1), prctl(get, 1, 0)));
    check_child("a child that refuses them", || {
        check("set", prctl(set, 1, 0));
        check_child("its child", || {
            check("get", prctl(get, 0, 0));
            exec::exec(SELF, &[SELF, c"--exit", c"8"], &[])
        });
        let at = aligned(1);
        let _ = advise(at, HUGE, libc::MADV_HUGEPAGE);
        sys::poke(at, 1);
        check("has none", are_huge(at, 0));
        check("allowed again", prctl(set, 0, 0));
        let _ = advise(at, HUGE, libc::MADV_DONTNEED);
        sys::poke(at, 1);
        check("has one", are_huge(at, 1));
        prctl(get, 0, 0).unwrap_or(9) as i32
    });
    check("the parent's", prctl(get, 0, 0));
}

/// The policy, which is Ochre's to change here, not the host's.
pub(crate) fn as_root() {
    check("policies", !is_ochre() || policies().is_empty());
}

/// What is not as each policy wants it.
fn policies() -> String {
    let set = |policy: &str| std::fs::write(ENABLED, policy).is_ok();
    let now = || std::fs::read_to_string(ENABLED).unwrap_or_default();
    let has_one = |advice: i32| {
        let at = aligned(1);
        let _ = advise(at, HUGE, advice);
        sys::poke(at, 1);
        let is_huge = are_huge(at, 1);
        let _ = call!(SYS_munmap, at, HUGE * PAGE);
        is_huge
    };
    let advices = [
        libc::MADV_NORMAL,
        libc::MADV_HUGEPAGE,
        libc::MADV_NOHUGEPAGE,
    ];
    let default = "always [madvise] never\n";
    let mut wrong = String::new();
    for (policy, told, expected) in [
        ("always", "[always] madvise never\n", [true, true, false]),
        ("never\n", "always madvise [never]\n", [false; 3]),
        ("madvise", default, [false, true, false]),
    ] {
        let is_set = set(policy);
        if !is_set || now() != told || advices.map(has_one) != expected {
            wrong += policy;
        }
    }
    if set("sometimes") || now() != default {
        wrong += "sometimes";
    }
    wrong
}
