//! Links the kernel image with the machine's layout (does nothing of it on a
//! host), and makes the shared object that the kernel maps into every program.
#![forbid(unsafe_code)]

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    if let Err(reason) = run() {
        println!("cargo::error={reason}");
    }
}

fn run() -> Result<(), String> {
    let variable = |name: &str| env::var(name).map_err(|error| format!("{name}: {error}"));
    let here = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let arch = variable("CARGO_CFG_TARGET_ARCH")?;
    if variable("CARGO_CFG_TARGET_OS")? == "none" {
        let script = here.join(format!("../hal/src/arch/{arch}/kernel.ld"));
        println!("cargo::rerun-if-changed={}", script.display());
        println!("cargo::rustc-link-arg-bins=-T{}", script.display());
        // By which a table of symbols names its kernel (`hal/src/names.rs`).
        println!("cargo::rustc-link-arg-bins=--build-id=fast");
    }
    let sources = here.join("../lib/vdso/src");
    println!("cargo::rerun-if-changed={}", sources.display());
    println!("cargo::rerun-if-changed=build.rs");
    let out = PathBuf::from(variable("OUT_DIR")?);
    make_image(
        &variable("RUSTC")?,
        &variable("HOST")?,
        &arch,
        &sources,
        &out,
    )
}

/// Compiles `image.rs` alone and links it to `vdso.so`.
fn make_image(
    rustc: &str,
    host: &str,
    arch: &str,
    sources: &Path,
    out: &Path,
) -> Result<(), String> {
    let object = out.join("vdso.o");
    let image = out.join("vdso.so");
    // A program's floating-point registers are not the image's to use.
    let target = match arch {
        "aarch64" => "aarch64-unknown-none-softfloat",
        _ => "x86_64-unknown-none",
    };
    let mut compile = Command::new(rustc);
    compile
        .args([
            "--edition=2024",
            "--crate-type=lib",
            "--crate-name=ochre_vdso_image",
        ])
        .arg("--emit=obj")
        .args([&format!("--target={target}"), "-Copt-level=2"])
        .args([
            "-Cpanic=abort",
            "-Crelocation-model=pic",
            "-Ccodegen-units=1",
        ])
        .args([
            "-Cforce-unwind-tables=no",
            "-Cdebuginfo=0",
            "-Coverflow-checks=off",
        ])
        .arg("-o")
        .arg(&object)
        .arg(sources.join("image.rs"));
    run_command(&mut compile)?;

    let sysroot = run_command(Command::new(rustc).args(["--print", "sysroot"]))?;
    let linker = Path::new(sysroot.trim())
        .join("lib/rustlib")
        .join(host)
        .join("bin/rust-lld");
    let mut link = Command::new(linker);
    link.args(["-flavor", "gnu", "-shared", "-soname", "linux-vdso.so.1"])
        .args(["--hash-style=both", "--no-undefined", "--build-id=none"])
        .args(["--gc-sections", "--strip-all", "-z", "rodynamic"])
        .args(["-z", "max-page-size=4096", "-T"])
        .arg(sources.join(format!("arch/{arch}.ld")))
        .arg("-o")
        .arg(&image)
        .arg(&object);
    run_command(&mut link)?;
    check(&std::fs::read(&image).map_err(|error| format!("the vDSO's image: {error}"))?)
}

/// Runs a command and gives what it printed.
fn run_command(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().display().to_string();
    let output = command
        .output()
        .map_err(|error| format!("{name}: {error}"))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr).replace('\n', " ");
        return Err(format!("{name} on the vDSO: {text}"));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The image fits in a page and needs no relocation: nobody would do it.
fn check(image: &[u8]) -> Result<(), String> {
    const PAGE: usize = 4096;
    const HEADER_SIZE: usize = 64;
    /// `SHT_RELA` and `SHT_REL`.
    const RELOCATIONS: [u64; 2] = [4, 9];
    if image.len() > PAGE {
        return Err(format!(
            "the vDSO has {} bytes, a page is {PAGE}",
            image.len()
        ));
    }
    let field = |at: usize, len: usize| -> Result<u64, String> {
        let bytes = image
            .get(at..at + len)
            .ok_or("the vDSO is no whole ELF file")?;
        Ok(bytes
            .iter()
            .rev()
            .fold(0, |all, byte| all << 8 | u64::from(*byte)))
    };
    let table = field(40, 8)? as usize;
    for section in 0..field(60, 2)? as usize {
        let kind = field(table + section * HEADER_SIZE + 4, 4)?;
        if RELOCATIONS.contains(&kind) {
            return Err("the vDSO needs relocations".to_owned());
        }
    }
    Ok(())
}
