//! The kernel with each allocator that it can be built with.
//!
//! One kernel for each feature of `hal/src/memory/config.rs`, and one program
//! in it: a shell that makes processes, files and pipes, on two processors. It
//! carries the in-kernel tests as well, of which those of the heap are run.
//! Building takes longest by far. On AArch64 with `cargo xtask test --arch
//! aarch64`.
#![forbid(unsafe_code)]

use core::time::Duration;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use ochre_tests::{
    Arch, Case, Extent, Guest, Machine, busybox_root, check_output, describe, extent, kernel_with,
    prefix, rootfs,
};

/// How long the script may take.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Every feature but the default.
const FEATURES: [&str; 7] = [
    "heap-slab",
    "heap-buddy",
    "heap-fixed-blocks",
    "heap-first-fit",
    "heap-bump",
    "frames-cached",
    "frames-buddy",
];

/// What the heap must do, whatever its design (`hal/src/memory/ktests/heap.rs`).
const HEAP_TESTS: [&str; 4] = [
    "a_heap_gives_a_box",
    "a_heap_gives_a_large_vector",
    "a_heap_gives_many_boxes",
    "a_heap_gives_many_boxes_while_one_lives_long",
];

/// Processes, files, pipes and memory; the same output whatever allocates.
const SCRIPT: &str = "\
for n in 1 2 3 4 5 6 7 8; do (echo $n | cat > /tmp/$n) & done; wait
cat /tmp/1 /tmp/2 /tmp/3 /tmp/4 /tmp/5 /tmp/6 /tmp/7 /tmp/8 | sort -n | tr '\\n' ' '
echo
dd if=/dev/zero of=/tmp/large bs=64k count=64 2>/dev/null && wc -c < /tmp/large
rm /tmp/large; mkdir -p /tmp/a/b/c && find /tmp/a | wc -l
seq 1 2000 | sort -rn | head -n 1
";

const OUTPUT: &str = "1 2 3 4 5 6 7 8 \n4194304\n3\n2000\n";

fn main() -> ExitCode {
    let cases = Arch::ALL
        .into_iter()
        .filter(|arch| extent(*arch) == Extent::All);
    let cases = cases.flat_map(|arch| {
        let prefix = prefix(arch);
        FEATURES.into_iter().flat_map(move |feature| {
            [
                Case::new(format!("{prefix}{feature}"), move || {
                    runs_programs(arch, feature)
                }),
                Case::new(format!("{prefix}{feature}: the heap's tests"), move || {
                    passes_its_tests(arch, feature)
                }),
            ]
        })
    });
    ochre_tests::run(cases.collect())
}

/// A guest with the kernel of a feature.
fn guest(arch: Arch, feature: &str) -> Result<Guest> {
    let kernel = kernel_with(arch, &[feature, "ktest"])?;
    Ok(Guest::with_kernel(kernel)
        .machine(Machine::usual(arch))
        .patience(TIMEOUT))
}

fn runs_programs(arch: Arch, feature: &str) -> Result<()> {
    let outcome = guest(arch, feature)?
        .env("PATH", rootfs::GUEST_PATH)
        .audited()
        .processors(2)
        .archive(busybox_root(arch)?)
        .program("/bin/sh")
        .name("sh")
        .args(["-c", SCRIPT])
        .run()?;
    check_output(&outcome, 0, OUTPUT)
}

fn passes_its_tests(arch: Arch, feature: &str) -> Result<()> {
    let names = HEAP_TESTS.map(|test| format!("ochre_hal::memory::ktests::heap::{test}"));
    let outcome = guest(arch, feature)?
        .words(format!("ochre.ktest={}", names.join(",")))
        .run()?;
    for name in names {
        let told = format!("ktest {name}: ok");
        ensure!(
            outcome.log.contains(&told),
            "{name}\n{}",
            describe(&outcome)
        );
    }
    check_output(&outcome, 0, "")
}
