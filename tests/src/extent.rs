//! Which machines the suites run on, and how much of them.
//!
//! The environment variable `OCHRE_TEST_ARCH` says it (and `cargo xtask test
//! --arch ARCH` sets it):
//!
//! | | x86_64 | AArch64 |
//! | --- | --- | --- |
//! | not set | all | a share that takes a few minutes |
//! | `x86_64` | all | nothing |
//! | `aarch64` | nothing | all |
//! | `all` | all | all |

use std::env;

use ochre_tool::Arch;

/// The variable's name.
const VARIABLE: &str = "OCHRE_TEST_ARCH";

/// How much of a suite runs on a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Extent {
    /// Nothing.
    Nothing,
    /// What every change must pass.
    Share,
    /// All there is.
    All,
}

/// How much of a suite is to run on `arch`.
pub fn extent(arch: Arch) -> Extent {
    of(arch, env::var(VARIABLE).ok().as_deref())
}

fn of(arch: Arch, asked: Option<&str>) -> Extent {
    match (asked, arch) {
        (None | Some(""), Arch::Aarch64) => Extent::Share,
        (None | Some("" | "all" | "x86_64"), Arch::X86_64)
        | (Some("all" | "aarch64"), Arch::Aarch64) => Extent::All,
        (Some("x86_64"), Arch::Aarch64) | (Some("aarch64"), Arch::X86_64) => Extent::Nothing,
        (Some(other), _) => {
            panic!("{VARIABLE} is {other:?}; it may be x86_64, aarch64 or all")
        }
    }
}

/// Whether anything is to run on `arch`.
pub fn is_tested(arch: Arch) -> bool {
    extent(arch) > Extent::Nothing
}

/// The architectures on which anything is to run.
pub fn architectures() -> impl Iterator<Item = Arch> {
    Arch::ALL.into_iter().filter(|arch| is_tested(*arch))
}

/// What a thing of an architecture is called, beside that of the other.
pub fn name_on(arch: Arch, name: &str) -> String {
    match arch {
        Arch::X86_64 => name.to_owned(),
        Arch::Aarch64 => format!("{name}-aarch64"),
    }
}

/// What a case's name begins with.
pub fn prefix(arch: Arch) -> &'static str {
    match arch {
        Arch::X86_64 => "",
        Arch::Aarch64 => "aarch64: ",
    }
}

#[cfg(test)]
mod tests {
    use ochre_tool::Arch::{Aarch64, X86_64};

    use super::{Extent, of};

    #[test]
    fn each_machine_is_as_much_as_asked() {
        for (asked, x86_64, aarch64) in [
            (None, Extent::All, Extent::Share),
            (Some("x86_64"), Extent::All, Extent::Nothing),
            (Some("aarch64"), Extent::Nothing, Extent::All),
            (Some("all"), Extent::All, Extent::All),
        ] {
            assert_eq!((of(X86_64, asked), of(Aarch64, asked)), (x86_64, aarch64));
        }
    }
}
