//! Opening FIFOs (fifo(7)): a pipe that lives while somebody has it open, and
//! opens that wait for the other end.

use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};

use ochre_abi::Errno;
use ochre_sync::SpinLock;

use super::pipe::Pipe;
use crate::vfs::{Open, Opened, StatusFlags};
use crate::wait;

/// The pipe of a FIFO's inode. What is in it is lost when nobody has it open.
#[derive(Debug, Default)]
pub struct Fifo {
    pipe: SpinLock<Weak<Pipe>>,
}

impl Fifo {
    fn pipe(&self) -> Arc<Pipe> {
        let mut pipe = self.pipe.lock();
        if let Some(pipe) = pipe.upgrade() {
            return pipe;
        }
        let new = Pipe::new();
        *pipe = Arc::downgrade(&new);
        new
    }

    /// Opens an end. Reading waits for a writer and writing for a reader, even
    /// one that is gone by the time the waiter looks; `O_NONBLOCK` does not wait,
    /// and does not write where nobody reads; reading and writing never wait.
    ///
    /// # Errors
    /// ENXIO; later ERESTARTSYS.
    pub fn open(&self, open: &Open<'_>) -> Result<Opened, Errno> {
        let pipe = self.pipe();
        let never_waits = open.flags.contains(StatusFlags::NONBLOCK);
        let (reads, writes) = (open.readable, open.writable);
        if writes && !reads && never_waits && !pipe.readers().0 {
            return Err(Errno::ENXIO);
        }
        let seen = if reads {
            pipe.writers()
        } else {
            pipe.readers()
        };
        let end = pipe.open(reads, writes);
        let is_met = seen.0 || reads == writes || (reads && never_waits);
        let Some(thread) = open.thread.filter(|_| !is_met) else {
            return Ok(Opened::File(end));
        };
        let thread = Arc::clone(thread);
        Ok(Opened::Wait(Box::pin(async move {
            wait::until(thread, None, |table| {
                if let Some(table) = table {
                    table.add(pipe.opened());
                }
                let now = if reads {
                    pipe.writers()
                } else {
                    pipe.readers()
                };
                (now.0 || now.1 != seen.1).then_some(())
            })
            .await
            .map_err(wait::Interrupted::restart)?;
            Ok(end as Arc<dyn crate::vfs::File>)
        })))
    }
}

#[cfg(test)]
mod tests {
    use super::Fifo;
    use crate::vfs::{Open, Opened, Sink, Source, StatusFlags};
    use ochre_abi::Errno;

    fn request(readable: bool, writable: bool, flags: StatusFlags) -> Open<'static> {
        Open {
            thread: None,
            readable,
            writable,
            flags,
            may_control: false,
        }
    }

    #[test]
    fn ends_meet_and_what_is_left_is_lost() {
        let fifo = Fifo::default();
        let nonblock = StatusFlags::NONBLOCK;
        let writer = fifo.open(&request(false, true, nonblock));
        assert_eq!(writer.err(), Some(Errno::ENXIO));
        let file = |opened| match opened {
            Ok(Opened::File(file)) => file,
            _ => panic!("does not open"),
        };
        let reader = file(fifo.open(&request(true, false, nonblock)));
        let writer = file(fifo.open(&request(false, true, nonblock)));
        writer.write(&mut Source::kernel(b"ab"), &mut 0).unwrap();
        let mut buffer = [0; 1];
        let mut sink = Sink::kernel(&mut buffer);
        assert_eq!(reader.read(&mut sink, &mut 0), Ok(1));
        drop((reader, writer));
        let reader = file(fifo.open(&request(true, false, nonblock)));
        let mut sink = Sink::kernel(&mut buffer);
        assert_eq!(reader.read(&mut sink, &mut 0), Ok(0));
    }
}
