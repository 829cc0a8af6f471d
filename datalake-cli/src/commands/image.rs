//! `image`: container images of static programs, and of this one.

use std::env;
use std::path::Path;

use datalake_core::cluster::image::{Image, Program};
use datalake_core::{Error, Result};
use serde::Serialize;

use crate::cli::ImagePack;
use crate::commands::Tools;
use crate::output::size;

/// What was written.
#[derive(Debug, Serialize)]
struct Saved {
    name: String,
    digest: String,
    size: u64,
    path: String,
}

/// The name of this binary's image where no other is given.
pub(crate) fn own_image() -> String {
    format!("localhost/datalake:{}", env!("CARGO_PKG_VERSION"))
}

/// Packs a static program.
pub(crate) fn pack(arguments: &ImagePack, tools: &Tools) -> Result<()> {
    let program = Program::read(&arguments.binary)?;
    save(&Image::new(&arguments.name, &arguments.entrypoint, &program)?, &arguments.file, tools)
}

/// Packs this binary.
pub(crate) fn save_own(name: Option<&str>, file: &Path, tools: &Tools) -> Result<()> {
    let own = env::current_exe().map_err(|cause| Error::io("find", "this program", cause))?;
    let name = name.map_or_else(own_image, str::to_owned);
    save(&Image::new(&name, "/datalake", &Program::read(&own)?)?, file, tools)
}

fn save(image: &Image, file: &Path, tools: &Tools) -> Result<()> {
    image.save(file)?;
    let saved =
        Saved { name: image.name(), digest: image.digest(), size: image.size(), path: file.display().to_string() };
    if tools.printer.is_json() {
        return tools.printer.document(&saved);
    }
    tools.printer.line(&format!("{} in {}, {}, {}", saved.name, saved.path, size(saved.size), saved.digest))?;
    tools.printer.say(&format!("on each node: k3s ctr images import {}", saved.path));
    Ok(())
}
