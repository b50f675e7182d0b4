//! Programs' memory: address spaces, areas, faults, and copies to and from it.

mod space;

pub use space::{AddressSpace, Fault};
