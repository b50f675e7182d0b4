//! The processor's conditions and switches when a handler begins, and after it.

use crate::arch;
use crate::report::check;

/// The cases.
pub(crate) fn run() {
    for state in arch::STATES {
        let (entered, after) = arch::trapped_with(state);
        check(
            &format!("trapped with {state:#x}"),
            format!("handled with {entered:#x}, gone on with {after:#x}"),
        );
    }
}
