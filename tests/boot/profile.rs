//! What `ochre profile` draws of a shell's script: what the program did, what
//! it asked of the kernel, and nothing of one that sleeps.

use std::io::Write as _;

use anyhow::{Result, ensure};
use ochre_tests::{
    Accelerator, Arch, Case, Guest, architectures, busybox, prefix, rootfs, shell_on,
};
use ochre_tool::{
    bridge::Capture,
    profile::{Collector, Flames, Images, Sampler, Samples},
};

/// Enough for hundreds of samples on a processor that is translated.
const SCRIPT: &str = "/bin/sleep 1000 & i=0; \
    while [ $i -lt 4000 ]; do i=$((i+1)); : < /etc/passwd; done; \
    kill -9 $!; wait $!; exit 7";

pub(super) fn cases() -> impl Iterator<Item = Case> {
    architectures().flat_map(|arch| {
        let arch_name = prefix(arch);
        [
            Case::new(format!("{arch_name}time is told"), move || told(arch)),
            Case::new(format!("{arch_name}the kernel's time is told"), move || {
                kernel_told(arch)
            }),
        ]
    })
}

/// The script, in a guest that takes its time for it on any host.
fn slow(arch: Arch) -> Result<Guest> {
    Ok(shell_on(arch, SCRIPT)?.accelerator(Accelerator::Tcg))
}

/// The kernel as the emulator sees it, by its own functions.
fn kernel_told(arch: Arch) -> Result<()> {
    let dir = ochre_tool::qemu::run_dir()?;
    let socket = dir.path().join("gdb");
    let guest = slow(arch)?.debugger(&socket);
    let kernel = guest.kernel().to_owned();
    let sampler = Sampler::start(arch, &socket, 1000);
    let outcome = guest.run()?;
    ensure!(outcome.status == Some(7), "status {:?}", outcome.status);
    let flames = Flames::of_kernel(&kernel, sampler);
    let stacks: Vec<String> = flames.lines().collect();
    let all = stacks.join("\n");
    let is_there = |names: [&str; 2]| {
        let mut stacks = stacks.iter();
        stacks.any(|stack| names.iter().all(|name| stack.contains(name)))
    };
    for names in [
        ["ochre_kernel_main;", "openat"],
        ["ochre_kernel_main;", "poll"],
        ["[programs] ", ""],
    ] {
        ensure!(is_there(names), "no {names:?} in\n{all}");
    }
    ensure!(!all.contains("wait_for_interrupt"), "asleep in\n{all}");
    Ok(())
}

fn told(arch: Arch) -> Result<()> {
    let guest = slow(arch)?.processors(2);
    let outcome = guest.words("ochre.profile=10000").run()?;
    ensure!(outcome.status == Some(7), "status {:?}", outcome.status);
    let (samples, rest) = (Samples::default(), Capture::default());
    let mut collector = Collector::new(samples.clone(), Box::new(rest.clone()));
    collector.write_all(outcome.log.as_bytes())?;
    drop(collector);
    let rest = String::from_utf8(rest.take())?;
    let mut images = Images::of(&rootfs::shell(&busybox()?)?);
    let flames = Flames::new(arch, &samples, &mut images);
    let stacks: Vec<String> = flames.lines().collect();
    let all = stacks.join("\n");
    ensure!(
        rest.contains("INFO") && !rest.contains("profile "),
        "the rest of the log:\n{rest}"
    );
    ensure!(flames.count() > 100, "{} samples:\n{all}", flames.count());
    let counted = |is_meant: &dyn Fn(&str) -> bool| -> u64 {
        let meant = stacks.iter().filter(|stack| is_meant(stack));
        let counts = meant.filter_map(|stack| stack.rsplit(' ').next()?.parse::<u64>().ok());
        counts.sum()
    };
    let own = counted(&|stack| stack.starts_with("sh;") && !stack.contains("[kernel]"));
    let opening = counted(&|stack| stack.starts_with("sh;") && stack.contains("[kernel] openat "));
    let asleep = counted(&|stack| stack.starts_with("sleep;") && stack.contains("nanosleep"));
    ensure!(
        own > 10 && opening > 10 && asleep < flames.count() / 10,
        "{own} of its own, {opening} in open, {asleep} asleep:\n{all}"
    );
    ensure!(all.contains("[busybox]"), "no file in\n{all}");
    let mut picture = Vec::new();
    flames.draw("a script", &mut picture)?;
    ensure!(
        picture.ends_with(b"</svg>\n") || picture.ends_with(b"</svg>"),
        "no picture"
    );
    Ok(())
}
