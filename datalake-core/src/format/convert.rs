//! From any format to any other: read with one, write with the other.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use futures::{StreamExt, stream};

use super::Format;
use super::batches::{Balance, Batches};
use super::detect::{detect, for_sink, told};
use super::dialect::Dialect;
use super::exact;
use super::many::{Deferred, Files, Plan};
use super::memory::MemoryBudget;
use super::options::{Infer, ReadOptions, WriteOptions};
use super::parts::{self, WrittenFile};
use super::reject::Rejects;
use super::schema::Misfit;
use super::single::read_as;
use super::sink::{Sink, Written};
use super::source::{Input, Source};
use super::unheeded;
use super::unsaid::{self, Unsaid};
use crate::error::{Error, Result};

/// Up to this size in bytes, types are found from the whole of a source.
const SMALL: u64 = 4 * 1024 * 1024;
/// How many (decompressed) bytes of a larger one are looked at first, at least.
const SAMPLE: u64 = 1024 * 1024;

/// What a conversion did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Converted {
    /// What lies in the sink.
    pub written: Written,
    /// What became of the records.
    pub balance: Balance,
    /// The (decompressed) bytes that were read.
    pub bytes_read: u64,
    /// The files that the table consists of, by their paths, where the sink is a folder or prefix. Then the bytes of
    /// [`written`](Self::written) are those of all, and its SHA-256 is that of `_manifest.json`, which names them.
    pub files: Vec<WrittenFile>,
    /// What a user should know, such as a column that is text because of one value.
    pub notes: Vec<String>,
    /// How the source is written, if it is CSV.
    pub dialect: Option<Dialect>,
    /// The columns of what lies in the sink.
    pub schema: SchemaRef,
    /// How the sink was written: with what follows from how the source is read.
    pub write: WriteOptions,
    /// The digest of the rows in any order, with values as text, in hex: where [`exact`](WriteOptions::exact) has proven that
    /// those read and those written are the same.
    pub rows_digest: Option<String>,
}

/// Reads a source and writes a sink; the formats are told by option, name or content.
///
/// The types of a large text are guessed from its beginning, with a look into its middle and at its end; if a later value does
/// not fit, the conversion starts again with types found from the whole. The result is always that of having looked at the whole first.
///
/// Where the sink is CSV and the source is not, what is said of CSV in how to read (delimiter, quote, decimal mark, no header)
/// holds for the sink, unless how to write says otherwise.
///
/// # Errors
/// Those of [`detect`], [`for_sink`], [`Format::read`](super::Format::read) and [`Format::write`](super::Format::write).
/// An object or a file is then as it was before.
pub async fn convert(source: Source, sink: Sink, read: ReadOptions, write: WriteOptions) -> Result<Converted> {
    convert_guessing(source, sink, read, write, SMALL, SAMPLE).await
}

/// Reads many files as one table and writes a sink: their columns are united by name, in the order in which they are first
/// seen, and types are as wide as the values of all files ask for. Columns that some files lack are null there, and types that
/// do not go together are text; both are told in the notes. Rows have the order of the files, and bad records are told and
/// counted by file.
///
/// # Errors
/// Those of [`convert`]; [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if the files are not of one format, or have a column
/// that their folders have too.
pub async fn convert_many(files: Files, sink: Sink, read: ReadOptions, write: WriteOptions) -> Result<Converted> {
    MemoryBudget::of_read(&read).check()?;
    MemoryBudget::of_write(&write).check()?;
    refuse_many(&sink, &write)?;
    parts::refuse_sources(&sink, &write, files.paths()).await?;
    parts::refuse_objects(&sink, &write, files.what(), files.keys_of_objects()).await?;
    let to = for_sink(&sink, &write)?;
    if write.exact {
        exact::source_of(&sink)?;
    }
    if let Some(from) = files.told(&read) {
        unheeded::refuse(&*from, &*to, &files.alone(&read), &write)?;
    }
    let mut sink = sink;
    if let Some(again) = sink.again() {
        // What is rejected is not given away before it is clear that the types hold.
        let deferred = read.rejects.clone().map(|rejects| Arc::new(Deferred::new(rejects)));
        let rejects = deferred.clone().map(|deferred| deferred as Arc<dyn Rejects>);
        if let Some(plan) = Plan::guessed(&files, &read.clone().with_rejects(rejects.clone())).await? {
            match finish_many(&plan, sink, &to, &write, rejects).await {
                Err(error) if Misfit::is_cause_of(&error) => sink = again,
                done => {
                    if let (Err(_), Some(deferred)) = (&done, deferred) {
                        // The error is told; that there are too many bad records besides is not news.
                        let _ = deferred.hand_on();
                    }
                    return done;
                }
            }
        }
    }
    let plan = Plan::new(&files, &read).await?;
    finish_many(&plan, sink, &to, &write, read.rejects).await
}

async fn finish_many(
    plan: &Plan,
    sink: Sink,
    to: &Arc<dyn Format>,
    write: &WriteOptions,
    rejects: Option<Arc<dyn Rejects>>,
) -> Result<Converted> {
    let alone = plan.files().alone(plan.options());
    unheeded::refuse(plan.format(), &**to, &alone, write)?;
    let write = described(plan.format(), &**to, write.clone(), &alone);
    finish(plan.read(None)?, sink, to, &write, rejects).await
}

/// How a sink is written, where what is said of CSV can be meant of nothing else.
fn described(from: &dyn Format, to: &dyn Format, write: WriteOptions, read: &ReadOptions) -> WriteOptions {
    if to.name() == "csv" && from.name() != "csv" { write.described_by(read) } else { write }
}

/// Converts; the types of a source of more than `small` bytes are guessed from its first `sample` bytes.
async fn convert_guessing(
    source: Source,
    sink: Sink,
    read: ReadOptions,
    write: WriteOptions,
    small: u64,
    sample: u64,
) -> Result<Converted> {
    MemoryBudget::of_read(&read).check()?;
    MemoryBudget::of_write(&write).check()?;
    refuse_many(&sink, &write)?;
    if let Source::LocalFile(path) = &source {
        parts::refuse_sources(&sink, &write, std::iter::once(&**path)).await?;
    }
    if let Source::Object { bucket, path } = &source {
        parts::refuse_objects(&sink, &write, &bucket.address(path), std::iter::once((bucket, path))).await?;
    }
    let to = for_sink(&sink, &write)?;
    if write.exact {
        exact::source_of(&sink)?;
    }
    if let Some(from) = told(&source, &read) {
        unheeded::refuse(&*from, &*to, &read, &write)?;
    }
    let source = source.spool().await?;
    let (from, compression) = detect(&source, &read).await?;
    unheeded::refuse(&*from, &*to, &read, &write)?;
    let write = described(&*from, &*to, write, &read);
    let read = read.with_compression(Some(compression));
    if let Some((source, sink)) = twice(&source, sink.again(), &read, small).await? {
        let mut guess = read.clone().with_infer(Infer::Sample(sample));
        guess.looks_ahead = true;
        let attempt = async { finish(read_as(&*from, source, guess).await?, sink, &to, &write, None).await };
        match attempt.await {
            Err(error) if Misfit::is_cause_of(&error) => {}
            done => return done,
        }
    }
    let rejects = read.rejects.clone();
    finish(read_as(&*from, source, read).await?, sink, &to, &write, rejects).await
}

/// The same batches; after the last one, the rejected records are held against their limit.
fn judged(batches: Batches, rejects: Option<Arc<dyn Rejects>>) -> Batches {
    let Some(rejects) = rejects else { return batches };
    let (schema, tally) = (Arc::clone(batches.schema()), Arc::clone(batches.tally()));
    let seen = Arc::clone(&tally);
    let verdict = stream::once(async move { rejects.end(seen.balance().seen).err().map(Err) });
    let stream = batches.map(Some).chain(verdict).filter_map(futures::future::ready);
    Batches::new(schema, stream.boxed(), tally)
}

async fn finish(
    batches: Batches,
    sink: Sink,
    to: &Arc<dyn Format>,
    write: &WriteOptions,
    rejects: Option<Arc<dyn Rejects>>,
) -> Result<Converted> {
    let (tally, mut notes) = (Arc::clone(batches.tally()), batches.notes().to_vec());
    let (schema, dialect) = (Arc::clone(batches.schema()), batches.dialect().cloned());
    let batches = judged(batches, rejects);
    let (batches, unsaid) = match to.name() {
        "parquet" => (batches, Unsaid::default()),
        name => unsaid::watched(batches, name != "csv"),
    };
    let table = if write.exact { Some(exact::source_of(&sink)?) } else { None };
    let (batches, passed) = match table {
        None => (batches, None),
        Some(table) => {
            let (batches, passed) = exact::watched(batches, MemoryBudget::of_write(write));
            (batches, Some((table, passed)))
        }
    };
    let (written, files, told) = if sink.is_many() {
        parts::write(sink, batches, Arc::clone(to), write).await?
    } else {
        (to.write(sink, batches, write.clone()).await?, Vec::new(), Vec::new())
    };
    notes.extend(told);
    notes.extend(unsaid.notes());
    let rows_digest = match passed {
        None => None,
        Some((table, passed)) => Some(exact::prove(table, &**to, write, &passed).await?),
    };
    notes.extend(tally.nulled_columns().iter().map(ToString::to_string));
    notes.extend(tally.notes());
    let (balance, bytes_read, write) = (tally.balance(), tally.bytes(), write.clone());
    Ok(Converted { written, files, balance, bytes_read, notes, dialect, schema, write, rows_digest })
}

/// One file cannot hold what options want of several.
fn refuse_many(sink: &Sink, write: &WriteOptions) -> Result<()> {
    if sink.is_many() {
        return Ok(());
    }
    let option = match (write.partition_by.is_empty(), write.max_rows_per_file) {
        (true, None) => return Ok(()),
        (false, _) => "partition_by",
        (true, Some(_)) => "max_rows_per_file",
    };
    Err(Error::invalid("write", sink)
        .with_reason(format_args!("`{option}` makes several files of a table, and this is one"))
        .with_hint("name a folder or prefix, which ends in `/`"))
}

/// Source and sink once more, if it pays to guess types and nothing stands in the way of a second try: records are not
/// yet rejected, bytes not yet given away.
async fn twice(source: &Source, sink: Option<Sink>, read: &ReadOptions, small: u64) -> Result<Option<(Source, Sink)>> {
    let is_free = read.infer == Infer::Auto && read.schema.is_none() && !read.text && read.rejects.is_none();
    if !is_free || Input::open(source).await?.size() <= small {
        return Ok(None);
    }
    Ok(source.again().zip(sink))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[tokio::test]
    async fn a_late_misfit_starts_again_and_the_result_is_that_of_the_whole() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("a.csv"), folder.path().join("a.ndjson"));
        let text = (0..20_000).fold("id,x\n".to_owned(), |text, row| text + &format!("{row},y\n")) + "z,1\n";
        std::fs::write(&from, &text).unwrap();
        let convert = |small| {
            let (source, sink) = (Source::LocalFile(from.clone()), Sink::LocalFile(to.clone()));
            convert_guessing(source, sink, ReadOptions::default(), WriteOptions::default(), small, 10)
        };
        let guessed = convert(1000).await.unwrap();
        assert_eq!(guessed.balance.seen, 20_001);
        assert_eq!(guessed.bytes_read, text.len() as u64);
        assert_eq!(guessed.notes, ["column `id` is text because of `z` in row 20001"]);
        assert_eq!(guessed, convert(SMALL).await.unwrap());
    }

    #[tokio::test]
    async fn a_misfit_in_another_encoding_starts_again_as_well() {
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("a.ndjson");
        let text =
            (0..20_000).fold("\u{feff}id,x\n".to_owned(), |text, row| text + &format!("{row},ä\n")) + "z,\u{1f34e}\n";
        let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        let mut all = Vec::new();
        for (name, bytes) in [("utf8.csv", text.as_bytes()), ("utf16.csv", &utf16)] {
            let from = folder.path().join(name);
            std::fs::write(&from, bytes).unwrap();
            for small in [1000, SMALL] {
                let (source, sink) = (Source::LocalFile(from.clone()), Sink::LocalFile(to.clone()));
                let (read, write) = (ReadOptions::default(), WriteOptions::default());
                let done = convert_guessing(source, sink, read, write, small, 10).await.unwrap();
                assert_eq!(done.bytes_read, bytes.len() as u64);
                all.push((done.written, done.balance, done.notes));
            }
        }
        all.dedup();
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].2, ["column `id` is text because of `z` in row 20001"]);
    }

    #[tokio::test]
    async fn what_comes_late_counts_as_if_it_had_come_early() {
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("a.parquet");
        let csv = |late: &str| (0..20_000).fold("n,x\n".to_owned(), |text, row| text + &format!("{row},\n")) + late;
        let marks = |late: &str| csv(late).replacen("0,\n1,\n", "0,1.5\n1,\"2,5\"\n", 1);
        let json = |late: &str| {
            (0..20_000).fold(String::new(), |text, row| text + &format!("{{\"n\":{row},\"x\":null}}\n")) + late
        };
        for (name, text) in [
            ("zeros.csv", csv("007,\n")),
            ("fraction.csv", csv("12.0,\n")),
            ("blank.csv", csv(" 5,\n")),
            ("late.csv", csv("1,2\n")),
            ("late.ndjson", json("{\"n\":1,\"x\":2}\n")),
            ("nested.ndjson", json("{\"n\":1,\"x\":[2]}\n")),
            ("sign.ndjson", json("{\"n\":-0,\"x\":null}\n")),
            ("marks.csv", marks("1,\"2,75\"\n")),
            ("marks_or_not.csv", marks("1,abc\n")),
        ] {
            let from = folder.path().join(name);
            std::fs::write(&from, &text).unwrap();
            let convert = |small| {
                let (source, sink) = (Source::LocalFile(from.clone()), Sink::LocalFile(to.clone()));
                convert_guessing(source, sink, ReadOptions::default(), WriteOptions::default(), small, 10)
            };
            assert_eq!(convert(1000).await.unwrap(), convert(SMALL).await.unwrap(), "{name}");
        }
    }

    #[tokio::test]
    async fn every_pair_of_formats_converts_with_one_digest() {
        let folder = tempfile::tempdir().unwrap();
        let names = ["a.csv", "a.tsv.gz", "a.ndjson", "a.json.zst", "a.parquet", "b.csv.zst"];
        let first = folder.path().join("first.csv");
        std::fs::write(&first, "id,name,at,x\n1,\"a, b\",2024-02-29,1.5\n2,,2024-03-01,\n").unwrap();
        let (mut from, mut digests) = (first, Vec::new());
        for name in names {
            let to = folder.path().join(name);
            let (read, write) = (ReadOptions::default(), WriteOptions::default());
            let done = convert(Source::LocalFile(from), Sink::LocalFile(to.clone()), read, write).await.unwrap();
            assert_eq!(std::fs::metadata(&to).unwrap().len(), done.written.bytes);
            digests.push(done.written.digest);
            from = to;
        }
        digests.dedup();
        assert_eq!(digests.len(), 1);
    }

    #[tokio::test]
    async fn a_sink_without_a_known_format_is_refused_before_anything_is_read() {
        let sink = Sink::LocalFile("/nowhere/a.xyz".into());
        let source = Source::LocalFile("/nowhere/a.csv".into());
        let error = convert(source, sink, ReadOptions::default(), WriteOptions::default()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.hint().unwrap().contains("ndjson"));
    }

    #[tokio::test]
    async fn what_is_not_heeded_is_refused_before_anything_is_read() {
        let named = ("/nowhere/a.parquet", ReadOptions::default());
        let said = ("/nowhere/a", ReadOptions::default().with_format(Some("parquet".into())));
        for (path, read) in [named, said] {
            let convert = |read| {
                let (source, sink) = (Source::LocalFile(path.into()), Sink::LocalFile("/nowhere/a.ndjson".into()));
                convert(source, sink, read, WriteOptions::default())
            };
            let error = convert(read.clone().with_delimiter(Some(';'))).await.unwrap_err();
            assert_eq!((error.kind(), error.subject()), (ErrorKind::Invalid, "`delimiter`"));
            assert_eq!(convert(read).await.unwrap_err().kind(), ErrorKind::NotFound);
        }
    }

    #[tokio::test]
    async fn two_columns_of_one_name_are_refused_before_anything_is_written() {
        use arrow::datatypes::{DataType, Field, Schema};
        let folder = tempfile::tempdir().unwrap();
        let schema = Schema::new(vec![Field::new("a", DataType::Int64, true), Field::new("a", DataType::Utf8, true)]);
        for name in ["a.csv", "a.ndjson", "a.json", "a.parquet"] {
            let path = folder.path().join(name);
            let sink = Sink::LocalFile(path.clone());
            let to = for_sink(&sink, &WriteOptions::default()).unwrap();
            let batches = Batches::from_vec(schema.clone().into(), Vec::new());
            let error = to.write(sink, batches, WriteOptions::default()).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert_eq!(error.reason(), Some("two columns have the name `a`"), "{name}");
            assert!(error.hint().unwrap().contains("AS") && !path.exists());
        }
    }
}
