//! Limits and oddities of path names.

use std::ffi::CString;

use crate::call;
use crate::report::{check, check_child};
use crate::sys::Ret;

fn path(text: String) -> CString {
    CString::new(text).expect("no NUL in a case")
}

fn create(text: String) -> Ret {
    let fd = call!(SYS_creat, path(text).as_c_str(), 0o644);
    if let Ok(fd) = fd {
        let _ = call!(SYS_close, fd);
    }
    fd.map(|_| 0)
}

fn exists(text: String) -> Ret {
    call!(SYS_access, path(text).as_c_str(), libc::F_OK)
}

/// The cases.
pub(crate) fn run() {
    check("255 bytes", create("n".repeat(255)));
    check("256 bytes", create("n".repeat(256)));
    check(
        "256 bytes in the middle",
        exists(format!("{}/x", "n".repeat(256))),
    );
    check(
        "missing, then 256 bytes",
        exists(format!("nope/{}", "n".repeat(256))),
    );
    check("4,095 bytes of dots", exists("./".repeat(2047) + "."));
    check("4,096 bytes of dots", exists("./".repeat(2048)));
    check("4,095 slashes", exists("/".repeat(4095)));
    check("4,096 slashes", exists("/".repeat(4096)));
    for name in [
        "with space",
        "new\nline",
        "\u{fc}ml\u{e4}ut",
        "-dash",
        "...",
        ".hidden",
        "tab\t",
        "\u{1}",
    ] {
        check("odd name", create(name.to_owned()));
        check("is there", exists(name.to_owned()));
    }
    let bytes = CString::new(vec![0xff, 0xfe, b'x']).expect("no NUL");
    check(
        "not UTF-8",
        call!(SYS_creat, bytes.as_c_str(), 0o644).is_ok(),
    );
    let entries = super::directories::list(c".", 4096);
    check("names that came back", entries.len());
    check("slashes do not matter", exists(".//..hidden".to_owned()));
    check("slashes do not matter", exists(".///.hidden".to_owned()));
    check("case matters", exists(".Hidden".to_owned()));
    check("name at the end of memory", {
        let page = super::memory::fresh(2);
        let _ = call!(SYS_munmap, page + 4096, 4096);
        crate::sys::poke(page + 4094, b'/');
        call!(SYS_access, page + 4094, libc::F_OK)
    });
    check("name over the end of memory", {
        let page = super::memory::fresh(2);
        let _ = call!(SYS_munmap, page + 4096, 4096);
        crate::sys::poke(page + 4095, b'/');
        call!(SYS_access, page + 4095, libc::F_OK)
    });
    check_child("deeper than a path can say", || {
        let name = c"deep-folder-with-a-name-of-fifty-bytes-or-so-xxxxxx";
        let mut depth = 0;
        for _ in 0..100 {
            if call!(SYS_mkdir, name, 0o755).is_err() || call!(SYS_chdir, name).is_err() {
                break;
            }
            depth += 1;
        }
        check("depth", depth);
        let mut path = [0_u8; 4096];
        check("getcwd", call!(SYS_getcwd, &mut path, 4096));
        check("create there", create("f".to_owned()));
        let _ = call!(SYS_unlink, c"f");
        for _ in 0..depth {
            let _ = call!(SYS_chdir, c"..");
            let _ = call!(SYS_rmdir, name);
        }
        0
    });
}
