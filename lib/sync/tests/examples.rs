//! The examples run, and what they say is so: each checks itself.
//!
//! Those that count too far for Miri are left out there. `misuse` is Miri's own
//! (`cargo xtask miri`).
#![cfg(not(any(loom, shuttle)))]

/// A test that runs an example.
macro_rules! examples {
    ($($(#[$when:meta])* $path:literal $name:ident,)*) => {$(
        $(#[$when])*
        #[path = $path]
        mod $name;

        $(#[$when])*
        #[test]
        fn $name() {
            $name::main();
        }
    )*};
}

examples! {
    "../examples/aba.rs" aba,
    "../examples/arc_steps.rs" arc_steps,
    #[cfg(not(miri))]
    "../examples/blocking_steps/main.rs" blocking_steps,
    "../examples/cells.rs" cells,
    "../examples/channel_steps/main.rs" channel_steps,
    "../examples/id_allocation.rs" id_allocation,
    #[cfg(not(miri))]
    "../examples/list_steps.rs" list_steps,
    #[cfg(not(miri))]
    "../examples/spin_lock_steps.rs" spin_lock_steps,
    #[cfg(not(miri))]
    "../examples/wrong_ordering.rs" wrong_ordering,
}
