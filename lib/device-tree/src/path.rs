//! Nodes by their paths.

use crate::blob::DeviceTree;
use crate::node::Node;

impl<'a> DeviceTree<'a> {
    /// The node at a path: from the root on, with a `/` before each name, or by
    /// one of the names that `/aliases` gives.
    #[must_use]
    pub fn node_at(&self, path: &[u8]) -> Option<Node<'a>> {
        if path.starts_with(b"/") {
            return self.descend(path);
        }
        let path = self.descend(b"/aliases")?.text(path)?;
        path.starts_with(b"/").then(|| self.descend(path)).flatten()
    }

    /// Where the loader wants the console to be: `stdout-path` of `/chosen`,
    /// behind which there may be a `:` and how fast it is.
    #[must_use]
    pub fn console(&self) -> Option<Node<'a>> {
        let text = self.descend(b"/chosen")?.text(b"stdout-path")?;
        self.node_at(text.split(|byte| *byte == b':').next()?)
    }

    fn descend(&self, path: &[u8]) -> Option<Node<'a>> {
        let names = path.split(|byte| *byte == b'/');
        let mut names = names.filter(|name| !name.is_empty());
        let mut nodes = self.nodes();
        let mut found = nodes.next()?;
        let Some(mut name) = names.next() else {
            return Some(found);
        };
        for node in nodes {
            // Behind the last child of the node that the path came to.
            if node.depth() <= found.depth() {
                return None;
            }
            if node.depth() == found.depth() + 1 && node.name() == name {
                found = node;
                match names.next() {
                    Some(next) => name = next,
                    None => return Some(found),
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use crate::blob::{DeviceTree, example};

    #[test]
    fn a_path_leads_down_by_whole_names() {
        let blob = example();
        let tree = DeviceTree::new(&blob).expect("a tree");
        let at = |path: &str| tree.node_at(path.as_bytes()).map(|node| node.name());
        assert_eq!(at("/"), Some(&b""[..]));
        for name in ["serial@9000000", "memory"] {
            assert_eq!(at(&format!("/{name}")), Some(name.as_bytes()));
        }
        for path in [
            "",
            "memory",
            "/serial",
            "/memory/x",
            "/serial@9000000/memory",
        ] {
            assert!(at(path).is_none(), "{path}");
        }
        assert!(tree.console().is_none());
    }
}
