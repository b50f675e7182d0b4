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
    let libraries = here.join("../lib");
    for library in ["vdso", "sync"] {
        let sources = libraries.join(library).join("src");
        println!("cargo::rerun-if-changed={}", sources.display());
    }
    println!("cargo::rerun-if-changed=build.rs");
    let out = PathBuf::from(variable("OUT_DIR")?);
    make_image(
        &variable("RUSTC")?,
        &variable("HOST")?,
        &arch,
        &libraries,
        &out,
    )
}

/// Compiles `image.rs`, with the library of locks and nothing else, and links it to
/// `vdso.so`.
fn make_image(
    rustc: &str,
    host: &str,
    arch: &str,
    libraries: &Path,
    out: &Path,
) -> Result<(), String> {
    let sources = libraries.join("vdso/src");
    let locks = out.join("libochre_sync.rlib");
    let object = out.join("vdso.o");
    let image = out.join("vdso.so");
    // Its own lints were looked at elsewhere.
    let mut library = for_programs(rustc, arch, "ochre_sync", "link", &locks);
    library
        .arg("--cap-lints=allow")
        .arg(libraries.join("sync/src/lib.rs"));
    run_command(&mut library)?;
    let mut compile = for_programs(rustc, arch, "ochre_vdso_image", "obj", &object);
    compile
        .arg("--extern")
        .arg(format!("ochre_sync={}", locks.display()))
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

/// The compiler, for what runs in programs.
fn for_programs(rustc: &str, arch: &str, name: &str, emit: &str, to: &Path) -> Command {
    // A program's floating-point registers are not the image's to use.
    let target = match arch {
        "aarch64" => "aarch64-unknown-none-softfloat",
        _ => "x86_64-unknown-none",
    };
    let mut command = Command::new(rustc);
    command
        .args(["--edition=2024", "--crate-type=lib", "--crate-name", name])
        .args([&format!("--emit={emit}"), &format!("--target={target}")])
        .args(["-Copt-level=2", "-Cpanic=abort", "-Crelocation-model=pic"])
        .args(["-Ccodegen-units=1", "-Cforce-unwind-tables=no"])
        .args(["-Cdebuginfo=0", "-Coverflow-checks=off", "-o"])
        .arg(to);
    command
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
