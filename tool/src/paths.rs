//! Where things are kept: the checkout, cargo's target folder, and `target/ochre` in it.
//!
//! Everything that the tool fetches or makes lies under `target/ochre`, so
//! that `cargo clean` removes it all:
//!
//! | folder | holds |
//! | --- | --- |
//! | `kernel/` | the kernels built, one per set of features |
//! | `debian/` | packages fetched, as `.deb` files |
//! | `roots/` | packages unpacked |
//! | `log/` | the kernel logs of the last runs |

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};

/// How many kernel logs are kept.
const LOGS_KEPT: usize = 30;

/// The root of the checkout that this tool was built from.
///
/// # Errors
/// If the checkout is gone.
pub fn workspace() -> Result<PathBuf> {
    let tool = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = tool.parent().unwrap_or(tool);
    ensure!(
        root.join("kernel/Cargo.toml").is_file(),
        "the sources of Ochre were at {} when this tool was built and are not there any more",
        root.display()
    );
    Ok(root.to_owned())
}

/// Cargo's target folder.
///
/// # Errors
/// If the checkout is gone.
pub fn target() -> Result<PathBuf> {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => std::path::absolute(dir).context("CARGO_TARGET_DIR"),
        None => Ok(workspace()?.join("target")),
    }
}

/// A folder below `target/ochre`, made if it is not there.
///
/// # Errors
/// If it cannot be made.
pub fn cache(name: &str) -> Result<PathBuf> {
    let dir = target()?.join("ochre").join(name);
    fs::create_dir_all(&dir).with_context(|| format!("making {}", dir.display()))?;
    Ok(dir)
}

/// A new path for a kernel log. Logs of much earlier runs are removed.
///
/// # Errors
/// If the folder cannot be made or read.
pub fn new_log() -> Result<PathBuf> {
    let dir = cache("log")?;
    let mut logs: Vec<_> = fs::read_dir(&dir)?
        .filter_map(Result::ok)
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    logs.sort();
    for (_, old) in logs.iter().rev().skip(LOGS_KEPT - 1) {
        // Another run may have removed it first.
        let _ = fs::remove_file(old);
    }
    Ok(dir.join(format!("kernel-{}.log", std::process::id())))
}

/// Holds `name` against every other process that uses the same target folder,
/// until the returned file is dropped.
///
/// # Errors
/// If the lock file cannot be made or locked.
pub fn lock(name: &str) -> Result<fs::File> {
    let path = cache("lock")?.join(name);
    let file = fs::File::create(&path).with_context(|| format!("making {}", path.display()))?;
    file.lock()
        .with_context(|| format!("locking {}", path.display()))?;
    Ok(file)
}
