//! Nodes and their properties.
//!
//! The structure block is a sequence of tokens, each at a multiple of four
//! bytes. [`Nodes`] goes over it once, from front to back, and remembers of
//! the nodes it is in only how their children write addresses.

use core::ops::Range;

use crate::blob::{number, word};

const BEGIN_NODE: u32 = 1;
const END_NODE: u32 = 2;
const PROPERTY: u32 = 3;
const NOTHING: u32 = 4;

/// Bytes of a property's name that are looked at, which may have 31 and a NUL:
/// many properties whose names have no end would take hours otherwise.
const NAME_BYTES: usize = 64;

/// Nodes below this depth are not read.
const DEPTH: usize = 16;

/// How many cells of four bytes an address and a size have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cells {
    /// Cells of an address.
    pub address: usize,
    /// Cells of a size.
    pub size: usize,
}

impl Cells {
    /// What holds where a parent says nothing.
    const DEFAULT: Cells = Cells {
        address: 2,
        size: 1,
    };
}

/// One node.
#[derive(Clone, Copy, Debug)]
pub struct Node<'a> {
    name: &'a [u8],
    depth: usize,
    cells: Cells,
    parent: &'a [u8],
    /// The structure block from the node's first property on.
    body: &'a [u8],
    strings: &'a [u8],
}

impl<'a> Node<'a> {
    /// The name with the address behind the `@`; empty for the root.
    #[must_use]
    pub fn name(&self) -> &'a [u8] {
        self.name
    }

    /// The parent's name.
    #[must_use]
    pub fn parent(&self) -> &'a [u8] {
        self.parent
    }

    /// The name without the address.
    #[must_use]
    pub fn base_name(&self) -> &'a [u8] {
        let end = self.name.iter().position(|byte| *byte == b'@');
        self.name
            .get(..end.unwrap_or(self.name.len()))
            .unwrap_or_default()
    }

    /// How many nodes this one is in.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// How the parent writes addresses: what `reg` is made of.
    #[must_use]
    pub fn cells(&self) -> Cells {
        self.cells
    }

    /// The properties: name and value.
    pub fn properties(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let strings = self.strings;
        let mut rest = Tokens(self.body);
        core::iter::from_fn(move || {
            loop {
                match rest.next()? {
                    Token::Property { name, value } => {
                        let name = strings.get(name..)?;
                        let name = name.get(..NAME_BYTES).unwrap_or(name);
                        return Some((text(name)?, value));
                    }
                    Token::Nothing => {}
                    Token::Begin(_) | Token::End => return None,
                }
            }
        })
    }

    /// The value of a property.
    #[must_use]
    pub fn property(&self, name: &[u8]) -> Option<&'a [u8]> {
        self.properties()
            .find(|(found, _)| *found == name)
            .map(|(_, value)| value)
    }

    /// A property that is a number of one or two cells.
    #[must_use]
    pub fn number(&self, name: &[u8]) -> Option<u64> {
        let value = self.property(name)?;
        matches!(value.len(), 4 | 8).then(|| number(value))
    }

    /// A property that is text, without its NUL.
    #[must_use]
    pub fn text(&self, name: &[u8]) -> Option<&'a [u8]> {
        text(self.property(name)?)
    }

    /// A property that is a list of cells.
    pub fn words(&self, name: &[u8]) -> impl Iterator<Item = u32> + use<'a> {
        let (words, _) = self.property(name).unwrap_or_default().as_chunks::<4>();
        words.iter().map(|word| u32::from_be_bytes(*word))
    }

    /// Whether the node says that it is like `what`.
    #[must_use]
    pub fn is_compatible(&self, what: &[u8]) -> bool {
        self.property(b"compatible")
            .is_some_and(|list| list.split(|byte| *byte == 0).any(|one| one == what))
    }

    /// Whether the node is in use: it has no `status`, or `okay`.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        matches!(self.text(b"status"), None | Some(b"okay" | b"ok"))
    }

    /// The ranges of `reg`.
    #[must_use]
    pub fn regions(&self) -> Regions<'a> {
        Regions {
            rest: self.property(b"reg").unwrap_or_default(),
            cells: self.cells,
        }
    }
}

/// See [`Node::regions`].
#[derive(Clone, Debug)]
pub struct Regions<'a> {
    rest: &'a [u8],
    cells: Cells,
}

impl Iterator for Regions<'_> {
    type Item = Range<u64>;

    fn next(&mut self) -> Option<Range<u64>> {
        let (address, rest) = self.rest.split_at_checked(self.cells.address * 4)?;
        let (size, rest) = rest.split_at_checked(self.cells.size * 4)?;
        if address.is_empty() {
            return None;
        }
        self.rest = rest;
        let start = number(address);
        Some(start..start.saturating_add(number(size)))
    }
}

/// See [`DeviceTree::nodes`](crate::DeviceTree::nodes).
#[derive(Clone, Debug)]
pub struct Nodes<'a> {
    tokens: Tokens<'a>,
    strings: &'a [u8],
    depth: usize,
    /// Of the nodes around: how their children write addresses, and the name.
    around: [(Cells, &'a [u8]); DEPTH],
}

impl<'a> Nodes<'a> {
    pub(crate) fn new(structure: &'a [u8], strings: &'a [u8]) -> Nodes<'a> {
        Nodes {
            tokens: Tokens(structure),
            strings,
            depth: 0,
            around: [(Cells::DEFAULT, &[]); DEPTH],
        }
    }
}

impl<'a> Iterator for Nodes<'a> {
    type Item = Node<'a>;

    fn next(&mut self) -> Option<Node<'a>> {
        loop {
            match self.tokens.next()? {
                Token::Begin(name) => {
                    let depth = self.depth;
                    self.depth += 1;
                    let above = match depth.checked_sub(1) {
                        None => Some((Cells::DEFAULT, &[][..])),
                        Some(at) => self.around.get(at).copied(),
                    };
                    let Some((cells, parent)) = above else {
                        continue;
                    };
                    let node = Node {
                        name,
                        depth,
                        cells,
                        parent,
                        body: self.tokens.0,
                        strings: self.strings,
                    };
                    if let Some(place) = self.around.get_mut(depth) {
                        let count = |name: &[u8], default| {
                            let wanted = node
                                .number(name)
                                .and_then(|count| usize::try_from(count).ok());
                            wanted.filter(|count| *count <= 4).unwrap_or(default)
                        };
                        let cells = Cells {
                            address: count(b"#address-cells", Cells::DEFAULT.address),
                            size: count(b"#size-cells", Cells::DEFAULT.size),
                        };
                        *place = (cells, name);
                    }
                    return Some(node);
                }
                Token::End => self.depth = self.depth.checked_sub(1)?,
                Token::Property { .. } | Token::Nothing => {}
            }
        }
    }
}

enum Token<'a> {
    Begin(&'a [u8]),
    End,
    Property { name: usize, value: &'a [u8] },
    Nothing,
}

/// The rest of a structure block. Every token takes four bytes at least, so
/// there is an end.
#[derive(Clone, Debug)]
struct Tokens<'a>(&'a [u8]);

impl<'a> Tokens<'a> {
    fn next(&mut self) -> Option<Token<'a>> {
        match self.word()? {
            BEGIN_NODE => {
                let name = text(self.0)?;
                self.skip(name.len() + 1)?;
                Some(Token::Begin(name))
            }
            END_NODE => Some(Token::End),
            PROPERTY => {
                let len = self.word()? as usize;
                let name = self.word()? as usize;
                let value = self.0.get(..len)?;
                self.skip(len)?;
                Some(Token::Property { name, value })
            }
            NOTHING => Some(Token::Nothing),
            _ => None,
        }
    }

    fn word(&mut self) -> Option<u32> {
        let value = word(self.0, 0)?;
        self.0 = self.0.get(4..)?;
        Some(value)
    }

    /// Goes on at the next multiple of four.
    fn skip(&mut self, len: usize) -> Option<()> {
        self.0 = self.0.get(len.checked_next_multiple_of(4)?..)?;
        Some(())
    }
}

/// The bytes before the first NUL.
fn text(bytes: &[u8]) -> Option<&[u8]> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    bytes.get(..end)
}
