//! Files that are programs and files that are written: never both at once.
//!
//! A count in the inode: above zero, so many open files may write it; below,
//! so many programs run from it. Whoever comes from the other side is told
//! ETXTBSY (execve(2), open(2)).

use alloc::sync::Arc;

use ochre_abi::Errno;
use ochre_sync::primitive::atomic::{AtomicI32, Ordering};

use super::Inode;

/// Writers if positive, running programs if negative.
#[derive(Debug, Default)]
pub struct WriterCount(AtomicI32);

impl WriterCount {
    /// One more of the side that `step` (1 or -1) stands for.
    fn join(&self, step: i32) -> Result<(), Errno> {
        // ORDERING: Relaxed; the count guards no memory.
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
                if count.signum() == -step {
                    None
                } else {
                    count.checked_add(step)
                }
            })
            .map(|_| ())
            .map_err(|_| Errno::ETXTBSY)
    }

    fn leave(&self, step: i32) {
        self.0.fetch_sub(step, Ordering::Relaxed);
    }
}

/// A place in a file's [`WriterCount`], given up when dropped.
pub struct Hold {
    inode: Arc<dyn Inode>,
    step: i32,
}

impl Hold {
    fn new(inode: &Arc<dyn Inode>, step: i32) -> Result<Option<Hold>, Errno> {
        let Some(count) = inode.writers() else {
            return Ok(None);
        };
        count.join(step)?;
        Ok(Some(Hold {
            inode: Arc::clone(inode),
            step,
        }))
    }

    /// For an open file that may write; `None` where nobody counts.
    ///
    /// # Errors
    /// ETXTBSY if a program runs from the file.
    pub fn writing(inode: &Arc<dyn Inode>) -> Result<Option<Hold>, Errno> {
        Hold::new(inode, 1)
    }

    /// For a program that runs from the file; `None` where nobody counts.
    ///
    /// # Errors
    /// ETXTBSY if somebody has the file open for writing.
    pub fn running(inode: &Arc<dyn Inode>) -> Result<Option<Hold>, Errno> {
        Hold::new(inode, -1)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if let Some(count) = self.inode.writers() {
            count.leave(self.step);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::WriterCount;
    use ochre_abi::Errno;

    #[test]
    fn one_side_at_a_time() {
        let count = WriterCount::default();
        assert_eq!(count.join(1), Ok(()));
        assert_eq!(count.join(1), Ok(()));
        assert_eq!(count.join(-1), Err(Errno::ETXTBSY));
        count.leave(1);
        assert_eq!(count.join(-1), Err(Errno::ETXTBSY));
        count.leave(1);
        assert_eq!(count.join(-1), Ok(()));
        assert_eq!(count.join(1), Err(Errno::ETXTBSY));
        count.leave(-1);
        assert_eq!(count.join(1), Ok(()));
    }
}
