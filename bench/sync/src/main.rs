//! What criterion kept, as a table, as data and as a chart.
//!
//! `cargo xtask bench sync` measures (`benches/sync`) and then runs this. The
//! data goes to `bench/results/sync-DATE.json`, the chart beside it as SVG.
#![forbid(unsafe_code)]

mod chart;
mod sample;

use std::{fs, path::PathBuf, process::ExitCode};

use anyhow::{Context as _, Result};
use clap::Parser;
use ochre_tool::paths;

use crate::sample::Sample;

/// Prints, keeps and draws what the last measurement found.
#[derive(Debug, Parser)]
struct Options {
    /// The date that the results are filed under
    #[arg(long, value_name = "YYYY-MM-DD")]
    date: String,
    /// The folder for the results
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench sync: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    let samples = sample::read(&paths::target()?.join("criterion"))?;
    print!("{}", table(&samples));
    let folder = match &options.output {
        Some(folder) => folder.clone(),
        None => paths::workspace()?.join("bench/results"),
    };
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let data = folder.join(format!("sync-{}.json", options.date));
    fs::write(&data, sample::to_json(&samples)?).with_context(|| data.display().to_string())?;
    let drawing = data.with_extension("svg");
    chart::draw(&samples, &drawing)?;
    println!("\nkept in {} and {}", data.display(), drawing.display());
    Ok(())
}

/// One table for each group; a line for each who did it.
fn table(samples: &[Sample]) -> String {
    let mut text = String::new();
    for group in sample::groups(samples) {
        text.push_str(&format!(
            "\n{}\n\n| | threads | ns each | spread |\n| --- | --- | --- | --- |\n",
            group.first().map_or("", |sample| sample.group.as_str())
        ));
        for sample in group {
            text.push_str(&format!(
                "| {} | {} | {:.2} | {:.2} to {:.2} |\n",
                sample.who, sample.threads, sample.median_ns, sample.least_ns, sample.most_ns
            ));
        }
    }
    text
}
