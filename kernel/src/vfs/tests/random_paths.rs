//! Random texts of paths, beside a model that knows names only.

use proptest::collection::vec;
use proptest::prelude::{Strategy, prop_assert_eq, proptest};
use proptest::sample::select;

use super::World;
use ochre_abi::Errno;

/// A tree without links: every directory below the root, and one file.
const DIRECTORIES: [&str; 5] = ["/a", "/a/b", "/a/b/a", "/b", "/b/b"];
const FILE: &str = "/a/f";

/// Where a text leads to, by names alone: `Err` as resolve(2) would answer.
fn model(start: &str, text: &str) -> Result<String, Errno> {
    if text.is_empty() {
        return Err(Errno::ENOENT);
    }
    let is_absolute = text.starts_with('/');
    let mut at: Vec<&str> = if is_absolute { "" } else { start }
        .split('/')
        .filter(|name| !name.is_empty())
        .collect();
    let joined = |at: &[&str]| format!("/{}", at.join("/"));
    let components = text.split('/').filter(|name| !name.is_empty());
    for component in components {
        if joined(&at) == FILE {
            return Err(Errno::ENOTDIR);
        }
        match component {
            "." => {}
            ".." => {
                at.pop();
            }
            name => {
                at.push(name);
                let path = joined(&at);
                if path != FILE && !DIRECTORIES.contains(&path.as_str()) {
                    return Err(Errno::ENOENT);
                }
            }
        }
    }
    if joined(&at) == FILE && text.ends_with('/') {
        return Err(Errno::ENOTDIR);
    }
    Ok(joined(&at))
}

fn text() -> impl Strategy<Value = String> {
    let part = select(Vec::from(["a", "b", "f", ".", "..", "/", "//", "x"]));
    vec(part, 0..12).prop_map(|parts| {
        let mut text = String::new();
        for part in parts {
            // Two names without a slash between them would be another name.
            if !part.starts_with('/') && !text.is_empty() && !text.ends_with('/') {
                text.push('/');
            }
            text.push_str(part);
        }
        text
    })
}

proptest! {
    /// A walk leads where the names say, and fails where and as they say.
    #[test]
    fn agrees_with_a_walk_by_names(start in select(DIRECTORIES.to_vec()), text in text()) {
        let world = World::new();
        for directory in DIRECTORIES {
            world.mkdir(directory);
        }
        world.file(FILE);
        let from = world.find(start).expect("it was made");
        let found = world.find_from(&from, &text, true);
        let found = found.map(|path| world.text(&path));
        prop_assert_eq!(found, model(start, &text));
    }
}
