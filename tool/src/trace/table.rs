//! Calls by number: names, and the names and types of their arguments.

use crate::arch::Arch;

/// From which likeness on, of 1, one name may be meant by another.
const ALIKE: f64 = 0.85;

/// How many such names are told.
const MOST_ALIKE: usize = 3;

/// A call.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) name: &'static str,
    x86_64: Option<u64>,
    aarch64: Option<u64>,
    /// Names and types, as they stand in the table, spaces anywhere.
    pub(super) arguments: &'static [(&'static str, &'static str)],
}

macro_rules! number {
    (-) => {
        None
    };
    ($number:literal) => {
        Some($number)
    };
}

macro_rules! rows {
    ($($name:ident = $x86:tt, $arm:tt: $family:ident($($argument:ident: $type:ty),*) $status:literal;)*) => {
        const ROWS: &[Row] = &[$(Row {
            name: stringify!($name),
            x86_64: number!($x86),
            aarch64: number!($arm),
            arguments: &[$((stringify!($argument), stringify!($type))),*],
        }),*];
    };
}

ochre_abi::syscall_table!(rows);

/// The call of a number.
pub(super) fn row(arch: Arch, number: u64) -> Option<&'static Row> {
    ROWS.iter().find(|row| {
        let own = match arch {
            Arch::X86_64 => row.x86_64,
            Arch::Aarch64 => row.aarch64,
        };
        own == Some(number)
    })
}

/// Whether there is a call of that name.
pub(super) fn is_known(name: &str) -> bool {
    ROWS.iter().any(|row| row.name == name)
}

/// Names of calls that somebody may have meant by `name`, the likeliest first.
pub(super) fn names_like(name: &str) -> Vec<&'static str> {
    let mut near: Vec<(f64, &str)> = ROWS
        .iter()
        .map(|row| (strsim::jaro_winkler(name, row.name), row.name))
        .filter(|(likeness, _)| *likeness > ALIKE)
        .collect();
    near.sort_by(|(one, _), (two, _)| two.total_cmp(one));
    near.into_iter()
        .map(|(_, name)| name)
        .take(MOST_ALIKE)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{is_known, row};
    use crate::arch::Arch;

    #[test]
    fn numbers_are_those_of_the_machine() {
        let open = row(Arch::X86_64, 257).unwrap();
        assert_eq!(open.name, "openat");
        let (name, kind) = open.arguments[1];
        assert_eq!((name, kind.replace(' ', "").as_str()), ("path", "Ptr<u8>"));
        assert_eq!(row(Arch::Aarch64, 56).unwrap().name, "openat");
        assert!(row(Arch::Aarch64, 57).is_some_and(|row| row.name == "close"));
        assert!(row(Arch::X86_64, 100_000).is_none());
        assert!(is_known("write") && !is_known("no_such_call"));
    }
}
