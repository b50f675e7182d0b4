//! System V communication: objects that live by number and key, apart from
//! processes and files. Of its three kinds there is shared memory.
//!
//! | module | what |
//! |---|---|
//! | `ids` | a table of objects: numbers, keys, places |
//! | `permission` | who may do what with one |
//! | `shm` | shared memory segments |
//!
//! # Lock protocol
//! A table's lock may be taken with an address space locked (an area that goes
//! may be the last one of a segment), so no space is locked under it. An
//! object's own lock is innermost.

mod ids;
mod permission;
pub mod shm;
