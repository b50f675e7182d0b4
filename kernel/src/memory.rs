//! Programs' memory: address spaces, areas, faults, and copies to and from it.

mod backing;
mod space;

pub use backing::{Backing, Identity, ZeroBacking};
pub use space::{AddressSpace, Fault};
