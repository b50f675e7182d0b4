//! The host side of Ochre as a library: finding what is missing, packing a root file system, running a guest.
#![forbid(unsafe_code)]
