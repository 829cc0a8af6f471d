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
    // What a damaged file does to a decoder is told as an error; any other panic is a defect, and tells where it is.
    let told = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !datalake_core::compute::is_panic_expected() {
            told(panic);
        }
    }));
    let arguments = cli::Cli::parse();
    let (outcome, stopped_by) = commands::run(arguments);
    exit::code(outcome, stopped_by)
}
