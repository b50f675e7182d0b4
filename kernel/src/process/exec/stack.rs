//! What a program finds on its stack. Pure: bytes and addresses.
//!
//! From the stack pointer up: the argument count, the argument pointers and a
//! null, the environment pointers and a null, the auxiliary vector, sixteen
//! random bytes and the machine's name, then the strings themselves, the path
//! executed, and eight bytes of zero at the very top.

use alloc::vec::Vec;
use core::ops::Range;

use ochre_abi::Errno;
use ochre_abi::arch::MACHINE_NAME;
use ochre_abi::auxv::{AT_EXECFN, AT_NULL, AT_PLATFORM, AT_RANDOM};

use super::Arguments;
use crate::memory::MakeRoom;

/// Bytes of zero at the top.
const TOP: u64 = 8;

/// A stack to be written.
#[derive(Debug)]
pub(super) struct Image<'a> {
    /// The stack pointer; a multiple of 16.
    pub(super) pointer: u64,
    /// Where the argument strings are.
    pub(super) arguments: Range<u64>,
    /// Where the environment strings are.
    pub(super) environment: Range<u64>,
    /// Which part of `head` is the auxiliary vector.
    pub(super) auxiliary: Range<usize>,
    /// What is between the stack pointer and the strings.
    pub(super) head: Vec<u8>,
    strings: &'a Arguments,
    path: &'a [u8],
}

impl<'a> Image<'a> {
    /// Lays out a stack that ends at `top`, with `gap` bytes free below the
    /// strings. `auxiliary` are pairs without those
    /// that point into the stack, which are added here.
    ///
    /// # Errors
    /// ENOMEM; E2BIG for strings that do not fit below `top`.
    pub(super) fn new(
        top: u64,
        gap: u64,
        strings: &'a Arguments,
        path: &'a [u8],
        auxiliary: &[(u64, u64)],
        random: &[u8; 16],
    ) -> Result<Image<'a>, Errno> {
        let place = |at: u64, bytes: usize| at.checked_sub(bytes as u64).ok_or(Errno::E2BIG);
        let path_at = place(place(top, TOP as usize)?, path.len() + 1)?;
        let strings_at = place(path_at, strings.len())?;
        let gap_at = strings_at.checked_sub(gap).ok_or(Errno::E2BIG)?;
        let name_at = place(gap_at & !15, MACHINE_NAME.len() + 1)?;
        let random_at = place(name_at, random.len())?;
        let counts = strings.argument_count() + strings.environment_count();
        let words = 3 + counts + 2 * (auxiliary.len() + 4);
        let pointer = place(random_at, words * 8)? & !15;

        let mut head = Vec::new();
        // CAST: everything between is bounded by the limits on arguments.
        let len = (strings_at - pointer) as usize;
        head.make_room_exact(len)?;
        let mut word = |value: u64| head.extend_from_slice(&value.to_ne_bytes());
        word(strings.argument_count() as u64);
        let mut starts = strings.starts().map(|start| strings_at + start as u64);
        for start in starts.by_ref().take(strings.argument_count()) {
            word(start);
        }
        word(0);
        for start in starts {
            word(start);
        }
        word(0);
        let pairs = auxiliary.iter().copied().chain([
            (AT_RANDOM, random_at),
            (AT_EXECFN, path_at),
            (AT_PLATFORM, name_at),
            (AT_NULL, 0),
        ]);
        for (key, value) in pairs {
            word(key);
            word(value);
        }
        let end = head.len();
        // CAST: differences of addresses within the head.
        head.resize((random_at - pointer) as usize, 0);
        head.extend_from_slice(random);
        head.extend_from_slice(MACHINE_NAME.as_bytes());
        head.resize(len, 0);
        let environment_at = strings_at + strings.arguments_len() as u64;
        Ok(Image {
            pointer,
            arguments: strings_at..environment_at,
            environment: environment_at..path_at,
            auxiliary: end - 16 * (auxiliary.len() + 4)..end,
            head,
            strings,
            path,
        })
    }

    /// Writes it: `write(address, bytes)` for each piece. What is not written
    /// is zero.
    ///
    /// # Errors
    /// What `write` answers.
    pub(super) fn write<E>(
        &self,
        mut write: impl FnMut(u64, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut at = self.pointer;
        let [front, given] = self.strings.pieces();
        for piece in [&self.head, front, given, self.path] {
            write(at, piece)?;
            at += piece.len() as u64;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Arguments, Image};
    use core::convert::Infallible;
    use proptest::prelude::{ProptestConfig, any, prop, proptest};

    const TOP: u64 = 0x7fff_ffff_f000;

    /// A stack of one mebibyte in a vector.
    struct Memory(Vec<u8>);

    impl Memory {
        fn index(at: u64) -> usize {
            usize_of(at - (TOP - (1 << 20)))
        }
        fn word(&self, at: u64) -> u64 {
            let at = Memory::index(at);
            u64::from_ne_bytes(self.0[at..at + 8].try_into().expect("eight bytes"))
        }
        fn string(&self, at: u64) -> &[u8] {
            let rest = &self.0[Memory::index(at)..];
            &rest[..rest
                .iter()
                .position(|byte| *byte == 0)
                .expect("a NUL ends it")]
        }
    }

    fn usize_of(value: u64) -> usize {
        usize::try_from(value).expect("it is small")
    }

    fn check(arguments: &[Vec<u8>], environment: &[Vec<u8>], path: &[u8], pairs: &[(u64, u64)]) {
        let mut strings = Arguments::new(8 << 20, path).expect("it fits");
        for argument in arguments {
            strings.push_argument(argument).expect("it fits");
        }
        for variable in environment {
            strings.push_environment(variable).expect("it fits");
        }
        let random = *b"0123456789abcdef";
        let image = Image::new(TOP, 0, &strings, path, pairs, &random).expect("it fits");
        let mut memory = Memory(vec![0; 1 << 20]);
        let done: Result<(), Infallible> = image.write(|at, bytes| {
            let at = Memory::index(at);
            memory.0[at..at + bytes.len()].copy_from_slice(bytes);
            Ok(())
        });
        assert!(done.is_ok());

        // Read it as a C start-up file does.
        let sp = image.pointer;
        assert_eq!(sp % 16, 0);
        assert_eq!(memory.word(sp), arguments.len() as u64);
        let mut at = sp + 8;
        for argument in arguments {
            assert_eq!(memory.string(memory.word(at)), argument);
            assert!(image.arguments.contains(&memory.word(at)));
            at += 8;
        }
        assert_eq!(memory.word(at), 0);
        at += 8;
        for variable in environment {
            assert_eq!(memory.string(memory.word(at)), variable);
            assert!(image.environment.contains(&memory.word(at)));
            at += 8;
        }
        assert_eq!(memory.word(at), 0);
        at += 8;
        assert_eq!(image.pointer + image.auxiliary.start as u64, at);
        let mut found = Vec::new();
        loop {
            let (key, value) = (memory.word(at), memory.word(at + 8));
            at += 16;
            match key {
                0 => break,
                25 => assert_eq!(&memory.0[Memory::index(value)..][..16], &random),
                31 => assert_eq!(memory.string(value), path),
                15 => assert_eq!(
                    memory.string(value),
                    ochre_abi::arch::MACHINE_NAME.as_bytes()
                ),
                _ => found.push((key, value)),
            }
        }
        assert_eq!(image.pointer + image.auxiliary.end as u64, at);
        assert_eq!(found, pairs);
        assert_eq!(memory.word(TOP - 8), 0);
    }

    proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn a_program_finds_everything(
            arguments in prop::collection::vec(prop::collection::vec(1..=255_u8, 0..40), 0..20),
            environment in prop::collection::vec(prop::collection::vec(1..=255_u8, 0..40), 0..20),
            path in prop::collection::vec(1..=255_u8, 0..40),
            pairs in prop::collection::vec((100..200_u64, any::<u64>()), 0..20),
        ) {
            check(&arguments, &environment, &path, &pairs);
        }
    }
}
