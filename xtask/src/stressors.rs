//! `cargo xtask stressors`: each stressor of Debian's stress-ng on its own, for a
//! few operations, with what it says.
//!
//! The suite of programs runs those that pass and take little time with each
//! change; this runs all there are. `--write` keeps what came of it in
//! `docs/stressors.md`: for those that do not pass, their own words.

use core::fmt::Write as _;
use core::time::Duration;
use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context as _, Result, ensure};
use ochre_tool::size::Size;
use ochre_tool::tree::Tree;
use ochre_tool::{Arch, Guest, kernel_build, load_generators, paths, rootfs, setup};

/// What runs them in the guest.
const SCRIPT: &str = include_str!("stressors.sh");

/// How many a guest runs before the next one does.
const BATCH: usize = 25;

/// What some want besides: `nobody` in front where they refuse to be root.
const OPTIONS: [(&str, &str); 11] = [
    ("bad-ioctl", "nobody --pathological"),
    ("bind-mount", "--pathological"),
    ("cyclic", "--cyclic-policy rr"),
    ("exec", "nobody"),
    ("iomix", "--iomix-bytes 1M"),
    ("mlockmany", "--pathological"),
    ("mutex", "--mutex-ops 1000000 --timeout 1"),
    ("oom-pipe", "--pathological"),
    ("spawn", "nobody"),
    ("sysinval", "nobody --pathological"),
    ("watchdog", "--pathological"),
];

/// Those that are not run, and why.
const LEFT_OUT: [(&str, &str); 3] = [
    (
        "binderfs",
        "this version knows its name, but not its options",
    ),
    ("reboot", "it is about making the machine begin anew"),
    ("smi", "it is about the firmware of a real machine"),
];

/// Where their words do not tell it.
const BECAUSE: [(&str, &str); 9] = [
    (
        "far-branch",
        "a million functions take minutes under QEMU's translator",
    ),
    ("efivar", "no variables of a firmware"),
    ("rawdev", "no block devices"),
    (
        "rseq",
        "the C library's area is registered already, and there is one for a thread",
    ),
    ("rtc", "it asks for `/dev/rtc`; there is `/dev/rtc0`"),
    ("splice", "no splice"),
    (
        "sysfs",
        "done, it kills its threads with a signal that ends the process, and says so",
    ),
    (
        "vm-segv",
        "it stops itself for a tracer, and there is no ptrace",
    ),
    ("vm-splice", "no vmsplice"),
];

/// What came of one: nothing to say, or what it said.
type Said = Option<String>;

/// Runs them on so many processors and prints what they say; only those that
/// are named, if any are.
pub(crate) fn print(processors: u32, only: &[String]) -> Result<()> {
    let bench = Bench::new()?;
    let names = bench.names(only)?;
    for (name, said) in bench.run(processors, &names)? {
        println!("{name}: {}", said.as_deref().unwrap_or("passes"));
    }
    Ok(())
}

/// Runs all on one processor and on two, and writes the page.
pub(crate) fn write() -> Result<()> {
    let bench = Bench::new()?;
    let names = bench.names(&[])?;
    let one = bench.run(1, &names)?;
    let two = bench.run(2, &names)?;
    let path = paths::workspace()?.join("docs/stressors.md");
    fs::write(&path, page(&one, &two)).with_context(|| format!("writing {}", path.display()))
}

fn page(one: &BTreeMap<String, Said>, two: &BTreeMap<String, Said>) -> String {
    let passes = |name: &String| one[name].is_none() && two.get(name) == Some(&None);
    let (good, bad): (Vec<&String>, Vec<&String>) = one.keys().partition(|name| passes(name));
    let mut text = format!(
        "<!-- Made by `cargo xtask stressors --write`. -->\n\n# Stressors\n\n\
         Each stressor of Debian's stress-ng alone, for five operations or three seconds, with \
         `--verify`, on one processor and on two (`cargo xtask stressors`). {} pass on both; the \
         others say what they miss.\n\n## Those that pass\n\n",
        good.len()
    );
    let words: Vec<&str> = good.iter().map(|name| name.as_str()).collect();
    let _ = write!(text, "{}\n\n## The others\n\n", words.join(", "));
    text.push_str("| stressor | says |\n| --- | --- |\n");
    for name in bad {
        let said = |of: &BTreeMap<String, Said>| match of.get(name) {
            Some(Some(said)) => said.clone(),
            _ => "passes".to_owned(),
        };
        let (first, second) = (said(one), said(two));
        // Where both say something, the numbers in it may differ.
        let both = match (first.as_str(), second.as_str()) {
            ("passes", other) => format!("on two processors: {other}"),
            (other, "passes") => format!("on one processor: {other}"),
            (both, _) => both.to_owned(),
        };
        let _ = writeln!(text, "| {name} | {} |", both.replace('|', "\\|"));
    }
    text.push_str("\nNot run: ");
    let left_out = LEFT_OUT.map(|(name, why)| format!("{name} ({why})"));
    let _ = writeln!(text, "{}.", left_out.join(", "));
    text
}

/// What all of them need.
struct Bench {
    kernel: std::path::PathBuf,
    tree: Tree,
}

impl Bench {
    fn new() -> Result<Self> {
        let folder = load_generators::stress_ng(Arch::X86_64).fetch()?;
        let mut tree = rootfs::folder(&folder)?;
        rootfs::add_busybox(&mut tree, &setup::ensure_busybox()?)?;
        for name in ["/dev", "/proc", "/sys", "/etc"] {
            tree.directory(name, 0o755)?;
        }
        tree.directory("/tmp", 0o1777)?;
        tree.file("/stressors.sh", 0o755, SCRIPT)?;
        let users = "root:x:0:0:root:/tmp:/bin/sh\nnobody:x:65534:65534:nobody:/tmp:/bin/sh\n";
        tree.file("/etc/passwd", 0o644, users)?;
        tree.file("/etc/group", 0o644, "root:x:0:\nnogroup:x:65534:\n")?;
        let kernel = kernel_build::build(&[])?;
        Ok(Self { kernel, tree })
    }

    fn guest(&self, processors: u32) -> Guest {
        Guest::with_kernel(&self.kernel)
            .tree(self.tree.clone())
            .memory(Size::from_mib(768))
            .processors(processors)
            .env("PATH", rootfs::GUEST_PATH)
            .directory("/tmp")
            .timeout(Duration::from_secs(1200))
    }

    /// All that there are, or those wanted.
    fn names(&self, only: &[String]) -> Result<Vec<String>> {
        let guest = self.guest(1).program("/usr/bin/stress-ng");
        let outcome = guest.args(["--stressors"]).run()?;
        let text = String::from_utf8_lossy(&outcome.stdout).into_owned();
        let all: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        let unknown = only.iter().find(|name| !all.contains(name));
        ensure!(unknown.is_none(), "no stressor of this name: {unknown:?}");
        let is_left_out = |name: &String| LEFT_OUT.iter().any(|(left, _)| left == name);
        Ok(all
            .into_iter()
            .filter(|name| only.is_empty() && !is_left_out(name) || only.contains(name))
            .collect())
    }

    /// What each says. A guest that does not come to its end is one's fault: the
    /// next one begins behind it.
    fn run(&self, processors: u32, names: &[String]) -> Result<BTreeMap<String, Said>> {
        let mut all = BTreeMap::new();
        let mut left = names;
        while !left.is_empty() {
            let batch = &left[..left.len().min(BATCH)];
            eprintln!("{processors}: {}", batch.join(" "));
            let guest = self.guest(processors).program("/bin/sh").name("sh");
            let outcome = guest
                .arg("/stressors.sh")
                .args(batch.iter().map(|name| line(name)))
                .run()?;
            let text = String::from_utf8_lossy(&outcome.stdout).into_owned();
            let before = all.len();
            for part in text.split("@@ ").skip(1) {
                let (name, said) = judge(part);
                all.insert(name, said);
            }
            let mut done = all.len() - before;
            if outcome.status != Some(0) && done < batch.len() {
                all.insert(
                    batch[done].clone(),
                    Some("**the machine ended**".to_owned()),
                );
                done += 1;
            }
            ensure!(done > 0, "nothing came of {batch:?}");
            left = &left[done..];
        }
        Ok(all)
    }
}

/// The options of one, behind its name.
fn line(name: &str) -> String {
    let more = OPTIONS.iter().find(|(of, _)| *of == name);
    let more = more.map_or("", |(_, options)| options);
    let (nobody, more) = match more.strip_prefix("nobody") {
        Some(rest) => ("nobody", rest),
        None => ("", more),
    };
    format!("{name} {nobody} --{name} 1 --{name}-ops 5 --verify --timeout 3 {more}")
}

/// What one says that did not do what it is for, though its status be 0.
const SIGNS: [&str; 6] = [
    "fail:",
    "skipped",
    "skipping",
    "prematurely",
    "No stress workers",
    "left over",
];

/// The name and what there is to say of one, from `NAME STATUS` and its output.
fn judge(part: &str) -> (String, Said) {
    let (head, output) = part.split_once('\n').unwrap_or((part, ""));
    let (name, status) = head.split_once(' ').unwrap_or((head, "?"));
    let is_fine = status == "0"
        && output.contains("successful run completed")
        && !SIGNS.iter().any(|sign| output.contains(sign));
    if is_fine {
        return (name.to_owned(), None);
    }
    if let Some((_, why)) = BECAUSE.iter().find(|(of, _)| *of == name) {
        return (name.to_owned(), Some((*why).to_owned()));
    }
    let told = ["fail:", "skipp", "error:", "warn:"]
        .iter()
        .find_map(|sign| output.lines().find(|line| line.contains(sign)));
    let silent = match output.contains("left over") {
        true => "leaves a process behind".to_owned(),
        false => format!("status {status}"),
    };
    let said = told.map_or(silent, |line| words(name, line));
    (name.to_owned(), Some(said))
}

/// A line without who says it.
fn words(name: &str, line: &str) -> String {
    let line = line.split_once("] ").map_or(line, |(_, rest)| rest);
    let own = format!("{name}: ");
    line.strip_prefix(&own).unwrap_or(line).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::{judge, line};

    #[test]
    fn what_one_says_is_judged() {
        let done = "stress-ng: info:  [3] successful run completed in 0.1s\n";
        assert_eq!(judge(&format!("mmap 0\n{done}")), ("mmap".to_owned(), None));
        let (_, said) = judge(&format!(
            "sock 0\nstress-ng: fail:  [420] sock: socket failed, errno=38\n{done}"
        ));
        assert_eq!(said.as_deref(), Some("socket failed, errno=38"));
        let (_, said) = judge("vm 137\nKilled\n");
        assert_eq!(said.as_deref(), Some("status 137"));
        let (_, said) = judge(&format!("vm 0\n{done}left over\n"));
        assert_eq!(said.as_deref(), Some("leaves a process behind"));
    }

    #[test]
    fn options_of_some() {
        assert_eq!(
            line("exec"),
            "exec nobody --exec 1 --exec-ops 5 --verify --timeout 3 "
        );
        let vm = line("vm");
        assert_eq!(vm, "vm  --vm 1 --vm-ops 5 --verify --timeout 3 ");
    }
}
