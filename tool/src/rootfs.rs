//! Root file systems for guests: a small skeleton, with a shell, a program or a folder in it.
//!
//! The skeleton has one `/usr` with `/bin`, `/sbin`, `/lib` and `/lib64` as
//! links into it, as distributions do today; the kernel mounts `/dev` and
//! `/proc` itself.

use std::{
    ffi::OsString,
    os::unix::ffi::OsStringExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{elf_needs, tree::Tree};

/// `PATH` in a guest.
pub const GUEST_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The host name of a guest.
pub const HOSTNAME: &str = "ochre";

const PROFILE: &str = r#"# Read by login shells.
export PS1='\w \$ '
export HOME=${HOME:-/root}
alias ll='ls -l'

# Asks the terminal how large it is, after its window changed: the cursor goes
# as far as it can and says where it is.
resize() {
    local modes rows columns rest
    modes=$(stty -g) && stty raw -echo min 0 time 20 || return
    printf '\0337\033[r\033[999;999H\033[6n\0338'
    IFS='[;' read -r -d R rest rows columns
    stty "$modes"
    [ -n "$columns" ] && stty rows "$rows" columns "$columns"
}
"#;

/// What busybox's `init` does for a machine with a screen: a shell on each
/// terminal but the first, once somebody presses Enter there.
const INITTAB: &str = "\
# Read by busybox's init (/etc/profile starts one, as linuxrc).
tty2::askfirst:-/bin/sh
tty3::askfirst:-/bin/sh
tty4::askfirst:-/bin/sh
tty5::askfirst:-/bin/sh
tty6::askfirst:-/bin/sh
";

/// Has shells on the other terminals, where this is the first process's.
const PROFILE_OF_SHELL: &str = r#"
# The first process has the machine: it ends with it. On a screen the other
# terminals' shells are looked after by an init beside it.
if [ $$ = 1 ] && [ -c /dev/tty2 ]; then
    start-stop-daemon -S -b -n linuxrc -a /linuxrc
fi

# Whom init starts has the root for a home.
if [ "$HOME" = / ]; then
    export HOME=/root
    cd
fi
"#;

/// A root with the usual folders and the few files that programs expect in
/// `/etc`.
///
/// # Errors
/// Never, as long as the paths in here do not contradict each other.
pub fn skeleton() -> Result<Tree> {
    let mut tree = Tree::new();
    for dir in [
        "/usr/bin",
        "/usr/sbin",
        "/usr/lib",
        "/usr/lib64",
        "/usr/local/bin",
        "/usr/share",
        "/etc",
        "/dev",
        "/proc",
        "/sys",
        "/run",
        "/mnt",
        "/home",
        "/opt",
        "/srv",
        "/var/log",
        "/var/cache",
        "/var/lib",
    ] {
        tree.directory(dir, 0o755)?;
    }
    for dir in ["bin", "sbin", "lib", "lib64"] {
        tree.symlink(format!("/{dir}"), format!("usr/{dir}"))?;
    }
    tree.directory("/root", 0o700)?;
    tree.directory("/tmp", 0o1777)?;
    tree.directory("/var/tmp", 0o1777)?;
    tree.symlink("/var/run", "../run")?;
    let users = "root:x:0:0:root:/root:/bin/sh\n\
                 daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n\
                 nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n\
                 user:x:1000:1000:user:/home/user:/bin/sh\n";
    let groups = "root:x:0:\ndaemon:x:1:\ntty:x:5:\nusers:x:100:\nuser:x:1000:\nnogroup:x:65534:\n";
    for (name, text) in [
        ("passwd", users),
        ("group", groups),
        ("profile", PROFILE),
        ("hostname", "ochre\n"),
        ("hosts", "127.0.0.1\tlocalhost\n"),
        ("shells", "/bin/sh\n"),
        (
            "nsswitch.conf",
            "passwd: files\ngroup: files\nhosts: files\n",
        ),
        (
            "os-release",
            "NAME=Ochre\nID=ochre\nPRETTY_NAME=\"Ochre\"\n",
        ),
    ] {
        tree.file(format!("/etc/{name}"), 0o644, text)?;
    }
    Ok(tree)
}

/// A root whose every command is busybox.
///
/// # Errors
/// If busybox cannot be read or run.
pub fn shell(busybox: &Path) -> Result<Tree> {
    let mut tree = shell_skeleton()?;
    add_busybox(&mut tree, busybox)?;
    Ok(tree)
}

/// What a root has that is a shell's.
fn shell_skeleton() -> Result<Tree> {
    let mut tree = skeleton()?;
    let profile = format!("{PROFILE}{PROFILE_OF_SHELL}");
    tree.file("/etc/profile", 0o644, profile)?;
    tree.file("/etc/inittab", 0o644, INITTAB)?;
    Ok(tree)
}

/// The same with a busybox that cannot run here: `like` says which commands
/// it has.
///
/// # Errors
/// If one of the two cannot be read, or the second not be run.
pub fn foreign_shell(busybox: &Path, like: &Path) -> Result<Tree> {
    let mut tree = shell_skeleton()?;
    tree.host_file("/bin/busybox", busybox)?;
    add_links(&mut tree, like)?;
    Ok(tree)
}

/// Adds busybox and a link for each of its commands that the tree does not
/// have yet.
///
/// # Errors
/// If busybox cannot be read or run.
pub fn add_busybox(tree: &mut Tree, busybox: &Path) -> Result<()> {
    tree.host_file("/bin/busybox", busybox)?;
    add_links(tree, busybox)
}

fn add_links(tree: &mut Tree, busybox: &Path) -> Result<()> {
    for applet in applets(busybox)? {
        let path = Path::new("/").join(applet);
        if !tree.exists(&path) {
            tree.symlink(&path, "/bin/busybox")?;
        }
    }
    Ok(())
}

fn applets(busybox: &Path) -> Result<Vec<PathBuf>> {
    let output = Command::new(busybox)
        .arg("--list-full")
        .output()
        .with_context(|| format!("running {}", busybox.display()))?;
    ensure!(output.status.success(), "busybox --list-full failed");
    let list: Vec<PathBuf> = output
        .stdout
        .split(|&b| b == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| PathBuf::from(OsString::from_vec(line.to_vec())))
        .collect();
    ensure!(!list.is_empty(), "busybox --list-full named no command");
    Ok(list)
}

/// A program of the host with all it needs, packed.
#[derive(Clone, Debug)]
pub struct Program {
    /// The root with the program in it.
    pub tree: Tree,
    /// Environment variables that the program needs to find its libraries.
    pub environment: Vec<(String, OsString)>,
}

/// A root with a program of the host, under the path that it has on the host.
/// If nothing else brings a `/bin/sh`, busybox is there as one.
///
/// # Errors
/// If something that it needs is missing.
pub fn program(path: &Path, busybox: &Path) -> Result<Program> {
    let mut program = Program {
        tree: skeleton()?,
        environment: Vec::new(),
    };
    program.add(path, path)?;
    add_busybox(&mut program.tree, busybox)?;
    Ok(program)
}

/// A program for AArch64 in the shell's root (see [`foreign_shell`]), under the
/// path that it has on the host. A dynamic linker is not looked for: the
/// host's is for another processor.
///
/// # Errors
/// If it cannot be read.
pub fn foreign_program(path: &Path, shell: Tree) -> Result<Program> {
    let mut program = Program {
        tree: shell,
        environment: Vec::new(),
    };
    program.tree.host_file(path, path)?;
    Ok(program)
}

impl Program {
    /// Adds a file or folder of the host at a path of the guest; with it what
    /// it needs, if it is a program or library.
    ///
    /// # Errors
    /// If it cannot be read, or if a program needs what is not there.
    pub fn add(&mut self, guest_path: &Path, host_path: &Path) -> Result<()> {
        if host_path.is_dir() {
            return self.tree.host_directory(guest_path, host_path);
        }
        self.tree.host_file(guest_path, host_path)?;
        if !elf_needs::is_program(host_path) {
            return Ok(());
        }
        let needs = elf_needs::find(host_path)?;
        for (path, source) in &needs.files {
            if path != host_path {
                self.tree.host_file(path, source)?;
            }
        }
        if !needs.library_path.is_empty() {
            let mut dirs: Vec<PathBuf> = self
                .environment
                .iter()
                .flat_map(|(_, old)| std::env::split_paths(old).collect::<Vec<_>>())
                .collect();
            dirs.extend(needs.library_path);
            dirs.dedup();
            let joined = std::env::join_paths(dirs).context("a library folder with a colon")?;
            self.environment = vec![("LD_LIBRARY_PATH".to_owned(), joined)];
        }
        Ok(())
    }
}

/// A folder of the host as the whole root. The mount points of the kernel are
/// added if they are not there.
///
/// # Errors
/// If it cannot be read.
pub fn folder(dir: &Path) -> Result<Tree> {
    ensure!(dir.is_dir(), "{} is not a folder", dir.display());
    let mut tree = Tree::new();
    tree.host_directory("/", dir)?;
    for (name, mode) in [
        ("dev", 0o755),
        ("proc", 0o755),
        ("sys", 0o755),
        ("tmp", 0o1777),
    ] {
        if !tree.exists(name) {
            tree.directory(name, mode)?;
        }
    }
    Ok(tree)
}

/// The path of a command inside a tree: as it is if it has a slash, else
/// searched in the guest's `PATH`.
///
/// # Errors
/// If it is not there.
pub fn find_in(tree: &Tree, command: &Path) -> Result<PathBuf> {
    let candidates: Vec<PathBuf> = if command.components().count() > 1 {
        vec![Path::new("/").join(command)]
    } else {
        GUEST_PATH
            .split(':')
            .map(|dir| Path::new(dir).join(command))
            .collect()
    };
    match candidates.into_iter().find(|path| tree.exists(path)) {
        Some(path) => Ok(path),
        None => bail!("{} is not in the guest's root", command.display()),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::{find_in, folder, program, skeleton};
    use crate::{host, tree::Node};

    #[test]
    fn skeleton_has_the_usual_folders() {
        let tree = skeleton().unwrap();
        assert_eq!(tree.get("/tmp").unwrap().mode, 0o1777);
        assert!(matches!(tree.get("/bin").unwrap().node, Node::Symlink(_)));
        for path in ["/etc/passwd", "/dev", "/proc", "/root", "/var/run"] {
            assert!(tree.exists(path), "{path}");
        }
    }

    #[test]
    fn commands_are_found_inside_a_folder() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("usr/bin")).unwrap();
        fs::write(dir.path().join("usr/bin/x"), "").unwrap();
        let tree = folder(dir.path()).unwrap();
        assert_eq!(
            find_in(&tree, Path::new("x")).unwrap(),
            Path::new("/usr/bin/x")
        );
        assert_eq!(
            find_in(&tree, Path::new("/usr/bin/x")).unwrap(),
            Path::new("/usr/bin/x")
        );
        assert!(find_in(&tree, Path::new("y")).is_err());
        assert!(tree.exists("/proc"));
    }

    /// Any program that understands `--list-full` will do as busybox here: a
    /// script is enough.
    #[test]
    fn a_packed_program_comes_with_its_libraries_and_a_shell() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let busybox = dir.path().join("busybox");
        fs::write(
            &busybox,
            "#!/bin/sh\necho bin/sh\necho bin/ls\necho sbin/init\n",
        )
        .unwrap();
        fs::set_permissions(&busybox, fs::Permissions::from_mode(0o755)).unwrap();
        let ls = host::find_command("ls").unwrap();
        let packed = program(&ls, &busybox).unwrap();
        for path in [
            &*ls,
            Path::new("/bin/sh"),
            Path::new("/lib64/ld-linux-x86-64.so.2"),
        ] {
            assert!(packed.tree.exists(path), "{}", path.display());
        }
        let is_file = |path| matches!(packed.tree.get(path).unwrap().node, Node::File(_));
        assert!(is_file("/usr/bin/ls"), "the host's ls, not busybox's");
        assert!(!is_file("/usr/bin/sh"));
    }
}
