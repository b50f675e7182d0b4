//! Builds the kernel with cargo, always optimised, and keeps one image per set of features.
//!
//! Cargo itself decides whether anything has to be compiled, so every run asks
//! it. Kernels with different features share cargo's folder; the images are
//! copied out of it, so that two of them can be used at the same time.

use std::{
    env, fs,
    io::{BufReader, Read},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

use crate::{
    arch::{self, Arch},
    paths,
    report::Task,
    setup,
};

/// Environment variables that would change how a guest is compiled, set by
/// whoever runs us for a purpose of his own (loom, Miri, a cargo that runs us
/// as a test).
pub(crate) const NOT_FOR_GUESTS: [&str; 8] = [
    "RUSTFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
    "CARGO_MAKEFLAGS",
    "MAKEFLAGS",
];

/// Builds the kernel with these features and gives the path of its image.
///
/// # Errors
/// If the target cannot be had or the kernel does not compile; the compiler's
/// messages are in the error.
pub fn build(features: &[&str]) -> Result<PathBuf> {
    build_for(Arch::X86_64, features)
}

/// The same in a fraction of the time, for a kernel that is tried once and not
/// measured: each crate is optimised by itself.
///
/// # Errors
/// As [`build`].
pub fn build_quickly(features: &[&str]) -> Result<PathBuf> {
    build_quickly_for(Arch::X86_64, features)
}

/// [`build_quickly`] for an architecture.
///
/// # Errors
/// As [`build`].
pub fn build_quickly_for(arch: Arch, features: &[&str]) -> Result<PathBuf> {
    build_as("quick", arch, features)
}

/// The same for an architecture. Beside an ELF file for AArch64 lies, with the
/// extension `img`, what its loaders want.
///
/// # Errors
/// As [`build`].
pub fn build_for(arch: Arch, features: &[&str]) -> Result<PathBuf> {
    build_as("release", arch, features)
}

/// Builds one of the programs in `examples/`, which are kernels of their own.
///
/// # Errors
/// As [`build`].
pub fn build_example(arch: Arch, name: &str) -> Result<PathBuf> {
    let what = format!("building the example {name}");
    build_image("quick", arch, "ochre-examples", name, &[], what)
}

/// The same with one of the workspace's profiles.
fn build_as(profile: &str, arch: Arch, features: &[&str]) -> Result<PathBuf> {
    let what = if features.is_empty() {
        "building the kernel".to_owned()
    } else {
        format!("building the kernel ({})", features.join(", "))
    };
    build_image(
        profile,
        arch,
        "ochre-kernel",
        "ochre-kernel",
        features,
        what,
    )
}

/// Builds an image for the bare machine, and says what is done.
fn build_image(
    profile: &str,
    arch: Arch,
    package: &str,
    program: &str,
    features: &[&str],
    what: String,
) -> Result<PathBuf> {
    setup::ensure_kernel_target(arch)?;
    let target = arch.kernel_target();
    let target_dir = paths::target()?;
    let _held = paths::lock("kernel")?;
    let task = Task::new(what);
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .current_dir(paths::workspace()?)
        .args(["build", "--profile", profile])
        .args(["--package", package, "--bin", program])
        .args(["--target", target, "--target-dir"])
        .arg(&target_dir)
        .args(["--features", &features.join(",")]);
    for variable in NOT_FOR_GUESTS {
        command.env_remove(variable);
    }
    run(&mut command, &task).with_context(|| format!("{program} does not build"))?;
    let built = target_dir.join(target).join(profile).join(program);
    let mut name = program.to_owned();
    if arch == Arch::Aarch64 {
        name.push_str("-aarch64");
    }
    for feature in features {
        name.push('-');
        name.push_str(feature);
    }
    let image = paths::cache("kernel")?.join(name);
    copy_if_changed(&built, &image)?;
    if arch == Arch::Aarch64 {
        arch::write_raw_image(&image, &image.with_extension("img"))?;
    }
    Ok(image)
}

/// Runs cargo with its progress turned into ours.
pub(crate) fn run(command: &mut Command, task: &Task) -> Result<()> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        // Cargo writes its bar only to a terminal unless told so; the width is
        // for the parser below.
        .env("CARGO_TERM_PROGRESS_WHEN", "always")
        .env("CARGO_TERM_PROGRESS_WIDTH", "120")
        .env("CARGO_TERM_COLOR", "never")
        .env_remove("CARGO_TERM_VERBOSE")
        .env_remove("CARGO_TERM_QUIET")
        .spawn()
        .context("running cargo")?;
    let stderr = child.stderr.take().context("cargo without errors")?;
    let mut messages = String::new();
    for_each_line(stderr, |line| match Progress::of(line) {
        Progress::Compiling(what) => task.at(what),
        Progress::Building { done, total, at } => {
            // The bar is for work; a build that is up to date passes in silence.
            if done < total {
                task.progress(done, total, at);
            }
        }
        Progress::Other => {
            messages.push_str(line);
            messages.push('\n');
        }
    })?;
    if !child.wait()?.success() {
        bail!("{}", messages.trim_end());
    }
    Ok(())
}

/// Lines end at a newline or, in a bar that is redrawn, at a carriage return.
fn for_each_line(from: impl Read, mut each: impl FnMut(&str)) -> Result<()> {
    let mut line = Vec::new();
    for byte in BufReader::new(from).bytes() {
        match byte? {
            b'\n' | b'\r' => {
                let text = String::from_utf8_lossy(&line);
                if !text.trim().is_empty() {
                    each(&text);
                }
                line.clear();
            }
            other => line.push(other),
        }
    }
    Ok(())
}

#[derive(Debug, PartialEq, Eq)]
enum Progress<'a> {
    Compiling(&'a str),
    Building { done: u64, total: u64, at: &'a str },
    Other,
}

impl<'a> Progress<'a> {
    fn of(line: &'a str) -> Self {
        let text = line.trim_start();
        if let Some(what) = text.strip_prefix("Compiling ") {
            return Self::Compiling(what);
        }
        Self::bar(text).unwrap_or(Self::Other)
    }

    /// `Building [====>      ] 3/12: log, ochre-abi`
    fn bar(text: &'a str) -> Option<Self> {
        let rest = text.strip_prefix("Building [")?;
        let (_, rest) = rest.split_once(']')?;
        let (count, at) = rest.split_once(':').unwrap_or((rest, ""));
        let (done, total) = count.trim().split_once('/')?;
        Some(Self::Building {
            done: done.parse().ok()?,
            total: total.parse().ok()?,
            at: at.trim(),
        })
    }
}

/// Replaces the image in one step, so that a QEMU that is just reading the old
/// one goes on reading the old one.
fn copy_if_changed(from: &Path, to: &Path) -> Result<()> {
    let bytes = fs::read(from).with_context(|| format!("reading {}", from.display()))?;
    if fs::read(to).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    let fresh = to.with_extension(format!("{}", std::process::id()));
    fs::write(&fresh, bytes).with_context(|| format!("writing {}", fresh.display()))?;
    fs::rename(&fresh, to).with_context(|| format!("writing {}", to.display()))
}

#[cfg(test)]
mod tests {
    use super::{Progress, for_each_line};

    #[test]
    fn cargos_progress_is_understood() {
        let check = |line, expected| assert_eq!(Progress::of(line), expected, "{line}");
        check("   Compiling log v0.4.1", Progress::Compiling("log v0.4.1"));
        check(
            "    Building [===>   ] 3/12: log, abi ",
            Progress::Building {
                done: 3,
                total: 12,
                at: "log, abi",
            },
        );
        check(
            "    Building [=======] 12/12",
            Progress::Building {
                done: 12,
                total: 12,
                at: "",
            },
        );
        check("error: no", Progress::Other);
        check("    Finished `release` profile", Progress::Other);
    }

    #[test]
    fn lines_end_at_either_end() {
        let mut lines = Vec::new();
        for_each_line(&b"a\rb\n\r\n c\n"[..], |line| lines.push(line.to_owned())).unwrap();
        assert_eq!(lines, ["a", "b", " c"]);
    }
}
