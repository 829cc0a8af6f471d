//! Holds what a run says of itself against the objects: their bytes, their tables, and the balance of their rows.

use std::sync::Arc;

use futures::TryStreamExt;
use sha2::{Digest, Sha256};

use super::conversion::{Conversion, DOCUMENT, Kept, folder_of};
use super::intent::Intent;
use super::manifest::{Manifest, Output, PrepareBalance, RunId, load};
use super::predict::open_model_file;
use super::unknown::{nobody_tells, of_itself_unknown, unknown};
use super::verified::{Counted, Sums, Verified};
use super::written_table::{Parts, WrittenTable};
use crate::compute;
use crate::error::{Error, ErrorKind, Result};
use crate::format::digest::hex;
use crate::format::{
    self, Balance, Input, MANIFEST, Manifest as TableManifest, ReadOptions, Reject, Source, TableDigest, WrittenFile,
    digest_said, is_bare, proving, rows_of,
};
use crate::lake::{Lake, Location, parse_object};

/// Reads what a run wrote and set aside once more, and holds it against what the run says. `name` is a run, the local file that
/// a conversion wrote or the folder beside it, or a Parquet file or object that says its own digest.
///
/// # Errors
/// [`ErrorKind::NotFound`] where nothing of this name is known; those of the lake. What does not hold is no error here: see
/// [`Verified::check`].
pub async fn verify(name: &str, lake: impl Fn() -> Result<Arc<dyn Lake>>) -> Result<Verified> {
    let mut verified = Verified::of(name);
    if let Some(source) = file_alone(name, &lake).await? {
        of_itself(&mut verified, source, &lake).await?;
        return Ok(verified);
    }
    if let Some(place) = folder_alone(name, &lake).await? {
        of_folder(&mut verified, &place, &lake).await?;
        return Ok(verified);
    }
    let none = match Conversion::load(name, &lake).await {
        Ok((conversion, _)) => {
            of_conversion(&mut verified, &conversion, &lake).await?;
            return Ok(verified);
        }
        Err(error) if error.kind() == ErrorKind::NotFound => error,
        Err(error) => return Err(error),
    };
    let lake = lake()?;
    match load(lake.as_ref(), Some(&RunId::from(name))).await {
        Ok(manifest) => of_pipeline(&mut verified, &manifest, lake.as_ref()).await?,
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(none),
        Err(error) => return Err(error),
    }
    Ok(verified)
}

/// A file or object that no document speaks of.
async fn file_alone(name: &str, lake: &impl Fn() -> Result<Arc<dyn Lake>>) -> Result<Option<Source>> {
    Ok(match name.parse()? {
        Location::Object { bucket, key } => Some(Source::Object { bucket: lake()?.bucket(&bucket).await?, path: key }),
        Location::Local(path) if path.is_file() && !folder_of(&path).join(DOCUMENT).is_file() => {
            Some(Source::LocalFile(path))
        }
        _ => None,
    })
}

/// A folder or prefix that no document speaks of.
async fn folder_alone(name: &str, lake: &impl Fn() -> Result<Arc<dyn Lake>>) -> Result<Option<Parts>> {
    Ok(match name.parse()? {
        Location::Prefix { bucket, prefix } => Some(Parts::Prefix(lake()?.bucket(&bucket).await?, prefix)),
        Location::Local(path) if path.join(MANIFEST).is_file() && !folder_of(&path).join(DOCUMENT).is_file() => {
            Some(Parts::Folder(path))
        }
        _ => None,
    })
}

/// Holds the files of a table against what its manifest says of each.
async fn of_folder(verified: &mut Verified, place: &Parts, lake: &impl Fn() -> Result<Arc<dyn Lake>>) -> Result<()> {
    let source = place.file(MANIFEST)?;
    let name = source.to_string();
    let input = match Input::open(&source).await {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let none = Error::not_found("verify", &verified.run);
            return Err(nobody_tells(none, &verified.run, lake).await.with_source(error));
        }
        input => input?,
    };
    let manifest: TableManifest = serde_json::from_slice(&input.range(0..input.size()).await?).map_err(|cause| {
        Error::invalid("read", &name).with_reason("it is no manifest of a table").with_source(cause)
    })?;
    let counted = of_files(verified, place, &manifest.files).await?;
    of_all(verified, &name, counted, manifest.rows);
    verified.sum(Sums { seen: None, written: manifest.rows, counted, quarantined: Some(0) });
    Ok(())
}

/// Holds the rows of all files together against what is said of them. Where some were not counted, that has been told already,
/// and fails no second time.
fn of_all(verified: &mut Verified, name: &str, counted: Counted, wanted: u64) {
    if counted.is_whole {
        verified.hold(name, "rows", &counted.rows, &wanted);
    }
}

/// Holds files against what is known of each, and counts their rows.
async fn of_files(verified: &mut Verified, place: &Parts, files: &[WrittenFile]) -> Result<Counted> {
    let mut counted = Counted { rows: 0, is_whole: true };
    for file in files {
        let source = place.file(&file.path)?;
        let name = source.to_string();
        verified.file(&name);
        if !bytes(verified, "bytes", &name, &source, &file.sha256).await? {
            counted.is_whole = false;
            continue;
        }
        let (format, _) = format::detect(&source, &ReadOptions::default()).await?;
        if format.name() == "parquet" {
            let (digest, found) = table(source, &*format).await?;
            verified.hold(&name, "table", &digest, &file.digest);
            verified.hold(&name, "rows", &found, &file.rows);
            counted.rows += found;
        } else {
            // Types are not in a text; its bytes are those that were written.
            counted.rows += file.rows;
        }
    }
    Ok(counted)
}

/// Holds a Parquet file against the digest that it says.
async fn of_itself(verified: &mut Verified, source: Source, lake: &impl Fn() -> Result<Arc<dyn Lake>>) -> Result<()> {
    let name = source.to_string();
    match Input::open(&source).await {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(unknown(&verified.run, lake).await.with_source(error));
        }
        opened => opened.map(drop)?,
    }
    // What is no table says nothing of itself either.
    let format = match format::detect(&source, &ReadOptions::default()).await {
        Ok((format, _)) => Some(format),
        Err(error) if matches!(error.kind(), ErrorKind::Invalid | ErrorKind::Unsupported) => None,
        Err(error) => return Err(error),
    };
    let Some(format) = format.filter(|format| format.name() == "parquet") else {
        return Err(of_itself_unknown(&verified.run, lake).await);
    };
    let Some(wanted) = digest_said(&source).await? else {
        return Err(of_itself_unknown(&verified.run, lake).await);
    };
    verified.file(&name);
    let (digest, rows) = table(source, &*format).await?;
    let counted = Counted { rows, is_whole: true };
    verified.sum(Sums { seen: None, written: rows, counted, quarantined: Some(0) });
    verified.hold(&name, "table", &digest, &wanted);
    verified.add(&name, "rows", true, rows.to_string());
    Ok(())
}

async fn of_conversion(
    verified: &mut Verified,
    conversion: &Conversion,
    lake: &impl Fn() -> Result<Arc<dyn Lake>>,
) -> Result<()> {
    match conversion.made(lake).await? {
        Some(intent) => {
            let counted = of_table(verified, &intent.after, lake).await?;
            broken_off(verified, intent, counted, lake).await
        }
        None => {
            let counted = of_table(verified, conversion, lake).await?;
            set_aside(verified, conversion, counted, lake).await
        }
    }
}

/// Holds what a conversion wrote against its document, and counts its rows.
async fn of_table(
    verified: &mut Verified,
    conversion: &Conversion,
    lake: &impl Fn() -> Result<Arc<dyn Lake>>,
) -> Result<Counted> {
    let Conversion { destination: to, written, balance, files, .. } = conversion;
    match WrittenTable::of(conversion, lake).await? {
        WrittenTable::One(source) => of_one(verified, conversion, source).await,
        WrittenTable::Many(parts) => {
            let named = parts.file(MANIFEST)?;
            bytes(verified, "manifest", &named.to_string(), &named, &written.sha256).await?;
            let counted = of_files(verified, &parts, files).await?;
            of_all(verified, to, counted, balance.written);
            Ok(counted)
        }
    }
}

/// Holds the one file that a conversion wrote against its document, and counts its rows.
async fn of_one(verified: &mut Verified, conversion: &Conversion, source: Source) -> Result<Counted> {
    let Conversion { destination: to, written, balance, .. } = conversion;
    verified.file(to);
    if !bytes(verified, "bytes", to, &source, &written.sha256).await? {
        return Ok(Counted { rows: 0, is_whole: false });
    }
    let format = format::format(&conversion.format).ok_or_else(|| {
        Error::invalid("verify", to).with_reason(format_args!("`{}` is no format", conversion.format))
    })?;
    let rows = if conversion.format == "parquet" {
        let (digest, rows) = table(source, &*format).await?;
        // After a replay of rows into a text there is none.
        verified.hold(to, "table", &digest, &written.digest);
        rows
    } else if is_bare(
        &conversion.format,
        balance.written,
        conversion.schema.as_ref().is_none_or(|columns| !columns.is_empty()),
    ) {
        0
    } else {
        let read = proving(to, &*format, &conversion.write, conversion.schema.as_deref())?;
        let (rows, _) = rows_of(source, &*format, read).await?;
        if let Some(wanted) = &conversion.rows_digest {
            verified.hold(to, "table", &rows.finish(), wanted);
        }
        rows.rows()
    };
    verified.hold(to, "rows", &rows, &balance.written);
    Ok(Counted { rows, is_whole: true })
}

/// Counts what a conversion set aside, and closes its balance.
async fn set_aside(
    verified: &mut Verified,
    conversion: &Conversion,
    counted: Counted,
    lake: &impl Fn() -> Result<Arc<dyn Lake>>,
) -> Result<()> {
    let Conversion { destination: to, balance, .. } = conversion;
    let (set_aside, is_as_told) = match &conversion.quarantine {
        None => (Some(0), true),
        Some(kept) => {
            let found = corrected(verified, kept, &quarantine_of(to, kept, lake).await?).await?;
            (found, found == Some(kept.records.records))
        }
    };
    verified.sum(Sums { seen: Some(balance.seen), written: balance.written, counted, quarantined: set_aside });
    // A quarantine that is not whole has been told already, and fails no second time.
    if let (Some(set_aside), true) = (set_aside, is_as_told) {
        of_sum(verified, to, balance, set_aside);
    }
    Ok(())
}

/// Where the quarantine of a conversion to a place lies.
async fn quarantine_of(to: &str, kept: &Kept, lake: &impl Fn() -> Result<Arc<dyn Lake>>) -> Result<Source> {
    Ok(match parse_object(&kept.path) {
        Ok((bucket, path)) if !matches!(to.parse()?, Location::Local(_)) => {
            Source::Object { bucket: lake()?.bucket(&bucket).await?, path }
        }
        _ => Source::LocalFile(kept.path.clone().into()),
    })
}

/// Tells of a replay that died when its table was there, which the next one brings to its end.
async fn broken_off(
    verified: &mut Verified,
    intent: &Intent,
    counted: Counted,
    lake: &impl Fn() -> Result<Arc<dyn Lake>>,
) -> Result<()> {
    let Conversion { destination: to, balance, quarantine, .. } = &intent.after;
    let set_aside = intent.left.len() as u64;
    let before = quarantine.as_ref().map_or(0, |kept| kept.records.records);
    let found = match quarantine {
        None => Some(0),
        Some(kept) => match rejects(&quarantine_of(to, kept, lake).await?).await {
            Ok(records) => Some(records.len() as u64),
            // It has been removed already, as nothing is left of it.
            Err(error) if error.kind() == ErrorKind::NotFound => (set_aside == 0).then_some(0),
            Err(error) if error.kind() == ErrorKind::Invalid => None,
            Err(error) => return Err(error),
        },
    };
    // It is as it was, or as it will be.
    let is_whole = found.is_some_and(|found| found == before || found == set_aside);
    let quarantined = is_whole.then_some(set_aside);
    verified.sum(Sums { seen: Some(balance.seen), written: balance.written, counted, quarantined });
    let (mut words, mut hint) = (
        format!("a replay ended before it was done: {} of these records are rows by now", intent.brought_back()),
        format!("`datalake replay {}` does the rest, and brings back no record twice", verified.run),
    );
    if !is_whole {
        words += &format!("; of the {before} records not all are there, or some are no JSON");
        "bring the quarantine back as it was, then replay".clone_into(&mut hint);
    }
    verified.fail(quarantine.as_ref().map_or(to, |kept| &kept.path), "quarantine", words, hint);
    if is_whole {
        of_sum(verified, to, balance, set_aside);
    }
    Ok(())
}

/// All records are rows or set aside.
fn of_sum(verified: &mut Verified, to: &str, balance: &Balance, set_aside: u64) {
    let words = format!("{} seen = {} written + {set_aside} quarantined", balance.seen, balance.written);
    verified.add(to, "balance", balance.seen == balance.written + set_aside, words);
}

async fn of_pipeline(verified: &mut Verified, manifest: &Manifest, lake: &dyn Lake) -> Result<()> {
    for step in &manifest.steps {
        for output in &step.report.outputs {
            of_output(verified, output, lake).await?;
        }
        if let Some(balance) = &step.report.balance {
            let rows = step.report.outputs.iter().find_map(|output| output.rows);
            of_balance(verified, &step.name, balance, rows);
            if let Some(path) = &balance.quarantine {
                let (bucket, key) = parse_object(path)?;
                let source = Source::Object { bucket: lake.bucket(&bucket).await?, path: key };
                match rejects(&source).await {
                    Ok(found) => verified.hold(path, "quarantine", &(found.len() as u64), &balance.quarantined()),
                    Err(error) if error.kind() == ErrorKind::NotFound => {
                        verified.add(path, "quarantine", false, "it is gone".to_owned());
                    }
                    Err(error) if error.kind() == ErrorKind::Invalid => {
                        verified.add(path, "quarantine", false, error.in_one_line());
                    }
                    Err(error) => return Err(error),
                }
            }
        }
    }
    Ok(())
}

async fn of_output(verified: &mut Verified, output: &Output, lake: &dyn Lake) -> Result<()> {
    let path = &output.object.path;
    let (bucket, key) = parse_object(path)?;
    let source = Source::Object { bucket: lake.bucket(&bucket).await?, path: key };
    verified.file(path);
    if !bytes(verified, "bytes", path, &source, &output.sha256).await? {
        return Ok(());
    }
    let Some(wanted) = &output.digest else { return Ok(()) };
    // A model has no rows.
    if output.rows.is_none() {
        let model = open_model_file(lake, path).await?;
        let digest = model.digest();
        let sound = compute::run(move || model.verify()).await;
        verified.add(
            path,
            "model",
            sound.is_ok() && digest == *wanted,
            match sound {
                Ok(_) if digest == *wanted => digest,
                Ok(_) => format!("{digest}, and not {wanted}"),
                Err(error) => error.to_string(),
            },
        );
    } else {
        let (format, _) = format::detect(&source, &ReadOptions::default()).await?;
        if format.name() == "parquet" {
            let (digest, rows) = table(source, &*format).await?;
            verified.hold(path, "table", &digest, wanted);
            if let Some(wanted) = output.rows {
                verified.hold(path, "rows", &rows, &wanted);
            }
        }
    }
    Ok(())
}

/// Each record of each source is accounted for, up to the finished table.
fn of_balance(verified: &mut Verified, step: &str, balance: &PrepareBalance, rows: Option<u64>) {
    for source in &balance.sources {
        let set_aside: u64 = source.quarantined.values().sum();
        let dropped: u64 = source.dropped.values().sum();
        let words =
            format!("{} seen = {} written + {set_aside} quarantined + {dropped} dropped", source.seen, source.written);
        verified.add(&source.path, "balance", source.holds(), words);
    }
    let written: u64 = balance.sources.iter().map(|source| source.written).sum();
    let combined = written == balance.combine_in && rows.is_none_or(|rows| rows == balance.combine_out);
    let words = format!(
        "{written} written by the scan; combined {} into {}, of which {} were duplicates",
        balance.combine_in, balance.combine_out, balance.duplicates
    );
    verified.add(step, "balance", combined, words);
}

/// The bytes of an object or file, which may be gone; says whether they are those that were written, so that what is in them can
/// be looked at.
async fn bytes(
    verified: &mut Verified,
    what: &'static str,
    name: &str,
    source: &Source,
    wanted: &String,
) -> Result<bool> {
    let Some(found) = sha256_of(source).await? else {
        verified.add(name, what, false, "it is gone".to_owned());
        return Ok(false);
    };
    verified.hold(name, what, &found, wanted);
    Ok(found == *wanted)
}

/// The SHA-256 of the bytes of a source that may be gone.
pub(super) async fn sha256_of(source: &Source) -> Result<Option<String>> {
    match sha256(source).await {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        found => found.map(Some),
    }
}

/// The SHA-256 of the bytes of a source, in hex.
pub(super) async fn sha256(source: &Source) -> Result<String> {
    let input = Input::open(source).await?;
    let (mut hash, mut offset) = (Sha256::new(), 0);
    loop {
        let piece = input.chunk(offset, u64::MAX, Vec::new()).await?;
        if piece.is_empty() {
            return Ok(hex(&hash.finalize()));
        }
        offset += piece.len() as u64;
        hash = compute::run(move || {
            hash.update(&piece);
            Ok(hash)
        })
        .await?;
    }
}

/// The digest and the rows of a table.
async fn table(source: Source, format: &dyn format::Format) -> Result<(String, u64)> {
    let mut batches = format.read(source, ReadOptions::default()).await?;
    let (mut digest, mut rows) = (TableDigest::new(batches.schema()), 0);
    while let Some(batch) = batches.try_next().await? {
        rows += batch.num_rows() as u64;
        digest = compute::run(move || {
            digest.update(&batch)?;
            Ok(digest)
        })
        .await?;
    }
    Ok((digest.finish(), rows))
}

/// The quarantine of a conversion, which people correct; says how many records are in it, where they can be counted.
async fn corrected(verified: &mut Verified, kept: &Kept, source: &Source) -> Result<Option<u64>> {
    const WHAT: &str = "quarantine";
    let Kept { path, records } = kept;
    let Some(found) = sha256_of(source).await? else {
        let hint = "its records are in no other place: convert the source again";
        verified.fail(path, WHAT, "it is gone".to_owned(), hint.to_owned());
        return Ok(None);
    };
    let is_as_it_was = found == records.sha256;
    let count = match rejects(source).await {
        Ok(rejects) => rejects.len() as u64,
        Err(error) if error.kind() == ErrorKind::Invalid && !is_as_it_was => {
            let hint = "correct `raw` in its lines, and leave each a JSON object";
            verified.fail(path, WHAT, error.in_one_line(), hint.to_owned());
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    if is_as_it_was {
        verified.hold(path, WHAT, &count, &records.records);
    } else if count == records.records {
        let hint =
            format!("`datalake replay {}` reads its records once more, and adds those that fit now", verified.run);
        verified.fail(path, WHAT, format!("{count} records, and some were changed since"), hint);
    } else {
        let hint = "correct records, but leave each in its line; then replay them";
        verified.fail(path, WHAT, format!("{count} records, and not {}", records.records), hint.to_owned());
    }
    Ok(Some(count))
}

/// The records of a quarantine, each a line of JSON.
pub(super) async fn rejects(source: &Source) -> Result<Vec<Reject>> {
    let input = Input::open(source).await?;
    let text = input.range(0..input.size()).await?;
    let lines = text.split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.trim_ascii().is_empty());
    let rejects = lines.map(|(index, line)| {
        serde_json::from_slice(line).map_err(|cause| {
            Error::invalid("read", format_args!("the quarantine {source}"))
                .with_reason(format_args!("line {} is no quarantined record", index + 1))
                .with_source(cause)
        })
    });
    rejects.collect()
}
