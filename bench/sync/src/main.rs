//! What criterion found, as tables, as data and as a chart.
//!
//! `cargo xtask bench sync` measures (`benches/sync`) and then runs this. The
//! data goes to `bench/results/sync-DATE.json`, the chart beside it as SVG. What
//! was measured replaces what is kept of that date; rows that were not measured
//! stay if only a part was asked for.
#![forbid(unsafe_code)]

mod chart;
mod peers;
mod sample;

use std::{fs, path::PathBuf, process::ExitCode};

use anyhow::{Context as _, Result};
use clap::Parser;
use ochre_tool::paths;

use crate::sample::Rows;

/// Prints, keeps and draws what the last measurement found.
#[derive(Debug, Parser)]
struct Options {
    /// The date that the results are filed under
    #[arg(long, value_name = "YYYY-MM-DD")]
    date: String,
    /// The folder with criterion's rounds; without it, what is kept is printed
    #[arg(long, value_name = "DIR")]
    measured: Option<PathBuf>,
    /// Keep the rows of that date that were not measured now
    #[arg(long)]
    merge: bool,
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
    let folder = match &options.output {
        Some(folder) => folder.clone(),
        None => paths::workspace()?.join("bench/results"),
    };
    let data = folder.join(format!("sync-{}.json", options.date));
    let Some(measured) = &options.measured else {
        let rows = sample::kept(&data)?;
        print!("{}{}", table(&rows), peers::table(&rows));
        return Ok(());
    };
    let fresh = sample::read(measured)?;
    print!("{}{}", table(&fresh), peers::table(&fresh));
    let mut rows = if options.merge {
        sample::kept(&data)?
    } else {
        Rows::new()
    };
    rows.extend(fresh);
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    fs::write(&data, sample::to_json(&rows)?).with_context(|| data.display().to_string())?;
    let drawing = data.with_extension("svg");
    chart::draw(&rows, &drawing)?;
    println!("\nkept in {} and {}", data.display(), drawing.display());
    Ok(())
}

/// One table for each group; a line for each who did it.
fn table(rows: &Rows) -> String {
    let mut text = String::new();
    for group in sample::groups(rows) {
        text.push_str(&format!(
            "\n{}\n\n| | threads | ns each | the middle half |\n| --- | --- | --- | --- |\n",
            group.first().map_or("", |(key, _)| key.group.as_str())
        ));
        for (key, times) in group {
            text.push_str(&format!(
                "| {} | {} | {:.2} | {:.2} to {:.2} |\n",
                key.who, key.threads, times.median, times.lower, times.upper
            ));
        }
    }
    text
}
