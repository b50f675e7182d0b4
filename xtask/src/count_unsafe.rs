//! `cargo xtask count-unsafe`: how much of the kernel's image has to be trusted.
//!
//! Every crate that is linked into the image is counted whole, whether its
//! code is used or not, so the numbers are upper bounds. Tests, comments and
//! documentation are left out.

use std::fs;

use anyhow::Result;

use crate::{
    metadata::{Metadata, Package},
    sources::{self, Counts},
};

/// Prints the table.
pub(crate) fn print() -> Result<()> {
    let metadata = Metadata::of_kernel_image()?;
    let (mut ours, mut others) = (Vec::new(), Vec::new());
    for package in metadata.in_kernel_image()? {
        let counted = (package, count(package)?);
        if package.is_ours {
            ours.push(counted);
        } else {
            others.push(counted);
        }
    }
    println!(
        "{:28} {:>7} {:>7} {:>7} {:>6} {:>6} {:>7} {:>7} {:>6}",
        "crate", "lines", "unsafe", "blocks", "fns", "impls", "traits", "extern", "attrs"
    );
    let mut all = Counts::default();
    for (title, group) in [("ours", ours), ("from outside", others)] {
        let mut sum = Counts::default();
        for (package, counts) in &group {
            row(&format!("{} {}", package.name, package.version), counts);
            sum.add(counts);
        }
        row(&format!("= {title}: {} crates", group.len()), &sum);
        println!();
        all.add(&sum);
    }
    row("= all", &all);
    println!(
        "\nLines with code, tests left out. The compiler's own core, alloc and\n\
         compiler_builtins are not counted."
    );
    Ok(())
}

fn row(name: &str, counts: &Counts) {
    println!(
        "{name:28} {:>7} {:>7} {:>7} {:>6} {:>6} {:>7} {:>7} {:>6}",
        counts.lines,
        counts.sites(),
        counts.blocks,
        counts.functions,
        counts.impls,
        counts.traits,
        counts.externs,
        counts.attributes
    );
}

fn count(package: &Package) -> Result<Counts> {
    let mut sum = Counts::default();
    let src = package.dir.join("src");
    let dir = if src.is_dir() { &src } else { &package.dir };
    for file in sources::rust_files(dir)? {
        if sources::is_test_file(file.strip_prefix(&package.dir).unwrap_or(&file)) {
            continue;
        }
        match sources::count(&fs::read_to_string(&file)?) {
            Ok(counts) => sum.add(&counts),
            // Templates and such, which no compiler sees either.
            Err(error) => eprintln!("left out: {}: {error}", file.display()),
        }
    }
    Ok(sum)
}
