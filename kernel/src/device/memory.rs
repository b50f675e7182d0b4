//! The devices that are nothing, zeroes and full (null(4), full(4)).

use alloc::sync::Arc;
use core::any::Any;

use ochre_abi::Errno;

use crate::memory::{Backing, ZeroBacking};
use crate::vfs::{File, Sink, Source};

/// `/dev/null`: always at its end, takes everything.
#[derive(Clone, Copy, Debug)]
pub struct Null;

/// `/dev/zero`: zeroes without end, takes everything.
#[derive(Clone, Copy, Debug)]
pub struct Zero;

/// `/dev/full`: zeroes without end, takes nothing.
#[derive(Clone, Copy, Debug)]
pub struct Full;

// ANCHOR: null
impl File for Null {
    fn read(&self, _sink: &mut Sink<'_>, _position: &mut u64) -> Result<usize, Errno> {
        Ok(0)
    }

    /// Looks at none of the bytes: even a wild pointer is fine, as on Linux.
    fn write(&self, source: &mut Source<'_>, _position: &mut u64) -> Result<usize, Errno> {
        Ok(source.skip())
    }

    fn is_seekable(&self) -> bool {
        true
    }

    fn ignores_seeks(&self) -> bool {
        true
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
// ANCHOR_END: null

impl File for Zero {
    fn read(&self, sink: &mut Sink<'_>, _position: &mut u64) -> Result<usize, Errno> {
        Ok(sink.put_zeroes(sink.remaining()))
    }

    fn write(&self, source: &mut Source<'_>, _position: &mut u64) -> Result<usize, Errno> {
        Ok(source.skip())
    }

    fn is_seekable(&self) -> bool {
        true
    }

    fn ignores_seeks(&self) -> bool {
        true
    }

    fn backing(&self) -> Option<Arc<dyn Backing>> {
        Some(Arc::new(ZeroBacking))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl File for Full {
    fn read(&self, sink: &mut Sink<'_>, _position: &mut u64) -> Result<usize, Errno> {
        Ok(sink.put_zeroes(sink.remaining()))
    }

    fn write(&self, _source: &mut Source<'_>, _position: &mut u64) -> Result<usize, Errno> {
        Err(Errno::ENOSPC)
    }

    fn is_seekable(&self) -> bool {
        true
    }

    fn ignores_seeks(&self) -> bool {
        true
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::{Full, Null, Zero};
    use crate::vfs::{File, Sink, Source};
    use ochre_abi::Errno;

    #[track_caller]
    fn check(file: &dyn File, read: usize, write: Result<usize, Errno>) {
        let mut buffer = [1; 8];
        let got = file.read(&mut Sink::kernel(&mut buffer), &mut 0);
        assert_eq!(got, Ok(read));
        assert!(buffer[..read].iter().all(|byte| *byte == 0));
        let mut source = Source::kernel(b"hello");
        assert_eq!(file.write(&mut source, &mut 0), write);
        assert_eq!(source.moved(), write.unwrap_or(0));
    }

    #[test]
    fn behave_as_their_names_say() {
        check(&Null, 0, Ok(5));
        check(&Zero, 8, Ok(5));
        check(&Full, 8, Err(Errno::ENOSPC));
    }
}
