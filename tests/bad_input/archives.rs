//! Archives that are cut short, changed, or lie about themselves.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use ochre_tests::{
    Arch, Case, Extent, Guest, Outcome, Size, abi_test_tree, extent, guest_on, prefix,
};
use ochre_tool::{cpio, tree::Tree};

use crate::{TIMEOUT, alive, refused};

/// Offsets of fields of a header, each eight hexadecimal digits.
const MODE: usize = 14;
const FILE_SIZE: usize = 54;
const NAME_SIZE: usize = 94;

/// Length of a header.
const HEADER: usize = 110;

/// The cases.
pub(crate) fn cases(arch: Arch) -> Vec<Case> {
    if extent(arch) < Extent::All {
        return Vec::new();
    }
    let case = |name: &str, check: fn(Arch) -> Result<()>| {
        Case::new(format!("{}archive/{name}", prefix(arch)), move || {
            check(arch)
        })
    };
    vec![
        case("good", |arch| started(arch, &plain(arch)?, Some(7))),
        case("good, gzip", |arch| {
            started(arch, &gzip(&plain(arch)?)?, Some(7))
        }),
        case("two in a row", two_in_a_row),
        case("none", |arch| {
            let outcome = guest_on(arch)?
                .program("/bin/abi-test")
                .patience(TIMEOUT)
                .run()?;
            refused(&outcome, "no initial archive")
        }),
        case("garbage", garbage),
        case("cut short", cut_short),
        case("no trailer", no_trailer),
        case("header fields", header_fields),
        case("names", names),
        case("gzip cut short", gzip_cut_short),
        case("gzip changed", gzip_changed),
        case("gzip bomb", gzip_bomb),
        case("too big for the machine", too_big),
    ]
}

/// A small root whose program leaves with 7, as an archive.
fn plain(arch: Arch) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    cpio::write(&abi_test_tree(arch)?, &mut bytes)?;
    Ok(bytes)
}

/// Compresses, with the command that every Debian has.
fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut child = Command::new("gzip")
        .args(["-n", "-1", "-c"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("running gzip")?;
    let mut stdin = child.stdin.take().context("gzip has an input")?;
    let bytes = bytes.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&bytes));
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "gzip failed");
    writer.join().ok().context("the writer does not panic")??;
    Ok(output.stdout)
}

fn boot(arch: Arch, bytes: &[u8]) -> Result<Outcome> {
    boot_in(arch, bytes, Size::from_mib(128))
}

fn boot_in(arch: Arch, bytes: &[u8], memory: Size) -> Result<Outcome> {
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), bytes)?;
    let guest: Guest = guest_on(arch)?;
    guest
        .archive(file.path())
        .memory(memory)
        .program("/bin/abi-test")
        .args(["--exit", "7"])
        .patience(TIMEOUT)
        .run()
}

fn started(arch: Arch, bytes: &[u8], status: Option<u8>) -> Result<()> {
    let outcome = boot(arch, bytes)?;
    ensure!(
        outcome.status == status,
        "{}",
        ochre_tests::describe(&outcome)
    );
    Ok(())
}

/// The kernel refuses, or what was changed does not matter to the program.
fn refused_or_harmless(arch: Arch, bytes: &[u8]) -> Result<()> {
    let outcome = boot(arch, bytes)?;
    if outcome.status == Some(7) {
        return Ok(());
    }
    refused(&outcome, "")
}

/// Linux reads archives one after the other; the second one's files win.
fn two_in_a_row(arch: Arch) -> Result<()> {
    let mut first = Vec::new();
    let mut wrong = Tree::new();
    wrong.directory("/usr", 0o755)?;
    wrong.directory("/usr/bin", 0o755)?;
    wrong.file("/usr/bin/abi-test", 0o644, "not a program")?;
    cpio::write(&wrong, &mut first)?;
    first.extend(plain(arch)?);
    let outcome = boot(arch, &first)?;
    if outcome.status == Some(7) {
        return Ok(());
    }
    refused(&outcome, "")
}

fn garbage(arch: Arch) -> Result<()> {
    refused(&boot(arch, b"x")?, "")?;
    refused(&boot(arch, &[0; 4096])?, "")?;
    refused(&boot(arch, b"070701")?, "")?;
    refused(&boot(arch, &[0xff; 100_000])?, "")?;
    let noise: Vec<u8> = (0..50_000_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    refused(&boot(arch, &noise)?, "")
}

fn cut_short(arch: Arch) -> Result<()> {
    let whole = plain(arch)?;
    for part in [50, 109, 111, 500, 5000, whole.len() / 3, whole.len() / 2] {
        refused(&boot(arch, &whole[..part])?, "")
            .with_context(|| format!("cut to {part} bytes"))?;
    }
    Ok(())
}

/// Nothing is missing but the end's mark.
fn no_trailer(arch: Arch) -> Result<()> {
    let whole = plain(arch)?;
    let mark = find(&whole, b"TRAILER!!!").context("an archive has a trailer")? - HEADER;
    refused_or_harmless(arch, &whole[..mark])
}

fn header_fields(arch: Arch) -> Result<()> {
    let whole = plain(arch)?;
    for (at, text) in [
        (0, "070702"),
        (0, "070707"),
        (MODE, "zzzzzzzz"),
        (MODE, "ffffffff"),
        (MODE, "00006000"),
        (FILE_SIZE, "ffffffff"),
        (FILE_SIZE, "7fffffff"),
        (FILE_SIZE, "-0000001"),
        (NAME_SIZE, "00000000"),
        (NAME_SIZE, "00000001"),
        (NAME_SIZE, "ffffffff"),
        (NAME_SIZE, "0000ffff"),
        (NAME_SIZE, "0000000x"),
    ] {
        // The first entry, and one in the middle: the program's.
        let program = find(&whole, b"usr/bin/abi-test").context("the program is there")? - HEADER;
        for entry in [0, program] {
            let mut bytes = whole.clone();
            bytes[entry + at..entry + at + text.len()].copy_from_slice(text.as_bytes());
            refused_or_harmless(arch, &bytes)
                .with_context(|| format!("{text} at {at} of the entry at {entry}"))?;
        }
    }
    Ok(())
}

/// Names that lead elsewhere must not.
fn names(arch: Arch) -> Result<()> {
    for name in [
        "../../../../x",
        "/etc/../../x",
        "..",
        ".",
        "",
        "a//b",
        "no/such/parent",
        "\u{1}",
    ] {
        let mut bytes = entry(name, 0o100_644, b"data");
        bytes.extend(plain(arch)?);
        refused_or_harmless(arch, &bytes).with_context(|| format!("the name {name:?}"))?;
    }
    let long = "n".repeat(5000);
    let mut bytes = entry(&long, 0o100_644, b"data");
    bytes.extend(plain(arch)?);
    refused_or_harmless(arch, &bytes).context("a name of 5,000 bytes")
}

/// One entry without the archive's end.
fn entry(name: &str, mode: u32, data: &[u8]) -> Vec<u8> {
    let mut bytes = format!(
        "070701{:08x}{mode:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}",
        1,
        0,
        0,
        1,
        0,
        data.len(),
        0,
        0,
        0,
        0,
        name.len() + 1,
        0
    )
    .into_bytes();
    bytes.extend_from_slice(name.as_bytes());
    bytes.push(0);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes.extend_from_slice(data);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn gzip_cut_short(arch: Arch) -> Result<()> {
    let whole = gzip(&plain(arch)?)?;
    for part in [
        2,
        9,
        10,
        11,
        100,
        whole.len() / 2,
        whole.len() - 9,
        whole.len() - 1,
    ] {
        refused(&boot(arch, &whole[..part])?, "")
            .with_context(|| format!("cut to {part} bytes"))?;
    }
    Ok(())
}

fn gzip_changed(arch: Arch) -> Result<()> {
    let whole = gzip(&plain(arch)?)?;
    let end = whole.len();
    for (at, what) in [
        (2, "the method"),
        (3, "the flags"),
        (12, "the first block"),
        (end / 2, "the middle"),
        (end - 7, "the sum"),
        (end - 2, "the length"),
    ] {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x5a;
        refused(&boot(arch, &bytes)?, "").with_context(|| format!("{what} changed"))?;
    }
    Ok(())
}

/// A little that becomes more than there is.
fn gzip_bomb(arch: Arch) -> Result<()> {
    let mut bytes = entry("bomb", 0o100_644, &vec![0; 300 << 20]);
    bytes.extend(entry("TRAILER!!!", 0, b""));
    let outcome = boot_in(arch, &gzip(&bytes)?, Size::from_mib(128))?;
    refused(&outcome, "")
}

fn too_big(arch: Arch) -> Result<()> {
    let mut tree = abi_test_tree(arch)?;
    tree.file("/big", 0o644, vec![1_u8; 40 << 20])?;
    let mut bytes = Vec::new();
    cpio::write(&tree, &mut bytes)?;
    let outcome = boot_in(arch, &bytes, Size::from_mib(32))?;
    ensure!(outcome.status.is_none(), "48 MiB went into 32");
    // QEMU itself may refuse; the kernel, if it was started, must do so.
    if outcome.log.is_empty() {
        Ok(())
    } else {
        alive(&outcome)
    }
}

fn find(all: &[u8], part: &[u8]) -> Option<usize> {
    all.windows(part.len()).position(|window| window == part)
}
