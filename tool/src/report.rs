//! What the tool says while it works: on standard error only, a bar where a person watches.
//!
//! Standard output belongs to the guest. Where standard error is not a
//! terminal, each piece of work is one plain line. Work that turns out not to
//! be needed says nothing: a [`Task`] shows itself at its first sign of
//! progress, not when it is made.

use core::{cell::RefCell, time::Duration};
use std::io::{self, IsTerminal as _, Write as _};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Says one line.
pub fn say(message: impl AsRef<str>) {
    // A closed standard error must not stop the guest.
    let _ = writeln!(io::stderr(), "ochre: {}", message.as_ref());
}

/// A piece of work that takes a while.
#[derive(Debug)]
pub struct Task {
    what: String,
    bar: RefCell<Option<ProgressBar>>,
    spoke: RefCell<bool>,
}

impl Task {
    /// A task that has not shown itself yet.
    pub fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            bar: RefCell::new(None),
            spoke: RefCell::new(false),
        }
    }

    /// Says that the work has begun, if that was not said yet.
    pub fn begin(&self) {
        if self.spoke.replace(true) {
            return;
        }
        if !io::stderr().is_terminal() {
            say(&self.what);
            return;
        }
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        bar.set_style(style("{spinner} {prefix} {wide_msg:.dim}"));
        bar.set_prefix(format!("ochre: {}", self.what));
        bar.enable_steady_tick(Duration::from_millis(100));
        *self.bar.borrow_mut() = Some(bar);
    }

    /// Says how far the work is, and what it is at.
    pub fn progress(&self, done: u64, total: u64, at: &str) {
        self.begin();
        if let Some(bar) = self.bar.borrow().as_ref() {
            if bar.length() != Some(total) {
                bar.set_style(style(
                    "{spinner} {prefix} [{bar:30}] {percent}% {wide_msg:.dim}",
                ));
                bar.set_length(total);
            }
            bar.set_position(done);
            bar.set_message(at.to_owned());
        }
    }

    /// Says what the work is at, without knowing how far it is.
    pub fn at(&self, what: &str) {
        self.begin();
        if let Some(bar) = self.bar.borrow().as_ref() {
            bar.set_message(what.to_owned());
        }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.borrow_mut().take() {
            bar.finish_and_clear();
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .expect("our own templates are well formed")
        .progress_chars("=> ")
}
