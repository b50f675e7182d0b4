//! Page tables at work: makes pages come, be shared, copied and forbidden, and
//! shows the walk to each (`/proc/ochre/pagetable`) before and after.
//!
//! The words say what to show, in that order; `docs/paging.md` explains what is
//! seen, and `tests/memory` runs what the chapter shows. It wants root's
//! rights: others are not told frames.
#![expect(
    unsafe_code,
    reason = "maps, touches and forks by itself, so that no library's pages are in the way"
)]

use std::fs;
use std::process::ExitCode;

const PAGE: usize = 4096;
const RW: i32 = libc::PROT_READ | libc::PROT_WRITE;

/// What can be shown.
const SHOWN: [(&str, fn()); 8] = [
    ("levels", levels),
    ("touch", touch),
    ("fork", fork),
    ("file", file),
    ("guard", guard),
    ("vdso", vdso),
    ("huge", huge),
    ("frames", frames),
];

fn main() -> ExitCode {
    for word in std::env::args().skip(1) {
        let Some((_, show)) = SHOWN.iter().find(|(name, _)| *name == word) else {
            eprintln!(
                "page-walk: no `{word}`; there are {:?}",
                SHOWN.map(|(name, _)| name)
            );
            return ExitCode::FAILURE;
        };
        show();
    }
    ExitCode::SUCCESS
}

/// Prints the walk to an address.
fn walk(title: &str, address: usize) {
    println!("-- {title}");
    print!("{}", text(address));
}

fn text(address: usize) -> String {
    let path = format!("/proc/ochre/pagetable/self/{address:x}");
    fs::read_to_string(&path).unwrap_or_else(|error| format!("{path}: {error}\n"))
}

/// Prints the lines of a walk that begin with these words.
fn lines(title: &str, address: usize, words: &[&str]) {
    println!("-- {title}");
    let text = text(address);
    let wanted = |line: &&str| words.iter().any(|word| line.starts_with(word));
    for line in text.lines().filter(wanted) {
        println!("{line}");
    }
}

/// What changes when a page is touched: the last entry and what is after it.
const END: [&str; 4] = ["level 0", "memory", "load", "store"];

/// Maps pages of nothing, or of a file.
fn map(pages: usize, fd: i32) -> usize {
    let flags = if fd < 0 { libc::MAP_ANONYMOUS } else { 0 } | libc::MAP_PRIVATE;
    // SAFETY: takes nothing away from anybody.
    let at = unsafe { libc::mmap(core::ptr::null_mut(), pages * PAGE, RW, flags, fd, 0) };
    assert_ne!(at, libc::MAP_FAILED, "there is room");
    at.expose_provenance()
}

/// Changes what may be done with a page that [`map`] mapped.
fn protect(at: usize, rights: i32) {
    let at = core::ptr::with_exposed_provenance_mut(at);
    // SAFETY: a mapping of ours that no Rust object is in.
    let answer = unsafe { libc::mprotect(at, PAGE, rights) };
    assert_eq!(answer, 0, "the page is mapped");
}

/// Loads a byte of what [`map`] mapped.
fn load(at: usize) -> u8 {
    // SAFETY: mapped, readable, and no Rust object is there.
    unsafe { core::ptr::with_exposed_provenance::<u8>(at).read_volatile() }
}

/// Stores a byte to what [`map`] mapped.
fn store(at: usize) {
    // SAFETY: as in `load`, and writable.
    unsafe { core::ptr::with_exposed_provenance_mut::<u8>(at).write_volatile(1) }
}

/// Runs `body` in a child and waits for its end.
fn in_child(body: impl FnOnce()) {
    // SAFETY: there is one thread, so a child can do what its parent can.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "there is room for a child");
    if child == 0 {
        body();
        std::process::exit(0);
    }
    let mut status = 0;
    // SAFETY: the status outlasts the call.
    let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
    assert_eq!((waited, status), (child, 0), "the child ends well");
}

/// All four levels.
fn levels() {
    let at = map(1, -1);
    store(at + 0x123);
    walk("a page that was written", at + 0x123);
}

/// A page comes when it is touched.
fn touch() {
    let at = map(1, -1);
    lines("mapped", at, &["level", "memory", "load", "store"]);
    load(at);
    lines("after a load", at, &END);
    store(at);
    lines("after a store", at, &END);
}

/// Copy on write.
fn fork() {
    let at = map(1, -1);
    store(at);
    lines("before the fork", at, &END);
    in_child(|| {
        lines("in the child", at, &END);
        store(at);
        lines("in the child, after its store", at, &END);
    });
    lines("in the parent, the child is gone", at, &END);
    store(at);
    lines("in the parent, after its store", at, &END);
}

/// A private mapping of a file.
fn file() {
    // SAFETY: the name is a string with its end.
    let fd = unsafe { libc::memfd_create(c"file".as_ptr(), 0) };
    // SAFETY: takes numbers only.
    let sized = unsafe { libc::ftruncate(fd, PAGE as i64) };
    assert_eq!(sized, 0, "a file has room for a page");
    let at = map(1, fd);
    load(at);
    lines("after a load", at, &END);
    store(at);
    lines("after a store", at, &END);
}

/// Pages that nobody may touch.
fn guard() {
    let at = map(2, -1);
    protect(at, libc::PROT_NONE);
    store(at + PAGE);
    lines(
        "a guard below a stack",
        at,
        &["area", "level", "load", "store"],
    );
    protect(at + PAGE, libc::PROT_NONE);
    lines("a page with content, forbidden", at + PAGE, &END);
    protect(at + PAGE, RW);
    lines("allowed again", at + PAGE, &END);
}

/// Where an area that has a name begins.
fn area(name: &str) -> Option<usize> {
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let line = maps.lines().find(|line| line.ends_with(name))?;
    let start = line.split('-').next()?;
    usize::from_str_radix(start, 16).ok()
}

/// What the kernel puts into every program.
fn vdso() {
    for name in ["[vdso]", "[vvar]"] {
        match area(name) {
            Some(at) => {
                load(at);
                lines(name, at, &["area", "level 0", "memory", "store"]);
            }
            None => println!("-- no {name}"),
        }
    }
}

/// The kernel's own half, where there are huge pages.
fn huge() {
    let kernel = fs::read_to_string("/proc/ochre/pagetable/kernel").unwrap_or_default();
    let line = kernel.lines().find(|line| line.contains(" by 2 MiB"));
    let line = line.unwrap_or("no huge page");
    println!("-- memory that the kernel sees in huge pages\n{line}");
    let start = line.split('-').next();
    if let Some(at) = start.and_then(|start| usize::from_str_radix(start, 16).ok()) {
        walk("the walk to it", at);
    }
}

/// Where frames and objects are free.
fn frames() {
    for (name, count) in [("/proc/buddyinfo", 1), ("/proc/slabinfo", 5)] {
        println!("-- {name}");
        let text = fs::read_to_string(name).unwrap_or_default();
        for line in text.lines().take(count) {
            println!("{line}");
        }
    }
}
