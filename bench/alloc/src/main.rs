//! `ochre-alloc` beside its peers: measured, kept, drawn.
//!
//! `cargo xtask bench alloc` runs this. It starts itself once for each
//! allocator, so that each has a process and memory of its own, one after the
//! other; what they find goes to `bench/results/alloc-DATE.json`, the charts
//! beside it as SVG.
#![expect(unsafe_code, reason = "allocators are called as a program's are")]

mod chart;
mod patterns;
mod sample;
mod subjects;
mod together;

use std::{env, fs, path::PathBuf, process::Command, process::ExitCode};

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use ochre_tool::paths;

use crate::sample::Sample;

/// Measures allocators beside each other.
#[derive(Debug, Parser)]
struct Options {
    /// The date that the results are filed under
    #[arg(long, value_name = "YYYY-MM-DD")]
    date: String,
    /// The folder for the results
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Only allocators with this in their name; they replace their rows in what is kept
    only: Option<String>,
    /// Only rows with this in their name; the others are kept as they are
    #[arg(long, value_name = "PART", default_value = "")]
    rows: String,
    /// Measure one allocator in this process, and print what is found
    #[arg(long, hide = true)]
    one: Option<String>,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench alloc: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    if let Some(name) = &options.one {
        for sample in subjects::measure(name, &options.rows)? {
            println!("{}", sample.to_line());
        }
        return Ok(());
    }
    let mut samples: Vec<Sample> = Vec::new();
    for name in subjects::NAMES {
        if options
            .only
            .as_deref()
            .is_some_and(|part| !name.contains(part))
        {
            continue;
        }
        eprintln!("{name}");
        let output = Command::new(env::current_exe()?)
            .args(["--date", &options.date, "--one", name])
            .args(["--rows", &options.rows])
            .output()
            .with_context(|| format!("measuring {name}"))?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{name} failed: {errors}");
        let text = String::from_utf8(output.stdout).context("output that is not text")?;
        for line in text.lines() {
            samples.push(Sample::from_line(line)?);
        }
    }
    let folder = match &options.output {
        Some(folder) => folder.clone(),
        None => paths::workspace()?.join("bench/results"),
    };
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let data = folder.join(format!("alloc-{}.json", options.date));
    let is_part = options.only.is_some() || !options.rows.is_empty();
    if is_part && data.exists() {
        let text = fs::read_to_string(&data).with_context(|| data.display().to_string())?;
        sample::keep_others(&mut samples, sample::from_json(&text)?);
    }
    sample::sort(&mut samples);
    print!("{}", sample::table(&samples));
    fs::write(&data, sample::to_json(&samples)?).with_context(|| data.display().to_string())?;
    let bars = data.with_extension("svg");
    chart::bars(&samples, &bars)?;
    let lines = folder.join(format!("alloc-{}-memory.svg", options.date));
    chart::lines(&samples, &lines)?;
    println!(
        "\nkept in {}, {} and {}",
        data.display(),
        bars.display(),
        lines.display()
    );
    Ok(())
}
