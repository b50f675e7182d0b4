//! Argument and environment strings on their way from one program to the next.
//!
//! They are kept as they will stand on the new stack: one after the other, each
//! with its NUL. Scripts put other words in front in place of the first.

use alloc::vec::Vec;

use ochre_abi::Errno;
use ochre_hal::memory::PAGE_SIZE;

use crate::memory::AddressSpace;
use crate::memory::MakeRoom;

/// The longest string, the NUL included (`MAX_ARG_STRLEN`).
const STRING_LIMIT: usize = 32 * PAGE_SIZE;

/// What strings and pointers may always have together (`ARG_MAX`).
const TOTAL_LEAST: u64 = 32 * PAGE_SIZE as u64;

/// What they never get more than: three quarters of the usual stack.
const TOTAL_MOST: u64 = 6 << 20;

/// Bytes of a pointer.
const POINTER: usize = size_of::<u64>();

/// Strings for a program.
#[derive(Debug, Default)]
pub struct Arguments {
    /// Words that scripts put in front.
    front: Strings,
    /// The arguments, in place of the first of which `front` stands if it is
    /// not empty; then the environment.
    given: Strings,
    /// How many of `given` are arguments.
    argument_count: usize,
    /// What strings and pointers may have together.
    limit: u64,
    /// What they have.
    used: u64,
    /// What the strings have.
    strings: u64,
    /// What the stack may have.
    stack_limit: u64,
}

/// Strings one after the other, each with its NUL.
#[derive(Debug, Default)]
struct Strings {
    bytes: Vec<u8>,
    /// Where each starts.
    starts: Vec<u32>,
}

impl Strings {
    fn reserve(&mut self, bytes: usize) -> Result<(), Errno> {
        self.starts.make_room(1)?;
        self.bytes.make_room(bytes)
    }

    /// Where the string of this index starts; the end for the one past the last.
    fn start(&self, index: usize) -> usize {
        self.starts
            .get(index)
            .map_or(self.bytes.len(), |start| *start as usize)
    }
}

impl Arguments {
    /// No strings yet, for a stack of this limit and a program of this path.
    ///
    /// # Errors
    /// E2BIG for a path that does not fit.
    pub fn new(stack_limit: u64, path: &[u8]) -> Result<Arguments, Errno> {
        let limit = (stack_limit / 4).clamp(TOTAL_LEAST, TOTAL_MOST);
        let mut arguments = Arguments {
            limit,
            stack_limit,
            ..Arguments::default()
        };
        arguments.charge(0, path.len() + 1)?;
        Ok(arguments)
    }

    /// The strings that two arrays of pointers in user memory name; a null
    /// array is an empty one.
    ///
    /// # Errors
    /// EFAULT, E2BIG, ENOMEM.
    pub fn read(
        &mut self,
        space: &AddressSpace,
        arguments: u64,
        environment: u64,
    ) -> Result<(), Errno> {
        let mut pointers = Vec::new();
        self.read_pointers(space, arguments, &mut pointers)?;
        let count = pointers.len();
        self.read_pointers(space, environment, &mut pointers)?;
        if count == 0 {
            // A program without `argv[0]` is given an empty one.
            self.push_argument(b"")?;
        }
        for (index, pointer) in pointers.iter().enumerate() {
            self.given.reserve(0)?;
            let start = self.given.bytes.len();
            space.append_string(*pointer, STRING_LIMIT, Errno::E2BIG, &mut self.given.bytes)?;
            self.given.bytes.make_room(1)?;
            self.given.bytes.push(0);
            self.charge(0, self.given.bytes.len() - start)?;
            // CAST: the limit on all strings is far below 4 GiB.
            self.given.starts.push(start as u32);
            if index < count {
                self.argument_count += 1;
            }
        }
        Ok(())
    }

    /// Adds an argument; all come before any of the environment.
    ///
    /// # Errors
    /// E2BIG, ENOMEM.
    pub fn push_argument(&mut self, string: &[u8]) -> Result<(), Errno> {
        self.push(string)?;
        self.argument_count += 1;
        Ok(())
    }

    /// Adds a string to the environment.
    ///
    /// # Errors
    /// E2BIG, ENOMEM.
    pub fn push_environment(&mut self, string: &[u8]) -> Result<(), Errno> {
        self.push(string)
    }

    fn push(&mut self, string: &[u8]) -> Result<(), Errno> {
        self.charge(POINTER, string.len() + 1)?;
        push_to(&mut self.given, string)
    }

    /// Puts words in place of the first argument.
    ///
    /// # Errors
    /// E2BIG, ENOMEM.
    pub fn replace_first(&mut self, words: &[&[u8]]) -> Result<(), Errno> {
        let mut front = Strings::default();
        for word in words {
            self.charge(POINTER, word.len() + 1)?;
            push_to(&mut front, word)?;
        }
        for index in 1..self.front.starts.len() {
            let word = self
                .front
                .bytes
                .get(self.front.start(index)..self.front.start(index + 1))
                .unwrap_or_default();
            push_to(&mut front, word.strip_suffix(b"\0").unwrap_or(word))?;
        }
        self.front = front;
        Ok(())
    }

    /// Counts bytes of pointers and of strings against the limits.
    fn charge(&mut self, pointers: usize, strings: usize) -> Result<(), Errno> {
        self.used = self.used.saturating_add((pointers + strings) as u64);
        self.strings = self.strings.saturating_add(strings as u64);
        // Below the word that ends the stack, in whole pages.
        let on_stack = (self.strings.saturating_add(POINTER as u64))
            .checked_next_multiple_of(PAGE_SIZE as u64)
            .unwrap_or(u64::MAX);
        if self.used > self.limit || on_stack > self.stack_limit {
            return Err(Errno::E2BIG);
        }
        Ok(())
    }

    fn read_pointers(
        &mut self,
        space: &AddressSpace,
        array: u64,
        to: &mut Vec<u64>,
    ) -> Result<(), Errno> {
        if array == 0 {
            return Ok(());
        }
        let mut at = array;
        // Never beyond the page of the pointer that is wanted next: what
        // follows may not be mapped.
        let mut chunk = [0; 32 * POINTER];
        loop {
            // CAST: at most a page.
            let in_page = PAGE_SIZE - (at % PAGE_SIZE as u64) as usize;
            let len = (in_page / POINTER * POINTER).clamp(POINTER, chunk.len());
            let part = &mut chunk[..len];
            space.read(at, part)?;
            for pointer in part.chunks_exact(POINTER) {
                let pointer = pointer.try_into().map_or(0, u64::from_ne_bytes);
                if pointer == 0 {
                    return Ok(());
                }
                self.charge(POINTER, 0)?;
                to.make_room(1)?;
                to.push(pointer);
            }
            at = at.wrapping_add(len as u64);
        }
    }

    /// How many arguments there are.
    #[must_use]
    pub fn argument_count(&self) -> usize {
        match self.front.starts.len() {
            0 => self.argument_count,
            front => front + self.argument_count.saturating_sub(1),
        }
    }

    /// How many strings the environment has.
    #[must_use]
    pub fn environment_count(&self) -> usize {
        self.given.starts.len() - self.argument_count
    }

    /// Where the given strings start that are still wanted.
    fn first_given(&self) -> usize {
        usize::from(!self.front.starts.is_empty())
    }

    /// The strings' bytes, in two pieces.
    #[must_use]
    pub fn pieces(&self) -> [&[u8]; 2] {
        let first = self.given.start(self.first_given());
        [
            &self.front.bytes,
            self.given.bytes.get(first..).unwrap_or_default(),
        ]
    }

    /// Bytes of all strings.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pieces().iter().map(|piece| piece.len()).sum()
    }

    /// Whether there is no string.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where each string starts among the bytes, arguments first.
    pub fn starts(&self) -> impl Iterator<Item = usize> {
        let first = self.first_given();
        let shift = self.front.bytes.len();
        let skipped = self.given.start(first);
        let front = self.front.starts.iter().map(|start| *start as usize);
        let given = self.given.starts.iter().skip(first);
        front.chain(given.map(move |start| *start as usize - skipped + shift))
    }

    /// Bytes of the arguments alone.
    #[must_use]
    pub fn arguments_len(&self) -> usize {
        let end = self.given.start(self.argument_count);
        self.front.bytes.len() + end.saturating_sub(self.given.start(self.first_given()))
    }
}

fn push_to(strings: &mut Strings, string: &[u8]) -> Result<(), Errno> {
    if string.len() >= STRING_LIMIT {
        return Err(Errno::E2BIG);
    }
    strings.reserve(string.len() + 1)?;
    // CAST: the limit on all strings is far below 4 GiB.
    strings.starts.push(strings.bytes.len() as u32);
    strings.bytes.extend_from_slice(string);
    strings.bytes.push(0);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Arguments;
    use ochre_abi::Errno;

    fn strings(arguments: &Arguments) -> Vec<String> {
        let bytes = arguments.pieces().concat();
        arguments
            .starts()
            .map(|start| {
                let end = bytes[start..].iter().position(|byte| *byte == 0);
                String::from_utf8_lossy(&bytes[start..start + end.expect("a NUL ends it")])
                    .into_owned()
            })
            .collect()
    }

    fn example() -> Arguments {
        let mut arguments = Arguments::new(8 << 20, b"/bin/x").expect("it fits");
        for word in ["x", "one", ""] {
            arguments.push_argument(word.as_bytes()).expect("it fits");
        }
        arguments.push_environment(b"A=b").expect("it fits");
        arguments
    }

    #[test]
    fn strings_stand_one_after_the_other() {
        let arguments = example();
        assert_eq!(arguments.pieces().concat(), b"x\0one\0\0A=b\0");
        assert_eq!(strings(&arguments), ["x", "one", "", "A=b"]);
        assert_eq!(arguments.argument_count(), 3);
        assert_eq!(arguments.environment_count(), 1);
        assert_eq!(arguments.arguments_len(), 7);
    }

    #[test]
    fn scripts_replace_the_first_word_each() {
        let mut arguments = example();
        arguments
            .replace_first(&[b"/bin/sh", b"-e", b"/tmp/x"])
            .expect("it fits");
        assert_eq!(
            strings(&arguments),
            ["/bin/sh", "-e", "/tmp/x", "one", "", "A=b"]
        );
        arguments
            .replace_first(&[b"/bin/real", b"/bin/sh"])
            .expect("it fits");
        assert_eq!(
            strings(&arguments),
            ["/bin/real", "/bin/sh", "-e", "/tmp/x", "one", "", "A=b"]
        );
        assert_eq!(arguments.argument_count(), 6);
        assert_eq!(arguments.environment_count(), 1);
        assert_eq!(arguments.arguments_len(), arguments.len() - 4);
    }

    #[test]
    fn limits_hold_for_one_and_for_all() {
        let mut arguments = Arguments::new(8 << 20, b"/x").expect("it fits");
        let long = vec![b'a'; 131_071];
        assert_eq!(arguments.push_argument(&long), Ok(()));
        assert_eq!(
            arguments.push_argument(&[long.as_slice(), b"a"].concat()),
            Err(Errno::E2BIG)
        );
        let mut arguments = Arguments::new(8 << 20, b"/x").expect("it fits");
        let pushed = (0..100)
            .take_while(|_| arguments.push_environment(&long).is_ok())
            .count();
        assert_eq!(pushed, 15, "2 MiB, the path and the pointers included");
        let mut least = Arguments::new(128 << 10, b"/x").expect("it fits");
        assert_eq!(least.push_argument(&[b'a'; 100_000]), Ok(()));
        let mut no_room = Arguments::new(96 << 10, b"/x").expect("it fits");
        assert_eq!(no_room.push_argument(&[b'a'; 100_000]), Err(Errno::E2BIG));
    }
}
