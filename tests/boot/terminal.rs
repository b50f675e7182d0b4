//! The serial console as a terminal: its size, `reset`, and a paste of a
//! megabyte that arrives whole, every value of a byte in it.

use core::{fmt::Write as _, time::Duration};
use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use ochre_tests::{Arch, Case, Running, architectures, check_output, prefix, shell_on};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

const MEGABYTE: usize = 1 << 20;

pub(super) fn cases() -> impl Iterator<Item = Case> {
    architectures()
        .map(|arch| Case::new(format!("{}terminal", prefix(arch)), move || terminal(arch)))
}

/// Each answer ends in a dot.
const SCRIPT: &str = "\
. /etc/profile
echo size `stty size`.
stty rows 30 columns 100
echo size `stty size`.
resize
echo size `stty size`.
stty raw -echo; reset; echo modes `stty -a | grep -c ' icanon .* echo '`.
stty -echo; echo -n paste.
cat > /tmp/lines
echo got `md5sum < /tmp/lines`.
stty raw; echo -n paste.
head -c 65536 > /tmp/bytes
stty sane -echo
echo got `md5sum < /tmp/bytes`.
exit 3
";

/// A megabyte of lines: letters beyond ASCII too, but nothing that edits.
fn lines() -> Vec<u8> {
    let mut text = String::new();
    for number in 0.. {
        let _ = writeln!(
            text,
            "{number:06} grün été {:x<width$}",
            "",
            width = number % 300
        );
        if text.len() > MEGABYTE {
            break;
        }
    }
    text.into_bytes()
}

/// What `md5sum` of this host says.
fn sum(bytes: &[u8]) -> Result<String> {
    let mut child = Command::new("md5sum")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("running md5sum")?;
    child.stdin.take().context("its input")?.write_all(bytes)?;
    let output = child.wait_with_output()?;
    let text = String::from_utf8(output.stdout)?;
    Ok(text
        .split_whitespace()
        .next()
        .unwrap_or_default()
        .to_owned())
}

/// Pastes bytes, and then what ends them, where the script waits for a paste;
/// what arrived must be those.
fn paste(running: &mut Running, bytes: &[u8], end: &str) -> Result<()> {
    running.expect("paste.", PATIENCE)?;
    running.send(bytes)?;
    running.send(end)?;
    running.expect("got ", PATIENCE)?;
    let told = running.expect("-.", PATIENCE)?;
    let told = String::from_utf8_lossy(&told);
    ensure!(
        told.starts_with(&sum(bytes)?),
        "others than were pasted arrived: {told}"
    );
    Ok(())
}

fn terminal(arch: Arch) -> Result<()> {
    let mut running = shell_on(arch, SCRIPT)?
        .console(24, 80)
        .stdin_later()
        .start()?;
    running.expect("size 24 80.", PATIENCE)?;
    running.expect("size 30 100.", PATIENCE)?;
    // It sends the cursor far away and asks where that is.
    running.expect("\x1b[6n", PATIENCE)?;
    running.send("\x1b[50;132R")?;
    running.expect("size 50 132.", PATIENCE)?;
    running.expect("modes 1.", PATIENCE)?;

    let lines = lines();
    paste(&mut running, &lines, "\x04").context("lines")?;

    let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(1 << 16).collect();
    paste(&mut running, &bytes, "").context("every byte")?;
    let outcome = running.wait()?;
    check_output(&outcome, 3, "\r\n")
}
