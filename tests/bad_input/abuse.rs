//! Programs that want more than there is, or hand the kernel nonsense; the
//! shell that started them lives on.

use core::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ochre_tests::{
    Arch, Case, Extent, Guest, Size, archive, check_output, describe, extent, guest_on, name_on,
    prefix, shell_tree,
};
use ochre_tool::user_build;

use crate::alive;

/// How long the worst of them may take.
const TIMEOUT: Duration = Duration::from_secs(240);

/// How many processors the machines have.
const PROCESSORS: [u32; 3] = [1, 2, 4];

/// The case that is tried with the most of them, too.
const ON_MOST: &str = "signals and kills in every wait";

/// The cases: name, memory in MiB, script, expected output.
const CASES: [(&str, u64, &str, &str); 20] = [
    (
        "fork bomb",
        64,
        "abi-test --fork-bomb; echo alive",
        "fork is refused in the end: true\nmany were let: true\nall were killed: true\none more: exit 7\nalive\n",
    ),
    (
        "fork bomb of a shell",
        64,
        "(bomb() { while :; do sleep 1000 & done; }; bomb) 2>/dev/null & sleep 5; kill -9 -1; sleep 0.2; echo alive",
        "alive\n",
    ),
    (
        "fork bomb that doubles",
        64,
        "abi-test --doubling-bomb; echo alive",
        "it grows: true\nall are killed: true\nall are gone, and forks go on: exit 7\nalive\n",
    ),
    (
        "memory hog",
        64,
        "abi-test --hog 2>/dev/null; [ $? -ne 0 ] && echo ended; echo alive; ls / | grep -c bin",
        "ended\nalive\n2\n",
    ),
    (
        "memory hog where nobody may be killed",
        64,
        "echo -1000 > /proc/$$/oom_score_adj; abi-test --hog 2>/dev/null; [ $? -ne 0 ] && echo ended; echo alive; ls / | grep -c bin",
        "ended\nalive\n2\n",
    ),
    (
        "several memory hogs",
        96,
        "for i in 1 2 3; do abi-test --hog > /dev/null 2>&1 & done; wait; echo alive; seq 3 | wc -l",
        "alive\n3\n",
    ),
    (
        "file hog",
        64,
        "abi-test --fill /tmp/x; ls /tmp; echo alive; seq 3 | wc -l",
        "write is refused in the end: true\nalive\n3\n",
    ),
    (
        "pipe hog",
        64,
        "abi-test --pipe-hog; echo alive; seq 3 | wc -l",
        "pipes are refused in the end\nalive\n3\n",
    ),
    (
        "mapping hog",
        64,
        "abi-test --map-hog; echo alive; seq 3 | wc -l",
        "mappings are refused in the end: true\nmany were let: true\nalive\n3\n",
    ),
    (
        "many files",
        64,
        "mkdir /tmp/d; cd /tmp/d; i=0; while [ $i -lt 20000 ] && : > f$i; do i=$((i+1)); done 2>/dev/null; cd /; rm -rf /tmp/d; echo alive",
        "alive\n",
    ),
    (
        "deep folders",
        64,
        "cd /tmp; i=0; while [ $i -lt 500 ] && mkdir d && cd d; do i=$((i+1)); done; echo $i; cd /; rm -rf /tmp/d; ls -d /tmp/d 2>/dev/null; echo alive",
        "500\nalive\n",
    ),
    (
        "what programs can spare is taken",
        64,
        "abi-test --spare; echo alive",
        include_str!("spare.out"),
    ),
    (
        "attacks on all of the kernel's memory",
        64,
        "abi-test --kernel-memory; echo alive",
        "a dozen pieces: true\nall are the kernel's: true\nread, and not ended: 0\nwritten, and not ended: 0\nexecuted, and not ended: 0\nsent: true\ntaken by calls: 0\nstill here: exit 0\nalive\n",
    ),
    (
        "changed ELF headers",
        128,
        "abi-test --elf /bin/busybox; echo alive",
        "tried more than 300: true\nhung: 0\nthe whole one runs: exit 0\nalive\n",
    ),
    (
        "changed ELF headers of a static-pie",
        128,
        "abi-test --elf /bin/abi-test; echo alive",
        "tried more than 300: true\nhung: 0\nthe whole one runs: exit 2\nalive\n",
    ),
    (
        ON_MOST,
        96,
        "cd /tmp; abi-test --storms; echo alive",
        "runs: true\nobjects were counted: true\nno object is left: true\nmemory is back: true\nalive\n",
    ),
    (
        "as many threads and numbers as there may be",
        96,
        "abi-test --limits; echo alive",
        include_str!("limits.out"),
    ),
    (
        "every kind of thing until memory runs out",
        40,
        "abi-test --exhaust; echo alive",
        include_str!("exhaust.out"),
    ),
    (
        "what a processor keeps is given back",
        96,
        "abi-test --given-back; echo alive",
        "given back: true\nalive\n",
    ),
    (
        "wild calls on a small machine",
        48,
        "/bin/abi-test wild | grep -v EFAULT; echo alive",
        "== wild\ncalls that hang: 0\nstill here: exit 0\ncalls apart that hang: 0\nstill here: exit 0\nalive\n",
    ),
];

/// Who is killed for memory, of a small and a large process: MiB of each, their
/// adjustments, and whether it is the small one.
const CHOSEN: [(&str, &str, bool); 4] = [
    ("the larger", "4 16 0 0", false),
    ("the smaller with 1000", "4 16 1000 0", true),
    (
        "the smaller where the larger has -1000",
        "4 16 0 -1000",
        true,
    ),
    (
        "the larger where the smaller has -1000",
        "4 16 -1000 0",
        false,
    ),
];

/// Those that every change must pass on AArch64.
const SHARE: [&str; 2] = ["fork bomb", "memory hog"];

/// The cases.
pub(crate) fn cases(arch: Arch) -> impl Iterator<Item = Case> {
    let all = extent(arch) == Extent::All;
    let counts = if all { &PROCESSORS[..] } else { &[2] };
    counts.iter().flat_map(move |&processors| {
        CASES
            .into_iter()
            .filter(move |(name, ..)| all || SHARE.contains(name))
            .filter(move |(name, ..)| processors <= 2 || *name == ON_MOST)
            .map(move |(name, memory, script, expected)| {
                let arch_name = prefix(arch);
                let title = match processors {
                    1 => format!("{arch_name}abuse/{name}"),
                    several => format!("{arch_name}abuse/{name} on {several} processors"),
                };
                Case::new(title, move || {
                    let outcome = small(arch, memory, script)?.processors(processors).run()?;
                    alive(&outcome)?;
                    ensure!(outcome.status == Some(0), "{}", describe(&outcome));
                    check_output(&outcome, 0, expected)
                })
            })
    })
}

/// The cases about who is killed.
pub(crate) fn choices(arch: Arch) -> impl Iterator<Item = Case> {
    let counts: &[u32] = match extent(arch) {
        Extent::All => &[1, 4],
        _ => &[2],
    };
    counts.iter().flat_map(move |&processors| {
        CHOSEN.into_iter().map(move |(name, words, is_small)| {
            let title = format!("{}killed for memory/{name} on {processors}", prefix(arch));
            Case::new(title, move || killed(arch, processors, words, is_small))
        })
    })
}

/// The one that has to go goes, alone, and the log says so in its words.
fn killed(arch: Arch, processors: u32, words: &str, is_small: bool) -> Result<()> {
    let script = format!("abi-test --chosen {words}");
    let outcome = small(arch, 64, &script)?.processors(processors).run()?;
    alive(&outcome)?;
    let printed = String::from_utf8_lossy(&outcome.stdout);
    let gone = printed.lines().find_map(|line| line.strip_prefix("gone: "));
    let gone = gone.with_context(|| describe(&outcome))?;
    check_output(
        &outcome,
        0,
        &format!(
            "ready: true\nready: true\nprotected: true\ngone: {gone}\nby SIGKILL: true\n\
             the small one: {is_small}\nthe other lives: true\n"
        ),
    )?;
    let told: Vec<&str> = outcome
        .log
        .lines()
        .filter_map(|line| {
            line.split_once("out of memory: killed ")
                .map(|(_, who)| who)
        })
        .collect();
    let adjustment = words.split(' ').nth(if is_small { 2 } else { 3 });
    let end = format!("adjusted by {}", adjustment.unwrap_or_default());
    let is_right = matches!(told[..], [who] if who.starts_with(&format!("{gone} (abi-test) of user 0, "))
        && who.trim_end().ends_with(&end));
    ensure!(is_right, "the log tells {told:?}\n{}", describe(&outcome));
    Ok(())
}

/// A small machine whose process 1 is a shell that nothing can kill. Such a
/// shell ends the machine in good order, or its end is an error.
fn small(arch: Arch, memory: u64, script: &str) -> Result<Guest> {
    let root = archive(&name_on(arch, "abuse"), || {
        let mut tree = shell_tree(arch)?;
        tree.host_file("/bin/abi-test", &user_build::build_for(arch, "abi-test")?)?;
        Ok(tree)
    })?;
    Ok(guest_on(arch)?
        .audited()
        .archive(root)
        .memory(Size::from_mib(memory))
        .protect_init()
        .program("/bin/sh")
        .args(["-c", &format!("{script}; poweroff -f")])
        .patience(TIMEOUT))
}
