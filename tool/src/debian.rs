//! Packages of Debian, fetched and unpacked into folders of ours, nothing installed.
//!
//! The packages come from the sources that the host's `apt` is set up for. A
//! set of packages is unpacked once into `target/ochre/roots/NAME` and found
//! there by later runs. Maintainer scripts are not run.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{arch::Arch, host, paths, report::Task};

/// The file that marks a folder as complete; it holds the names and versions
/// unpacked there.
const MARKER: &str = ".ochre-packages";

/// A set of packages to unpack together.
#[derive(Clone, Debug)]
pub struct Packages {
    names: Vec<String>,
    with_dependencies: bool,
    /// Debian's name of an architecture that is not the host's.
    architecture: Option<&'static str>,
}

impl Packages {
    /// These packages and no others.
    pub fn new<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> Self {
        Self {
            names: names.into_iter().map(|n| n.as_ref().to_owned()).collect(),
            with_dependencies: false,
            architecture: None,
        }
    }

    /// The packages of an architecture.
    pub fn of(mut self, arch: Arch) -> Self {
        self.architecture = match arch {
            Arch::X86_64 => None,
            Arch::Aarch64 => Some("arm64"),
        };
        self
    }

    /// The packages that these depend on too (not what they recommend).
    pub fn with_dependencies(mut self) -> Self {
        self.with_dependencies = true;
        self
    }

    /// Fetches and unpacks the set, or finds it unpacked already. Gives the
    /// folder.
    ///
    /// # Errors
    /// If the host has no `apt-get` and `dpkg`, or they fail.
    pub fn fetch(&self) -> Result<PathBuf> {
        let fetched = self.find_or_fetch();
        let Some(architecture) = self.architecture else {
            return fetched;
        };
        fetched.with_context(|| {
            format!(
                "if dpkg does not know {architecture}: sudo dpkg --add-architecture {architecture}"
            )
        })
    }

    fn find_or_fetch(&self) -> Result<PathBuf> {
        let folder = self.folder_name();
        let dir = paths::cache("roots")?.join(&folder);
        let _held = paths::lock(&format!("debian-{folder}"))?;
        if dir.join(MARKER).is_file() {
            return Ok(dir);
        }
        ensure!(
            host::is_debian_like(),
            "the Debian packages {} are needed, and this host has no apt-get and dpkg to fetch them",
            self.names.join(", ")
        );
        if let Some(architecture) = self.architecture {
            know(architecture)?;
        }
        let task = Task::new(format!("fetching {}", self.names.join(", ")));
        task.begin();
        let names = self.resolve(&task)?;
        let debs = self.download(&names, &folder, &task)?;
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir)?;
        for (done, deb) in debs.iter().enumerate() {
            task.progress(done as u64, debs.len() as u64, "unpacking");
            unpack(deb, &dir)?;
        }
        fs::write(dir.join(MARKER), names.join("\n"))?;
        Ok(dir)
    }

    fn folder_name(&self) -> String {
        let mut names = self.names.clone();
        names.sort();
        let mut folder = names.join("+");
        if folder.len() > 120 {
            let sum = folder.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
                (sum ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
            });
            folder = format!("{}+{sum:016x}", &names[0]);
        }
        if self.with_dependencies {
            folder.push_str("+all");
        }
        if let Some(architecture) = self.architecture {
            folder.push('+');
            folder.push_str(architecture);
        }
        folder
    }

    /// What makes `apt-get` see the architecture's packages and no others.
    fn options(&self) -> Vec<String> {
        let names = ["APT::Architecture", "APT::Architectures"].into_iter();
        let options = self.architecture.map(|architecture| {
            names.flat_map(move |name| ["-o".to_owned(), format!("{name}={architecture}")])
        });
        options.into_iter().flatten().collect()
    }

    /// The names to download. With dependencies, apt is asked what it would
    /// install on a system where nothing is installed.
    fn resolve(&self, task: &Task) -> Result<Vec<String>> {
        if !self.with_dependencies {
            return Ok(self.names.clone());
        }
        let nothing_installed = tempfile::NamedTempFile::new()?;
        let simulate = || {
            let mut command = Command::new("apt-get");
            command
                .arg("-o")
                .arg(format!(
                    "Dir::State::status={}",
                    nothing_installed.path().display()
                ))
                .args(self.options())
                .args(["--simulate", "--no-install-recommends", "install"])
                .args(&self.names);
            command
        };
        let output = with_package_lists(task, simulate)?;
        Ok(output
            .lines()
            .filter_map(|line| line.strip_prefix("Inst ")?.split(' ').next())
            .map(str::to_owned)
            .collect())
    }

    /// Downloads packages and gives the paths of the `.deb` files.
    fn download(&self, names: &[String], folder: &str, task: &Task) -> Result<Vec<PathBuf>> {
        let dir = paths::cache("debian")?.join(folder);
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir)?;
        with_package_lists(task, || {
            let mut command = apt_get_with_status();
            command
                .args(["-o", "APT::Sandbox::User=root"])
                .args(self.options())
                .arg("download")
                .args(names)
                .current_dir(&dir);
            command
        })?;
        let mut debs: Vec<_> = fs::read_dir(&dir)?
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "deb"))
            .collect();
        debs.sort();
        ensure!(
            debs.len() == names.len(),
            "asked apt-get for {} packages and got {}",
            names.len(),
            debs.len()
        );
        Ok(debs)
    }
}

/// Tells the host's `dpkg` of an architecture, where it may be told.
fn know(architecture: &str) -> Result<()> {
    let known = Command::new("dpkg")
        .arg("--print-foreign-architectures")
        .output();
    let known = known.is_ok_and(|output| {
        String::from_utf8_lossy(&output.stdout)
            .lines()
            .any(|line| line == architecture)
    });
    if !known && rustix::process::geteuid().is_root() && host::is_debian_like() {
        let status = Command::new("dpkg")
            .args(["--add-architecture", architecture])
            .status();
        status.context("running dpkg --add-architecture")?;
    }
    Ok(())
}

/// Debian's newest Linux for virtual machines. The package with the stable name
/// holds nothing but a dependency on the one that has it; of that one, nothing
/// but the kernel is wanted, so its own dependencies are left out.
///
/// # Errors
/// As [`Packages::fetch`]; and without package lists.
pub fn linux_kernel(arch: Arch) -> Result<PathBuf> {
    let set = |name: &str| Packages::new([name]).of(arch);
    let name = match arch {
        Arch::X86_64 => "linux-image-cloud-amd64",
        Arch::Aarch64 => "linux-image-cloud-arm64",
    };
    let stable = set(name);
    if let Some(architecture) = stable.architecture {
        know(architecture)?;
    }
    let depends = || {
        let mut command = Command::new("apt-cache");
        command
            .args(stable.options())
            .args(["depends", "--important", name]);
        command
    };
    let find = |text: &str| {
        let package = text
            .lines()
            .find_map(|line| line.trim().strip_prefix("Depends: "))?;
        Some(package.to_owned())
    };
    let task = Task::new(format!("looking for {name}"));
    let package = match apt(&mut depends(), &task).ok().as_deref().and_then(find) {
        Some(package) => Some(package),
        // The lists may be older than the architecture.
        None if rustix::process::geteuid().is_root() => {
            apt(Command::new("apt-get").arg("update"), &task)?;
            find(&apt(&mut depends(), &task)?)
        }
        None => None,
    };
    let package = package
        .with_context(|| format!("{name} depends on no kernel; are there package lists?"))?;
    let dir = set(&package).fetch()?;
    let boot = dir.join("boot");
    fs::read_dir(&boot)
        .with_context(|| format!("reading {}", boot.display()))?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|path| {
            path.file_name()
                .is_some_and(|name| name.as_encoded_bytes().starts_with(b"vmlinuz-"))
        })
        .with_context(|| format!("no vmlinuz in {}", boot.display()))
}

/// The packages unpacked in a folder that [`Packages::fetch`] gave.
///
/// # Errors
/// If it is no such folder.
pub fn unpacked(dir: &Path) -> Result<Vec<String>> {
    let text = fs::read_to_string(dir.join(MARKER)).context("no packages are unpacked there")?;
    Ok(text.lines().map(str::to_owned).collect())
}

fn unpack(deb: &Path, dir: &Path) -> Result<()> {
    let output = Command::new("dpkg")
        .arg("-x")
        .arg(deb)
        .arg(dir)
        .output()
        .context("running dpkg")?;
    ensure!(
        output.status.success(),
        "unpacking {} failed:\n{}",
        deb.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// Runs an apt command; if it fails, refreshes the package lists (which a
/// fresh system does not have at all) and tries once more.
fn with_package_lists(task: &Task, command: impl Fn() -> Command) -> Result<String> {
    match apt(&mut command(), task) {
        Ok(output) => Ok(output),
        Err(first) => {
            if !rustix::process::geteuid().is_root() {
                return Err(first.context("if the package lists are old: sudo apt update"));
            }
            apt(Command::new("apt-get").arg("update"), task)?;
            apt(&mut command(), task)
        }
    }
}

/// Installs packages on the host. Root only.
///
/// # Errors
/// If apt-get fails.
pub fn install(names: &[&str]) -> Result<()> {
    let _held = paths::lock("apt-install")?;
    let task = Task::new(format!("installing {}", names.join(", ")));
    task.begin();
    with_package_lists(&task, || {
        let mut command = apt_get_with_status();
        command
            // A container may have no terminals to give to dpkg.
            .args(["-o", "DPkg::Use-Pty=0"])
            .args(["-o", "DPkg::Lock::Timeout=120"])
            .args(["install", "--yes", "--no-install-recommends"])
            .args(names)
            .env("DEBIAN_FRONTEND", "noninteractive");
        command
    })?;
    Ok(())
}

/// `apt-get` that writes lines about its progress to standard output.
///
/// Not by naming descriptor 1 itself: apt closes the one that it is given
/// before it runs dpkg, and the packages' scripts then fail to write.
fn apt_get_with_status() -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "exec apt-get -o APT::Status-Fd=3 \"$@\" 3>&1", "sh"]);
    command
}

/// Runs an apt command to its end and gives its output; the status lines in
/// it, if the command was told to write some, feed the bar.
fn apt(command: &mut Command, task: &Task) -> Result<String> {
    let shown = format!("{command:?}");
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .env("LC_ALL", "C")
        .spawn()
        .with_context(|| format!("running {shown}"))?;
    let stdout = child.stdout.take().context("apt-get without output")?;
    let stderr = child.stderr.take().context("apt-get without errors")?;
    let errors = std::thread::spawn(move || {
        let mut text = String::new();
        let _ = BufReader::new(stderr).read_to_string(&mut text);
        text
    });
    let mut text = String::new();
    for line in BufReader::new(stdout).lines() {
        let line = line?;
        match status_line(&line) {
            Some((percent, what)) => task.progress(percent, 100, what),
            None => {
                text.push_str(&line);
                text.push('\n');
            }
        }
    }
    let status = child.wait()?;
    let errors = errors.join().unwrap_or_default();
    if !status.success() {
        bail!("{shown} failed:\n{}", errors.trim_end());
    }
    Ok(text)
}

/// Reads a line like `dlstatus:1:33.3:Retrieving file 2 of 5`. The download
/// counts as the first half.
fn status_line(line: &str) -> Option<(u64, &str)> {
    let mut parts = line.splitn(4, ':');
    let base = match parts.next()? {
        "dlstatus" => 0,
        "pmstatus" => 50,
        _ => return None,
    };
    let percent = parts.nth(1)?.split('.').next()?.parse::<u64>().ok()?;
    Some((base + percent.min(100) / 2, parts.next()?.trim()))
}

#[cfg(test)]
mod tests {
    use super::{Arch, Packages, status_line};

    #[test]
    fn folders_are_named_after_what_is_in_them() {
        let check = |packages: Packages, name: &str| assert_eq!(packages.folder_name(), name);
        check(Packages::new(["b", "a"]), "a+b");
        check(Packages::new(["a"]).with_dependencies(), "a+all");
        check(Packages::new(["a"]).of(Arch::Aarch64), "a+arm64");
        let long: Vec<String> = (0..60).map(|n| format!("package{n}")).collect();
        assert!(Packages::new(&long).folder_name().len() < 120);
    }

    #[test]
    fn status_lines_feed_the_bar() {
        let check = |line, expected| assert_eq!(status_line(line), expected, "{line}");
        check(
            "dlstatus:1:33.3:Retrieving file 2 of 5",
            Some((16, "Retrieving file 2 of 5")),
        );
        check(
            "pmstatus:qemu:80.0:Installing qemu",
            Some((90, "Installing qemu")),
        );
        check("pmstatus:a:b", None);
        check("Get:1 http://x y z", None);
    }
}
