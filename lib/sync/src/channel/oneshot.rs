//! Channels for one message.
//!
//! | channel | made by | checks |
//! | --- | --- | --- |
//! | [`Checked`] | `const`, one object, used by reference | when it runs: a second send panics |
//! | [`Channel`] | `const`, two halves that borrow from it | when it is compiled; no allocation |
//! | [`channel()`] | two halves that own it together | when it is compiled; one allocation |
//! | [`parked`] | as [`Channel`], for one receiving thread | when it is compiled; the receiver stays on its thread |
//!
//! The halves are used up by what they do: nobody can send or receive twice. One
//! is told when the other is dropped.
//!
//! ```
//! use ochre_sync::blocking::Futex;
//! use ochre_sync::channel::oneshot;
//!
//! let (sender, receiver) = oneshot::channel::<_, Futex>();
//! let thread = std::thread::spawn(move || sender.send("done"));
//! assert_eq!(receiver.recv(), Ok("done"));
//! # assert_eq!(thread.join().expect("no panic"), Ok(()));
//! ```
//!
//! No second send:
//! ```compile_fail,E0382
//! let (sender, _receiver) = ochre_sync::channel::oneshot::channel::<_, ochre_sync::blocking::Spin>();
//! let _ = sender.send(1);
//! let _ = sender.send(2);
//! ```
//! no second receive:
//! ```compile_fail,E0382
//! let (_sender, receiver) = ochre_sync::channel::oneshot::channel::<u32, ochre_sync::blocking::Spin>();
//! let _ = receiver.recv();
//! let _ = receiver.recv();
//! ```
//! and no second pair of halves while there is a first:
//! ```compile_fail,E0499
//! use ochre_sync::blocking::Spin;
//! let mut channel = ochre_sync::channel::oneshot::Channel::<u32, Spin>::new();
//! let (sender, _receiver) = channel.split();
//! let (_sender, _receiver) = channel.split();
//! let _ = sender.send(1);
//! ```
//! What must not change threads does not:
//! ```compile_fail,E0277
//! use std::rc::Rc;
//! let (sender, _receiver) = ochre_sync::channel::oneshot::channel::<Rc<u32>, ochre_sync::blocking::Spin>();
//! std::thread::spawn(move || sender.send(Rc::new(1)));
//! ```

mod checked;
mod halves;
mod slot;

#[cfg(all(feature = "std", target_os = "linux", not(shuttle)))]
pub mod parked;

pub use checked::Checked;
#[cfg(feature = "alloc")]
pub use halves::channel;
pub use halves::{Channel, Receiver, Sender};

#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(all(test, not(loom), not(shuttle)))]
mod tests;
