//! `setup-datalake`: a lake in a cluster, and the profile that leads to it.

use std::time::Duration;

use datalake_core::cluster::profile::Profile;
use datalake_core::cluster::store::StoreKind;
use datalake_core::cluster::{Cluster, Opening, SetupDone, SetupSettings};
use datalake_core::{Error, Result};

use crate::cli_cluster::{Print, Setup, StoreChoice};
use crate::commands::{Tools, wrong_command_line};
use crate::settings;

const NO_IMAGE: &str = "no image of the store is named, and none is guessed: make one, and name it by --image

  CGO_ENABLED=0 go install github.com/minio/minio@latest
  datalake image pack --name localhost/minio:1 --entrypoint /minio -o minio.tar ~/go/bin/minio

then bring it to each node (k3s ctr images import minio.tar), or push it to a registry";

/// Brings up the lake.
pub(crate) async fn setup(arguments: &Setup, tools: &Tools) -> Result<()> {
    let profile = Profile::of_user()?;
    let wanted = wanted(arguments, &profile, tools)?;
    wanted.check()?;
    let options = profile.cluster(arguments.cluster.options());
    if arguments.print == Some(Print::Yaml) {
        let namespace = options.namespace.as_deref().unwrap_or(datalake_core::cluster::names::NAMESPACE);
        return tools.printer.bytes(wanted.to_yaml(namespace)?.as_bytes());
    }
    let cluster = Cluster::connect(&options).await?;
    if arguments.dry_run {
        let checked = cluster.dry_run_setup(&wanted).await?;
        return tools.printer.rows(&["kind", "name", "action"], &checked, |object| {
            vec![object.kind.clone(), object.name.clone(), object.action.to_owned()]
        });
    }
    let done = cluster.setup(&wanted, tools.progress.as_ref()).await?;
    // Another command may have changed it meanwhile.
    let remembered = Profile::update(|profile| profile.remember(cluster.profile(), &wanted, &done));
    tell(&done, remembered.as_ref().ok().and_then(Option::as_deref), tools)?;
    remembered.map(drop)
}

/// The settings that were asked for; what was not is as the last time.
fn wanted(arguments: &Setup, profile: &Profile, tools: &Tools) -> Result<SetupSettings> {
    let image = |kind| {
        let named = arguments.image.clone().or_else(|| profile.store_image(kind).map(ToOwned::to_owned));
        named.unwrap_or_else(|| wrong_command_line(NO_IMAGE))
    };
    let mut wanted = match arguments.store {
        StoreChoice::Minio => SetupSettings::minio(image(StoreKind::Minio)),
        StoreChoice::Versitygw => SetupSettings::versitygw(image(StoreKind::Versitygw)),
        StoreChoice::External => external(tools)?,
    };
    if arguments.store != StoreChoice::External {
        wanted.node_ports = opening(arguments.node_ports, arguments.no_node_ports);
        wanted.ingress = opening(arguments.ingress.clone(), arguments.no_ingress);
        wanted.storage_class.clone_from(&arguments.storage_class);
        wanted.size.clone_from(&arguments.size);
        wanted.image_pull_policy.clone_from(&arguments.image_pull_policy);
    }
    wanted.rotate = arguments.rotate;
    wanted.timeout = Duration::from_secs(arguments.timeout);
    let names = settings::names()?;
    (wanted.bucket_prefix, wanted.buckets) = (names.bucket_prefix, names.buckets);
    wanted.more_buckets.clone_from(&arguments.more_buckets);
    wanted.no_more_buckets = arguments.no_more_buckets;
    profile.complete(&mut wanted);
    Ok(wanted)
}

/// An option that opens, and the one that closes.
fn opening<T>(at: Option<T>, is_closed: bool) -> Opening<T> {
    match at {
        Some(at) => Opening::At(at),
        None if is_closed => Opening::Closed,
        None => Opening::AsItIs,
    }
}

fn external(tools: &Tools) -> Result<SetupSettings> {
    let Some(endpoint) = &tools.global.lake else {
        wrong_command_line("--store external needs the endpoint: name it by --lake or DATALAKE_URL");
    };
    SetupSettings::external_by(endpoint, &|name: &str| std::env::var(name).ok().filter(|value| !value.is_empty()))
}

fn tell(done: &SetupDone, profile: Option<&str>, tools: &Tools) -> Result<()> {
    if tools.printer.is_json() {
        let mut document = serde_json::to_value(done)
            .map_err(|cause| Error::internal("print", "what was set up").with_source(cause))?;
        document["profile"] = profile.into();
        document["forward_command"] = done.forward_command().into();
        return tools.printer.document(&document);
    }
    let mut text = format!("the lake is up in the namespace {}\n", done.namespace);
    let mut line = |name: &str, value: &str| text.push_str(&format!("  {name:<9} {value}\n"));
    line("S3", &done.url);
    if let Some(console) = &done.console {
        line("console", &format!("{console}, with the key of the profile"));
    }
    if done.url_in_cluster != done.url {
        line("for pods", &done.url_in_cluster);
    }
    line("buckets", &done.buckets.join(", "));
    if done.rotated {
        line("keys", "new; the old ones have ended");
    }
    if let Some(profile) = profile {
        line("profile", profile);
    }
    tools.printer.line(text.trim_end())?;
    if let Some(command) = done.forward_command() {
        tools
            .printer
            .say(&format!("no address answers from here; while you work with it, keep this running:\n  {command}"));
    }
    if tools.global.lake.as_ref().is_some_and(|named| named.trim_end_matches('/') != done.url) {
        tools.printer.say("--lake or DATALAKE_URL names another lake, and goes before the profile");
    } else {
        tools.printer.say("next: datalake ls");
    }
    Ok(())
}
