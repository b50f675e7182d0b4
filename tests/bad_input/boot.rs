//! Command lines that are not understood, first programs that do not start or
//! do not live, and machines of every size.

use anyhow::{Context as _, Result, ensure};
use ochre_tests::{
    Arch, Case, Extent, Guest, Machine, Size, archive, check_output, describe, extent, guest_on,
    prefix, rootfs, shell_on,
};
use ochre_tool::tree::Tree;

use crate::{TIMEOUT, refused};

/// The cases.
pub(crate) fn cases(arch: Arch) -> Vec<Case> {
    let mut cases = Vec::new();
    let shell = move |script: &str| shell_on(arch, script);
    let named = |name: String| format!("{}{name}", prefix(arch));
    for word in [
        "ochre.nonsense=1",
        "ochre.nonsense",
        "ochre.stdio=maybe",
        "ochre.stdio",
        "ochre.loglevel=loud",
        "ochre.mode=",
        "ochre.winsize=80",
        "ochre.winsize=ax24",
        "ochre.winsize=99999x24",
        "ochre.arg=%zz",
        "ochre.arg=%2",
        "ochre.env=%00",
        "ochre.status=port",
        "ochre.cwd=%",
    ] {
        cases.push(Case::new(
            named(format!("command line/{word}")),
            move || {
                let outcome = shell("exit 0")?.words(word).patience(TIMEOUT).run()?;
                refused(&outcome, "ochre.")
            },
        ));
    }
    cases.push(Case::new(
        named("command line/of other kernels".to_owned()),
        move || {
            let words = "quiet console=ttyS0 root=/dev/sda1 ro panic=-1 no.such.word=1";
            check_output(&shell("echo fine")?.words(words).run()?, 0, "fine\n")
        },
    ));
    cases.push(Case::new(
        named("command line/long".to_owned()),
        move || {
            let long = "x".repeat(1000);
            let outcome = shell("echo ${#0} ${#1}")?.args([&long, &long]).run()?;
            check_output(&outcome, 0, "1000 1000\n")
        },
    ));
    for (name, program, reason) in [
        ("missing", "/no/such/program", "/no/such/program"),
        ("a folder", "/bin", "/bin"),
        ("not executable", "/etc/passwd", "/etc/passwd"),
        ("no program", "/bin/text", "/bin/text"),
        ("empty", "/bin/empty", "/bin/empty"),
        (
            "a script without its interpreter",
            "/bin/script",
            "/bin/script",
        ),
        ("a loop of links", "/bin/loop", "/bin/loop"),
        ("a device", "/dev/null", "/dev/null"),
    ] {
        cases.push(Case::new(named(format!("init/{name}")), move || {
            refused(&odd(arch)?.program(program).run()?, reason)
        }));
    }
    cases.push(Case::new(
        named("init/none of the usual".to_owned()),
        move || {
            let root = archive("skeleton", rootfs::skeleton)?;
            refused(
                &guest_on(arch)?.archive(root).patience(TIMEOUT).run()?,
                "no program to start",
            )
        },
    ));
    cases.push(Case::new(
        named("init/the directory is missing".to_owned()),
        move || refused(&shell("exit 0")?.directory("/nope").run()?, "/nope"),
    ));
    for (script, status) in [
        ("exit 42", 42),
        ("kill -9 $$", 137),
        ("kill -SEGV $$", 139),
        ("exec /nope", 127),
        ("sleep 1000 & exit 3", 3),
    ] {
        cases.push(Case::new(
            named(format!("init/dies by `{script}`")),
            move || {
                let outcome = shell(script)?.patience(TIMEOUT).run()?;
                ensure!(
                    outcome.status == Some(status),
                    "not {status}\n{}",
                    describe(&outcome)
                );
                Ok(())
            },
        ));
    }
    let machines = Machine::ALL.into_iter().chain([Machine::Virt]);
    for machine in machines.filter(|machine| machine.arch() == arch) {
        for (memory, least) in [
            (32, 12),
            (64, 40),
            (1024, 950),
            (4096, 3900),
            (16384, 15800),
        ] {
            let name = named(format!("machine/{} with {memory} MiB", machine.name()));
            cases.push(Case::new(name, move || sized(machine, memory, least)));
        }
    }
    if extent(arch) < Extent::All {
        // Those about what is the machine's own.
        let share = ["init/dies by `kill -SEGV", "machine/virt with 64 "];
        cases.retain(|case| share.iter().any(|part| case.name().contains(part)));
    }
    cases
}

/// A root with things that are no programs.
fn odd(arch: Arch) -> Result<Guest> {
    let root = archive("odd", || {
        let mut tree: Tree = rootfs::skeleton()?;
        tree.file("/bin/text", 0o755, "just text\n")?;
        tree.file("/bin/empty", 0o755, "")?;
        tree.file("/bin/script", 0o755, "#!/no/such/interpreter\n")?;
        tree.symlink("/bin/loop", "loop")?;
        Ok(tree)
    })?;
    Ok(guest_on(arch)?.archive(root).patience(TIMEOUT))
}

/// Boots, finds at least `least` MiB free, and uses a good part of them.
fn sized(machine: Machine, memory: u64, least: u64) -> Result<()> {
    let script = "read -r _ total _ </proc/meminfo; echo $((total / 1024)); \
        head -c 4000000 /dev/zero > /tmp/x; wc -c < /tmp/x; uname -s";
    let outcome = shell_on(machine.arch(), script)?
        .machine(machine)
        .memory(Size::from_mib(memory))
        .patience(TIMEOUT)
        .run()?;
    let text = String::from_utf8_lossy(&outcome.stdout).into_owned();
    let (total, rest) = text.split_once('\n').with_context(|| describe(&outcome))?;
    let total: u64 = total.parse().with_context(|| describe(&outcome))?;
    ensure!(
        (least..=memory).contains(&total),
        "{total} MiB of {memory}\n{}",
        describe(&outcome)
    );
    ensure!(
        rest == "4000000\nLinux\n" && outcome.status == Some(0),
        "{}",
        describe(&outcome)
    );
    Ok(())
}
