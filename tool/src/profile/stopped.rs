//! Samples of the kernel, from outside.
//!
//! The kernel takes no interrupts while it works, so it cannot say where it
//! was. Its emulator can: the machine is stopped by the debugger's line, each
//! processor's registers and stack are read, and it goes on. Its clock stands
//! still meanwhile, so it does not see that it is looked at; who waits for it
//! does.

use core::time::Duration;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    thread::{self, JoinHandle},
};

use anyhow::Result;

use crate::{arch::Arch, remote::Remote, symbols::KERNEL_HALF};

/// Most calls of a sample.
const FRAMES: usize = 64;

/// How often a socket is looked for that is not there yet.
const LOOK: Duration = Duration::from_millis(5);

/// Where processors were, innermost first, and how often; empty for a program.
pub(super) type Places = BTreeMap<Vec<u64>, u64>;

/// Takes samples until the machine is gone.
#[derive(Debug)]
pub struct Sampler {
    is_over: Arc<OnceLock<()>>,
    thread: JoinHandle<Places>,
}

impl Sampler {
    /// Starts to look at the machine that will wait for a debugger at `socket`,
    /// at most `rate` times a second.
    pub fn start(arch: Arch, socket: &Path, rate: u32) -> Self {
        let is_over = Arc::new(OnceLock::new());
        let over = Arc::clone(&is_over);
        let socket = PathBuf::from(socket);
        let period = Duration::from_secs(1) / rate.max(1);
        let thread = thread::spawn(move || {
            let mut places = Places::new();
            while over.get().is_none() {
                if let Ok(remote) = Remote::connect(&socket) {
                    // It ends when the machine does.
                    let _ = look(remote, arch, period, &mut places);
                    break;
                }
                thread::sleep(LOOK);
            }
            places
        });
        Self { is_over, thread }
    }

    /// The samples; the machine has to be gone.
    pub(super) fn places(self) -> Places {
        let _ = self.is_over.set(());
        self.thread.join().unwrap_or_default()
    }
}

/// Looks at the machine until it is gone.
fn look(mut remote: Remote, arch: Arch, period: Duration, places: &mut Places) -> Result<()> {
    remote.ask("?")?;
    let processors = processors(&mut remote)?;
    loop {
        remote.send("c")?;
        thread::sleep(period);
        remote.stop()?;
        for processor in &processors {
            remote.ask(&format!("Hg{processor}"))?;
            let stack = stack(&mut remote, arch)?;
            let count = places.entry(stack).or_default();
            *count = count.saturating_add(1);
        }
    }
}

/// The names of the processors.
fn processors(remote: &mut Remote) -> Result<Vec<String>> {
    let mut all = Vec::new();
    let mut answer = remote.ask("qfThreadInfo")?;
    while let Some(names) = answer.strip_prefix('m') {
        all.extend(names.split(',').map(str::to_owned));
        answer = remote.ask("qsThreadInfo")?;
    }
    Ok(all)
}

/// Where the processor is that was chosen, and the calls that led there, if
/// it is in the kernel.
fn stack(remote: &mut Remote, arch: Arch) -> Result<Vec<u64>> {
    let registers = remote.ask_bytes("g")?;
    // All general registers are in front, 8 bytes each.
    let (pc, frame) = match arch {
        Arch::X86_64 => (16, 6),
        Arch::Aarch64 => (32, 29),
    };
    let (Some(pc), Some(mut frame)) = (word(&registers, pc), word(&registers, frame)) else {
        return Ok(Vec::new());
    };
    if pc < KERNEL_HALF {
        return Ok(Vec::new());
    }
    let mut calls = vec![pc];
    while calls.len() < FRAMES && frame >= KERNEL_HALF {
        // What is not there is an error of the packet's, not of the line's.
        let answer = remote.ask(&format!("m{frame:x},10"))?;
        let record = crate::digits::bytes(&answer).unwrap_or_default();
        let (Some(next), Some(back)) = (word(&record, 0), word(&record, 1)) else {
            break;
        };
        if back < KERNEL_HALF {
            break;
        }
        // The call, not what comes after it.
        calls.push(back.wrapping_sub(1));
        // Stacks grow down, so callers are above.
        if next <= frame {
            break;
        }
        frame = next;
    }
    Ok(calls)
}

fn word(bytes: &[u8], index: usize) -> Option<u64> {
    let (words, _) = bytes.as_chunks();
    words.get(index).copied().map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::word;

    #[test]
    fn registers_are_words_with_the_lowest_byte_first() {
        let bytes: Vec<u8> = (1..=20).collect();
        assert_eq!(word(&bytes, 1), Some(0x100f_0e0d_0c0b_0a09));
        assert_eq!(word(&bytes, 2), None);
    }
}
