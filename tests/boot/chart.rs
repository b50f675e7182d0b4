//! What `ochre boot-chart` shows of a boot: every part of it, in order.

use anyhow::{Context as _, Result, ensure};
use ochre_tests::{Arch, Case, architectures, guest_on, prefix, shell_tree};
use ochre_tool::boot_chart::{BootChart, By};

pub(super) fn cases() -> impl Iterator<Item = Case> {
    architectures().map(|arch| {
        Case::new(format!("{}a boot's chart", prefix(arch)), move || {
            charted(arch)
        })
    })
}

fn charted(arch: Arch) -> Result<()> {
    let root = shell_tree(arch)?;
    let guest = guest_on(arch)?;
    let mut chart = BootChart::begin();
    chart.boot(guest, &root)?;
    let end = |name: &str| {
        let mut stages = chart.stages().iter();
        let stage = stages.find(|stage| stage.name.contains(name));
        stage
            .map(|stage| stage.end)
            .with_context(|| format!("no {name} in\n{chart}"))
    };
    // The clocks agree well enough that what takes long takes time here too.
    let ends = [
        end("QEMU")?,
        end("firmware")?,
        end("memory and page tables")?,
        end("root is unpacked")?,
        end("process 1 is loaded")?,
        end("prompt")?,
    ];
    ensure!(
        ends.is_sorted_by(|one, next| one < next),
        "out of order:\n{chart}"
    );
    for by in [By::Host, By::Firmware, By::Kernel, By::Programs] {
        ensure!(
            chart.stages().iter().any(|stage| stage.by == by),
            "nothing by {by:?} in\n{chart}"
        );
    }
    let mut picture = Vec::new();
    chart.draw(&mut picture)?;
    let picture = String::from_utf8(picture)?;
    ensure!(
        chart
            .stages()
            .iter()
            .all(|stage| picture.contains(&stage.name)),
        "a stage is missing in\n{picture}"
    );
    Ok(())
}
