//! `ochre doctor`: what is there, what is missing, and what to do about it.

use std::{
    env,
    path::Path,
    process::{Command, ExitCode},
};

use crate::{arch::Arch, host, machine::Accelerator, paths, setup};

/// One thing that was looked at.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What it is.
    pub what: &'static str,
    /// Where it is, or what is the matter.
    pub state: State,
}

/// How one thing is.
#[derive(Clone, Debug)]
pub enum State {
    /// There.
    Fine(String),
    /// Missing, but the first command that needs it will bring it in.
    WillCome(String),
    /// Missing: what to do.
    Missing(String),
}

/// Looks at everything that a run of a guest of this architecture needs.
pub fn examine(arch: Arch) -> Vec<Finding> {
    let finding = |what, state| Finding { what, state };
    let mut findings = vec![
        finding("sources", sources()),
        finding("cargo", cargo()),
        finding("Rust target", rust_target(arch)),
        finding("QEMU", qemu(arch)),
        finding("busybox", busybox(arch)),
    ];
    // What its commands are called is asked of the host's.
    if arch != Arch::X86_64 {
        findings.push(finding("its own too", busybox(Arch::X86_64)));
    }
    findings.extend([
        finding("accelerator", accelerator(arch)),
        finding("cache", cache()),
    ]);
    findings
}

/// Prints the findings on standard output. The exit code is 1 if something is
/// missing that will not come by itself.
pub fn print(arch: Arch) -> ExitCode {
    let findings = examine(arch);
    for finding in &findings {
        let (mark, text) = match &finding.state {
            State::Fine(text) => ("ok", text),
            State::WillCome(text) => ("later", text),
            State::Missing(text) => ("MISSING", text),
        };
        let text = text.replace('\n', "\n                       ");
        println!("{mark:8} {:13} {text}", finding.what);
    }
    let missing = findings
        .iter()
        .any(|finding| matches!(finding.state, State::Missing(_)));
    ExitCode::from(u8::from(missing))
}

fn sources() -> State {
    match paths::workspace() {
        Ok(root) => State::Fine(root.display().to_string()),
        Err(error) => State::Missing(error.to_string()),
    }
}

fn cargo() -> State {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    match first_line(Command::new(&cargo).arg("--version")) {
        Some(version) => State::Fine(version),
        None => State::Missing("install Rust with rustup (rustup.rs)".to_owned()),
    }
}

fn rust_target(arch: Arch) -> State {
    let target = arch.kernel_target();
    if setup::has_kernel_target(arch) {
        State::Fine(target.to_owned())
    } else if host::find_command("rustup").is_some() {
        State::WillCome(format!("will be added by rustup: {target}"))
    } else {
        State::Missing(format!("rustup target add {target}"))
    }
}

fn qemu(arch: Arch) -> State {
    let package = arch.qemu_package();
    match setup::find_qemu(arch) {
        Some(path) => State::Fine(with_version(&path)),
        None if host::can_install() => {
            State::WillCome(format!("will be installed: {}", package.apt))
        }
        None => State::Missing(format!("install it:\n{}", package.commands())),
    }
}

fn with_version(path: &Path) -> String {
    let version = first_line(Command::new(path).arg("--version")).unwrap_or_default();
    format!("{} ({version})", path.display())
}

fn busybox(arch: Arch) -> State {
    match setup::find_busybox_of(arch) {
        Some(path) => State::Fine(path.display().to_string()),
        None if host::is_debian_like() => {
            State::WillCome("will be fetched, not installed: busybox-static".to_owned())
        }
        None if arch != Arch::X86_64 => {
            State::Missing("it is fetched from Debian, by a Debian-like host".to_owned())
        }
        None => State::Missing(format!(
            "install it:\n{}",
            setup::BUSYBOX_PACKAGE.commands()
        )),
    }
}

fn accelerator(arch: Arch) -> State {
    State::Fine(match (arch, Accelerator::best()) {
        (Arch::X86_64, Accelerator::Kvm) => "KVM".to_owned(),
        (Arch::X86_64, _) => "QEMU's translator (KVM is not usable here)".to_owned(),
        (Arch::Aarch64, _) => "QEMU's translator".to_owned(),
    })
}

fn cache() -> State {
    match paths::target() {
        Ok(target) => State::Fine(target.join("ochre").display().to_string()),
        Err(error) => State::Missing(error.to_string()),
    }
}

fn first_line(command: &mut Command) -> Option<String> {
    let output = command
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::{State, examine};
    use crate::arch::Arch;

    #[test]
    fn each_architecture_has_needs_of_its_own() {
        for (arch, target) in [
            (Arch::X86_64, "x86_64-unknown-none"),
            (Arch::Aarch64, "aarch64-unknown-none-softfloat"),
        ] {
            let findings = examine(arch);
            let told = |what: &str| {
                let found = findings.iter().find(|finding| finding.what == what);
                match &found.expect("it is looked at").state {
                    State::Fine(text) | State::WillCome(text) | State::Missing(text) => {
                        text.clone()
                    }
                }
            };
            assert!(told("Rust target").contains(target));
            let qemu = told("QEMU");
            let names = [arch.qemu(), arch.qemu_package().apt];
            assert!(names.iter().any(|name| qemu.contains(name)), "{qemu}");
        }
    }
}
