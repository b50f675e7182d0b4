//! `cargo xtask docs`: the book, and the documentation of every crate.
//!
//! The book is made by mdBook, which is built here the first time, into
//! `target/ochre/tools`: it is a program, and nothing here links it. What it
//! would complain about, and more, `cargo xtask tidy` checks without it.

use std::path::PathBuf;

use anyhow::Result;
use ochre_tool::paths;

use crate::run::{cargo, program};

/// The release that is used.
const MDBOOK: &str = "0.5.4";

/// Builds both and tells where they are.
pub(crate) fn build() -> Result<()> {
    program(&mdbook()?.to_string_lossy(), ["build", "docs"])?.run()?;
    rustdoc()?;
    let root = paths::workspace()?;
    eprintln!(
        "the book: {}",
        root.join("target/book/index.html").display()
    );
    eprintln!(
        "the crates: {}",
        paths::target()?
            .join("doc/ochre_kernel/index.html")
            .display()
    );
    Ok(())
}

/// The documentation of every crate, for those who work on it: private items
/// too. What it complains about is an error.
pub(crate) fn rustdoc() -> Result<()> {
    // The library's documentation speaks of all that it has.
    cargo(["doc", "--workspace", "--no-deps"])?
        .args(["--document-private-items"])
        .args(["--features", "ochre-sync/std,ochre-sync/lock_api"])
        .env("RUSTDOCFLAGS", "--deny warnings")
        .run()
}

/// mdBook, built if it is not there.
fn mdbook() -> Result<PathBuf> {
    let root = paths::cache("tools")?.join(format!("mdbook-{MDBOOK}"));
    let path = root.join("bin/mdbook");
    let _lock = paths::lock("mdbook")?;
    if !path.is_file() {
        cargo(["install", "mdbook", "--locked", "--version", MDBOOK])?
            // Its web server and what watches files are not needed.
            .args(["--no-default-features", "--features", "search"])
            .args(["--root".as_ref(), root.as_os_str()])
            .run()?;
    }
    Ok(path)
}
