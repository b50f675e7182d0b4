//! The roots that scripts run in, each both a folder for the host and an archive for guests.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use anyhow::{Context as _, Result, ensure};
use ochre_tests::{Arch, Extent, Packages, archive, extent, name_on, once, rootfs, setup};
use ochre_tool::{elf_needs, foreign_library::ForeignLibrary, load_generators, paths, user_build};

/// A root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Root {
    /// Debian's static busybox.
    Busybox,
    /// The tools of a small Debian.
    Debian,
    /// Python and what it needs.
    Python,
    /// What people build and keep things with: git, make, a C compiler, Perl, SQLite.
    Tools,
    /// A static Rust program of ours, with a shell to run it.
    Rust,
    /// Multi-threaded programs of ours, with a shell to run them.
    Threads,
    /// Debian's programs that load and measure a system, with a shell.
    Stress,
}

/// The numbers of processors that programs with threads run on.
const FEW: &[u32] = &[1, 2, 4];

const SMALL_DEBIAN: [&str; 13] = [
    "bash",
    "dash",
    "coreutils",
    "grep",
    "sed",
    "mawk",
    "findutils",
    "tar",
    "gzip",
    "lua5.4",
    "diffutils",
    "procps",
    "ncurses-base",
];

const PYTHON: [&str; 6] = [
    "coreutils",
    "grep",
    "dash",
    "python3-minimal",
    "libpython3-stdlib",
    "libpython3.11-testsuite",
];

/// The tools, and those libraries that they are linked to.
const TOOLS: [&str; 14] = [
    "git",
    "libc6",
    "libc6-dev",
    "libcrypt1",
    "libpcre2-8-0",
    "libreadline8",
    "libsqlite3-0",
    "libtinfo6",
    "make",
    "perl-base",
    "sqlite3",
    "tcc",
    "linux-libc-dev",
    "zlib1g",
];

impl Root {
    /// All of them.
    pub(crate) const ALL: [Self; 7] = [
        Self::Busybox,
        Self::Debian,
        Self::Python,
        Self::Tools,
        Self::Rust,
        Self::Threads,
        Self::Stress,
    ];

    /// Its name, which is its folder's.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Busybox => "busybox",
            Self::Debian => "debian",
            Self::Python => "python",
            Self::Tools => "tools",
            Self::Rust => "rust",
            Self::Threads => "threads",
            Self::Stress => "stress",
        }
    }

    /// The numbers of processors that its scripts run on, each in a guest of
    /// its own.
    pub(crate) fn processors(self) -> &'static [u32] {
        match self {
            Self::Threads | Self::Stress => FEW,
            _ => &[1],
        }
    }

    /// The scripts that every change must pass on AArch64.
    pub(crate) fn share(self) -> &'static [&'static str] {
        match self {
            Self::Busybox => &["shell.sh"],
            Self::Debian => &["bash.sh", "lua.lua"],
            Self::Rust => &["hello-std.sh"],
            Self::Threads => &["pthread-conditions.sh"],
            Self::Python | Self::Tools | Self::Stress => &[],
        }
    }

    /// The status that a script of this root says it ends with; 0 unless said.
    pub(crate) fn expected_status(self, script: &str) -> Result<u8> {
        let path = self.scripts().join(script);
        let text =
            fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        let line = text.lines().nth(1).unwrap_or_default();
        let status = line
            .trim_start_matches(['#', '-', ' '])
            .strip_prefix("status: ");
        status.map_or(Ok(0), |status| {
            status
                .trim()
                .parse()
                .with_context(|| format!("{line:?} in {}", path.display()))
        })
    }

    /// The folder of its scripts.
    pub(crate) fn scripts(self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("programs")
            .join(self.name())
    }

    /// Its name among those of both machines.
    fn name_on(self, arch: Arch) -> String {
        name_on(arch, self.name())
    }

    /// The folder, made once per test process.
    pub(crate) fn folder(self, arch: Arch) -> Result<PathBuf> {
        type Folders = [OnceLock<core::result::Result<PathBuf, String>>; Root::ALL.len()];
        static FOLDERS: [Folders; 2] = [const { [const { OnceLock::new() }; Root::ALL.len()] }; 2];
        once(&FOLDERS[arch as usize][self as usize], || self.make(arch))
    }

    /// The folder as an archive.
    pub(crate) fn archive(self, arch: Arch) -> Result<PathBuf> {
        archive(&format!("programs-{}", self.name_on(arch)), || {
            rootfs::folder(&self.folder(arch)?)
        })
    }

    /// Makes the folder anew: packages, the mount points, the scripts.
    fn make(self, arch: Arch) -> Result<PathBuf> {
        let name = self.name_on(arch);
        let dir = paths::cache("programs")?.join(&name);
        let _held = paths::lock(&format!("programs-{name}"))?;
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir)?;
        let packages = |packages: Packages| packages.of(arch).fetch();
        match self {
            Self::Busybox => busybox(arch, &dir)?,
            Self::Debian => {
                let packages = packages(Packages::new(SMALL_DEBIAN).with_dependencies())?;
                copy(arch, &packages, &dir)?;
                // An alternative, which a package's script would choose.
                symlink("mawk", dir.join("usr/bin/awk"))?;
            }
            Self::Python => {
                let packages = packages(Packages::new(PYTHON).with_dependencies())?;
                copy(arch, &packages, &dir)?;
            }
            Self::Rust => {
                busybox(arch, &dir)?;
                let hello = user_build::build_for(arch, "hello-std")?;
                fs::copy(hello, dir.join("bin/hello-std"))?;
                // No script of the share asks for it.
                if extent(arch) == Extent::All {
                    let glibc = user_build::build_glibc(arch, "time-way")?;
                    fs::copy(glibc, dir.join("bin/time-way"))?;
                    let musl = user_build::build_musl(arch, "time-way")?;
                    fs::copy(musl, dir.join("bin/time-way-musl"))?;
                }
            }
            Self::Threads => {
                busybox(arch, &dir)?;
                // No script of the share asks for the first, which takes longest.
                let skipped = usize::from(extent(arch) == Extent::Share);
                for name in &["threads", "pthreads"][skipped..] {
                    let glibc = user_build::build_glibc(arch, name)?;
                    fs::copy(glibc, dir.join("bin").join(name))?;
                }
                let dynamic = user_build::build_dynamic(arch, "pthreads")?;
                let to = Path::new("bin/pthreads-dynamic");
                match arch {
                    Arch::X86_64 => copy_with_needs(&dynamic, to, &dir)?,
                    Arch::Aarch64 => {
                        copy_file(&dynamic, &dir.join(to))?;
                        for (source, place) in ForeignLibrary::fetch()?.loaded() {
                            copy_file(&source, &dir.join(place))?;
                        }
                    }
                }
            }
            Self::Tools => {
                copy_all(&packages(Packages::new(TOOLS))?, &dir)?;
                remove(arch, &dir, &USELESS[..5]);
                remove(arch, &dir, &USELESS_IN_TOOLS);
                busybox(arch, &dir)?;
            }
            Self::Stress => {
                copy(arch, &packages(load_generators::all(arch))?, &dir)?;
                busybox(arch, &dir)?;
            }
        }
        for name in ["dev", "proc", "sys", "tmp", "etc", "root", "tests"] {
            fs::create_dir_all(dir.join(name))?;
        }
        fs::set_permissions(dir.join("tmp"), fs::Permissions::from_mode(0o1777))?;
        let users =
            "root:x:0:0:root:/tmp:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/sh\n";
        fs::write(dir.join("etc/passwd"), users)?;
        fs::write(dir.join("etc/group"), "root:x:0:\nnogroup:x:65534:\n")?;
        for entry in fs::read_dir(self.scripts())? {
            let path = entry?.path();
            let to = dir
                .join("tests")
                .join(path.file_name().context("a script has a name")?);
            fs::copy(&path, &to)?;
            fs::set_permissions(&to, fs::Permissions::from_mode(0o755))?;
        }
        Ok(dir)
    }
}

/// A folder with busybox and a link for each of its commands.
fn busybox(arch: Arch, dir: &Path) -> Result<()> {
    let busybox = ochre_tests::busybox()?;
    for name in ["bin", "sbin", "usr/bin", "usr/sbin"] {
        fs::create_dir_all(dir.join(name))?;
    }
    fs::copy(setup::ensure_busybox_of(arch)?, dir.join("bin/busybox"))?;
    let output = Command::new(&busybox).arg("--list-full").output()?;
    for applet in String::from_utf8_lossy(&output.stdout).lines() {
        let path = dir.join(applet);
        if !path.exists() {
            symlink("/bin/busybox", &path)
                .with_context(|| format!("linking {}", path.display()))?;
        }
    }
    Ok(())
}

/// Copies a program of the host, and its interpreter and libraries to where it
/// looks for them.
fn copy_with_needs(program: &Path, to: &Path, dir: &Path) -> Result<()> {
    for (path, source) in elf_needs::find(program)?.files {
        let place = if path == program {
            dir.join(to)
        } else {
            dir.join(path.strip_prefix("/").unwrap_or(&path))
        };
        copy_file(&source, &place)?;
    }
    Ok(())
}

/// Copies a file into a folder that may have to be made.
fn copy_file(from: &Path, to: &Path) -> Result<()> {
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::copy(from, to).with_context(|| format!("copying {}", from.display()))?;
    Ok(())
}

/// What stands for the folder of a machine's libraries.
const TRIPLE: &str = "TRIPLE";

/// What the tools' packages bring that no script uses, and that is large.
const USELESS_IN_TOOLS: [&str; 3] = [
    "usr/lib/TRIPLE/libc.a",
    "usr/lib/TRIPLE/libm-2.36.a",
    "usr/lib/TRIPLE/gconv",
];

/// What packages bring that no script reads. Perl comes with what the C
/// library's package depends on.
const USELESS: [&str; 9] = [
    "usr/share/doc",
    "usr/share/man",
    "usr/share/locale",
    "usr/share/info",
    "usr/share/perl5",
    "usr/share/zoneinfo",
    "usr/bin/perl",
    "usr/lib/TRIPLE/perl-base",
    "usr/lib/TRIPLE/gconv",
];

/// Copies a folder of unpacked packages, but for what is of no use.
fn copy(arch: Arch, from: &Path, to: &Path) -> Result<()> {
    copy_all(from, to)?;
    remove(arch, to, &USELESS);
    Ok(())
}

fn copy_all(from: &Path, to: &Path) -> Result<()> {
    let status = Command::new("cp")
        .arg("-a")
        .arg(from.join("."))
        .arg(to)
        .status()?;
    ensure!(status.success(), "copying {} failed", from.display());
    Ok(())
}

fn remove(arch: Arch, dir: &Path, useless: &[&str]) {
    let triple = match arch {
        Arch::X86_64 => "x86_64-linux-gnu",
        Arch::Aarch64 => "aarch64-linux-gnu",
    };
    for useless in useless {
        let path = dir.join(useless.replace(TRIPLE, triple));
        let _ = if path.is_dir() {
            fs::remove_dir_all(&path)
        } else {
            fs::remove_file(&path)
        };
    }
}
