//! What execve(2) put where, for `/proc`.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use crate::vfs::OpenFile;

/// Facts about a program that never change while it runs.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The argument strings, one after the other.
    pub arguments: Range<u64>,
    /// The environment strings.
    pub environment: Range<u64>,
    /// The program's code.
    pub code: Range<u64>,
    /// The program's initialised data.
    pub data: Range<u64>,
    /// The stack pointer that the program started with.
    pub stack_start: u64,
    /// The address of the vDSO; 0 without one.
    pub vdso: u64,
    /// The auxiliary vector as the program found it.
    pub auxiliary: Vec<u8>,
    /// The executable.
    pub executable: Option<Arc<OpenFile>>,
}
