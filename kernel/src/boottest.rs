//! One property, one kernel, one machine: what `ochre.boottest=NAME` runs.
//!
//! A property that holds is told as `boottest NAME: ok (N processors)`, and the
//! machine ends with status 0. Most are that something is caught: then the log has the
//! kernel's report, the machine fails, and `ok` never appears.
//!
//! | name | what must happen |
//! |---|---|
//! | `places` | tells where image, direct map and stacks are; ok |
//! | `breakpoint` | told on the log; ok |
//! | `page-fault`, `null`, `invalid` | a report of the exception |
//! | `divide` | the same; or, where the machine has none, zero and ok |
//! | `heap-overrun` | a panic that says so, when the object is given back |
//! | `stack-overflow` | a report that says so, from the double fault's stack |
//! | `write-text`, `write-constants` | a report of a page fault: read-only |
//! | `execute-data`, `execute-direct-map` | a report of a page fault: not executable |
//! | `user-access`, `user-execute` | a report that names SMAP, SMEP |
//! | `memory-error`, `memory-error-idle` | a report that says so, from where interrupts are looked for; from where there is nothing to do |
//! | `memory-error-user` | the same, from a program; the kernel's calls that led there |
//! | `panic` | the message, where, and the calls; on the first serial port too |
//! | `last-words` | they are on the screen; stays there |
//! | `new-mapping` | what is written by another mapping of the screen is on it; stays there |
//! | `out-of-heap` | an error and no panic; ok |
//! | `timer` | five alarms, none early; ok |
//! | `archive` | the loader's archive (byte n is n % 251) is read, adopted, freed; ok |
//! | `idle` | an alarm that is already due ends the sleep; ok |
//! | `processors` | each comes up and says its number once; ok |
//! | `wake-from-idle` | each sleeps and is woken, again and again; ok |
//! | `panic-elsewhere`, `overflow-elsewhere` | a report by the second processor; all stop |
//! | `tasks` | some that yield, thousands that sleep, none polled in vain; ok |
//! | `keys` | a task for each key that is pressed; ok |
//! | `log-storm` | every processor logs from its alarms; most is left out and counted; ok |
//! | `hang` | nothing for ever: the host has to say so |
//! | `stuck` | a report of where one of the other processors is; then a panic |

mod keys;
mod storm;
mod tasks;

use alloc::format;
use alloc::vec::Vec;

use ochre_hal::boot::{BootInfo, Initramfs};
use ochre_hal::cpu::{CpuId, MAX_CPUS};
use ochre_hal::irq::{self, Event};
use ochre_hal::memory::{PAGE_SIZE, PageTable, Rights, UserFrame};
use ochre_hal::user::UserContext;
use ochre_hal::{boottest, clock, cpu, debug, memory, power, smp};
use ochre_sync::primitive::atomic::{AtomicUsize, Ordering};

/// The test that the command line names.
fn selected(cmdline: &[u8]) -> Option<&str> {
    cmdline
        .split(u8::is_ascii_whitespace)
        .find_map(|word| word.strip_prefix(b"ochre.boottest="))
        .and_then(|name| str::from_utf8(name).ok())
}

/// Runs the test that the command line names and ends the machine; comes back
/// where it names none.
pub(crate) fn run(boot: &mut BootInfo) {
    let Some(name) = selected(boot.cmdline) else {
        return;
    };
    crate::end_by_the_tools_ports();
    match name {
        "places" => {
            let [image, direct_map, stacks] = boottest::places();
            let text = format!("places {image:#x} {direct_map:#x} {stacks:#x}\n");
            debug::write(text.as_bytes());
        }
        "breakpoint" => boottest::breakpoint(),
        "page-fault" => boottest::read_unmapped(),
        "null" => boottest::read_null(),
        "invalid" => boottest::invalid_instruction(),
        "divide" => assert_eq!(boottest::divide_by_zero(), 0, "where it is no fault"),
        "heap-overrun" => boottest::overrun_heap(),
        "stack-overflow" => {
            // Seen by nobody: the answer is only there to be worked for.
            assert_ne!(recurse(1), 0);
        }
        "write-text" => boottest::write_text(),
        "write-constants" => boottest::write_constants(),
        "execute-data" => boottest::execute_data(),
        "execute-direct-map" => boottest::execute_direct_map(),
        "user-access" => {
            let (table, address) = user_page();
            boottest::read_user(table.space(), address);
        }
        "user-execute" => {
            let (table, address) = user_page();
            boottest::execute_user(table.space(), address);
        }
        "memory-error" => {
            boottest::memory_error();
            panic!("it was not found: {:?}", irq::poll_pending());
        }
        "memory-error-idle" => {
            boottest::memory_error();
            panic!("it was slept through: {:?}", cpu::wait_for_interrupt());
        }
        "memory-error-user" => run_with_error(),
        "panic" => {
            debug::set_panic_to_serial(true);
            panic!("on purpose")
        }
        "last-words" => {
            boottest::last_words("the end\nthis is why\n");
            // The host looks at the screen, and ends the machine.
            loop {
                let _ = cpu::wait_for_interrupt();
            }
        }
        "new-mapping" => {
            boottest::write_by_new_mapping("seen by a new mapping");
            loop {
                let _ = cpu::wait_for_interrupt();
            }
        }
        "out-of-heap" => out_of_heap(),
        "timer" => timer(),
        "idle" => idle(),
        "processors" => processors(),
        "wake-from-idle" => wake_from_idle(),
        "panic-elsewhere" => elsewhere(panic_here),
        "overflow-elsewhere" => elsewhere(overflow),
        "stuck" => stuck(),
        "tasks" => tasks::run(ok),
        "keys" => keys::run(ok),
        "log-storm" => storm::run(),
        "hang" => {
            debug::write(b"boottest hang: begins\n");
            loop {
                let _ = cpu::wait_for_interrupt();
            }
        }
        "archive" => archive(boot.initramfs.take()),
        _ => panic!("no such boottest: {name}"),
    }
    ok(name)
}

/// Says that a property holds, and ends the machine.
fn ok(name: &str) -> ! {
    debug::write(format!("boottest {name}: ok ({} processors)\n", cpu::online()).as_bytes());
    power::power_off(0)
}

// ANCHOR: recurse
/// Calls itself until the stack is gone.
fn recurse(depth: u64) -> u64 {
    let frame = core::hint::black_box([depth; 64]);
    if depth == 0 {
        return 1;
    }
    let deeper = recurse(core::hint::black_box(depth.wrapping_add(1)));
    deeper.wrapping_add(frame[(depth % 64) as usize])
}
// ANCHOR_END: recurse

/// An address space with one page that a program may do anything with.
fn user_page() -> (PageTable, u64) {
    const ADDRESS: u64 = 0x40_0000;
    let frame = UserFrame::zeroed().expect("memory at boot");
    frame.write(0, boottest::ENDLESS);
    let mut table = PageTable::new().expect("memory at boot");
    table
        .map(ADDRESS, frame, Rights::all() - Rights::GUARDED)
        .expect("memory at boot");
    (table, ADDRESS)
}

/// Runs a program when an error is pending.
fn run_with_error() {
    let (table, address) = user_page();
    let mut program = UserContext::new().expect("memory at boot");
    program.reset(address, address);
    boottest::memory_error();
    clock::set_alarm(Some(clock::now_ns() + 1_000_000_000));
    panic!("the program ran: {:?}", program.run(table.space()));
}

/// Takes the whole heap, is told when it is gone, gives it back, takes again.
fn out_of_heap() {
    let mut impossible: Vec<u8> = Vec::new();
    assert!(impossible.try_reserve_exact(1 << 46).is_err());
    for _ in 0..2 {
        let mut pieces: Vec<Vec<u8>> = Vec::new();
        let mut count = 0_usize;
        loop {
            let mut piece: Vec<u8> = Vec::new();
            if pieces.try_reserve(1).is_err() || piece.try_reserve_exact(PAGE_SIZE).is_err() {
                break;
            }
            piece.push(1);
            pieces.push(piece);
            count += 1;
        }
        assert!(count > 100, "only {count} pieces of heap");
    }
}

/// Reads the archive in the three ways there are, and counts what comes back.
fn archive(archive: Option<Initramfs>) {
    let mut archive = archive.expect("the loader brought an archive");
    let len = archive.remaining();
    let pages = len.div_ceil(PAGE_SIZE);
    assert!(pages >= 4, "the archive is too small for the test");
    let is_right = |start: usize, bytes: &[u8]| {
        let expected = (start..).map(|n| (n % 251) as u8);
        bytes
            .iter()
            .copied()
            .zip(expected)
            .all(|(is, want)| is == want)
    };
    assert!(is_right(0, archive.bytes()), "the content");
    assert_eq!(archive.bytes().len(), len);
    let free = memory::stats().free;

    archive.consume(1);
    assert!(archive.take_page().is_none(), "not at a page's start");
    archive.consume(PAGE_SIZE);
    assert_eq!(memory::stats().free, free + 1, "a page behind the cursor");
    archive.consume(PAGE_SIZE - 1);
    assert_eq!(memory::stats().free, free + 2);

    let frame = archive.take_page().expect("a whole page");
    let mut copy = [0; 100];
    frame.read(0, &mut copy);
    assert!(is_right(2 * PAGE_SIZE, &copy), "the adopted page's content");
    assert!(is_right(3 * PAGE_SIZE, archive.bytes()), "the rest");
    assert_eq!(memory::stats().free, free + 2);
    drop(frame);
    assert_eq!(memory::stats().free, free + 3);

    archive.consume(usize::MAX);
    assert_eq!(archive.remaining(), 0);
    assert!(archive.bytes().is_empty() && archive.take_page().is_none());
    drop(archive);
    assert_eq!(memory::stats().free, free + pages);
}

/// Five alarms, each at its time or later.
fn timer() {
    for _ in 0..5 {
        let deadline = clock::now_ns() + 5_000_000;
        clock::set_alarm(Some(deadline));
        while cpu::wait_for_interrupt() != Event::Timer {}
        assert!(clock::now_ns() >= deadline, "an alarm came early");
    }
    // And in the window between polls.
    clock::set_alarm(Some(clock::now_ns() + 1_000_000));
    while irq::poll_pending() != Some(Event::Timer) {}
}

// ANCHOR: idle
/// An alarm that fired before the sleep began must still end it.
fn idle() {
    for _ in 0..100 {
        clock::set_alarm(Some(clock::now_ns()));
        let until = clock::now_ns() + 100_000;
        while clock::now_ns() < until {}
        while cpu::wait_for_interrupt() != Event::Timer {}
    }
    clock::set_alarm(None);
    assert_eq!(irq::poll_pending(), None, "an alarm that was not set");
}
// ANCHOR_END: idle

/// How often each other processor was where its test wants it.
static COUNTS: [AtomicUsize; MAX_CPUS] = [const { AtomicUsize::new(0) }; MAX_CPUS];

/// Counts this processor once, and sleeps.
fn count_and_sleep() -> ! {
    COUNTS[cpu::current().index()].fetch_add(1, Ordering::Relaxed);
    loop {
        let _ = cpu::wait_for_interrupt();
    }
}

/// The processors are numbered from 0 without a gap, and each runs once.
fn processors() {
    smp::start_others(count_and_sleep);
    // A second time has no effect.
    smp::start_others(count_and_sleep);
    for cpu in cpu::all().skip(1) {
        while COUNTS[cpu.index()].load(Ordering::Relaxed) == 0 {
            core::hint::spin_loop();
        }
    }
    let counts: Vec<usize> = COUNTS
        .iter()
        .map(|count| count.load(Ordering::Relaxed))
        .collect();
    let expected: Vec<usize> = (0..MAX_CPUS)
        .map(|index| usize::from((1..cpu::online()).contains(&index)))
        .collect();
    assert_eq!(counts, expected);
}

/// Counts how often this processor is woken.
fn count_kicks() -> ! {
    loop {
        if cpu::wait_for_interrupt() == Event::Reschedule {
            COUNTS[cpu::current().index()].fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Every kick that finds the processor asleep, or on its way there, wakes it.
fn wake_from_idle() {
    smp::start_others(count_kicks);
    let wait = |cpu: CpuId, kicks| {
        while COUNTS[cpu.index()].load(Ordering::Relaxed) < kicks {
            core::hint::spin_loop();
        }
    };
    // Alone: it is the one that is meant.
    for cpu in cpu::all().skip(1) {
        irq::kick(cpu);
        wait(cpu, 1);
    }
    for round in 2..=1000 {
        for cpu in cpu::all().skip(1) {
            irq::kick(cpu);
        }
        for cpu in cpu::all().skip(1) {
            wait(cpu, round);
        }
    }
}

/// Runs something on the second processor while this one works, and would go on for ever.
fn elsewhere(what: fn() -> !) {
    smp::start_others(what);
    loop {
        core::hint::spin_loop();
    }
}

fn panic_here() -> ! {
    if cpu::current().index() != 1 {
        loop {
            let _ = cpu::wait_for_interrupt();
        }
    }
    panic!("on purpose, on processor {}", cpu::current().index())
}

fn overflow() -> ! {
    assert_ne!(recurse(1), 0);
    panic_here()
}

/// Never comes back from the kernel.
#[inline(never)]
fn stuck_for_ever() -> ! {
    loop {
        core::hint::spin_loop();
    }
}

/// One of the others never comes back: of many one in the middle, which another
/// than the first looks after. The others sleep.
fn one_is_stuck() -> ! {
    if cpu::current().index() == (smp::present() / 2).max(1) {
        stuck_for_ever()
    }
    loop {
        let _ = cpu::wait_for_interrupt();
    }
}

/// One of the other processors never comes back, and this one sleeps.
fn stuck() {
    smp::watch::set_limit(200_000_000);
    smp::start_others(one_is_stuck);
    while smp::watch::reports() == 0 {
        let _ = cpu::wait_for_interrupt();
    }
    // Its report may take longer than this processor to come here.
    clock::set_alarm(Some(clock::now_ns() + 1_000_000_000));
    while cpu::wait_for_interrupt() != Event::Timer {}
    panic!("on purpose");
}
