//! The kernel with each allocator that it can be built with.
//!
//! One kernel for each feature of `hal/src/memory/config.rs`, and one program
//! in it: a shell that makes processes, files and pipes, on two processors.
//! Building takes longest by far.
#![forbid(unsafe_code)]

use core::time::Duration;
use std::process::ExitCode;

use ochre_tests::{Case, Guest, archive, busybox, check_output, kernel_with, rootfs};

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
    let cases = FEATURES.into_iter().map(|feature| {
        Case::new(feature, move || {
            let root = archive("busybox", || rootfs::shell(&busybox()?))?;
            let outcome = Guest::with_kernel(kernel_with(&[feature])?)
                .timeout(TIMEOUT)
                .env("PATH", rootfs::GUEST_PATH)
                .processors(2)
                .archive(root)
                .program("/bin/sh")
                .name("sh")
                .args(["-c", SCRIPT])
                .run()?;
            check_output(&outcome, 0, OUTPUT)
        })
    });
    ochre_tests::run(cases.collect())
}
