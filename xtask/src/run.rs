//! Other programs, run where a person can see what is run.

use std::{
    env,
    ffi::OsStr,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use ochre_tool::paths;

/// A command that will be shown and must succeed.
#[derive(Debug)]
pub(crate) struct Run {
    command: Command,
}

/// `cargo` of the toolchain in use, at the root of the workspace.
pub(crate) fn cargo<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Result<Run> {
    Run::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()), args)
}

/// A program of the host.
pub(crate) fn program<S: AsRef<OsStr>>(
    name: &str,
    args: impl IntoIterator<Item = S>,
) -> Result<Run> {
    Run::new(name, args)
}

/// `cargo` of another toolchain. The variables by which the toolchain in use
/// tells its own children about itself are taken away.
pub(crate) fn cargo_of<S: AsRef<OsStr>>(
    toolchain: &str,
    args: impl IntoIterator<Item = S>,
) -> Result<Run> {
    let mut run = Run::new("cargo", [format!("+{toolchain}")])?.args(args);
    for variable in ["RUSTUP_TOOLCHAIN", "CARGO", "RUSTC", "RUSTDOC"] {
        run.command.env_remove(variable);
    }
    Ok(run)
}

impl Run {
    fn new<S: AsRef<OsStr>>(
        program: impl AsRef<OsStr>,
        args: impl IntoIterator<Item = S>,
    ) -> Result<Self> {
        let mut command = Command::new(program);
        command.args(args).current_dir(paths::workspace()?);
        Ok(Self { command })
    }

    /// More arguments.
    pub(crate) fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.args(args);
        self
    }

    /// An environment variable.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Shows the command and runs it.
    pub(crate) fn run(mut self) -> Result<()> {
        let shown = self.shown();
        eprintln!("$ {shown}");
        let status = self
            .command
            .status()
            .with_context(|| format!("running {shown}"))?;
        ensure!(status.success(), "{shown} failed");
        Ok(())
    }

    /// Shows the command and runs it; each line it writes to standard output is
    /// told as it comes.
    pub(crate) fn lines(mut self, mut each: impl FnMut(&str)) -> Result<()> {
        let shown = self.shown();
        eprintln!("$ {shown}");
        let mut child = self
            .command
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("running {shown}"))?;
        let output = child.stdout.take().context("a child with its output")?;
        for line in BufReader::new(output).lines() {
            each(&line?);
        }
        ensure!(child.wait()?.success(), "{shown} failed");
        Ok(())
    }

    /// Runs it in silence and gives what it wrote to standard output.
    pub(crate) fn output(mut self) -> Result<String> {
        let shown = self.shown();
        let output = self
            .command
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("running {shown}"))?;
        ensure!(output.status.success(), "{shown} failed");
        String::from_utf8(output.stdout).context("output that is not text")
    }

    /// Runs it in silence, and gives what it wrote to standard error; it must fail.
    pub(crate) fn complaint(mut self) -> Result<String> {
        let shown = self.shown();
        let output = self
            .command
            .output()
            .with_context(|| format!("running {shown}"))?;
        ensure!(!output.status.success(), "{shown} should fail");
        Ok(String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// Whether it runs and succeeds, in silence.
    pub(crate) fn succeeds(mut self) -> bool {
        self.command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }

    fn shown(&self) -> String {
        let name = Path::new(self.command.get_program());
        let mut shown = name
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        for arg in self.command.get_args() {
            shown.push(' ');
            shown.push_str(&arg.to_string_lossy());
        }
        shown
    }
}
