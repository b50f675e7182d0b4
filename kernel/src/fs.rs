//! File systems.

pub mod devtmpfs;
pub mod tmpfs;
