//! Page-table formats as data.
//!
//! A [`Format`] says how one machine writes a page-table entry: [`X86`] (four
//! levels) and [`Arm`] (VMSAv8-64, 4 KiB granule) today. Nothing here touches a
//! table in memory: [`map`], [`walk`] and [`visit`] work through
//! [`TableMemory`], which may as well be a hash map in a test. So both
//! machines' formats build and are tested on any host.
//!
//! Levels count up from the page: level 0 holds pages of 4 KiB, level 1 blocks
//! of 2 MiB, level 2 blocks of 1 GiB, level 3 is the root.
//!
//! [`SpaceNumbers`] gives out the numbers by which processors tell address
//! spaces apart; [`owners`] counts the spaces that have a table.
#![cfg_attr(not(any(test, loom)), no_std)]
#![forbid(unsafe_code)]

mod address;
mod arm;
mod format;
mod mapper;
mod numbers;
pub mod owners;
mod walker;
mod x86;

pub use address::{
    ENTRIES, PAGE_BITS, PAGE_SIZE, index, is_canonical, is_page_aligned, is_user_range,
    sign_extend, span,
};
pub use arm::Arm;
pub use format::{Attributes, Entry, Flag, Format, Memory, Rights};
pub use mapper::{MapError, map};
pub use numbers::{SpaceNumbers, space_number};
pub use walker::{Leaf, Step, TableMemory, Walk, visit, walk};
pub use x86::X86;
