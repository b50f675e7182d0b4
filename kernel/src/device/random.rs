//! Random bytes: `/dev/random`, `/dev/urandom`, getrandom(2).
//!
//! One ChaCha20 generator, seeded from the machine ([`entropy`]) at the first
//! use, so there is no time at which it is not ready and nobody ever waits.
//! After every request the generator is replaced by one seeded from its own
//! output: who learns its state later cannot go back to what was given out
//! before. What programs write is mixed in the same way; it can add, never
//! take away.

use core::any::Any;

use ochre_abi::Errno;
use ochre_hal::entropy;
use ochre_sync::SpinLock;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::vfs::{File, Sink, Source};

/// Most bytes that one read gives: more would keep others waiting.
const READ_MAX: usize = 1 << 20;

/// Bytes made at a time, on the stack.
const PIECE: usize = 256;

type Seed = [u8; 32];

static GENERATOR: SpinLock<Option<ChaCha20Rng>> = SpinLock::new(None);

/// Runs `f` on the generator, then replaces the generator by its successor.
fn with_generator<R>(f: impl FnOnce(&mut ChaCha20Rng) -> R) -> R {
    let mut slot = GENERATOR.lock();
    let generator = slot.get_or_insert_with(|| ChaCha20Rng::from_seed(entropy::seed().bytes));
    let result = f(generator);
    *generator = successor(generator, &[0; 32]);
    result
}

/// A generator that knows the old one's next output and `extra`, and nothing
/// from before.
fn successor(generator: &mut ChaCha20Rng, extra: &Seed) -> ChaCha20Rng {
    let mut seed = Seed::default();
    generator.fill_bytes(&mut seed);
    for (byte, extra) in seed.iter_mut().zip(extra) {
        *byte ^= extra;
    }
    ChaCha20Rng::from_seed(seed)
}

/// Fills a buffer with random bytes.
pub fn fill(buffer: &mut [u8]) {
    with_generator(|generator| generator.fill_bytes(buffer));
}

/// Mixes bytes in that may be anything.
pub fn mix(bytes: &[u8]) {
    let machine = entropy::seed().bytes;
    with_generator(|generator| {
        for part in bytes.chunks(size_of::<Seed>()) {
            let mut extra = machine;
            for (byte, part) in extra.iter_mut().zip(part) {
                *byte ^= part;
            }
            *generator = successor(generator, &extra);
        }
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
                generator.fill_bytes(piece);
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
    use super::{Random, Seed, fill, mix, successor};
    use crate::vfs::{File, Sink, Source};
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::{Rng, SeedableRng};

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
    fn what_is_mixed_in_matters() {
        let output = |extra: u8| {
            let mut generator = ChaCha20Rng::from_seed([7; 32]);
            let mut next = successor(&mut generator, &[extra; 32]);
            let mut bytes = Seed::default();
            next.fill_bytes(&mut bytes);
            bytes
        };
        assert_eq!(output(1), output(1));
        assert_ne!(output(1), output(2));
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
