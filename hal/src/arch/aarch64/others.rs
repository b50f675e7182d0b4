//! Bringing up the other processors: by the firmware. (Not done yet on this
//! machine: the boot processor runs alone.)

/// Starts the others; comes back when they run.
pub(crate) fn start(_entry: fn() -> !) {}
