//! Registers with types: what may be done with one, and what its word means.
//!
//! A register is a constant of [`ReadOnly`], [`WriteOnly`] or [`ReadWrite`],
//! which knows its place in a [`Block`] and the type of its content. Reading
//! what is only written, or writing one register's content to another, does
//! not compile:
//!
//! ```
//! # fn try_it(block: &impl ochre_pl031::Block) {
//! ochre_pl031::registers::LOAD.write(block, ochre_pl031::Seconds(0));
//! # }
//! ```
//! ```compile_fail,E0599
//! # fn try_it(block: &impl ochre_pl031::Block) {
//! ochre_pl031::registers::DATA.write(block, ochre_pl031::Seconds(0));
//! # }
//! ```
//! ```compile_fail,E0308
//! # fn try_it(block: &impl ochre_pl031::Block) {
//! ochre_pl031::registers::LOAD.write(block, ochre_pl031::Control::START);
//! # }
//! ```

use core::marker::PhantomData;

/// A block of registers of 32 bits.
///
/// Who implements it sees to it that an access is one access, of the device.
pub trait Block {
    /// Loads the register so many bytes into the block.
    fn load(&self, offset: usize) -> u32;

    /// Stores to it.
    fn store(&self, offset: usize, word: u32);
}

/// What a register holds.
pub trait Content: Copy {
    /// What a word means; bits without a meaning are passed over.
    fn of_word(word: u32) -> Self;

    /// The word that means this.
    fn to_word(self) -> u32;
}

/// A register that tells something.
#[derive(Debug)]
pub struct ReadOnly<T>(usize, PhantomData<T>);

impl<T: Content> ReadOnly<T> {
    /// The one so many bytes into its block.
    pub(crate) const fn at(offset: usize) -> Self {
        Self(offset, PhantomData)
    }

    /// What it holds now.
    pub fn read(&self, block: &impl Block) -> T {
        T::of_word(block.load(self.0))
    }
}

/// A register that is told something.
#[derive(Debug)]
pub struct WriteOnly<T>(usize, PhantomData<T>);

impl<T: Content> WriteOnly<T> {
    /// The one so many bytes into its block.
    pub(crate) const fn at(offset: usize) -> Self {
        Self(offset, PhantomData)
    }

    /// Tells it.
    pub fn write(&self, block: &impl Block, content: T) {
        block.store(self.0, content.to_word());
    }
}

/// A register that keeps what it is told.
#[derive(Debug)]
pub struct ReadWrite<T>(usize, PhantomData<T>);

impl<T: Content> ReadWrite<T> {
    /// The one so many bytes into its block.
    pub(crate) const fn at(offset: usize) -> Self {
        Self(offset, PhantomData)
    }

    /// What it holds now.
    pub fn read(&self, block: &impl Block) -> T {
        ReadOnly::at(self.0).read(block)
    }

    /// Has it hold something.
    pub fn write(&self, block: &impl Block, content: T) {
        WriteOnly::at(self.0).write(block, content);
    }
}
