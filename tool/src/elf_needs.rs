//! What a program of the host needs beside itself: its interpreter and, transitively, its libraries.
//!
//! The answer comes from the files' own headers, not from running anything:
//! `PT_INTERP` and `DT_NEEDED`, searched for in the dynamic linker's order
//! (`DT_RPATH` of the object and of those that led to it, unless there is a
//! `DT_RUNPATH`; `LD_LIBRARY_PATH`; `DT_RUNPATH`; the folders of
//! `/etc/ld.so.conf`; the default folders). A script needs the interpreter of
//! its first line. Libraries that a program opens by itself at run time
//! (`dlopen`) are in no header and therefore not found.
//!
//! # References
//! ld.so(8), execve(2)

mod elf;
mod search;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    ffi::OsStr,
    fs::File,
    io::Read as _,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

use self::{elf::Object, search::Search};
use crate::{arch::Arch, host};

/// How many interpreters a script may lead through, as in Linux.
const MAX_SCRIPTS: usize = 5;

/// What has to be packed for a program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Every file, under the path by which the guest will look for it: the
    /// program itself, interpreters, libraries. The value is where it is on
    /// the host.
    pub files: BTreeMap<PathBuf, PathBuf>,
    /// Folders with libraries where the guest's dynamic linker would not look
    /// by itself, because on the host they are named by `/etc/ld.so.conf` or
    /// `LD_LIBRARY_PATH`.
    pub library_path: BTreeSet<PathBuf>,
}

/// Finds what `program` needs. The path must be absolute.
///
/// # Errors
/// If the file cannot be read, is neither an ELF file for this machine nor a
/// script, or if something that it needs is not there.
pub fn find(program: &Path) -> Result<Needs> {
    let mut needs = Needs::default();
    add_program(program, &Search::of_host(), &mut needs, MAX_SCRIPTS)
        .with_context(|| format!("packing {}", program.display()))?;
    Ok(needs)
}

/// Whether a file is something that [`find`] understands: an ELF file or a
/// script.
pub fn is_program(path: &Path) -> bool {
    Object::fits(path) || matches!(ScriptLine::read(path), Ok(Some(_)))
}

/// Whether a file is a program that needs no other file.
pub fn is_static(path: &Path) -> bool {
    Object::read(path).is_ok_and(|object| object.interpreter.is_none() && object.needed.is_empty())
}

/// The processor that a file is a program (or library) for; `None` for what is
/// no ELF file, or one for a processor that is none of ours.
pub fn arch_of(path: &Path) -> Option<Arch> {
    let mut start = Vec::new();
    let file = File::open(path).ok()?;
    // The header is shorter.
    file.take(256).read_to_end(&mut start).ok()?;
    elf::arch_of(&start)
}

/// The dynamic linker that a program for any processor wants; `None` for one
/// that needs no other file.
///
/// # Errors
/// If the file cannot be read or contradicts itself.
pub fn dynamic_linker(program: &Path) -> Result<Option<PathBuf>> {
    Ok(Object::read_any(program)?.interpreter)
}

fn add_program(
    program: &Path,
    search: &Search,
    needs: &mut Needs,
    scripts_left: usize,
) -> Result<()> {
    needs.files.insert(program.to_owned(), program.to_owned());
    if let Some(script) = ScriptLine::read(program)? {
        let Some(scripts_left) = scripts_left.checked_sub(1) else {
            bail!("too many interpreters, one for the other");
        };
        for interpreter in script.commands()? {
            add_program(&interpreter, search, needs, scripts_left)?;
        }
        return Ok(());
    }
    let object = Object::read(program)?;
    if let Some(interpreter) = &object.interpreter {
        if !interpreter.exists() {
            bail!("its interpreter {} is not there", interpreter.display());
        }
        needs.files.insert(interpreter.clone(), interpreter.clone());
    }
    add_libraries(program, object, search, needs)
}

/// Breadth first, as the dynamic linker loads them: the first library of a
/// name serves all who need that name.
fn add_libraries(program: &Path, object: Object, search: &Search, needs: &mut Needs) -> Result<()> {
    let mut loaded: BTreeSet<PathBuf> = object
        .interpreter
        .iter()
        .filter_map(|path| path.file_name())
        .map(PathBuf::from)
        .collect();
    let mut queue = VecDeque::from([(program.to_owned(), object, Vec::new())]);
    while let Some((path, object, inherited)) = queue.pop_front() {
        let rules = search.rules(&path, &object, &inherited);
        for name in &object.needed {
            if !loaded.insert(PathBuf::from(name)) {
                continue;
            }
            let Some(found) = search.find(name, &rules) else {
                bail!(
                    "{} needs {}, which is not on this host",
                    path.display(),
                    name.display()
                );
            };
            if found.needs_library_path
                && let Some(dir) = found.path.parent()
            {
                needs.library_path.insert(dir.to_owned());
            }
            let library = Object::read(&found.path)?;
            needs.files.insert(found.path.clone(), found.path.clone());
            queue.push_back((found.path, library, rules.for_its_libraries.clone()));
        }
    }
    Ok(())
}

/// The first line of a script, after `#!`.
#[derive(Debug, PartialEq, Eq)]
struct ScriptLine {
    interpreter: PathBuf,
    argument: Option<Vec<u8>>,
}

impl ScriptLine {
    fn read(path: &Path) -> Result<Option<Self>> {
        let mut start = Vec::new();
        File::open(path)
            .and_then(|file| file.take(256).read_to_end(&mut start))
            .with_context(|| format!("reading {}", path.display()))?;
        Ok(Self::parse(&start))
    }

    fn parse(start: &[u8]) -> Option<Self> {
        let line = start.strip_prefix(b"#!")?;
        let line = line.split(|&b| b == b'\n').next()?.trim_ascii();
        let mut parts = line.splitn(2, |b| b.is_ascii_whitespace());
        let interpreter = parts.next().filter(|name| !name.is_empty())?;
        Some(Self {
            interpreter: PathBuf::from(OsStr::from_bytes(interpreter)),
            argument: parts.next().map(|rest| rest.trim_ascii().to_vec()),
        })
    }

    /// The interpreter, and what `env` would run if it is `env`.
    fn commands(&self) -> Result<Vec<PathBuf>> {
        let mut commands = vec![self.interpreter.clone()];
        if self.interpreter.file_name() == Some(OsStr::new("env"))
            && let Some(argument) = &self.argument
        {
            let name = argument
                .split(|b| b.is_ascii_whitespace())
                .find(|word| !word.is_empty() && word[0] != b'-' && !word.contains(&b'='));
            if let Some(name) = name.map(OsStr::from_bytes) {
                let found = host::find_command(name)
                    .with_context(|| format!("{} is not in PATH", name.display()))?;
                commands.push(found);
            }
        }
        Ok(commands)
    }
}

#[cfg(test)]
mod tests;
