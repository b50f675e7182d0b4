//! Where a library is looked for, in the order of ld.so(8).

use std::{
    env,
    ffi::{OsStr, OsString},
    fs,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use super::elf::Object;

/// The folders that a dynamic linker knows by itself: those of Debian's first,
/// then those of the distributions with `lib64`.
pub(super) const DEFAULT_FOLDERS: [&str; 6] = [
    "/lib/x86_64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu",
    "/lib64",
    "/usr/lib64",
    "/lib",
    "/usr/lib",
];

/// How deep `include` lines may nest; a configuration that includes itself
/// must not hang us.
const MAX_INCLUDES: usize = 8;

/// The folders that are the same for every object.
#[derive(Clone, Debug, Default)]
pub(super) struct Search {
    /// From `LD_LIBRARY_PATH`.
    environment: Vec<PathBuf>,
    /// From `/etc/ld.so.conf`.
    configured: Vec<PathBuf>,
}

/// The folders that depend on the object that needs the library.
#[derive(Clone, Debug, Default)]
pub(super) struct Rules {
    before_environment: Vec<PathBuf>,
    after_environment: Vec<PathBuf>,
    /// The `DT_RPATH` folders that count for the libraries of this object's
    /// libraries too.
    pub(super) for_its_libraries: Vec<PathBuf>,
}

/// A library found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) path: PathBuf,
    /// Whether a dynamic linker without the host's configuration needs
    /// `LD_LIBRARY_PATH` to find it.
    pub(super) needs_library_path: bool,
}

impl Search {
    /// What this host's dynamic linker would use.
    pub(super) fn of_host() -> Self {
        let environment = env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
        let mut configured = Vec::new();
        read_configuration(Path::new("/etc/ld.so.conf"), &mut configured, MAX_INCLUDES);
        Self {
            environment: environment
                .as_bytes()
                .split(|&b| b == b':' || b == b';')
                .filter(|dir| !dir.is_empty())
                .map(|dir| PathBuf::from(OsStr::from_bytes(dir)))
                .collect(),
            configured,
        }
    }

    /// The folders for what `object` (at `path`) needs, given the `DT_RPATH`
    /// folders of those that led to it.
    pub(super) fn rules(&self, path: &Path, object: &Object, inherited: &[PathBuf]) -> Rules {
        let origin = path
            .canonicalize()
            .ok()
            .and_then(|path| Some(path.parent()?.to_owned()))
            .unwrap_or_default();
        let folders = |list: &Option<OsString>| expand(list.as_deref(), &origin);
        let mut rpath = folders(&object.rpath);
        rpath.extend_from_slice(inherited);
        if object.runpath.is_some() {
            Rules {
                before_environment: Vec::new(),
                after_environment: folders(&object.runpath),
                for_its_libraries: inherited.to_vec(),
            }
        } else {
            Rules {
                before_environment: rpath.clone(),
                after_environment: Vec::new(),
                for_its_libraries: rpath,
            }
        }
    }

    /// Finds one library. A name with a slash is a path.
    pub(super) fn find(&self, name: &OsStr, rules: &Rules) -> Option<Found> {
        if name.as_bytes().contains(&b'/') {
            return Object::fits(Path::new(name)).then(|| Found {
                path: PathBuf::from(name),
                needs_library_path: false,
            });
        }
        let defaults: Vec<PathBuf> = DEFAULT_FOLDERS.iter().map(PathBuf::from).collect();
        let sources = [
            (&rules.before_environment, false),
            (&self.environment, true),
            (&rules.after_environment, false),
            (&self.configured, true),
            (&defaults, false),
        ];
        sources.into_iter().find_map(|(folders, by_configuration)| {
            folders.iter().find_map(|dir| {
                let path = dir.join(name);
                Object::fits(&path).then(|| Found {
                    needs_library_path: by_configuration && !defaults.contains(dir),
                    path,
                })
            })
        })
    }
}

/// Splits a `DT_RPATH` or `DT_RUNPATH` and puts the object's folder in for
/// `$ORIGIN`, the default folder's name for `$LIB`.
fn expand(list: Option<&OsStr>, origin: &Path) -> Vec<PathBuf> {
    let text = list.unwrap_or_default().to_string_lossy();
    text.split(':')
        .filter(|dir| !dir.is_empty())
        .map(|dir| {
            let origin = origin.to_string_lossy();
            let dir = dir
                .replace("${ORIGIN}", &origin)
                .replace("$ORIGIN", &origin);
            let dir = dir.replace("${LIB}", "lib/x86_64-linux-gnu");
            let dir = dir.replace("$LIB", "lib/x86_64-linux-gnu");
            PathBuf::from(
                dir.replace("${PLATFORM}", "x86_64")
                    .replace("$PLATFORM", "x86_64"),
            )
        })
        .collect()
}

fn read_configuration(path: &Path, folders: &mut Vec<PathBuf>, includes_left: usize) {
    let (Some(includes_left), Ok(text)) = (includes_left.checked_sub(1), fs::read_to_string(path))
    else {
        return;
    };
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if let Some(pattern) = line.strip_prefix("include ") {
            for file in included(pattern.trim(), path) {
                read_configuration(&file, folders, includes_left);
            }
        } else if line.starts_with('/') {
            folders.push(PathBuf::from(line));
        }
    }
}

/// The files that an `include` line names. Only a pattern in the last
/// component is understood (`/etc/ld.so.conf.d/*.conf`), which is all that
/// distributions use.
fn included(pattern: &str, from: &Path) -> Vec<PathBuf> {
    let pattern = from.parent().unwrap_or(Path::new("/")).join(pattern);
    let (Some(dir), Some(name)) = (pattern.parent(), pattern.file_name()) else {
        return Vec::new();
    };
    let name = name.to_string_lossy();
    let Some((before, after)) = name.split_once('*') else {
        return vec![pattern.clone()];
    };
    let mut files: Vec<_> = fs::read_dir(dir)
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| {
            path.file_name().is_some_and(|name| {
                let name = name.to_string_lossy();
                name.starts_with(before) && name.ends_with(after)
            })
        })
        .collect();
    files.sort();
    files
}

#[cfg(test)]
mod tests {
    use std::{ffi::OsStr, fs, path::Path};

    use super::{MAX_INCLUDES, expand, read_configuration};

    #[test]
    fn origin_is_the_objects_folder() {
        let folders = expand(
            Some(OsStr::new("$ORIGIN/../lib:${ORIGIN}::/opt/$LIB")),
            Path::new("/a/bin"),
        );
        let folders: Vec<_> = folders.iter().map(|dir| dir.to_str().unwrap()).collect();
        assert_eq!(
            folders,
            ["/a/bin/../lib", "/a/bin", "/opt/lib/x86_64-linux-gnu"]
        );
    }

    #[test]
    fn configuration_is_read_with_includes_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let main = dir.path().join("ld.so.conf");
        fs::create_dir(dir.path().join("d")).unwrap();
        fs::write(
            &main,
            "# head\n/first\ninclude d/*.conf\ninclude ld.so.conf\n/last # x\n",
        )
        .unwrap();
        fs::write(dir.path().join("d/b.conf"), "/b\n").unwrap();
        fs::write(dir.path().join("d/a.conf"), "/a\n").unwrap();
        fs::write(dir.path().join("d/c.txt"), "/c\n").unwrap();
        let mut folders = Vec::new();
        read_configuration(&main, &mut folders, MAX_INCLUDES);
        let folders: Vec<_> = folders.iter().map(|dir| dir.to_str().unwrap()).collect();
        assert_eq!(folders[..3], ["/first", "/a", "/b"]);
        assert_eq!(folders.last(), Some(&"/last"));
    }
}
