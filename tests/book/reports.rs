//! What a dying kernel says, as the book shows it: blocks that begin with
//! "```text,boottest=NAME" are the log of a kernel that does NAME
//! (`kernel/src/boottest.rs`).

use anyhow::{Result, ensure};
use ochre_tests::{Arch, Guest, Machine, book, describe, diff, test_kernel};

use crate::some;

/// What a block begins with.
const BLOCK: &str = "```text,boottest=";

/// Boots each kernel and compares.
pub(crate) fn are_true() -> Result<()> {
    let mut wrong = Vec::new();
    let mut found = Vec::new();
    for page in book::pages()? {
        for block in page.text.split(BLOCK).skip(1) {
            let (name, rest) = block.split_once('\n').unwrap_or_default();
            let shown = rest.split("```").next().unwrap_or_default();
            found.push(name.to_owned());
            let arch = Arch::X86_64;
            let outcome = Guest::with_kernel(test_kernel(arch)?)
                .machine(Machine::usual(arch))
                .words(format!("ochre.boottest={name}"))
                .run()?;
            if !book::is_as_shown(shown, &outcome.log) {
                let difference = diff(shown, &outcome.log).unwrap_or_default();
                let path = page.path.display();
                wrong.push(format!(
                    "{path}: {name} (- is the page)\n{difference}\n{}",
                    describe(&outcome)
                ));
            }
        }
    }
    some(found, "reports")?;
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}
