//! Landing pads (`PROT_BTI`), and the switches of the keys that sign addresses:
//! both AArch64's, where the processor has them. Others refuse them.

use std::os::unix::fs::PermissionsExt;

use super::exec::exec;
use super::memory::fresh;
use crate::arch::{self, Way};
use crate::call;
use crate::report::{check, check_child, line, signal_name};
use crate::sys::{self, ANON, PAGE};

/// `PROT_BTI`.
const GUARDED: i32 = 0x10;
/// `PROT_MTE`, which no machine here has.
const OTHER: i32 = 0x20;
const RX: i32 = libc::PROT_READ | libc::PROT_EXEC;

const PR_PAC_SET_ENABLED_KEYS: i32 = 60;
const PR_PAC_GET_ENABLED_KEYS: i32 = 61;

const NOP: u32 = 0xd503_201f;
const RET: u32 = 0xd65f_03c0;
/// `bti c`, for calls.
const FOR_CALLS: u32 = 0xd503_245f;
/// `autiasp`.
const CHECK: u32 = 0xd503_23bf;

/// What a piece of code begins with, and what takes that back.
const BEGINNINGS: [(&str, u32, u32); 6] = [
    ("no landing pad", NOP, NOP),
    ("bti", 0xd503_241f, NOP),
    ("bti c", FOR_CALLS, NOP),
    ("bti j", 0xd503_249f, NOP),
    ("bti jc", 0xd503_24df, NOP),
    ("paciasp", 0xd503_233f, CHECK),
];

/// Where in the page the code is by which jumps go from within it.
const PAD: usize = 0x800;

/// A page with code at its begin, protected so.
fn page(code: &[u32], protection: i32) -> usize {
    let at = fresh(1);
    write(at, code);
    // `bti c; br x1`.
    write(at + PAD, &[FOR_CALLS, 0xd61f_0020]);
    let answer = call!(SYS_mprotect, at, PAGE, protection);
    if answer != Ok(0) {
        check("  mprotect", answer);
    }
    at
}

fn write(at: usize, code: &[u32]) {
    for (index, byte) in code.iter().flat_map(|word| word.to_le_bytes()).enumerate() {
        sys::poke(at + index, byte);
    }
}

/// Code that begins so, and answers 7.
fn seven(begin: u32, end: u32) -> [u32; 4] {
    [begin, 0xd280_00e0, end, RET]
}

extern "C" fn report(signal: i32, info: &libc::siginfo_t, context: usize) {
    let at = sys::siginfo(info).addr;
    line(&format!(
        "  {} code {} at the instruction {} arrived {}",
        signal_name(signal),
        info.si_code,
        at as u64 == arch::instruction(context),
        arch::arrival(context)
    ));
    sys::exit(0);
}

/// Comes to code at the begin of a page, in a child.
fn come(name: &str, way: Way, at: usize) {
    check_child(name, || {
        sys::on_signal(libc::SIGILL, 0, report);
        sys::on_signal(libc::SIGSEGV, 0, report);
        check("  answer", arch::come(way, at, at + PAD));
        0
    });
}

/// The flags of `/proc/self/smaps` for the area at an address.
fn flags(at: usize) -> String {
    let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap_or_default();
    let mut lines = smaps
        .lines()
        .skip_while(|line| !line.starts_with(&format!("{at:x}-")));
    lines
        .find(|line| line.starts_with("VmFlags:"))
        .unwrap_or_default()
        .contains(" bt ")
        .to_string()
}

/// Landing pads.
pub(crate) fn run() {
    let at = fresh(1);
    check("mprotect", call!(SYS_mprotect, at, PAGE, RX | GUARDED));
    check("mprotect to none", call!(SYS_mprotect, at, PAGE, GUARDED));
    check(
        "mprotect, unknown",
        call!(SYS_mprotect, at, PAGE, RX | OTHER),
    );
    check(
        "mprotect, unknown too",
        call!(SYS_mprotect, at, PAGE, RX | 0x40),
    );
    let mapped = call!(SYS_mmap, 0, PAGE, RX | GUARDED | OTHER, ANON, -1, 0);
    check("mmap", mapped.is_ok());
    if !arch::HAS_MARKS {
        return;
    }
    check("smaps", flags(mapped.unwrap_or(0) as usize));
    check("AT_HWCAP2", sys::auxv(libc::AT_HWCAP2) >> 17 & 1);
    let ways = [
        ("called", Way::Call),
        ("jumped to", Way::Jump),
        ("jumped to from a guarded page", Way::JumpFromPad),
        ("returned to", Way::Return),
    ];
    for (begin, first, last) in BEGINNINGS {
        let at = page(&seven(first, last), RX | GUARDED);
        for (how, way) in ways {
            come(&format!("{begin}, {how}"), way, at);
        }
    }
    changes();
    handlers();
    programs();
    vdso();
}

/// Bytes of [`seven`].
const SEVEN: usize = 16;

/// Copies of code without a landing pad, from the begin of a page.
struct Copies {
    at: usize,
    next: usize,
}

impl Copies {
    /// Writes as many as there is room for in front of [`PAD`].
    fn new(at: usize) -> Copies {
        let code = seven(NOP, NOP);
        for copy in 0..PAD / SEVEN {
            write(at + copy * SEVEN, &code);
        }
        Copies { at, next: 0 }
    }

    /// One that nobody has been at. (An emulator may remember of code that it
    /// has executed whether its page was guarded then.)
    fn next(&mut self) -> usize {
        self.next += 1;
        self.at + (self.next - 1) * SEVEN
    }

    /// Comes to one of them, in a child.
    fn come(&mut self, name: &str) {
        let (at, pad) = (self.next(), self.at + PAD);
        check_child(name, || {
            sys::on_signal(libc::SIGILL, 0, report);
            sys::on_signal(libc::SIGSEGV, 0, report);
            check("  answer", arch::come(Way::Call, at, pad));
            0
        });
    }
}

/// The mark comes and goes, and goes along.
fn changes() {
    let at = fresh(1);
    let mut copies = Copies::new(at);
    check("guarded", call!(SYS_mprotect, at, PAGE, RX | GUARDED));
    check("guarded", flags(at));
    copies.come("guarded");
    check("without", call!(SYS_mprotect, at, PAGE, RX));
    check("without", flags(at));
    copies.come("without");
    check("with it again", call!(SYS_mprotect, at, PAGE, RX | GUARDED));
    copies.come("with it again");
    check(
        "to be read",
        call!(SYS_mprotect, at, PAGE, libc::PROT_READ | GUARDED),
    );
    check("read", sys::peek(at));
    copies.come("to be read");
    check("to nothing", call!(SYS_mprotect, at, PAGE, GUARDED));
    check_child("to nothing", || {
        sys::on_signal(libc::SIGSEGV, 0, report);
        i32::from(sys::peek(at))
    });
    check("back", call!(SYS_mprotect, at, PAGE, RX | GUARDED));
    let flags_of_move = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
    let to = fresh(1);
    let moved = call!(SYS_mremap, at, PAGE, PAGE, flags_of_move, to);
    check("moved", moved == Ok(to as i64));
    check("moved", flags(to));
    copies.at = to;
    copies.come("moved");
    // Two areas that differ in the mark alone are two.
    let two = fresh(2);
    let (mut first, mut second) = (Copies::new(two), Copies::new(two + PAGE));
    check("half", call!(SYS_mprotect, two, 2 * PAGE, RX));
    check("half", call!(SYS_mprotect, two, PAGE, RX | GUARDED));
    first.come("guarded half");
    second.come("other half");
    // What a processor remembers of the page goes with the mark, both ways.
    check_child("by one thread", || {
        sys::on_signal(libc::SIGILL, 0, report);
        let at = fresh(1);
        let mut copies = Copies::new(at);
        let marked = at + PAD;
        write(marked, &seven(FOR_CALLS, NOP));
        check("  guarded", call!(SYS_mprotect, at, PAGE, RX | GUARDED));
        check("  with", arch::come(Way::Call, marked, 0));
        check("  not guarded", call!(SYS_mprotect, at, PAGE, RX));
        check("  without", arch::come(Way::Call, copies.next(), 0));
        check("  guarded", call!(SYS_mprotect, at, PAGE, RX | GUARDED));
        check("  without", arch::come(Way::Call, copies.next(), 0));
        0
    });
    // A page that can be written is copied in a child, and stays guarded.
    let all = fresh(1);
    let mut copies = Copies::new(all);
    let protection = RX | libc::PROT_WRITE | GUARDED;
    check("all", call!(SYS_mprotect, all, PAGE, protection));
    check_child("copied", || {
        write(all + PAD, &seven(NOP, NOP));
        copies.come("its copy");
        0
    });
    copies.come("the first one");
}

/// A handler is called, and who returns from one comes as its frame says.
fn handlers() {
    for (begin, first, last) in &BEGINNINGS[..3] {
        let at = page(&[*first, *last, RET], RX | GUARDED);
        check_child(&format!("handler with {begin}"), || {
            sys::on_signal(libc::SIGILL, 0, report);
            sys::set_disposition(libc::SIGUSR1, at);
            let own = call!(SYS_getpid).unwrap_or(0);
            check("  kill", call!(SYS_kill, own, libc::SIGUSR1));
            0
        });
    }
    extern "C" fn elsewhere(_: i32, _: &libc::siginfo_t, context: usize) {
        arch::return_to_landing(context);
    }
    for (begin, first, last) in &BEGINNINGS[..3] {
        let at = page(&seven(*first, *last), RX | GUARDED);
        check_child(&format!("return from a handler to {begin}"), || {
            sys::on_signal(libc::SIGILL, 0, report);
            sys::on_signal(libc::SIGTRAP, 0, elsewhere);
            check("  answer", arch::come(Way::Trap, at, 0));
            0
        });
    }
}

/// The vDSO is guarded by a program that is careful, and called through a register.
fn vdso() {
    let image = sys::auxv(libc::AT_SYSINFO_EHDR) as usize;
    check("the vDSO", flags(image));
    check("guarded", call!(SYS_mprotect, image, PAGE, RX | GUARDED));
    check("guarded", flags(image));
    // Of the other two, handlers return to one, and Debian's Linux has no
    // landing pad at `__kernel_gettimeofday`.
    let called = [(arch::VDSO_TIMES[0], 0..12), (arch::VDSO_OTHERS[0], 1..2)];
    let symbols = sys::vdso_symbols(image);
    for (name, clocks) in called {
        let symbol = symbols.iter().find(|symbol| symbol.name == name);
        let function = symbol.map_or(0, |symbol| symbol.address);
        for clock in clocks {
            check_child(name, || {
                sys::on_signal(libc::SIGILL, 0, report);
                let mut time = [0_u64; 2];
                let to = time.as_mut_ptr().expose_provenance();
                check("  answer", sys::call_vdso(function, clock, to, 0));
                0
            });
        }
    }
}

/// A program of two segments' worth: code that calls what is no landing pad and
/// ends well if that may be, and perhaps a note.
fn program(note: Option<&[u8]>) -> Vec<u8> {
    const BASE: u64 = 0x40_0000;
    const NOTE: usize = 0x200;
    const CODE: usize = 0x800;
    let note_len = note.map_or(0, <[u8]>::len);
    let mut file = Vec::from(*b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    let mut words = |words: &[(u64, usize)]| {
        for (value, len) in words {
            file.extend_from_slice(&value.to_le_bytes()[..*len]);
        }
    };
    let count = 1 + u64::from(note.is_some());
    words(&[
        (2, 2),
        (183, 2),
        (1, 4),
        (BASE + CODE as u64, 8),
        (64, 8),
        (0, 8),
    ]);
    words(&[
        (0, 4),
        (64, 2),
        (56, 2),
        (count, 2),
        (64, 2),
        (0, 2),
        (0, 2),
    ]);
    let size = CODE as u64 + 64;
    words(&[
        (1, 4),
        (5, 4),
        (0, 8),
        (BASE, 8),
        (BASE, 8),
        (size, 8),
        (size, 8),
        (0x1000, 8),
    ]);
    let (at, len) = (BASE + NOTE as u64, note_len as u64);
    words(&[
        (0x6474_e553, 4),
        (4, 4),
        (NOTE as u64, 8),
        (at, 8),
        (at, 8),
        (len, 8),
        (len, 8),
        (8, 8),
    ]);
    file.resize(NOTE, 0);
    file.extend_from_slice(note.unwrap_or_default());
    file.resize(CODE, 0);
    // `adr x9, 1f; blr x9; 1: mov x0, #5; mov x8, #93; svc #0`.
    for word in [
        0x1000_0049,
        0xd63f_0120,
        0xd280_00a0,
        0xd280_0ba8,
        0xd400_0001_u32,
    ] {
        file.extend_from_slice(&word.to_le_bytes());
    }
    file.resize(CODE + 64, 0);
    file
}

/// A note: its type, and its properties as they are in the file.
fn note(kind: u32, properties: &[u32]) -> Vec<u8> {
    let len = properties.len() as u32 * 4;
    let words = [4, len, kind, u32::from_le_bytes(*b"GNU\0")];
    words
        .iter()
        .chain(properties)
        .flat_map(|word| word.to_le_bytes())
        .collect()
}

/// What the loader makes of notes.
fn programs() {
    const PADS: u32 = 0xc000_0000;
    let good = note(5, &[PADS, 4, 1, 0]);
    let rows: [(&str, Option<Vec<u8>>); 14] = [
        ("no note", None),
        ("a note", Some(good.clone())),
        ("one bit of three", Some(note(5, &[PADS, 4, 7, 0]))),
        ("another bit", Some(note(5, &[PADS, 4, 2, 0]))),
        ("after another", Some(note(5, &[1, 8, 0, 0, PADS, 4, 1, 0]))),
        (
            "before another",
            Some(note(5, &[PADS, 4, 1, 0, PADS + 1, 0])),
        ),
        ("not sorted", Some(note(5, &[PADS + 1, 0, PADS, 4, 1, 0]))),
        ("twice", Some(note(5, &[PADS, 4, 1, 0, PADS, 4, 1, 0]))),
        ("long", Some(note(5, &[PADS, 8, 1, 0]))),
        ("cut off", Some(good[..good.len() - 4].to_vec())),
        ("nothing in it", Some(note(5, &[]))),
        ("another type", Some(note(4, &[PADS, 4, 1, 0]))),
        ("too short", Some(good[..12].to_vec())),
        ("too long", Some([good.clone(), vec![0; 1020]].concat())),
    ];
    for (name, note) in rows {
        let file = program(note.as_deref());
        let _ = std::fs::write("noted", file);
        let _ = std::fs::set_permissions("noted", std::fs::Permissions::from_mode(0o755));
        check_child(&format!("program with {name}"), || {
            exec(c"noted", &[c"noted"], &[])
        });
    }
}

/// The keys' switches.
pub(crate) fn keys() {
    let get =
        |second: u64, fifth: u64| call!(SYS_prctl, PR_PAC_GET_ENABLED_KEYS, second, 0, 0, fifth);
    let set = |which: u64, on: u64| call!(SYS_prctl, PR_PAC_SET_ENABLED_KEYS, which, on, 0, 0);

    check("which", get(0, 0));
    check("bad second", get(1, 0));
    check("bad fifth", get(0, 1));
    check(
        "bad fourth",
        call!(SYS_prctl, PR_PAC_SET_ENABLED_KEYS, 1, 1, 1, 0),
    );
    check(
        "bad last",
        call!(SYS_prctl, PR_PAC_SET_ENABLED_KEYS, 1, 1, 0, 1),
    );
    check("generic", set(16, 16));
    check("unknown", set(1 << 40, 0));
    check("on but not named", set(1, 3));
    check("none of none", set(0, 0));
    check("signs", signs());
    check("one off", set(1, 0));
    check("which", get(0, 0));
    check("signs", signs());
    check_child("a child", || {
        check("  which", get(0, 0));
        check("  signs", signs());
        check("  on", set(1, 1));
        check("  signs", signs());
        0
    });
    check("still not", signs());
    // Long enough to be taken off the processor, and brought back.
    for _ in 0..20 {
        check_child("another", || i32::from(call!(SYS_sched_yield).is_err()));
    }
    check("still not", signs());
    check_child("a program", || {
        exec(crate::runner::SELF, &[crate::runner::SELF, c"--keys"], &[])
    });
    check("others", set(15, 6));
    check("which", get(0, 0));
    check("on", set(15, 15));
    check("which", get(0, 0));
    check("signs", signs());
}

/// Whether addresses become others by being signed. A signature has few bits, so
/// that one alone may be as it was.
fn signs() -> bool {
    (1..=8_u64).any(|page| arch::sign(page << 12) != page << 12)
}

/// What a program finds.
pub(crate) fn role() -> i32 {
    let which = call!(SYS_prctl, PR_PAC_GET_ENABLED_KEYS, 0, 0, 0, 0);
    check("  which", which);
    check("  signs", signs());
    check("  tags", call!(SYS_prctl, super::tags::GET, 0, 0, 0, 0));
    0
}
