//! Copies from file to file inside the kernel.

use alloc::sync::Arc;
use alloc::vec::Vec;

use ochre_abi::Errno;
use ochre_abi::fcntl::MAX_RW_COUNT;
use ochre_abi::signal::Signal;

use super::{Call, Fd, Outcome, Ptr, SysResult};
use crate::memory::MakeRoom;
use crate::process::Thread;
use crate::sched;
use crate::signal::{self, Info};
use crate::vfs::{Kind, OpenFile, Sink, Source, StatusFlags};
use crate::wait;

/// Bytes carried at a time.
const BUFFER: usize = 16 * 1024;

/// Bytes moved before others are let in.
const PIECE: usize = 1 << 20;

/// One end of a copy and where in it.
struct End {
    file: Arc<OpenFile>,
    /// An offset of the copy's own; the description's position if `None`.
    offset: Option<u64>,
}

impl End {
    fn position(&self) -> u64 {
        self.offset.unwrap_or_else(|| *self.file.position().lock())
    }

    fn set_position(&mut self, position: u64) {
        match &mut self.offset {
            Some(offset) => *offset = position,
            None if self.file.is_seekable() => *self.file.position().lock() = position,
            None => {}
        }
    }
}

/// A copy on its way. What was read and not yet written waits in the buffer.
struct Copy {
    from: End,
    to: End,
    left: usize,
    done: usize,
    buffer: Vec<u8>,
    written: usize,
}

enum Step {
    Over(SysResult),
    Blocked,
    Piece,
}

impl Copy {
    fn new(from: End, to: End, len: usize) -> Result<Copy, Errno> {
        let mut buffer = Vec::new();
        buffer.make_room(BUFFER)?;
        Ok(Copy {
            from,
            to,
            left: len.min(MAX_RW_COUNT),
            done: 0,
            buffer,
            written: 0,
        })
    }

    fn attempt(&mut self) -> Step {
        let stop = self.done.saturating_add(PIECE);
        while self.done < stop {
            if self.written == self.buffer.len() {
                match self.fill() {
                    Ok(0) => return Step::Over(Ok(self.done)),
                    Ok(_) => {}
                    Err(errno) => return Step::Over(self.or_done(errno)),
                }
            }
            match self.drain() {
                Ok(0) => return Step::Over(Ok(self.done)),
                Ok(_) => {}
                Err(Errno::EAGAIN) => return Step::Blocked,
                Err(errno) => return Step::Over(self.or_done(errno)),
            }
        }
        Step::Piece
    }

    fn fill(&mut self) -> Result<usize, Errno> {
        self.buffer.clear();
        self.written = 0;
        self.buffer.resize(BUFFER.min(self.left), 0);
        let mut position = self.from.position();
        let result = self
            .from
            .file
            .file()
            .read(&mut Sink::kernel(&mut self.buffer), &mut position);
        let count = result.unwrap_or(0);
        self.buffer.truncate(count);
        if count > 0 {
            self.from.set_position(position);
        }
        result
    }

    fn drain(&mut self) -> Result<usize, Errno> {
        let mut source = Source::kernel(&self.buffer[self.written..]);
        let mut position = self.to.position();
        let file = self.to.file.file();
        let result = if self.to.file.flags().contains(StatusFlags::APPEND) {
            file.append(&mut source, &mut position)
        } else {
            file.write(&mut source, &mut position)
        };
        let count = source.moved();
        self.written += count;
        self.done += count;
        self.left -= count;
        if count > 0 {
            self.to.set_position(position);
        }
        result
    }

    fn or_done(&self, errno: Errno) -> SysResult {
        if self.done > 0 {
            Ok(self.done)
        } else {
            Err(errno)
        }
    }

    /// The end: what was read and not written is as if it had not been read.
    fn finish(&mut self, thread: &Arc<Thread>, result: SysResult) -> SysResult {
        let unwritten = (self.buffer.len() - self.written) as u64;
        if unwritten > 0 {
            let position = self.from.position();
            self.from.set_position(position.saturating_sub(unwritten));
        }
        if result == Err(Errno::EPIPE) {
            // The call's error says as much; a full queue changes nothing.
            let _ = signal::send_to_thread(thread, Signal::SIGPIPE, Info::KERNEL);
        }
        result
    }
}

/// Runs a copy; `report` gets the offsets that the program is to see.
fn run(
    call: &Call<'_>,
    mut copy: Copy,
    report: impl Fn(&Copy) -> Result<(), Errno> + Send + 'static,
) -> Result<Outcome, Errno> {
    let thread = Arc::clone(call.thread);
    let end = move |copy: &mut Copy, thread: &Arc<Thread>, result: SysResult| {
        let result = copy.finish(thread, result);
        report(copy)?;
        result
    };
    let mut step = copy.attempt();
    let never_waits = copy.to.file.flags().contains(StatusFlags::NONBLOCK);
    match step {
        Step::Over(result) => return Ok(Outcome::Done(end(&mut copy, &thread, result))),
        Step::Blocked if never_waits => {
            let result = copy.or_done(Errno::EAGAIN);
            return Ok(Outcome::Done(end(&mut copy, &thread, result)));
        }
        Step::Blocked | Step::Piece => {}
    }
    Ok(Outcome::wait(async move {
        let result = loop {
            match step {
                Step::Over(result) => break result,
                Step::Blocked if never_waits => break copy.or_done(Errno::EAGAIN),
                Step::Piece => {
                    sched::yield_now().await;
                    if thread.has_work() {
                        break Ok(copy.done);
                    }
                    step = copy.attempt();
                }
                Step::Blocked => {
                    let target = Arc::clone(&copy.to.file);
                    let moving = &mut copy;
                    let waited = wait::until(Arc::clone(&thread), None, move |table| {
                        if table.is_some() {
                            target.file().poll(table);
                        }
                        match moving.attempt() {
                            Step::Blocked => None,
                            step => Some(step),
                        }
                    })
                    .await;
                    match waited {
                        Ok(next) => step = next,
                        Err(interrupted) => break copy.or_done(interrupted.restart()),
                    }
                }
            }
        };
        end(&mut copy, &thread, result)
    }))
}

/// An offset that a program keeps in its memory; `None` for a null pointer.
fn own_offset(call: &Call<'_>, at: Ptr<i64>, file: &OpenFile) -> Result<Option<u64>, Errno> {
    if at.is_null() {
        return Ok(None);
    }
    if !file.is_seekable() {
        return Err(Errno::ESPIPE);
    }
    let offset: i64 = call.space.read_value(at)?;
    u64::try_from(offset).map(Some).map_err(|_| Errno::EINVAL)
}

/// `sendfile(2)`.
pub fn sendfile(
    call: &mut Call<'_>,
    to: Fd,
    from: Fd,
    offset: Ptr<i64>,
    len: usize,
) -> Result<Outcome, Errno> {
    let files = call.files();
    let source = files.get(from.0)?;
    if !source.is_readable() {
        return Err(Errno::EBADF);
    }
    let own = own_offset(call, offset, &source)?;
    let target = files.get(to.0)?;
    if !target.is_writable() {
        return Err(Errno::EBADF);
    }
    let has_pages = source
        .path()
        .is_some_and(|path| matches!(path.dentry.kind(), Kind::Regular | Kind::CharacterDevice));
    if !has_pages || target.flags().contains(StatusFlags::APPEND) {
        return Err(Errno::EINVAL);
    }
    let copy = Copy::new(
        End {
            file: source,
            offset: own,
        },
        End {
            file: target,
            offset: None,
        },
        len,
    )?;
    let space = Arc::clone(call.space);
    run(call, copy, move |copy| match copy.from.offset {
        Some(position) => space.write_value(offset, &position.cast_signed()),
        None => Ok(()),
    })
}

/// `copy_file_range(2)`.
pub fn copy_file_range(
    call: &mut Call<'_>,
    from: Fd,
    from_offset: Ptr<i64>,
    to: Fd,
    to_offset: Ptr<i64>,
    len: usize,
    flags: u32,
) -> Result<Outcome, Errno> {
    let files = call.files();
    let source = files.get(from.0)?;
    let target = files.get(to.0)?;
    let own_from = own_offset(call, from_offset, &source)?;
    let own_to = own_offset(call, to_offset, &target)?;
    if flags != 0 {
        return Err(Errno::EINVAL);
    }
    for file in [&source, &target] {
        match file.path().map(|path| path.dentry.kind()) {
            Some(Kind::Regular) => {}
            Some(Kind::Directory) => return Err(Errno::EISDIR),
            _ => return Err(Errno::EINVAL),
        }
    }
    if !source.is_readable()
        || !target.is_writable()
        || target.flags().contains(StatusFlags::APPEND)
    {
        return Err(Errno::EBADF);
    }
    let copy = Copy::new(
        End {
            file: source,
            offset: own_from,
        },
        End {
            file: target,
            offset: own_to,
        },
        len,
    )?;
    if overlap(&copy) {
        return Err(Errno::EINVAL);
    }
    let space = Arc::clone(call.space);
    run(call, copy, move |copy| {
        if let Some(position) = copy.from.offset {
            space.write_value(from_offset, &position.cast_signed())?;
        }
        if let Some(position) = copy.to.offset {
            space.write_value(to_offset, &position.cast_signed())?;
        }
        Ok(())
    })
}

/// Whether a copy would read what it writes.
fn overlap(copy: &Copy) -> bool {
    let same = match (copy.from.file.path(), copy.to.file.path()) {
        (Some(from), Some(to)) => Arc::ptr_eq(from.inode(), to.inode()),
        _ => false,
    };
    let distance = copy.from.position().abs_diff(copy.to.position());
    same && distance < copy.left as u64
}
