//! How much memory a process and its children had, for getrusage(2).

use ochre_sync::SpinLock;

use super::AddressSpace;

/// What was used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// The most pages in memory at a time.
    pub peak_pages: u64,
    /// Faults that were resolved or not.
    pub faults: u64,
}

impl Usage {
    /// Both uses, one after the other.
    #[must_use]
    pub fn plus(self, other: Usage) -> Usage {
        Usage {
            peak_pages: self.peak_pages.max(other.peak_pages),
            faults: self.faults.saturating_add(other.faults),
        }
    }
}

/// What a process used apart from the address space it has now.
#[derive(Debug, Default)]
pub struct MemoryAccount {
    own: SpinLock<Usage>,
    children: SpinLock<Usage>,
}

impl MemoryAccount {
    /// Takes over what is known of an address space that is given up.
    pub fn add_space(&self, space: &AddressSpace) {
        let usage = space.usage();
        let mut own = self.own.lock();
        *own = own.plus(usage);
    }

    /// Takes over the account of a child that was waited for.
    pub fn add_child(&self, child: &MemoryAccount) {
        let usage = child.all();
        let mut children = self.children.lock();
        *children = children.plus(usage);
    }

    /// What the process used, `space` being the one it has.
    #[must_use]
    pub fn own(&self, space: &AddressSpace) -> Usage {
        let own = *self.own.lock();
        own.plus(space.usage())
    }

    /// What children used that were waited for.
    #[must_use]
    pub fn children(&self) -> Usage {
        *self.children.lock()
    }

    /// What a process used that has no address space any more, and its children.
    #[must_use]
    pub fn all(&self) -> Usage {
        let own = *self.own.lock();
        own.plus(self.children())
    }
}

#[cfg(test)]
mod tests {
    use super::Usage;

    #[test]
    fn peaks_do_not_add_up_and_faults_do() {
        let usage = |peak_pages, faults| Usage { peak_pages, faults };
        assert_eq!(usage(5, 2).plus(usage(3, 4)), usage(5, 6));
    }
}
