//! `image`: container images of static programs, and of this one.

use std::env;
use std::path::Path;

use datalake_core::cluster::image::{Credentials, Image, Program, own_image};
use datalake_core::{Error, Result};
use serde::Serialize;

use crate::cli_images::ImagePack;
use crate::commands::Tools;
use crate::output::size;
use crate::settings;

/// What was written.
#[derive(Debug, Serialize)]
struct Saved {
    name: String,
    digest: String,
    size: u64,
    path: String,
}

/// What a registry has.
#[derive(Debug, Serialize)]
struct Pushed {
    name: String,
    digest: String,
    size: u64,
    /// What had to be sent of it.
    sent: u64,
}

/// Packs a static program.
pub(crate) fn pack(arguments: &ImagePack, tools: &Tools) -> Result<()> {
    save(&packed(&arguments.name, &arguments.entrypoint, &arguments.binary, tools)?, &arguments.file, tools)
}

/// Packs this binary.
pub(crate) fn save_own(name: Option<&str>, file: &Path, tools: &Tools) -> Result<()> {
    let name = name.map_or_else(own_image, str::to_owned);
    save(&own(&name, tools)?, file, tools)
}

/// Pushes what is in an archive, or this binary.
pub(crate) async fn push(name: &str, archive: Option<&Path>, tools: &Tools) -> Result<()> {
    // First what is wrong with the name: to pack takes a while.
    let credentials = Credentials::find(name).await?;
    let image = match archive {
        Some(file) => Image::open(file)?,
        None => own(name, tools)?,
    };
    let pushed = image.push(name, &credentials, &tools.progress).await?;
    if archive.is_none()
        && let Some(profile) = settings::remember_own_image(&pushed.name)?
    {
        tools.printer.say(&format!("Jobs are of {} from now on, by {profile}", pushed.name));
    }
    let pushed = Pushed { name: pushed.name, digest: pushed.digest, size: image.size(), sent: pushed.sent };
    if tools.printer.is_json() {
        return tools.printer.document(&pushed);
    }
    let sent = if pushed.sent == 0 { "nothing new".to_owned() } else { format!("{} sent", size(pushed.sent)) };
    tools.printer.line(&format!("{}, {}, {sent}, {}", pushed.name, size(pushed.size), pushed.digest))
}

fn own(name: &str, tools: &Tools) -> Result<Image> {
    let own = env::current_exe().map_err(|cause| Error::io("find", "this program", cause))?;
    packed(name, "/datalake", &own, tools)
}

/// Compresses a program, which takes seconds.
fn packed(name: &str, entrypoint: &str, program: &Path, tools: &Tools) -> Result<Image> {
    let program = Program::read(program)?;
    tools.progress.begin(&format!("packing {name}"), None);
    let image = Image::new(name, entrypoint, &program);
    tools.progress.end();
    image
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
