//! gdb, started so that it has a machine of ours in its hands.
//!
//! QEMU speaks gdb's remote protocol at a socket and waits there before the
//! guest's first instruction. Paging is off then, so the first breakpoint is one
//! of the processor's own: one that is written into memory would be written
//! where the kernel is not mapped yet.

use core::fmt;
use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::{arch::Arch, host};

/// The first function behind the boot code (`ochre_hal::entry!`).
const FIRST: &str = "ochre_kernel_main";

/// A gdb to be started, shown as the command that does it.
#[derive(Debug)]
pub struct Gdb {
    program: &'static str,
    arguments: Vec<String>,
    kernel: PathBuf,
}

impl Gdb {
    /// For a machine that runs this kernel and waits at this socket.
    pub fn new(arch: Arch, kernel: &Path, socket: &Path) -> Self {
        let commands = [
            "set confirm off".to_owned(),
            format!("target remote {}", socket.display()),
            format!("thbreak {FIRST}"),
        ];
        Self {
            // Debian's gdb knows the host's processor only.
            program: match arch {
                Arch::X86_64 => "gdb",
                Arch::Aarch64 => "gdb-multiarch",
            },
            arguments: commands
                .into_iter()
                .flat_map(|command| ["-ex".to_owned(), command])
                .collect(),
            kernel: kernel.to_owned(),
        }
    }

    /// The command.
    ///
    /// # Errors
    /// If this host has no gdb.
    pub fn command(&self) -> Result<Command> {
        let gdb = host::find_command(self.program).with_context(|| {
            format!(
                "there is no {0} here; on Debian: apt-get install {0}",
                self.program
            )
        })?;
        let mut command = Command::new(gdb);
        command.arg("-q").arg(&self.kernel).args(&self.arguments);
        Ok(command)
    }
}

impl fmt::Display for Gdb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -q {}", self.program, self.kernel.display())?;
        for argument in &self.arguments {
            if argument.contains(' ') {
                write!(f, " '{argument}'")?;
            } else {
                write!(f, " {argument}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::Gdb;
    use crate::arch::Arch;

    #[test]
    fn the_command_can_be_typed() {
        let gdb = Gdb::new(Arch::X86_64, Path::new("/k"), Path::new("/s"));
        assert_eq!(
            gdb.to_string(),
            "gdb -q /k -ex 'set confirm off' -ex 'target remote /s' \
             -ex 'thbreak ochre_kernel_main'"
        );
        let gdb = Gdb::new(Arch::Aarch64, Path::new("/k"), Path::new("/s"));
        assert!(gdb.to_string().starts_with("gdb-multiarch "));
    }
}
