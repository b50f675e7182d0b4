//! Nodes and their properties.
//!
//! The structure block is a sequence of tokens, each at a multiple of four
//! bytes. [`Nodes`] goes over it once, from front to back, and remembers of the
//! nodes it is in only what they hand down ([`Around`], [`Bus`]): a name, whose
//! interrupts are meant, whether it is in use, how addresses are written.

use core::ops::Range;

use crate::blob::{number, word};
use crate::bus::{self, Bus};

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
    pub(crate) const DEFAULT: Cells = Cells {
        address: 2,
        size: 1,
    };
}

/// One node.
#[derive(Clone, Copy, Debug)]
pub struct Node<'a> {
    name: &'a [u8],
    depth: usize,
    parent: &'a [u8],
    /// The nodes around it, the root first, as many as `depth`.
    buses: [Bus<'a>; DEPTH],
    interrupt_parent: Option<u32>,
    is_enabled: bool,
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
        self.buses().last().map_or(Cells::DEFAULT, Bus::cells)
    }

    fn buses(&self) -> &[Bus<'a>] {
        self.buses.get(..self.depth).unwrap_or_default()
    }

    /// Whether both are one node of one tree.
    #[must_use]
    pub fn is_same_as(&self, other: &Node<'_>) -> bool {
        core::ptr::eq(self.body, other.body)
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

    /// What the node says that it is like, the most alike first.
    pub fn compatible(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let list = self.property(b"compatible").unwrap_or_default();
        list.split(|byte| *byte == 0).filter(|one| !one.is_empty())
    }

    /// Whether the node says that it is like `what`.
    #[must_use]
    pub fn is_compatible(&self, what: &[u8]) -> bool {
        self.compatible().any(|one| one == what)
    }

    /// Whether the node is in use: it has no `status`, or `okay`, and so have
    /// those around it.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.is_enabled
    }

    /// By which number (`phandle`) the node is known whose the numbers in
    /// `interrupts` are: what the node says, or else the nearest of those around
    /// it that says so or is one itself (then 0, where that has no number).
    /// `None` where nobody says.
    #[must_use]
    pub fn interrupt_parent(&self) -> Option<u32> {
        self.interrupt_parent
    }

    /// The number by which other nodes speak of this one.
    #[must_use]
    pub fn phandle(&self) -> Option<u32> {
        handle(self.property(b"phandle")?)
    }

    /// The ranges of `reg`, as the processor sees them; those that it does not
    /// see are left out.
    pub fn regions(&self) -> impl Iterator<Item = Range<u64>> + use<'a> {
        let node = *self;
        self.regions_on_bus()
            .filter_map(move |region| bus::to_processor(node.buses(), region))
    }

    /// The ranges of `reg`, in the numbers that the parent's children have.
    #[must_use]
    pub fn regions_on_bus(&self) -> Regions<'a> {
        Regions {
            rest: self.property(b"reg").unwrap_or_default(),
            cells: self.cells(),
        }
    }
}

/// A property that is one cell.
fn handle(value: &[u8]) -> Option<u32> {
    let cell = value.first_chunk().filter(|_| value.len() == 4)?;
    Some(u32::from_be_bytes(*cell))
}

/// Whether a `status` is that of a node in use.
fn is_okay(status: &[u8]) -> bool {
    matches!(text(status), Some(b"okay" | b"ok"))
}

/// See [`Node::regions_on_bus`].
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
    /// The nodes around.
    around: [Around<'a>; DEPTH],
    /// The same, as far as addresses go.
    buses: [Bus<'a>; DEPTH],
}

/// What a node hands down to those in it.
#[derive(Clone, Copy, Debug)]
struct Around<'a> {
    name: &'a [u8],
    interrupt_parent: Option<u32>,
    is_enabled: bool,
}

impl Around<'_> {
    /// What is around the root.
    const NOTHING: Around<'static> = Around {
        name: &[],
        interrupt_parent: None,
        is_enabled: true,
    };
}

impl<'a> Nodes<'a> {
    pub(crate) fn new(structure: &'a [u8], strings: &'a [u8]) -> Nodes<'a> {
        Nodes {
            tokens: Tokens(structure),
            strings,
            depth: 0,
            around: [Around::NOTHING; DEPTH],
            buses: [Bus::SILENT; DEPTH],
        }
    }

    /// The node whose properties come next, at `depth` in what is `around` it.
    fn enter(&mut self, name: &'a [u8], depth: usize, around: Around<'a>) -> Node<'a> {
        let mut node = Node {
            name,
            depth,
            parent: around.name,
            buses: self.buses,
            interrupt_parent: around.interrupt_parent,
            is_enabled: around.is_enabled,
            body: self.tokens.0,
            strings: self.strings,
        };
        let mut bus = Bus::SILENT;
        let (mut phandle, mut takes_interrupts) = (0, false);
        for (name, value) in node.properties() {
            let count = |default| {
                let wanted = handle(value).and_then(|count| u8::try_from(count).ok());
                wanted.filter(|count| *count <= 4).unwrap_or(default)
            };
            match name {
                b"#address-cells" => bus.address_cells = count(bus.address_cells),
                b"#size-cells" => bus.size_cells = count(bus.size_cells),
                b"ranges" => bus.ranges = Some(value),
                b"status" => node.is_enabled &= is_okay(value),
                b"interrupt-parent" => node.interrupt_parent = handle(value),
                b"#interrupt-cells" => takes_interrupts = true,
                b"phandle" => phandle = handle(value).unwrap_or(0),
                _ => {}
            }
        }
        if let (Some(around), Some(place)) = (self.around.get_mut(depth), self.buses.get_mut(depth))
        {
            *around = Around {
                name,
                interrupt_parent: if takes_interrupts {
                    Some(phandle)
                } else {
                    node.interrupt_parent
                },
                is_enabled: node.is_enabled,
            };
            *place = bus;
        }
        node
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
                    let around = match depth.checked_sub(1) {
                        None => Some(Around::NOTHING),
                        Some(at) => self.around.get(at).copied(),
                    };
                    if let Some(around) = around {
                        return Some(self.enter(name, depth, around));
                    }
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
