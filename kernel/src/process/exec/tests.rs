//! Programs prepared on a host: files in memory, real tables and frames.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::any::Any;

use ochre_abi::Errno;
use ochre_abi::arch::ELF_MACHINE;
use ochre_abi::elf::{FileHeader, ProgramHeader};
use ochre_abi::mman::Protection;
use ochre_hal::memory::{PAGE_SIZE, UserFrame, host};
use proptest::prelude::{ProptestConfig, any, prop, proptest};
use zerocopy::IntoBytes;

use super::{Arguments, Identity, Opener, Prepared, Request, name_of, prepare};
use crate::memory::{AddressSpace, Backing, Identity as FileIdentity, Limits, Randomness};
use crate::vfs::{File, OpenFile, Sink, StatusFlags};

#[derive(Debug)]
struct Bytes(Arc<Vec<u8>>);

impl File for Bytes {
    fn read(&self, sink: &mut Sink<'_>, position: &mut u64) -> Result<usize, Errno> {
        let rest = usize::try_from(*position)
            .ok()
            .and_then(|at| self.0.get(at..))
            .unwrap_or_default();
        let count = sink.put(rest);
        *position += count as u64;
        Ok(count)
    }
    fn backing(&self) -> Option<Arc<dyn Backing>> {
        Some(Arc::new(Bytes(Arc::clone(&self.0))))
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Backing for Bytes {
    fn page(&self, index: u64) -> Result<UserFrame, Errno> {
        let at = usize::try_from(index)
            .ok()
            .and_then(|index| index.checked_mul(PAGE_SIZE))
            .filter(|at| *at < self.0.len())
            .ok_or(Errno::ENXIO)?;
        let frame = UserFrame::zeroed().map_err(|_| Errno::ENOMEM)?;
        frame.write(0, &self.0[at..self.0.len().min(at + PAGE_SIZE)]);
        Ok(frame)
    }
    fn size(&self) -> u64 {
        self.0.len() as u64
    }
    fn identity(&self) -> FileIdentity {
        FileIdentity {
            device: 0,
            inode: 0,
        }
    }
    fn path(&self) -> Vec<u8> {
        Vec::new()
    }
}

/// Files by path.
#[derive(Default)]
struct Disk(BTreeMap<Vec<u8>, Arc<Vec<u8>>>);

impl Disk {
    fn add(&mut self, path: &str, content: Vec<u8>) {
        self.0.insert(path.as_bytes().to_vec(), Arc::new(content));
    }

    fn run(&mut self, path: &str, words: &[&str]) -> Result<Prepared, Errno> {
        let mut arguments = Arguments::new(8 << 20, path.as_bytes())?;
        for word in words {
            arguments.push_argument(word.as_bytes())?;
        }
        arguments.push_environment(b"A=b")?;
        let request = Request {
            file: self.open(path.as_bytes())?,
            path: path.as_bytes().to_vec(),
            arguments,
            limits: Limits::default(),
            random: [7; 16],
            placement: Randomness::NONE,
            wants_fixed: false,
            path_vanishes: false,
        };
        prepare(request, self)
    }
}

impl Opener for Disk {
    fn open(&mut self, path: &[u8]) -> Result<Arc<OpenFile>, Errno> {
        let content = self.0.get(path).ok_or(Errno::ENOENT)?;
        let file = Arc::new(Bytes(Arc::clone(content)));
        Ok(Arc::new(OpenFile::new(
            file,
            true,
            false,
            StatusFlags::empty(),
        )))
    }

    fn identity(&mut self, _program: &OpenFile) -> Identity {
        Identity::default()
    }
}

fn segment(kind: u32, flags: u32, address: u64, file_size: u64, memory_size: u64) -> ProgramHeader {
    ProgramHeader {
        kind,
        flags,
        offset: address % 0x40_0000,
        address,
        physical: 0,
        file_size,
        memory_size,
        alignment: 0x1000,
    }
}

/// A program of three pages, each byte of which is its offset's low byte, with
/// these headers.
fn image(kind: u16, entry: u64, table: &[ProgramHeader]) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..0x3000_u32).map(|offset| offset as u8).collect();
    let header = FileHeader {
        ident: *b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0",
        kind,
        machine: ELF_MACHINE,
        version: 1,
        entry,
        program_headers: 64,
        section_headers: 0,
        flags: 0,
        header_size: 64,
        program_header_size: 56,
        program_header_count: table.len() as u16,
        section_header_size: 0,
        section_header_count: 0,
        names: 0,
    };
    bytes[..64].copy_from_slice(header.as_bytes());
    bytes[64..64 + table.len() * 56].copy_from_slice(table.as_bytes());
    bytes
}

fn plain() -> [ProgramHeader; 2] {
    [
        segment(1, 5, 0x40_0000, 0x1800, 0x1800),
        segment(1, 6, 0x40_2010, 0x700, 0x3000),
    ]
}

/// Reads as a debugger does, faulting pages in.
fn peek<const N: usize>(space: &AddressSpace, at: u64) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    for (offset, byte) in bytes.iter_mut().enumerate() {
        let mut one = [0];
        space.inspect(at + offset as u64, &mut one).ok()?;
        *byte = one[0];
    }
    Some(bytes)
}

fn word(space: &AddressSpace, at: u64) -> u64 {
    u64::from_ne_bytes(peek(space, at).expect("it is mapped"))
}

fn string(space: &AddressSpace, at: u64) -> String {
    (at..)
        .map(|at| peek::<1>(space, at).expect("it is mapped")[0])
        .take_while(|byte| *byte != 0)
        .map(char::from)
        .collect()
}

fn words_of(prepared: &Prepared) -> Vec<String> {
    let count = word(&prepared.space, prepared.stack_pointer);
    (1..=count)
        .map(|index| {
            let at = word(&prepared.space, prepared.stack_pointer + 8 * index);
            string(&prepared.space, at)
        })
        .collect()
}

/// The auxiliary vector's value of a key.
fn auxiliary(prepared: &Prepared, key: u64) -> u64 {
    let count = word(&prepared.space, prepared.stack_pointer);
    // One variable in the environment, and the two nulls.
    let mut at = prepared.stack_pointer + 8 * (count + 4);
    while word(&prepared.space, at) != key {
        assert_ne!(word(&prepared.space, at), 0, "no entry {key}");
        at += 16;
    }
    word(&prepared.space, at + 8)
}

#[test]
fn names_are_the_last_part_cut_to_fifteen() {
    assert_eq!(&name_of(b"/bin/sh"), b"sh\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
    assert_eq!(&name_of(b"a-very-long-name-indeed"), b"a-very-long-nam\0");
    assert_eq!(name_of(b"/bin/"), [0; 16]);
}

#[test]
fn segments_stand_where_they_belong() {
    let _memory = host::start();
    let mut disk = Disk::default();
    disk.add("/bin/x", image(2, 0x40_0123, &plain()));
    let prepared = disk.run("/bin/x", &["x", "y"]).expect("it is a program");
    let space = &prepared.space;
    assert_eq!(prepared.entry, 0x40_0123);
    assert_eq!(peek(space, 0x40_1234), Some([0x34]));
    assert_eq!(peek(space, 0x40_2710 - 2), Some([0x0e, 0x0f, 0, 0]));
    assert_eq!(peek(space, 0x40_2ffe), Some([0, 0, 0, 0]));
    assert_eq!(peek(space, 0x40_500f), Some([0]));
    assert_eq!(peek::<1>(space, 0x40_6000), None);
    assert_eq!(space.install(0x40_1000, b"x"), Err(Errno::EFAULT));
    assert_eq!(space.set_heap_end(0, false).at, 0x40_6000);
    assert_eq!(words_of(&prepared), ["x", "y"]);
    assert_eq!(auxiliary(&prepared, 3), 0x40_0040);
    assert_eq!(auxiliary(&prepared, 5), 2);
    assert_eq!(auxiliary(&prepared, 7), 0);
    assert_eq!(auxiliary(&prepared, 9), 0x40_0123);
    assert_eq!(string(space, auxiliary(&prepared, 31)), "/bin/x");
    let facts = space.facts();
    assert_eq!(facts.code, 0x40_0000..0x40_1800);
    assert_eq!(facts.data, 0x40_2010..0x40_2710);
    assert_eq!(string(space, facts.arguments.start), "x");
    assert_eq!(string(space, facts.environment.start), "A=b");
    assert_eq!(prepared.name, name_of(b"x"));
}

#[test]
fn an_interpreter_comes_with_the_program_it_starts() {
    let _memory = host::start();
    let mut disk = Disk::default();
    let mut table = [
        segment(1, 5, 0, 0x1800, 0x1800),
        segment(3, 4, 0x900, 7, 7),
        segment(0x6474_e551, 7, 0, 0, 0),
    ];
    let mut program = image(3, 0x100, &table);
    program[0x900..0x907].copy_from_slice(b"/ld.so\0");
    disk.add("/bin/x", program.clone());
    assert_eq!(disk.run("/bin/x", &["x"]).err(), Some(Errno::ENOENT));
    disk.add("/ld.so", b"#!/bin/sh\n".to_vec());
    assert_eq!(disk.run("/bin/x", &["x"]).err(), Some(Errno::ELIBBAD));
    disk.add(
        "/ld.so",
        image(3, 0x200, &[segment(1, 5, 0, 0x1800, 0x1800)]),
    );
    let prepared = disk.run("/bin/x", &["x"]).expect("it is a program");
    let layout = prepared.space.layout();
    let base = auxiliary(&prepared, 7);
    assert!(base < layout.mmap_base && base > layout.image_base);
    assert_eq!(prepared.entry, base + 0x200);
    assert_eq!(auxiliary(&prepared, 9), layout.image_base + 0x100);
    assert_eq!(auxiliary(&prepared, 3), layout.image_base + 64);
    let stack = prepared.space.areas();
    let stack = stack.last().expect("there is a stack");
    assert!(
        stack.protection.contains(Protection::EXECUTE),
        "it asked for it"
    );

    table[1].file_size = 6;
    program[64..64 + 3 * 56].copy_from_slice(table.as_bytes());
    disk.add("/bin/x", program);
    assert_eq!(disk.run("/bin/x", &["x"]).err(), Some(Errno::ENOEXEC));
}

#[test]
fn scripts_lead_to_their_interpreters() {
    let _memory = host::start();
    let mut disk = Disk::default();
    disk.add("/bin/x", image(2, 0x40_0123, &plain()));
    disk.add("/s1", b"#!/bin/x -e  one word \n".to_vec());
    disk.add("/s2", b"#! /s1\n".to_vec());
    let prepared = disk.run("/s2", &["name", "a"]).expect("it is a script");
    assert_eq!(
        words_of(&prepared),
        ["/bin/x", "-e  one word", "/s1", "/s2", "a"]
    );
    assert_eq!(string(&prepared.space, auxiliary(&prepared, 31)), "/s2");
    assert_eq!(&prepared.name[..3], b"s2\0");
    disk.add("/lost", b"#!/nowhere\n".to_vec());
    assert_eq!(disk.run("/lost", &["x"]).err(), Some(Errno::ENOENT));
    disk.add("/empty", b"#!  \n".to_vec());
    assert_eq!(disk.run("/empty", &["x"]).err(), Some(Errno::ENOEXEC));
    disk.add("/self", b"#!/self\n".to_vec());
    assert_eq!(disk.run("/self", &["x"]).err(), Some(Errno::ELOOP));
    disk.add("/d0", b"#!/bin/x\n".to_vec());
    for depth in 1..=5 {
        disk.add(
            &format!("/d{depth}"),
            format!("#!/d{}\n", depth - 1).into_bytes(),
        );
    }
    assert!(disk.run("/d4", &["x"]).is_ok(), "five scripts");
    assert_eq!(disk.run("/d5", &["x"]).err(), Some(Errno::ELOOP));
}

#[test]
fn what_is_no_program_is_refused() {
    let _memory = host::start();
    let mut disk = Disk::default();
    let good = image(2, 0x40_0123, &plain());
    for (content, errno) in [
        (Vec::new(), Errno::ENOEXEC),
        (b"echo hello\n".to_vec(), Errno::ENOEXEC),
        (good[..63].to_vec(), Errno::ENOEXEC),
        (good[..100].to_vec(), Errno::ENOEXEC),
        (good[..0x2000].to_vec(), Errno::ENOEXEC),
        (image(2, u64::MAX, &plain()), Errno::EINVAL),
        (
            image(2, 0, &[segment(1, 5, 0x40_0000, 0x1000, 0x800)]),
            Errno::EINVAL,
        ),
    ] {
        disk.add("/bin/x", content);
        assert_eq!(disk.run("/bin/x", &["x"]).err(), Some(errno));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn a_corrupt_program_is_an_error_or_a_program(
        changes in prop::collection::vec((0..200_usize, any::<u8>()), 1..6),
        cut in 0..0x4000_usize,
        dynamic in any::<bool>(),
    ) {
        let _memory = host::start();
        let mut disk = Disk::default();
        let table = [
            segment(1, 5, 0x40_0000, 0x1800, 0x1800),
            segment(1, 6, 0x40_2010, 0x700, 0x3000),
            segment(0x6474_e551, 6, 0, 0, 0),
        ];
        let mut program = image(if dynamic { 3 } else { 2 }, 0x40_0123, &table);
        for (at, byte) in changes {
            program[at] = byte;
        }
        program.truncate(cut);
        disk.add("/bin/x", program);
        if let Ok(prepared) = disk.run("/bin/x", &["x"]) {
            assert_eq!(words_of(&prepared), ["x"]);
        }
    }
}
