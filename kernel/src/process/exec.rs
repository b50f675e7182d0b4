//! execve(2): another program in the same process.
//!
//! # The point of no return
//! [`prepare`] builds everything beside the running program: the file is found
//! and understood, scripts lead to their interpreters, the new address space
//! stands with its stack written. All that can fail is in there; after an error
//! the old program goes on untouched. [`Prepared::start`] then swaps, and nothing
//! in it can fail.

mod arguments;
mod load;
mod script;
mod stack;
mod threads;

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use ochre_abi::Errno;

pub use arguments::Arguments;

use super::{Credentials, table};
use crate::device::random;
use crate::memory::{self, AddressSpace, Limits, MakeRoom, Randomness};
use crate::sched::{self, account};
use crate::syscall::{Call, Outcome};
use crate::vfs::{OpenFile, read_at};

/// The most scripts that lead to each other.
const SCRIPT_DEPTH: usize = 5;

/// Finds the files that a program names: script and ELF interpreters.
pub trait Opener {
    /// Opens a file to be run, permissions checked.
    ///
    /// # Errors
    /// ENOENT, EACCES and what else a path walk answers.
    fn open(&mut self, path: &[u8]) -> Result<Arc<OpenFile>, Errno>;

    /// Who a program runs as; asked once, about the one that will.
    fn identity(&mut self, program: &OpenFile) -> Identity;
}

/// Who the program runs as, for the auxiliary vector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// Real user.
    pub uid: u32,
    /// Effective user.
    pub euid: u32,
    /// Real group.
    pub gid: u32,
    /// Effective group.
    pub egid: u32,
    /// Whether the program has more rights than who started it.
    pub secure: bool,
}

/// A program to be run.
#[derive(Debug)]
pub struct Request {
    /// The file.
    pub file: Arc<OpenFile>,
    /// Its path as given.
    pub path: Vec<u8>,
    /// Strings for it.
    pub arguments: Arguments,
    /// Limits of its address space.
    pub limits: Limits,
    /// Random bytes for it alone.
    pub random: [u8; 16],
    /// Where things are to go.
    pub placement: Randomness,
    /// Whether things go to the same places each time after all
    /// (`ADDR_NO_RANDOMIZE`), which holds for no program with more rights than
    /// who starts it.
    pub wants_fixed: bool,
    /// Whether a script of this path cannot be opened by its interpreter (a
    /// descriptor that closes on the way).
    pub path_vanishes: bool,
}

/// A program ready to start.
#[derive(Debug)]
pub struct Prepared {
    /// Its address space.
    pub space: Arc<AddressSpace>,
    /// Where it starts.
    pub entry: u64,
    /// Its stack pointer.
    pub stack_pointer: u64,
    /// Its name: the path's last part, NUL-padded.
    pub name: [u8; 16],
    /// Whether it has more rights than who started it.
    pub is_secure: bool,
}

/// Builds the program beside the running one.
///
/// # Errors
/// As execve(2): ENOEXEC, ELIBBAD, ELOOP, E2BIG, EINVAL, ENOMEM, and what
/// opening interpreters answers.
pub fn prepare(mut request: Request, opener: &mut dyn Opener) -> Result<Prepared, Errno> {
    let mut file = Arc::clone(&request.file);
    // What scripts call themselves: the path first, then each interpreter's.
    let mut called = request.path.clone();
    let mut depth = 0;
    loop {
        let mut start = [0; script::LINE_LIMIT];
        let len = read_at(&**file.file(), 0, &mut start)?;
        let start = start.get(..len).unwrap_or_default();
        let Some(line) = script::parse(start) else {
            if start.starts_with(b"#!") {
                return Err(Errno::ENOEXEC);
            }
            let identity = opener.identity(&file);
            let is_fixed = request.wants_fixed && !identity.secure;
            let loaded = load::Loader {
                file: &file,
                start,
                path: &request.path,
                arguments: &request.arguments,
                limits: request.limits,
                identity,
                random: request.random,
                placement: if is_fixed {
                    Randomness::NONE
                } else {
                    request.placement
                },
            }
            .load(opener)?;
            return Ok(Prepared {
                is_secure: identity.secure,
                space: loaded.space,
                entry: loaded.entry,
                stack_pointer: loaded.stack_pointer,
                name: name_of(&request.path),
            });
        };
        if request.path_vanishes {
            return Err(Errno::ENOENT);
        }
        match line.argument {
            Some(argument) => {
                request
                    .arguments
                    .replace_first(&[line.interpreter, argument, &called])?;
            }
            None => request
                .arguments
                .replace_first(&[line.interpreter, &called])?,
        }
        file = opener.open(line.interpreter)?;
        called.clear();
        called.make_room(line.interpreter.len())?;
        called.extend_from_slice(line.interpreter);
        depth += 1;
        if depth > SCRIPT_DEPTH {
            return Err(Errno::ELOOP);
        }
    }
}

impl Prepared {
    /// Becomes the program. When other threads are to end first, answers a
    /// wait for them, after which the call is made again.
    ///
    /// # Errors
    /// ENOMEM; EAGAIN if another thread does the same. The old program goes on.
    pub fn start(
        self,
        call: &mut Call<'_>,
        credentials: Option<Credentials>,
    ) -> Result<Outcome, Errno> {
        if let Some(wait) = threads::end_others(call.thread)? {
            return Ok(wait);
        }
        let process = Arc::clone(call.process());
        let files = call.files();
        // The handle at hand and the thread's own are two; the third is the
        // process's, if it is the same.
        let is_shown = Arc::ptr_eq(&files, &process.files.lock());
        if Arc::strong_count(&files) > 2 + usize::from(is_shown) {
            call.thread.set_files(files.duplicate()?);
        }
        // From here on nothing fails.
        self.space
            .refuse_huge_pages(call.space.refuses_huge_pages());
        let old = core::mem::replace(call.space, Arc::clone(&self.space));
        super::exit::release_tid(call.thread, &old, false);
        call.thread.rseq.set(None);
        if call.thread.seccomp.accepts_tags() {
            call.thread.seccomp.set_tags(false);
        }
        let shared = core::mem::replace(&mut *process.space.lock(), self.space);
        call.user
            .start(self.entry, self.stack_pointer, &mut random::word);
        *call.thread.name.lock() = self.name;
        if self.is_secure {
            process.control.clear_personality();
        }
        process.posix_timers.clear();
        process.signals.reset_handlers();
        call.thread.signals.lock().reset_for_exec();
        if let Some(credentials) = credentials {
            call.thread.set_credentials(credentials);
        }
        call.files().close_on_exec();
        {
            let mut table = table::lock();
            table.make_first(call.thread);
            account::renumber_current(process.pid);
            if let Some(of) = table.relations_mut(process.pid) {
                of.has_executed = true;
            }
        }
        call.thread.show_shares();
        process.vfork.open();
        process.memory.add_space(&old);
        drop(shared);
        Ok(give_up(old))
    }
}

/// Gives up what the program had before, by parts if that is much; the new one
/// runs then.
fn give_up(old: Arc<AddressSpace>) -> Outcome {
    if Arc::strong_count(&old) > 1 || old.wind_down() {
        return Outcome::Resume;
    }
    let rest = memory::try_box(async move {
        while !old.wind_down() {
            sched::yield_now().await;
        }
        // What its result register is to hold anyhow.
        Ok(0)
    });
    // Without memory to wait, it goes in one go.
    rest.map_or(Outcome::Resume, |rest| Outcome::Wait(Box::into_pin(rest)))
}

/// The last part of a path, as `prctl(PR_GET_NAME)` has it.
fn name_of(path: &[u8]) -> [u8; 16] {
    let last = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    let mut name = [0; 16];
    for (to, from) in name.iter_mut().take(15).zip(last) {
        *to = *from;
    }
    name
}

#[cfg(test)]
mod tests;
