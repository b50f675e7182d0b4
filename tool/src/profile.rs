//! `ochre profile`: where a program's time goes, as a flame graph.
//!
//! The kernel, told `ochre.profile=HZ`, says on its log where each processor's
//! program was whenever a period of time was over
//! (`kernel/src/sched/profile.rs` has the form): files and places in them. The
//! names are found here, in the files that the guest's root was made of.
//!
//! | module | what |
//! |---|---|
//! | `record` | the kernel's line, read |
//! | `collect` | takes the samples out of the log and counts them |
//! | `images` | the functions of the files that programs are made of |
//! | `stopped` | samples of the kernel itself, which the emulator takes |
//! | `flame` | the samples as stacks, and their picture |

mod collect;
mod flame;
mod images;
mod record;
mod stopped;

pub use collect::{Branch, Collector, Samples};
pub use flame::Flames;
pub use images::Images;
pub use stopped::Sampler;
