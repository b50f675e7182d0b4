//! Programs' memory: address spaces, areas, faults, and copies to and from it.
//!
//! [`AddressSpace`] is the whole of it; its methods are spread over `space`
//! (making, copying), `fork`, `fault`, `map`, `remap` and `advise` by what they
//! do. [`area_map`](AreaMap) is the bookkeeping below, [`Backing`] what files
//! offer to be mapped.

mod account;
mod advise;
mod area;
mod area_map;
mod backing;
mod collapse;
pub mod commit;
pub mod elf;
mod facts;
mod fault;
mod fork;
mod hole;
pub mod huge;
#[cfg(all(target_os = "none", feature = "ktest"))]
mod ktests;
mod layout;
pub mod leftovers;
mod limits;
mod made;
mod map;
mod mappers;
mod pages;
mod populate;
pub mod pressure;
mod remap;
mod removal;
mod report;
mod room;
mod shared;
pub mod shortage;
mod space;
pub mod spare;

pub mod vdso;

pub use account::{MemoryAccount, Usage};
pub use area::{Anonymous, Area, AreaFlags, Source};
pub use area_map::{AreaMap, MAX_AREAS};
pub use backing::{Backing, Identity, ZeroBacking};
pub use collapse::Collapse;
pub use commit::{Promise, may_promise};
pub use facts::Facts;
pub use fork::Fork;
pub use hole::Hole;
pub use layout::{LOWEST, Layout, Randomness, randomised, set_randomised};
pub use limits::{Limits, UNLIMITED};
pub use map::{HeapEnd, MapRequest, Placement};
pub use mappers::{Gone, Mappers};
pub use pages::PageView;
pub use populate::Population;
pub use pressure::check_headroom;
pub use remap::RemapRequest;
pub use removal::{Removal, Rest};
pub use report::{Residence, Shown, Sizes};
pub use room::{MakeRoom, try_box};
pub use shared::{SharedMemory, frames as shared_frames};
pub use space::{AddressSpace, Fault};
