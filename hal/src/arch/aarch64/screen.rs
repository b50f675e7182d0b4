//! This machine's screen is a picture; it has no text of its own.

use crate::screen::{Device, picture};

/// Finds the screen; when the memory module has started.
pub(crate) fn find() -> Option<&'static dyn Device> {
    picture::find()
}
