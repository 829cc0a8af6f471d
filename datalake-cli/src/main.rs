//! `datalake`: a person's tool, and the entrypoint of batch Jobs.

mod allocator;
mod cli;
mod cli_cluster;
mod cli_images;
mod cli_jobs;
mod cli_models;
mod commands;
mod exit;
#[cfg(test)]
mod option_names;
mod output;
mod progress;
mod settings;
mod typed;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let arguments = cli::Cli::parse();
    let (outcome, stopped_by) = commands::run(arguments);
    exit::code(outcome, stopped_by)
}
