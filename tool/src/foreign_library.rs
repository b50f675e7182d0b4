//! Debian's glibc for AArch64, for programs that are built on another machine.
//!
//! There a C compiler knows which files begin a program and where its libraries
//! are. None is asked for here: Rust's own linker is told the same by name, and
//! the packages are unpacked beside all others, nothing installed.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::{arch::Arch, debian::Packages, user_build::RUSTS_LINKER};

/// The library, what is linked in of it, and the compiler's own part.
const PACKAGES: [&str; 4] = ["libc6", "libc6-dev", "libgcc-s1", "libgcc-12-dev"];

/// Where the packages have libraries.
const FOLDERS: [&str; 3] = [
    "usr/lib/aarch64-linux-gnu",
    "usr/lib/gcc/aarch64-linux-gnu/12",
    "lib/aarch64-linux-gnu",
];

/// Where the files are that begin a program.
const BEGINNINGS: &str = "usr/lib/aarch64-linux-gnu";

/// What loads a program that is not static.
const LOADER: &str = "/lib/ld-linux-aarch64.so.1";

/// What a Rust program that is not static loads.
const LOADED: [&str; 3] = [
    "lib/ld-linux-aarch64.so.1",
    "lib/aarch64-linux-gnu/libc.so.6",
    "lib/aarch64-linux-gnu/libgcc_s.so.1",
];

/// The packages, unpacked.
#[derive(Clone, Debug)]
pub struct ForeignLibrary {
    folder: PathBuf,
}

impl ForeignLibrary {
    /// Fetches them, or finds them.
    ///
    /// # Errors
    /// As [`Packages::fetch`].
    pub fn fetch() -> Result<Self> {
        let folder = Packages::new(PACKAGES).of(Arch::Aarch64).fetch()?;
        Ok(Self { folder })
    }

    /// The files that a program which is not static loads: where each is, and
    /// where the program looks for it.
    pub fn loaded(&self) -> impl Iterator<Item = (PathBuf, &'static Path)> {
        LOADED
            .map(|path| (self.folder.join(path), Path::new(path)))
            .into_iter()
    }

    /// What the compiler is told for a program with the library in it. It moves
    /// itself (static PIE): what begins others has a function that is in the
    /// library, too, and would have to stand in front of it on the command line.
    pub(crate) fn to_link_static(&self) -> Vec<String> {
        let mut flags = self.to_link(&["rcrt1.o", "crti.o", "crtn.o"]);
        flags.extend(["-pie", "--no-dynamic-linker"].map(argument));
        flags
    }

    /// What it is told for one that loads it.
    pub(crate) fn to_link_shared(&self) -> Vec<String> {
        let mut flags = self.to_link(&["Scrt1.o", "crti.o", "crtn.o"]);
        flags.push(argument(&format!("--dynamic-linker={LOADER}")));
        flags
    }

    fn to_link(&self, beginnings: &[&str]) -> Vec<String> {
        let root = self.folder.display();
        // Some of its libraries are texts, with paths as they would be there.
        let mut flags = vec![
            RUSTS_LINKER.to_owned(),
            argument(&format!("--sysroot={root}")),
        ];
        let folders = FOLDERS.iter();
        flags.extend(folders.map(|folder| argument(&format!("-L{root}/{folder}"))));
        let beginnings = beginnings.iter();
        flags.extend(beginnings.map(|name| argument(&format!("{root}/{BEGINNINGS}/{name}"))));
        flags
    }
}

/// The compiler's flag for a word to the linker.
fn argument(word: &str) -> String {
    format!("-Clink-arg={word}")
}
