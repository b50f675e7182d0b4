//! Blocking reads and writes, made of files that never block.
//!
//! An operation is what a read or write has to do and how much is done; the
//! file and the address space that it moves bytes between are lent to each
//! attempt. One attempt moves what can be moved now and resolves faults on the
//! way, with no lock held. A call that is over after its first attempt
//! allocates nothing and counts no reference; one that must wait becomes a
//! future that owns both and attempts again whenever the file says so.
//!
//! A long transfer is made in pieces, with others let in between.
//!
//! # Cancel safety
//! The future may be dropped at any await; bytes moved so far stay moved.

use alloc::sync::Arc;
use alloc::vec::Vec;

use ochre_abi::Errno;
use ochre_abi::resource::RLIM_INFINITY;
use ochre_abi::signal::Signal;

use super::{Kind, OpenFile, Range, Sink, Source, StatusFlags, Transfer, attributes};
use crate::memory::AddressSpace;
use crate::process::{Resource, Thread};
use crate::sched;
use crate::signal::{self, Info};
use crate::syscall::{Call, Outcome, SysResult};
use crate::wait;

/// Bytes moved before others are let in.
const PIECE: usize = 1 << 20;

/// Ranges of user memory: one, or as many as a `readv` names.
#[derive(Debug)]
pub enum Ranges {
    /// One.
    One([Range; 1]),
    /// Many.
    Many(Vec<Range>),
}

impl Ranges {
    fn as_slice(&self) -> &[Range] {
        match self {
            Ranges::One(range) => range,
            Ranges::Many(ranges) => ranges,
        }
    }
}

/// Where in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// At the description's position, which moves on.
    Position,
    /// There; the position stays.
    Offset(u64),
}

/// What a call may add to how the file was opened.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Write at the end.
    pub append: bool,
    /// Answer EAGAIN rather than wait.
    pub never_wait: bool,
}

/// What bytes are moved between.
#[derive(Clone, Copy)]
struct Ends<'a> {
    file: &'a Arc<OpenFile>,
    space: &'a AddressSpace,
}

/// A read or write on its way.
struct Operation {
    ranges: Ranges,
    transfer: Transfer,
    at: At,
    options: Options,
    /// Bytes to move: all that the ranges hold, or what the file may still grow
    /// by (`RLIMIT_FSIZE`).
    total: usize,
    done: usize,
    /// Whether it writes to a regular file.
    to_regular: bool,
}

/// What one operation of a file did.
struct Moved {
    result: Result<usize, Errno>,
    /// Bytes done. A file that fails has done none, whatever it looked at.
    count: usize,
    /// What became of the fault that it met, if it met one.
    fault: Option<Result<(), Errno>>,
    /// Whether it moved all that it was asked to.
    full: bool,
}

/// How an attempt ended.
enum Step {
    Over(SysResult),
    /// Nothing to move now.
    Blocked,
    /// A piece is done, more is to come.
    Piece,
}

impl Operation {
    /// Moves up to a piece of what can be moved now.
    fn attempt(&mut self, ends: Ends<'_>, thread: &Arc<Thread>) -> Step {
        if let Err(errno) = ends.file.file().admit(thread, self.transfer) {
            return Step::Over(self.or_done(Err(errno)));
        }
        self.move_piece(ends)
    }

    /// The same for a thread that was admitted.
    fn move_piece(&mut self, ends: Ends<'_>) -> Step {
        let end = self.done.saturating_add(PIECE);
        loop {
            let window = end.min(self.total) - self.done;
            let Moved {
                result,
                count,
                fault,
                full,
            } = self.move_some(ends, window);
            self.done += count;
            match fault {
                Some(Err(errno)) => return Step::Over(self.or_done(Err(errno))),
                Some(Ok(())) => continue,
                None => {}
            }
            match result {
                Err(Errno::EAGAIN) if self.is_partial_read() => return Step::Over(Ok(self.done)),
                Err(Errno::EAGAIN) => return Step::Blocked,
                Err(errno) => return Step::Over(self.or_done(Err(errno))),
                Ok(_) if full && self.remaining() > 0 => return Step::Piece,
                Ok(_) if count == 0 || full || self.transfer == Transfer::Read => {
                    return Step::Over(Ok(self.done));
                }
                // A short write: the file took what it had room for.
                Ok(_) => {}
            }
        }
    }

    /// One operation of the file.
    fn move_some(&mut self, ends: Ends<'_>, window: usize) -> Moved {
        let Ends { file, space } = ends;
        match self.transfer {
            Transfer::Read => {
                let mut sink = Sink::window(space, self.ranges.as_slice(), self.done, window);
                sink.set_only_try(self.options.never_wait);
                let result = with_position(file, &mut self.at, |position| {
                    file.file().read(&mut sink, position)
                });
                Moved {
                    result,
                    count: result.map_or(0, |_| sink.moved()),
                    full: sink.remaining() == 0,
                    fault: sink.faulted().then(|| sink.recover()),
                }
            }
            Transfer::Write => {
                let mut source = Source::window(space, self.ranges.as_slice(), self.done, window);
                let append = self.options.append;
                let result = with_position(file, &mut self.at, |position| {
                    if append {
                        file.file().append(&mut source, position)
                    } else {
                        file.file().write(&mut source, position)
                    }
                });
                Moved {
                    result,
                    count: result.map_or(0, |_| source.moved()),
                    full: source.remaining() == 0,
                    fault: source.faulted().then(|| source.recover()),
                }
            }
        }
    }

    fn remaining(&self) -> usize {
        self.total - self.done
    }

    /// Applies the largest size that the process may give a regular file.
    fn limit(&mut self, file: &OpenFile, thread: &Arc<Thread>) -> Result<(), Errno> {
        let Some(path) = file.path() else {
            return Ok(());
        };
        if path.dentry.kind() != Kind::Regular {
            return Ok(());
        }
        self.to_regular = true;
        let limit = thread.process.limits.soft(Resource::FileSize);
        if limit == RLIM_INFINITY || self.remaining() == 0 {
            return Ok(());
        }
        let position = match self.at {
            _ if self.options.append => path.inode().metadata().size,
            At::Offset(offset) => offset,
            At::Position => *file.position().lock(),
        };
        attributes::check_size_limit(thread, position.saturating_add(1))?;
        let allowed = usize::try_from(limit - position).unwrap_or(usize::MAX);
        self.total = self.total.min(allowed);
        Ok(())
    }

    fn is_partial_read(&self) -> bool {
        self.transfer == Transfer::Read && (self.done > 0 || self.remaining() == 0)
    }

    /// What was moved counts for more than why no more was.
    fn or_done(&self, result: SysResult) -> SysResult {
        if self.done > 0 { Ok(self.done) } else { result }
    }

    /// The end of a call: signals and attributes that go with a write.
    fn finish(&self, file: &OpenFile, thread: &Arc<Thread>, result: SysResult) -> SysResult {
        if self.transfer == Transfer::Write {
            if result == Err(Errno::EPIPE) {
                // The call's error says as much; a full queue changes nothing.
                let _ = signal::send_to_thread(thread, Signal::SIGPIPE, Info::KERNEL);
            }
            if self.to_regular
                && self.done > 0
                && let Some(path) = file.path()
                && path.inode().permissions().mode & 0o6000 != 0
            {
                attributes::wrote(&thread.access(), path);
            }
        }
        result
    }

    async fn wait(
        mut self,
        file: Arc<OpenFile>,
        space: Arc<AddressSpace>,
        thread: Arc<Thread>,
        mut step: Step,
    ) -> SysResult {
        let ends = Ends {
            file: &file,
            space: &space,
        };
        loop {
            match step {
                Step::Over(result) => return self.finish(&file, &thread, result),
                Step::Piece => {
                    sched::yield_now().await;
                    if thread.has_work() {
                        return self.finish(&file, &thread, Ok(self.done));
                    }
                    step = self.attempt(ends, &thread);
                }
                Step::Blocked if self.options.never_wait => {
                    return self.or_done(Err(Errno::EAGAIN));
                }
                Step::Blocked => {
                    let operation = &mut self;
                    let waiter = &thread;
                    let waited = wait::until(Arc::clone(&thread), None, move |table| {
                        if table.is_some() {
                            ends.file.file().poll(table);
                        }
                        match operation.attempt(ends, waiter) {
                            Step::Blocked => None,
                            step => Some(step),
                        }
                    })
                    .await;
                    match waited {
                        Ok(next) => step = next,
                        Err(interrupted) => {
                            // A terminal that waits for more gives what it has.
                            self.options.never_wait = true;
                            if interrupted == wait::Interrupted::Signal
                                && self.transfer == Transfer::Read
                                && let Step::Over(result) = self.move_piece(ends)
                            {
                                return self.finish(&file, &thread, result);
                            }
                            return self.or_done(Err(interrupted.restart()));
                        }
                    }
                }
            }
        }
    }
}

fn with_position(
    file: &OpenFile,
    at: &mut At,
    operate: impl FnOnce(&mut u64) -> Result<usize, Errno>,
) -> Result<usize, Errno> {
    match at {
        At::Offset(offset) => operate(offset),
        At::Position if file.is_seekable() => operate(&mut file.position().lock()),
        At::Position => operate(&mut 0),
    }
}

/// Reads from or writes to `file`, waiting where it has to and may.
#[inline]
pub fn start(
    call: &Call<'_>,
    file: Arc<OpenFile>,
    ranges: Ranges,
    transfer: Transfer,
    at: At,
    mut options: Options,
) -> Outcome {
    let flags = file.flags();
    options.append |= flags.contains(StatusFlags::APPEND);
    options.never_wait |= flags.contains(StatusFlags::NONBLOCK);
    let mut operation = Operation {
        total: ranges.as_slice().iter().map(|range| range.len).sum(),
        ranges,
        transfer,
        at,
        options,
        done: 0,
        to_regular: false,
    };
    if transfer == Transfer::Write
        && let Err(errno) = operation.limit(&file, call.thread)
    {
        return Outcome::error(errno);
    }
    let ends = Ends {
        file: &file,
        space: call.space,
    };
    match operation.attempt(ends, call.thread) {
        Step::Over(result) => Outcome::Done(operation.finish(&file, call.thread, result)),
        Step::Blocked if operation.options.never_wait => {
            Outcome::Done(operation.or_done(Err(Errno::EAGAIN)))
        }
        step => {
            let space = Arc::clone(call.space);
            Outcome::wait(operation.wait(file, space, Arc::clone(call.thread), step))
        }
    }
}
