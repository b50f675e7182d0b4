//! A record as the line that a person reads.
//!
//! `openat(AT_FDCWD, "/etc/passwd", O_RDONLY|O_CLOEXEC) = 3 <0.000042>`: as
//! strace(1) writes it, so that what people know and have tools for holds.

use core::fmt::Write as _;

use ochre_abi::{Errno, signal::Signal};

use super::{
    names::{self, Form, Name},
    record::{Call, Piece, Seen},
    table::{self, Row},
};
use crate::arch::Arch;

/// Calls whose result is an address.
const GIVES_ADDRESS: &[&str] = &["mmap", "mremap", "brk", "shmat"];

/// Results that no program sees: the call is made again, or fails with EINTR.
const RESTARTS: &[(i64, &str)] = &[
    (-512, "ERESTARTSYS"),
    (-513, "ERESTARTNOINTR"),
    (-514, "ERESTARTNOHAND"),
    (-516, "ERESTART_RESTARTBLOCK"),
];

/// Calls that have no result: they leave the program's registers otherwise.
const WITHOUT_RESULT: &[&str] = &["exit", "exit_group", "rt_sigreturn"];

/// The name of a call.
pub(super) fn name(arch: Arch, number: u64) -> String {
    table::row(arch, number).map_or_else(|| format!("syscall_{number}"), |row| row.name.to_owned())
}

/// The line of a call, without its thread.
pub(super) fn call(arch: Arch, call: &Call) -> String {
    let mut line = match table::row(arch, call.number) {
        Some(row) => {
            let arguments: Vec<String> = row
                .arguments
                .iter()
                .enumerate()
                .map(|(index, _)| argument(arch, row, index, call))
                .collect();
            format!("{}({})", row.name, arguments.join(", "))
        }
        None => {
            let arguments: Vec<String> = call.arguments.iter().map(|a| number(*a)).collect();
            format!("syscall_{}({})", call.number, arguments.join(", "))
        }
    };
    line.push_str(" = ");
    line.push_str(&result(arch, call));
    let spent_ns = call.end_ns.saturating_sub(call.begin_ns);
    let _ = write!(
        line,
        " <{}.{:06}>",
        spent_ns / 1_000_000_000,
        spent_ns / 1000 % 1_000_000
    );
    line
}

/// What is told of a signal that a thread takes.
pub(super) fn signal(number: u32) -> String {
    format!("--- {} ---", signal_name(u64::from(number)))
}

/// What is told of the end of a process.
pub(super) fn end(status: u32) -> String {
    match status & 0x7f {
        0 => format!("+++ exited with {} +++", status >> 8 & 0xff),
        signal => format!("+++ killed by {} +++", signal_name(u64::from(signal))),
    }
}

fn result(arch: Arch, call: &Call) -> String {
    let name = name(arch, call.number);
    let Some(result) = call
        .result
        .filter(|_| !WITHOUT_RESULT.contains(&name.as_str()))
    else {
        return "?".to_owned();
    };
    let error = u16::try_from(result.unsigned_abs())
        .ok()
        .filter(|_| result < 0)
        .and_then(Errno::named);
    match error {
        Some(error) => format!("-1 {error:?} ({error})"),
        None if RESTARTS.iter().any(|(number, _)| *number == result) => {
            let name = RESTARTS.iter().find(|(number, _)| *number == result);
            format!("? {} (a signal came)", name.map_or("", |(_, name)| name))
        }
        None if GIVES_ADDRESS.contains(&name.as_str()) => {
            format!("{:#x}", result.cast_unsigned())
        }
        None => result.to_string(),
    }
}

fn argument(arch: Arch, row: &Row, index: usize, call: &Call) -> String {
    let (Some((name, kind)), Some(value)) = (row.arguments.get(index), call.arguments.get(index))
    else {
        return "?".to_owned();
    };
    let kind = kind.replace(' ', "");
    let kind = kind.rsplit("::").next().unwrap_or(&kind);
    match call.seen.get(index) {
        Some(Seen::Bytes(piece)) => return pointee(arch, name, kind, piece),
        Some(Seen::List(pieces)) => {
            let texts: Vec<String> = pieces.iter().map(text).collect();
            return format!("[{}]", texts.join(", "));
        }
        Some(Seen::Nothing) | None => {}
    }
    // Registers hold more than what the call looks at.
    let value = match kind {
        "i32" | "u32" | "Fd" => *value & 0xffff_ffff,
        _ => *value,
    };
    match names::form(arch, row.name, name) {
        Some(Form::Bits(table)) => bits(value, table),
        Some(Form::Choice(mask, kinds, table)) => {
            let kind = one_of(value & mask, kinds);
            match value & !mask {
                0 => kind,
                rest => format!("{kind}|{}", bits(rest, table)),
            }
        }
        Some(Form::OneOf(table)) => one_of(value, table),
        Some(Form::Signal) => signal_name(value),
        Some(Form::Mode) => mode(value),
        Some(Form::Hex) => address(value),
        None => plain(kind, value),
    }
}

/// A value of which nothing is known but its type.
fn plain(kind: &str, value: u64) -> String {
    let low = u32::try_from(value & 0xffff_ffff).unwrap_or_default();
    match kind {
        "Fd" if low.cast_signed() == ochre_abi::fcntl::AT_FDCWD => "AT_FDCWD".to_owned(),
        "Fd" | "i32" => low.cast_signed().to_string(),
        "u32" => low.to_string(),
        "i64" => value.cast_signed().to_string(),
        "u64" => number(value),
        "usize" => value.to_string(),
        _ => address(value),
    }
}

/// What a pointer of this type led to.
fn pointee(arch: Arch, name: &str, kind: &str, piece: &Piece) -> String {
    let ints = || chunks(&piece.bytes, i32::from_le_bytes);
    let longs = chunks(&piece.bytes, i64::from_le_bytes);
    let target = kind.trim_start_matches("Ptr<").trim_end_matches('>');
    match (target, longs.as_slice()) {
        // Of what a call takes or gives by an address and a length.
        ("u8", _) => text(piece),
        ("u64", _) if kind == "u64" => text(piece),
        ("u64", [set, ..]) if matches!(name, "new" | "old" | "set") => signals(*set),
        ("u64", [value, ..]) => format!("[{}]", number(value.cast_unsigned())),
        ("i64", [value, ..]) => list(&[*value]),
        ("i32" | "u32" | "[i32;2]", _) => list(&ints()),
        ("TimeSpec", [seconds, ns, ..]) => format!("{{tv_sec={seconds}, tv_nsec={ns}}}"),
        ("TimeVal", [seconds, us, ..]) => format!("{{tv_sec={seconds}, tv_usec={us}}}"),
        ("RLimit", [soft, hard, ..]) => {
            format!("{{rlim_cur={}, rlim_max={}}}", limit(*soft), limit(*hard))
        }
        ("SigAction", [handler, flags, _, mask, ..]) => format!(
            "{{sa_handler={}, sa_mask={}, sa_flags={flags:#x}}}",
            match handler {
                0 => "SIG_DFL".to_owned(),
                1 => "SIG_IGN".to_owned(),
                handler => format!("{handler:#x}"),
            },
            signals(*mask),
        ),
        ("Stat", [.., size, _]) => {
            let word = match arch {
                Arch::X86_64 => 6,
                Arch::Aarch64 => 4,
            };
            let mode = ints().get(word).map_or(0, |mode| *mode);
            file(mode.cast_unsigned(), *size)
        }
        ("Statx", [_, _, _, mode, _, size, ..]) => {
            file(u32::try_from(mode >> 32 & 0xffff).unwrap_or(0), *size)
        }
        ("UtsName", _) => {
            let name = piece.bytes.split(|byte| *byte == 0).next();
            let name = String::from_utf8_lossy(name.unwrap_or_default()).into_owned();
            format!("{{sysname=\"{name}\", ...}}")
        }
        _ => "{...}".to_owned(),
    }
}

fn file(mode: u32, size: i64) -> String {
    format!(
        "{{st_mode={}, st_size={size}, ...}}",
        self::mode(u64::from(mode))
    )
}

/// Bytes as values of `N` bytes each.
fn chunks<const N: usize, T>(bytes: &[u8], value: fn([u8; N]) -> T) -> Vec<T> {
    let (chunks, _) = bytes.as_chunks::<N>();
    chunks.iter().map(|chunk| value(*chunk)).collect()
}

fn list<T: ToString>(values: &[T]) -> String {
    let values: Vec<String> = values.iter().map(T::to_string).collect();
    format!("[{}]", values.join(", "))
}

fn limit(value: i64) -> String {
    match value {
        -1 => "RLIM_INFINITY".to_owned(),
        value => value.to_string(),
    }
}

/// A set of signals, without the prefix that all share.
fn signals(set: i64) -> String {
    let set = set.cast_unsigned();
    let names = |set: u64| -> Vec<String> {
        let all = (1..=Signal::MAX).filter(|number| set >> (number - 1) & 1 != 0);
        all.map(|number| {
            let name = signal_name(u64::from(number));
            name.strip_prefix("SIG").map_or(name.clone(), str::to_owned)
        })
        .collect()
    };
    // Most of a full set is better told by what is missing.
    if set.count_ones() > 32 {
        return format!("~[{}]", names(!set).join(" "));
    }
    format!("[{}]", names(set).join(" "))
}

fn signal_name(number: u64) -> String {
    u32::try_from(number)
        .ok()
        .and_then(Signal::new)
        .map_or_else(|| number.to_string(), |signal| format!("{signal:?}"))
}

/// Bytes between quotes, with C's escapes.
fn text(piece: &Piece) -> String {
    let mut text = String::from("\"");
    for byte in &piece.bytes {
        match byte {
            b'\n' => text.push_str("\\n"),
            b'\t' => text.push_str("\\t"),
            b'\r' => text.push_str("\\r"),
            b'"' => text.push_str("\\\""),
            b'\\' => text.push_str("\\\\"),
            0x20..=0x7e => text.push(char::from(*byte)),
            other => {
                let _ = write!(text, "\\x{other:02x}");
            }
        }
    }
    text.push('"');
    if piece.is_cut {
        text.push_str("...");
    }
    text
}

fn bits(value: u64, table: &[Name]) -> String {
    if value == 0 {
        let nothing = table.iter().find(|(bit, _)| *bit == 0);
        return nothing.map_or_else(|| "0".to_owned(), |(_, name)| (*name).to_owned());
    }
    let mut left = value;
    let mut words = Vec::new();
    for (bit, name) in table {
        if *bit != 0 && left & bit == *bit {
            words.push((*name).to_owned());
            left &= !bit;
        }
    }
    if left != 0 {
        words.push(format!("{left:#x}"));
    }
    words.join("|")
}

fn one_of(value: u64, table: &[Name]) -> String {
    table
        .iter()
        .find(|(number, _)| *number == value)
        .map_or_else(|| number(value), |(_, name)| (*name).to_owned())
}

fn mode(value: u64) -> String {
    let kind = match value >> 12 & 0xf {
        0o01 => "S_IFIFO|",
        0o02 => "S_IFCHR|",
        0o04 => "S_IFDIR|",
        0o06 => "S_IFBLK|",
        0o10 => "S_IFREG|",
        0o14 => "S_IFSOCK|",
        _ => "",
    };
    match value & 0o7777 {
        0 => format!("{kind}0"),
        bits => format!("{kind}0{bits:o}"),
    }
}

fn address(value: u64) -> String {
    match value {
        0 => "NULL".to_owned(),
        value => format!("{value:#x}"),
    }
}

/// Small numbers are counts, large ones addresses or bits.
fn number(value: u64) -> String {
    match value {
        0..0x1_0000 => value.to_string(),
        value => format!("{value:#x}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{call, end, signal};
    use crate::{arch::Arch, trace::record::Record};

    fn shown_on(arch: Arch, line: &str) -> String {
        match Record::parse(line) {
            Some(Record::Call(record)) => call(arch, &record),
            other => panic!("not a call: {other:?}"),
        }
    }

    fn shown(line: &str) -> String {
        shown_on(Arch::X86_64, line)
    }

    #[test]
    fn paths_flags_and_errors_are_words() {
        assert_eq!(
            shown("trace call 7 1000 43000 257 ffffff9c 4000 80000 0 0 0 -2 1=2f6122"),
            "openat(AT_FDCWD, \"/a\\\"\", O_RDONLY|O_CLOEXEC, 0) = \
             -1 ENOENT (No such file or directory) <0.000042>"
        );
        assert_eq!(
            shown("trace call 1 0 0 257 ffffff9c 4000 241 1a4 0 0 3 1=78"),
            "openat(AT_FDCWD, \"x\", O_WRONLY|O_CREAT|O_TRUNC, 0644) = 3 <0.000000>"
        );
        assert_eq!(
            shown("trace call 1 0 0 9 0 1000 3 22 ffffffff 0 139637976731648"),
            "mmap(NULL, 4096, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = \
             0x7f0000001000 <0.000000>"
        );
    }

    #[test]
    fn the_same_bits_are_other_flags_on_the_other_machine() {
        let line = "trace call 1 0 0 56 ffffff9c 4000 4000 0 0 0 3 1=2f";
        assert!(shown_on(Arch::Aarch64, line).contains("O_RDONLY|O_DIRECTORY"));
        let line = "trace call 1 0 0 257 ffffff9c 4000 10000 0 0 0 3 1=2f";
        assert!(shown(line).contains("O_RDONLY|O_DIRECTORY"));
    }

    #[test]
    fn what_pointers_lead_to_is_shown() {
        assert_eq!(
            shown("trace call 1 0 0 1 1 4000 6 0 0 0 6 1=68656c6c6f0a+"),
            "write(1, \"hello\\n\"..., 6) = 6 <0.000000>"
        );
        assert_eq!(
            shown("trace call 1 0 0 35 4000 0 0 0 0 0 0 0=01000000000000000200000000000000"),
            "nanosleep({tv_sec=1, tv_nsec=2}, NULL) = 0 <0.000000>"
        );
        assert_eq!(
            shown("trace call 1 0 0 293 4000 80000 0 0 0 0 0 0=0300000004000000"),
            "pipe2([3, 4], O_CLOEXEC) = 0 <0.000000>"
        );
        assert_eq!(
            shown("trace call 1 0 0 14 2 4000 0 8 0 0 0 1=0200010000000000"),
            "rt_sigprocmask(SIG_SETMASK, [INT CHLD], NULL, 8) = 0 <0.000000>"
        );
        assert_eq!(
            shown("trace call 1 0 0 59 4000 5000 6000 0 0 0 ? 0=2f6c73 1=6c73,2d6c,"),
            "execve(\"/ls\", [\"ls\", \"-l\"], 0x6000) = ? <0.000000>"
        );
        // The seventh long of a `struct stat` is the size, the fourth begins
        // with the mode.
        let zero = "0000000000000000";
        let stat = format!("{zero}{zero}{zero}a481000000000000{zero}{zero}0600000000000000{zero}");
        assert_eq!(
            shown(&format!("trace call 1 0 0 5 3 4000 0 0 0 0 0 1={stat}+")),
            "fstat(3, {st_mode=S_IFREG|0644, st_size=6, ...}) = 0 <0.000000>"
        );
        assert_eq!(
            shown("trace call 1 0 0 13 f 4000 0 8 0 0 0"),
            "rt_sigaction(SIGTERM, 0x4000, NULL, 8) = 0 <0.000000>"
        );
        assert!(shown("trace call 1 0 0 231 7 0 0 0 0 0 0").starts_with("exit_group(7) = ? "));
    }

    #[test]
    fn an_unknown_call_is_shown_by_number() {
        assert_eq!(
            shown("trace call 1 0 0 9999 1 0 0 0 0 0 -38"),
            "syscall_9999(1, 0, 0, 0, 0, 0) = -1 ENOSYS (Function not implemented) <0.000000>"
        );
    }

    #[test]
    fn signals_and_ends_have_names() {
        assert_eq!(signal(11), "--- SIGSEGV ---");
        assert_eq!(end(0x700), "+++ exited with 7 +++");
        assert_eq!(end(9), "+++ killed by SIGKILL +++");
        assert!(shown("trace call 1 0 0 62 5 9 0 0 0 0 0").starts_with("kill(5, SIGKILL) = 0"));
    }
}
