//! What a directory that is not resident remembers.

use core::any::Any;

use super::*;
use crate::vfs::{Kind, Metadata, Open, Opened, Permissions};

/// A directory that has a directory of every name.
struct Every;

impl Inode for Every {
    fn kind(&self) -> Kind {
        Kind::Directory
    }

    fn permissions(&self) -> Permissions {
        self.metadata().permissions
    }

    fn metadata(&self) -> Metadata {
        Metadata::anonymous(Kind::Directory)
    }

    fn lookup(&self, _name: &[u8]) -> Result<Arc<dyn Inode>, Errno> {
        Ok(Arc::new(Every))
    }

    fn open(self: Arc<Self>, _open: &Open<'_>) -> Result<Opened, Errno> {
        Err(Errno::EISDIR)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[test]
fn what_nobody_uses_is_forgotten_at_every_depth() {
    let root = Dentry::root(Arc::new(Every));
    let held = root.child(b"held").unwrap();
    for depth in 1..6 {
        let mut at = Arc::clone(&root);
        for name in ["a", "b", "c", "d", "e"].iter().take(depth) {
            at = at.child(name.as_bytes()).unwrap();
        }
        let below = held.child(b"below").unwrap();
        assert_eq!(root.children.lock().len(), 2);
        assert_eq!(held.children.lock().len(), 1);
        drop((at, below));
        assert_eq!(root.children.lock().len(), 1, "{depth} below");
        assert_eq!(held.children.lock().len(), 0);
        assert_eq!(Arc::weak_count(&held), 1);
    }
    drop(held);
    assert_eq!(root.children.lock().len(), 0);
}

#[test]
fn a_name_is_the_same_place_while_somebody_uses_it() {
    let root = Dentry::root(Arc::new(Every));
    let child = root.child(b"a").unwrap().child(b"b").unwrap();
    let again = root.child(b"a").unwrap();
    assert!(Arc::ptr_eq(&child.parent().unwrap(), &again));
    assert!(Arc::ptr_eq(&again.child(b"b").unwrap(), &child));
}
