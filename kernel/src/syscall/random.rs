//! Calls about randomness.

use alloc::sync::Arc;

use ochre_abi::Errno;

use super::{Call, Outcome, SysResult};
use crate::device::random;
use crate::memory::AddressSpace;
use crate::sched;

const GRND_NONBLOCK: u32 = 1;
const GRND_RANDOM: u32 = 2;
const GRND_INSECURE: u32 = 4;

/// Most bytes that one call gives.
const LIMIT: usize = i32::MAX as usize;

/// Bytes made without a look at who else wants to run.
const STRETCH: usize = 64 << 10;

/// Bytes made at a time, on the stack.
const PIECE: usize = 256;

/// `getrandom(2)`. The generator is always ready, so the flags make no difference.
pub fn getrandom(call: &mut Call<'_>, buffer: u64, len: usize, flags: u32) -> Outcome {
    if flags & !(GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE) != 0
        || flags & (GRND_RANDOM | GRND_INSECURE) == GRND_RANDOM | GRND_INSECURE
    {
        return Outcome::error(Errno::EINVAL);
    }
    let len = len.min(LIMIT);
    if len <= STRETCH {
        return Outcome::Done(stretch(call.space, buffer, len));
    }
    let (thread, space) = (Arc::clone(call.thread), Arc::clone(call.space));
    Outcome::wait(async move {
        let mut done = 0;
        while done < len {
            let want = STRETCH.min(len - done);
            match stretch(&space, buffer.wrapping_add(done as u64), want) {
                Ok(count) => {
                    done += count;
                    if count < want {
                        break;
                    }
                }
                Err(errno) if done == 0 => return Err(errno),
                Err(_) => break,
            }
            if thread.has_work() {
                break;
            }
            sched::yield_now().await;
        }
        Ok(done)
    })
}

/// Fills `len` bytes of the program's; what is there before a fault counts.
fn stretch(space: &AddressSpace, buffer: u64, len: usize) -> SysResult {
    let mut done = 0;
    while done < len {
        let mut piece = [0; PIECE];
        let piece = &mut piece[..PIECE.min(len - done)];
        random::fill(piece);
        match space.write(buffer.wrapping_add(done as u64), piece) {
            Ok(()) => done += piece.len(),
            Err(errno) if done == 0 => return Err(errno),
            Err(_) => break,
        }
    }
    Ok(done)
}
