//! What the host is: which commands it has, who we are on it, how it installs packages.

use std::{
    env,
    ffi::OsStr,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

/// The path of a command, searched in `PATH` (or taken as it is if it has a
/// slash). Only files that somebody may execute count.
pub fn find_command(name: impl AsRef<OsStr>) -> Option<PathBuf> {
    let name = Path::new(name.as_ref());
    if name.components().count() > 1 || name.is_absolute() {
        return is_executable(name).then(|| name.to_owned());
    }
    env::split_paths(&env::var_os("PATH")?)
        .map(|dir| dir.join(name))
        .find(|path| is_executable(path))
}

fn is_executable(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// Whether packages can be installed here without asking anybody: a
/// Debian-like host, and we are root.
pub fn can_install() -> bool {
    rustix::process::geteuid().is_root() && is_debian_like()
}

/// Whether the host has Debian's package tools.
pub fn is_debian_like() -> bool {
    find_command("apt-get").is_some() && find_command("dpkg").is_some()
}

/// How to install one thing with each of the usual package managers.
#[derive(Clone, Copy, Debug)]
pub struct Package {
    /// What it is, for a message.
    pub what: &'static str,
    /// Its name for apt (Debian, Ubuntu).
    pub apt: &'static str,
    /// Its name for dnf (Fedora).
    pub dnf: &'static str,
    /// Its name for pacman (Arch).
    pub pacman: &'static str,
    /// Its name for brew, or what to do instead.
    pub brew: &'static str,
}

impl Package {
    /// The commands to type, one a line.
    pub fn commands(&self) -> String {
        format!(
            "  Debian, Ubuntu:  sudo apt install {}\n  \
               Fedora:          sudo dnf install {}\n  \
               Arch:            sudo pacman -S {}\n  \
               macOS, other:    {}",
            self.apt, self.dnf, self.pacman, self.brew
        )
    }
}

/// Whether KVM may be used: the processor says that it can virtualise, and
/// `/dev/kvm` is there and ours to open.
///
/// The flags are asked first because a `/dev/kvm` without them (nested, or in
/// a container that passes the node through) fails only when the machine runs.
pub fn kvm_is_usable() -> bool {
    let Ok(cpuinfo) = std::fs::read_to_string("/proc/cpuinfo") else {
        return false;
    };
    flags_allow_kvm(&cpuinfo)
        && std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/kvm")
            .is_ok()
}

fn flags_allow_kvm(cpuinfo: &str) -> bool {
    cpuinfo
        .lines()
        .filter(|line| line.starts_with("flags"))
        .any(|line| {
            line.split_whitespace()
                .any(|flag| flag == "vmx" || flag == "svm")
        })
}

#[cfg(test)]
mod tests {
    use super::{find_command, flags_allow_kvm};

    #[test]
    fn commands_are_found_in_the_path() {
        assert!(find_command("sh").is_some_and(|path| path.is_absolute()));
        assert!(find_command("/bin/sh").is_some());
        assert_eq!(find_command("no-such-command-here"), None);
        assert_eq!(find_command("/etc/passwd"), None);
    }

    #[test]
    fn kvm_needs_the_processor_flag() {
        assert!(flags_allow_kvm("model\t: x\nflags\t\t: fpu vmx sse\n"));
        assert!(flags_allow_kvm("flags\t\t: svm\n"));
        assert!(!flags_allow_kvm("flags\t\t: fpu hypervisor\nbugs\t: vmx\n"));
    }
}
