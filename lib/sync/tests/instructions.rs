//! What processors are told: the instructions that atomics become.
//!
//! Small functions are compiled for x86-64 and for ARM64, the latter as first made
//! (v8.0) and with its later instructions (LSE, RCPC), and the instructions that
//! matter are compared with a table. On x86-64 loads and stores order by
//! themselves, so only a `SeqCst` store and a `SeqCst` fence cost anything more; on
//! ARM64 each ordering is an instruction of its own, and a change of a word is a
//! loop, or since LSE one instruction.
//!
//! So the table is also a check on what this crate's comments say costs nothing.
#![cfg(not(any(loom, shuttle, miri)))]
#![forbid(unsafe_code)]

use core::fmt::Write as _;
use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Once;

use ochre_sync::primitive::atomic::{AtomicU32, Ordering};

/// A processor, as the compiler knows it.
struct Machine {
    name: &'static str,
    target: &'static str,
    features: &'static str,
}

const MACHINES: [Machine; 3] = [
    Machine {
        name: "x86-64",
        target: "x86_64-unknown-none",
        features: "",
    },
    Machine {
        name: "ARM64",
        target: "aarch64-unknown-none-softfloat",
        features: "",
    },
    Machine {
        name: "ARM64 with LSE and RCPC",
        target: "aarch64-unknown-none-softfloat",
        features: "+lse,+rcpc",
    },
];

/// A function on `a: &AtomicU32`, what it gives, and for each of [`MACHINES`] the
/// instructions in it that no plain load, store or calculation would be. `|` is
/// between two ways to say the same.
type Row = (&'static str, &'static str, [&'static str; 3]);

const TABLE: [Row; 29] = [
    ("a.load(Relaxed)", "u32", ["", "", ""]),
    ("a.load(Acquire)", "u32", ["", "ldar", "ldapr"]),
    ("a.load(SeqCst)", "u32", ["", "ldar", "ldar"]),
    ("a.store(1, Relaxed)", "()", ["", "", ""]),
    ("a.store(1, Release)", "()", ["", "stlr", "stlr"]),
    ("a.store(1, SeqCst)", "()", ["xchg", "stlr", "stlr"]),
    // A result that nobody wants is not computed.
    (
        "{ a.fetch_add(10, Relaxed); }",
        "()",
        ["lock add", "ldxr stxr", "ldadd"],
    ),
    (
        "{ a.fetch_sub(10, Release); }",
        "()",
        ["lock sub|lock add", "ldxr stlxr", "ldaddl"],
    ),
    (
        "{ a.fetch_or(10, Relaxed); }",
        "()",
        ["lock or", "ldxr stxr", "ldset"],
    ),
    (
        "{ a.fetch_and(10, Relaxed); }",
        "()",
        ["lock and", "ldxr stxr", "ldclr"],
    ),
    (
        "{ a.fetch_xor(10, Relaxed); }",
        "()",
        ["lock xor", "ldxr stxr", "ldeor"],
    ),
    (
        "a.fetch_add(10, Relaxed)",
        "u32",
        ["lock xadd", "ldxr stxr", "ldadd"],
    ),
    (
        "a.fetch_sub(10, Relaxed)",
        "u32",
        ["lock xadd", "ldxr stxr", "ldadd"],
    ),
    (
        "a.fetch_add(10, Acquire)",
        "u32",
        ["lock xadd", "ldaxr stxr", "ldadda"],
    ),
    (
        "a.fetch_add(10, Release)",
        "u32",
        ["lock xadd", "ldxr stlxr", "ldaddl"],
    ),
    (
        "a.fetch_add(10, AcqRel)",
        "u32",
        ["lock xadd", "ldaxr stlxr", "ldaddal"],
    ),
    (
        "a.fetch_add(10, SeqCst)",
        "u32",
        ["lock xadd", "ldaxr stlxr", "ldaddal"],
    ),
    // One bit and several are different things to an x86.
    (
        "a.fetch_or(4, Relaxed) & 4 != 0",
        "bool",
        ["lock bts", "ldxr stxr", "ldset"],
    ),
    (
        "a.fetch_or(10, Relaxed)",
        "u32",
        ["lock cmpxchg", "ldxr stxr", "ldset"],
    ),
    (
        "a.fetch_max(10, Relaxed)",
        "u32",
        ["lock cmpxchg", "ldxr stxr", "ldumax"],
    ),
    ("a.swap(10, Acquire)", "u32", ["xchg", "ldaxr stxr", "swpa"]),
    (
        STRONG,
        "Result<u32, u32>",
        ["lock cmpxchg", "ldxr stxr clrex", "cas"],
    ),
    (
        WEAK,
        "Result<u32, u32>",
        ["lock cmpxchg", "ldxr stxr clrex", "cas"],
    ),
    (
        "a.compare_exchange(5, 6, Acquire, Relaxed)",
        "Result<u32, u32>",
        ["lock cmpxchg", "ldaxr stxr clrex", "casa"],
    ),
    ("fence(Acquire)", "()", ["", "dmb ishld", "dmb ishld"]),
    ("fence(Release)", "()", ["", "dmb ish", "dmb ish"]),
    ("fence(AcqRel)", "()", ["", "dmb ish", "dmb ish"]),
    (
        "fence(SeqCst)",
        "()",
        ["mfence|lock or", "dmb ish", "dmb ish"],
    ),
    // For the compiler alone.
    ("compiler_fence(SeqCst)", "()", ["", "", ""]),
];

const STRONG: &str = "a.compare_exchange(5, 6, Relaxed, Relaxed)";
const WEAK: &str = "a.compare_exchange_weak(5, 6, Relaxed, Relaxed)";

/// As `a.fetch_or(10, Relaxed)`.
const OR_BY_HAND: &str = "{
    let mut now = a.load(Relaxed);
    loop {
        match a.compare_exchange_weak(now, now | 10, Relaxed, Relaxed) {
            Ok(old) => return old,
            Err(other) => now = other,
        }
    }
}";

/// The compiler that this was compiled with.
fn rustc() -> Command {
    Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
}

/// Fetches what the compiler needs for the machines, where that is missing.
fn make_ready() {
    static IS_READY: Once = Once::new();
    IS_READY.call_once(|| {
        for Machine { target, .. } in MACHINES {
            let folder = rustc()
                .args(["--print", "target-libdir", "--target", target])
                .output()
                .expect("there is a compiler");
            let folder = String::from_utf8_lossy(&folder.stdout);
            if Path::new(folder.trim()).is_dir() {
                continue;
            }
            let added = Command::new("rustup")
                .args(["target", "add", target])
                .status();
            assert!(
                added.is_ok_and(|status| status.success()),
                "the compiler lacks a target: rustup target add {target}"
            );
        }
    });
}

/// The lines of each of some functions, labels among them; `functions` are
/// parameters, result and body.
fn compiled(machine: &Machine, functions: &[(&str, &str, &str)]) -> Vec<Vec<String>> {
    let mut source = String::from(
        "#![no_std]
        use core::{cell::Cell, sync::atomic::{AtomicU32, Ordering::*, compiler_fence, fence}};
        unsafe extern \"C\" { safe fn differs(); }\n",
    );
    for (index, (parameters, result, body)) in functions.iter().enumerate() {
        writeln!(
            source,
            "#[unsafe(no_mangle)] pub fn function_{index}({parameters}) -> {result} {{ {body} }}"
        )
        .expect("a string grows");
    }
    static RUNS: AtomicU32 = AtomicU32::new(0);
    // ORDERING: Relaxed; each number once.
    let run = RUNS.fetch_add(1, Ordering::Relaxed);
    let name = format!("functions_{}_{run}", std::process::id());
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let assembly = folder.join(&name).with_extension("s");
    make_ready();
    let mut child = rustc()
        .current_dir(folder)
        .args(["--edition", "2024", "--crate-type", "lib", "-"])
        .args(["--crate-name", &name, "--cap-lints", "allow"])
        .args(["-C", "opt-level=3", "-C", "panic=abort"])
        .args(["-C", "llvm-args=-x86-asm-syntax=intel"])
        .args(["-C", &format!("target-feature={}", machine.features)])
        .args(["--target", machine.target, "--emit", "asm"])
        .arg("-o")
        .arg(&assembly)
        .stdin(Stdio::piped())
        .spawn()
        .expect("there is a compiler");
    let mut input = child.stdin.take().expect("it is piped");
    input.write_all(source.as_bytes()).expect("it is read");
    drop(input);
    let status = child.wait().expect("the compiler ends");
    assert!(status.success(), "the compiler fails for {}", machine.name);
    let text = fs::read_to_string(&assembly).expect("it is text");
    fs::remove_file(&assembly).expect("nobody else removes it");

    let mut bodies = BTreeMap::new();
    let mut current = None;
    for line in text.lines() {
        if let Some(name) = line.strip_suffix(':')
            && let Some(index) = name.strip_prefix("function_")
        {
            current = Some(index.parse::<usize>().expect("the names are numbered"));
        } else if line.trim_start().starts_with(".size") || line.starts_with(".Lfunc_end") {
            current = None;
        } else if let Some(index) = current {
            let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
            let is_directive = line.starts_with('.') && !line.ends_with(':');
            let is_comment = ["#", "//", ";"].iter().any(|mark| line.starts_with(mark));
            if !line.is_empty() && !is_directive && !is_comment {
                bodies.entry(index).or_insert_with(Vec::new).push(line);
            }
        }
    }
    assert_eq!(bodies.len(), functions.len(), "a function is missing");
    bodies.into_values().collect()
}

/// The instructions that are not for one processor alone.
fn special(body: &[String]) -> String {
    const ARM: [&str; 16] = [
        "ldar", "ldapr", "ldxr", "ldaxr", "stlr", "stxr", "stlxr", "clrex", "cas", "swp", "ldadd",
        "ldset", "ldclr", "ldeor", "ldumax", "ldsmax",
    ];
    let found = body.iter().filter_map(|line| {
        let mut words = line.split(' ');
        let first = words.next()?;
        if first == "lock" || first == "dmb" {
            Some(format!("{first} {}", words.next()?))
        } else {
            let is_special = ["xchg", "mfence"].contains(&first)
                || ARM.iter().any(|name| first.starts_with(name));
            is_special.then(|| first.to_owned())
        }
    });
    found.collect::<Vec<_>>().join(" ")
}

/// The body with its labels named in order, so that two can be compared.
fn without_names(body: &[String]) -> Vec<String> {
    let labels: Vec<&str> = body
        .iter()
        .filter_map(|line| line.strip_suffix(':'))
        .collect();
    let renamed = |word: &str| {
        let bare = word.trim_end_matches(':');
        labels
            .iter()
            .position(|label| *label == bare)
            .map_or_else(|| word.to_owned(), |place| format!("label {place}"))
    };
    body.iter()
        .map(|line| line.split(' ').map(renamed).collect::<Vec<_>>().join(" "))
        .collect()
}

/// Whether anything in it is done again.
fn goes_back(body: &[String]) -> bool {
    body.iter().enumerate().any(|(place, line)| {
        let target = line.rsplit(' ').next().unwrap_or_default();
        let label = format!("{target}:");
        body[..place].contains(&label)
    })
}

#[test]
fn each_ordering_is_what_the_table_says() {
    let functions: Vec<_> = TABLE
        .iter()
        .map(|(body, result, _)| ("a: &AtomicU32", *result, *body))
        .collect();
    let mut wrong = Vec::new();
    for (column, machine) in MACHINES.iter().enumerate() {
        let bodies = compiled(machine, &functions);
        for ((body, _, expected), lines) in TABLE.iter().zip(&bodies) {
            let (found, expected) = (special(lines), expected[column]);
            if !expected.split('|').any(|way| way == found) {
                let name = machine.name;
                wrong.push(format!("{name}: {body}: {expected:?} expected: {lines:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_weak_form_does_not_try_again_where_that_differs() {
    let exchange = |body| ("a: &AtomicU32", "Result<u32, u32>", body);
    for machine in &MACHINES {
        let bodies = compiled(machine, &[exchange(STRONG), exchange(WEAK)]);
        let (strong, weak) = (&bodies[0], &bodies[1]);
        if machine.name == "ARM64" {
            assert!(goes_back(strong), "{strong:?}");
            assert!(!goes_back(weak), "{weak:?}");
        } else {
            assert_eq!(without_names(strong), without_names(weak));
        }
    }
}

#[test]
fn a_loop_by_hand_is_as_good_as_the_operation_on_an_x86_only() {
    let or = |body| ("a: &AtomicU32", "u32", body);
    for machine in &MACHINES {
        let bodies = compiled(machine, &[or("a.fetch_or(10, Relaxed)"), or(OR_BY_HAND)]);
        let (operation, by_hand) = (&bodies[0], &bodies[1]);
        if machine.name == "x86-64" {
            assert_eq!(without_names(operation), without_names(by_hand));
        } else {
            assert!(operation.len() < by_hand.len(), "{by_hand:?}");
        }
    }
}

/// What the compiler may leave out, as nobody else can be looking.
#[test]
fn plain_memory_is_the_compilers() {
    let look_twice = "let before = *a; *b = b.wrapping_add(1); if *a != before { differs() }";
    let cells =
        "let before = a.get(); b.set(b.get().wrapping_add(1)); if a.get() != before { differs() }";
    for machine in &MACHINES {
        let bodies = compiled(
            machine,
            &[
                ("a: &mut u32", "()", "*a += 10"),
                ("a: &u32, b: &mut u32", "()", look_twice),
                ("a: &Cell<u32>, b: &Cell<u32>", "()", cells),
                (
                    "a: &mut u32, b: &mut u32",
                    "()",
                    "*a += 1; *b += 1; *a += 1",
                ),
            ],
        );
        // One instruction on an x86, and all the same no atomic one.
        assert_eq!(special(&bodies[0]), "");
        // Nothing that `b` is borrowed for changes `a`; a cell may be both.
        let calls = |body: &[String]| body.iter().any(|line| line.contains("differs"));
        assert!(!calls(&bodies[1]), "{:?}", bodies[1]);
        assert!(calls(&bodies[2]), "{:?}", bodies[2]);
        // The two additions to `a` are one, on either side of that to `b`.
        let adds_two = bodies[3].iter().any(|line| {
            line.starts_with("add ") && [" 2", " #2"].iter().any(|two| line.ends_with(two))
        });
        assert!(adds_two, "{:?}", bodies[3]);
    }
}
