//! Reads flattened device trees that nobody vouches for.
//!
//! A tree is bytes from a loader (Devicetree Specification 0.4, chapter 5):
//! truncated, looping, with absurd sizes, for all we know. [`DeviceTree::new`]
//! checks the header; everything after is read with bounds, so that a bad tree
//! has fewer nodes or properties than a good one and nothing worse happens.
//! Nothing is allocated and nothing recurses: a walk costs the tree's bytes.
//!
//! ```
//! # let blob = ochre_device_tree::example();
//! use ochre_device_tree::DeviceTree;
//!
//! let tree = DeviceTree::new(&blob).expect("a tree");
//! let serial = tree.nodes().find(|node| node.is_compatible(b"arm,pl011"));
//! let place = serial.and_then(|node| node.regions().next());
//! assert_eq!(place, Some(0x900_0000..0x900_1000));
//! ```
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

mod blob;
mod bus;
mod node;
mod path;

pub use blob::{BadTree, DeviceTree, HEADER_BYTES, MAX_BYTES, total_bytes};
pub use node::{Cells, Node, Nodes, Regions};

#[doc(hidden)]
pub use blob::example;
