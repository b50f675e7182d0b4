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

/// Looks at everything that a run needs.
pub fn examine() -> Vec<Finding> {
    let finding = |what, state| Finding { what, state };
    vec![
        finding("sources", sources()),
        finding("cargo", cargo()),
        finding("Rust target", rust_target()),
        finding("QEMU", qemu()),
        finding("busybox", busybox()),
        finding("accelerator", accelerator()),
        finding("cache", cache()),
    ]
}

/// Prints the findings on standard output. The exit code is 1 if something is
/// missing that will not come by itself.
pub fn print() -> ExitCode {
    let findings = examine();
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

fn rust_target() -> State {
    if setup::has_kernel_target(Arch::X86_64) {
        State::Fine(setup::KERNEL_TARGET.to_owned())
    } else if host::find_command("rustup").is_some() {
        State::WillCome(format!("will be added by rustup: {}", setup::KERNEL_TARGET))
    } else {
        State::Missing(format!("rustup target add {}", setup::KERNEL_TARGET))
    }
}

fn qemu() -> State {
    match setup::find_qemu(Arch::X86_64) {
        Some(path) => State::Fine(with_version(&path)),
        None if host::can_install() => {
            State::WillCome(format!("will be installed: {}", setup::QEMU_PACKAGE.apt))
        }
        None => State::Missing(format!("install it:\n{}", setup::QEMU_PACKAGE.commands())),
    }
}

fn with_version(path: &Path) -> String {
    let version = first_line(Command::new(path).arg("--version")).unwrap_or_default();
    format!("{} ({version})", path.display())
}

fn busybox() -> State {
    match setup::find_busybox() {
        Some(path) => State::Fine(path.display().to_string()),
        None if host::is_debian_like() => {
            State::WillCome("will be fetched, not installed: busybox-static".to_owned())
        }
        None => State::Missing(format!(
            "install it:\n{}",
            setup::BUSYBOX_PACKAGE.commands()
        )),
    }
}

fn accelerator() -> State {
    State::Fine(match Accelerator::best() {
        Accelerator::Kvm => "KVM".to_owned(),
        Accelerator::Tcg | Accelerator::Counted => {
            "QEMU's translator (KVM is not usable here)".to_owned()
        }
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
