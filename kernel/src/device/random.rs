//! Random bytes: `/dev/random`, `/dev/urandom`, getrandom(2).
//!
//! One ChaCha20 generator, seeded from the machine ([`entropy`]) at the first
//! use, so there is no time at which it is not ready and nobody ever waits.
//! It changes its key with every request: who learns its state cannot go back
//! to what was given out before. What programs write is mixed in together with
//! more from the machine; it can add, never take away.

use core::any::Any;

use ochre_abi::Errno;
use ochre_hal::entropy;
use ochre_sync::SpinLock;

use super::chacha::Generator;
use crate::vfs::{File, Sink, Source};

/// Most bytes that one read gives: more would keep others waiting.
const READ_MAX: usize = 1 << 20;

/// Bytes made at a time, on the stack.
const PIECE: usize = 256;

static GENERATOR: SpinLock<Option<Generator>> = SpinLock::new(None);

fn with_generator<R>(f: impl FnOnce(&mut Generator) -> R) -> R {
    let mut slot = GENERATOR.lock();
    f(slot.get_or_insert_with(|| Generator::new(&entropy::seed().bytes)))
}

/// Fills a buffer with random bytes.
pub fn fill(buffer: &mut [u8]) {
    with_generator(|generator| generator.fill(buffer));
}

/// A random number.
#[must_use]
pub fn word() -> u64 {
    let mut bytes = [0; 8];
    fill(&mut bytes);
    u64::from_ne_bytes(bytes)
}

/// Mixes bytes in that may be anything.
pub fn mix(bytes: &[u8]) {
    with_generator(|generator| {
        generator.mix(bytes);
        generator.mix(&entropy::seed().bytes);
    });
}

/// `/dev/random` and `/dev/urandom`, which are the same here as on Linux since 5.6.
#[derive(Clone, Copy, Debug)]
pub struct Random;

impl File for Random {
    fn read(&self, sink: &mut Sink<'_>, _position: &mut u64) -> Result<usize, Errno> {
        let want = sink.remaining().min(READ_MAX);
        Ok(with_generator(|generator| {
            let mut sum = 0;
            while sum < want {
                let mut piece = [0; PIECE];
                let piece = &mut piece[..PIECE.min(want - sum)];
                generator.fill(piece);
                let count = sink.put(piece);
                sum += count;
                if count < piece.len() {
                    break;
                }
            }
            sum
        }))
    }

    fn write(&self, source: &mut Source<'_>, _position: &mut u64) -> Result<usize, Errno> {
        let mut sum = 0;
        while sum < READ_MAX {
            let mut piece = [0; PIECE];
            let count = source.take(&mut piece);
            if count == 0 {
                break;
            }
            mix(&piece[..count]);
            sum += count;
        }
        Ok(sum)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::{Random, fill, mix};
    use crate::vfs::{File, Sink, Source};

    #[test]
    fn never_gives_the_same_twice() {
        let mut seen = std::collections::BTreeSet::new();
        for round in 0_u8..50 {
            let mut bytes = [0; 16];
            fill(&mut bytes);
            assert!(seen.insert(bytes), "round {round} repeats");
            mix(&[round]);
        }
    }

    #[test]
    fn reads_as_much_as_is_asked() {
        let mut buffer = [0; 1000];
        assert_eq!(
            Random.read(&mut Sink::kernel(&mut buffer), &mut 0),
            Ok(1000)
        );
        let zeroes = buffer.iter().filter(|byte| **byte == 0).count();
        assert!(zeroes < 40, "{zeroes} zeroes in 1000 random bytes");
        assert_eq!(Random.write(&mut Source::kernel(&buffer), &mut 0), Ok(1000));
    }
}
