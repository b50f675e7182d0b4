//! The functions of the files that programs are made of.
//!
//! A place in a file becomes an address by the file's segments, and that a
//! name by its debugging information, where it has any, or its symbols. A
//! stripped library still has the symbols that others link to; what is between
//! them has no name, rather than a wrong one.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use object::{Object as _, ObjectSegment as _, ObjectSymbol as _, SymbolKind};

use super::record::Place;
use crate::{symbols::Names, tree::Tree};

/// The files of a guest's root, read as they are asked for.
#[derive(Debug, Default)]
pub struct Images {
    /// Where each comes from on this host, by the guest's path.
    sources: HashMap<PathBuf, PathBuf>,
    read: HashMap<PathBuf, Option<Image>>,
}

/// What is known of a file.
#[derive(Debug)]
struct Image {
    segments: Vec<Segment>,
    /// By address.
    symbols: Vec<Symbol>,
    names: Names,
}

#[derive(Debug)]
struct Segment {
    offset: u64,
    bytes: u64,
    address: u64,
}

#[derive(Debug)]
struct Symbol {
    address: u64,
    bytes: u64,
    name: String,
}

impl Images {
    /// Those of a guest with this root.
    pub fn of(tree: &Tree) -> Self {
        let sources = tree.host_files();
        Self {
            sources: sources
                .map(|(guest, host)| (Path::new("/").join(guest), host.to_owned()))
                .collect(),
            read: HashMap::new(),
        }
    }

    /// The functions at a place, the innermost first.
    pub(super) fn functions(&mut self, place: &Place) -> Vec<String> {
        let Some(file) = &place.file else {
            return vec!["[no file]".to_owned()];
        };
        let source = self.sources.get(file);
        let image = self
            .read
            .entry(file.clone())
            .or_insert_with(|| Image::read(source?));
        let functions = image.as_mut().map(|image| image.functions(place.at));
        match functions {
            Some(functions) if !functions.is_empty() => functions,
            // Its last component, in brackets as the kernel's own have them.
            _ => {
                let name = file.file_name().unwrap_or(file.as_os_str());
                let name = name.to_string_lossy();
                vec![format!("[{}]", name.trim_matches(['[', ']']))]
            }
        }
    }
}

impl Image {
    /// `None` for a file that is no program.
    fn read(path: &Path) -> Option<Self> {
        let bytes = fs::read(path).ok()?;
        let file = object::File::parse(bytes.as_slice()).ok()?;
        let segments = file.segments().map(|segment| {
            let (offset, bytes) = segment.file_range();
            Segment {
                offset,
                bytes,
                address: segment.address(),
            }
        });
        let mut symbols: Vec<Symbol> = file
            .symbols()
            .chain(file.dynamic_symbols())
            .filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.size() > 0)
            .filter_map(|symbol| {
                Some(Symbol {
                    address: symbol.address(),
                    bytes: symbol.size(),
                    name: symbol.name().ok()?.to_owned(),
                })
            })
            .collect();
        symbols.sort_by_key(|symbol| symbol.address);
        Some(Self {
            segments: segments.collect(),
            symbols,
            names: Names::new(path),
        })
    }

    fn functions(&mut self, offset: u64) -> Vec<String> {
        let address = self.segments.iter().find_map(|segment| {
            let inside = offset.checked_sub(segment.offset)?;
            (inside < segment.bytes).then(|| segment.address.wrapping_add(inside))
        });
        let Some(address) = address else {
            return Vec::new();
        };
        let functions = self.names.functions(address);
        if !functions.is_empty() {
            return functions;
        }
        let end = self
            .symbols
            .partition_point(|symbol| symbol.address <= address);
        let symbol = end.checked_sub(1).and_then(|last| self.symbols.get(last));
        symbol
            .filter(|symbol| address - symbol.address < symbol.bytes)
            .map(|symbol| crate::symbols::readable(&symbol.name))
            .into_iter()
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::{env, fs, path::PathBuf};

    use object::{Object as _, ObjectSymbol as _};

    use super::{Image, Images, Place};
    use crate::tree::Tree;

    #[test]
    fn functions_are_those_of_the_file_behind_the_guests_path() {
        let own = env::current_exe().unwrap();
        let mut tree = Tree::new();
        tree.host_file("/bin/me", &own).unwrap();
        let mut images = Images::of(&tree);
        let bytes = fs::read(&own).unwrap();
        let file = object::File::parse(bytes.as_slice()).unwrap();
        let symbols = file.symbols();
        let main = symbols
            .filter(|symbol| symbol.size() > 0)
            .find(|symbol| symbol.name() == Ok("main"))
            .unwrap();
        let image = Image::read(&own).unwrap();
        let below = image
            .segments
            .iter()
            .filter(|segment| segment.address <= main.address());
        let segment = below.max_by_key(|segment| segment.address).unwrap();
        let place = |file: &str, at| Place {
            file: Some(PathBuf::from(file)),
            at,
        };
        let at = main.address() - segment.address + segment.offset;
        assert_eq!(images.functions(&place("/bin/me", at)), ["main"]);
        // Outside of all segments, another file, no file.
        assert_eq!(images.functions(&place("/bin/me", u64::MAX)), ["[me]"]);
        assert_eq!(images.functions(&place("/bin/you", at)), ["[you]"]);
        assert_eq!(images.functions(&place("[vdso]", at)), ["[vdso]"]);
        let nowhere = Place { file: None, at };
        assert_eq!(images.functions(&nowhere), ["[no file]"]);
    }
}
