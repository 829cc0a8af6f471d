//! What is fixed before the rows of many files are read: their format, their common columns, and what folders say.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use futures::{FutureExt, StreamExt, TryStreamExt, stream};

use super::fetch::{Done, Look, worked};
use super::find::Files;
use super::said::{folder_of, found_in_folders, in_both, said_as};
use super::union::{United, unite};
use crate::error::{Error, Result};
use crate::format::batches::Batches;
use crate::format::memory::MemoryBudget;
use crate::format::names::nearest;
use crate::format::options::{Infer, ReadOptions};
use crate::format::schema::{Guess, Inferred};
use crate::format::single::taken;
use crate::format::source::Source;
use crate::format::spec::ColumnSpec;
#[cfg(feature = "sql")]
use crate::format::unheeded;
use crate::format::{Format, detect, json};

/// So many files, spread over all, are looked at before types are guessed.
const SAMPLE_FILES: usize = 8;
/// Of a large file so many (decompressed) bytes are looked at for a guess.
const SAMPLE: u64 = 1024 * 1024;
/// So many files whose names do not tell their formats are opened at a time.
const AT_ONCE: usize = 16;

/// The formats of files, in their order.
type Formats = Arc<[Arc<dyn Format>]>;

/// Files, and all that must be known of them before their records are read.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(super) files: Files,
    /// That of each file.
    formats: Formats,
    /// How each file is read.
    pub(super) options: ReadOptions,
    /// The columns that are read of each file, without those that an option adds.
    columns: SchemaRef,
    /// What the folders of the files say, a row for each file.
    said: RecordBatch,
    notes: Vec<String>,
    /// Whether all files were looked at, so that the notes say all there is to say.
    pub(super) is_whole: bool,
}

impl Plan {
    /// The plan by the types of all values; files of one format.
    pub(crate) async fn new(files: &Files, options: &ReadOptions) -> Result<Self> {
        let formats = formats_of(files, options).await?;
        of_one(files, &formats)?;
        Self::of(files, formats, options).await
    }

    /// The plan by the types of all values; files of any formats.
    #[cfg(feature = "sql")]
    pub(crate) async fn of_any(files: &Files, options: &ReadOptions) -> Result<Self> {
        Self::of(files, formats_of(files, options).await?, options).await
    }

    /// The same, where the options are said of these files alone: those that files of one format do not heed are refused.
    #[cfg(feature = "sql")]
    pub(crate) async fn of_these(files: &Files, options: &ReadOptions) -> Result<Self> {
        let formats = formats_of(files, options).await?;
        if of_one(files, &formats).is_ok() {
            unheeded::refuse_read(&*formats[0], &files.alone(options))?;
        }
        Self::of(files, formats, options).await
    }

    async fn of(files: &Files, formats: Formats, options: &ReadOptions) -> Result<Self> {
        let mut options = options.clone().with_infer(Infer::Whole);
        if options.schema.is_some() {
            return Self::declared(files, formats, options);
        }
        let found = infer(files, 0..files.len(), &formats, &options).await?;
        let are_all = |names: &[&str]| formats.iter().all(|format| names.contains(&format.name()));
        let mut united = unite(&found, options.decimal, are_all(&["json", "ndjson"]));
        let shapes: Option<Vec<_>> = found.iter().map(|(_, inferred)| inferred.shape.as_deref()).collect();
        if let Some(shapes) = shapes {
            let (fields, schema) = json::united(shapes.into_iter(), options.flatten);
            united.schema = schema;
            let guess = Guess { columns: Vec::new(), unseen: Vec::new(), fields: Some(fields) };
            options.guess = Some(Arc::new(guess));
        } else if !united.alike || are_all(&["csv"]) {
            // Texts are not looked at again for types that are known.
            (options.schema, options.is_found) = (Some(united.columns.clone()), true);
        }
        Self::made(files, formats, options, united, &found)
    }

    /// A plan by the types in some of the files: reading ends with a [`Misfit`](crate::format::Misfit) where it is not that by
    /// all of them. None where there is nothing to be gained by it, or it is clear already that it does not hold.
    pub(crate) async fn guessed(files: &Files, options: &ReadOptions) -> Result<Option<Self>> {
        let formats = formats_of(files, options).await?;
        of_one(files, &formats)?;
        // Of text there is nothing to guess, and which columns there are is seen in the headers of all.
        let is_free = options.infer == Infer::Auto && options.schema.is_none() && !options.text;
        if !is_free || formats[0].name() != "csv" {
            return Ok(None);
        }
        let some = options.clone().with_infer(Infer::Sample(SAMPLE));
        let count = SAMPLE_FILES.min(files.len());
        let sample = (0..count).map(|nth| nth * (files.len() - 1) / (count - 1).max(1));
        let found = infer(files, sample, &formats, &some).await?;
        let united = unite(&found, options.decimal, false);
        // What is to be told is told of all files.
        if united.has_conflict || found.iter().any(|(_, inferred)| !inferred.notes.is_empty()) {
            return Ok(None);
        }
        let guess = Guess { columns: united.columns.clone(), unseen: united.unseen.clone(), fields: None };
        let mut options = options.clone();
        options.guess = Some(Arc::new(guess));
        let united = United { notes: Vec::new(), ..united };
        Ok(Some(Self { is_whole: false, ..Self::made(files, formats, options, united, &found)? }))
    }

    /// The plan by declared columns.
    fn declared(files: &Files, formats: Formats, mut options: ReadOptions) -> Result<Self> {
        let is_said = |spec: &ColumnSpec| folder_of(spec, &files.keys.iter().map(String::as_str)).is_some();
        let (said, own) = options.schema.unwrap_or_default().into_iter().partition::<Vec<_>, _>(is_said);
        let columns = Arc::new(Schema::new(own.iter().map(ColumnSpec::field).collect::<Vec<_>>()));
        options.schema = Some(own);
        let said = said_as(files, &said, &options)?;
        Self { files: files.clone(), formats, options, columns, said, notes: Vec::new(), is_whole: false }.checked()
    }

    fn made(
        files: &Files,
        formats: Formats,
        options: ReadOptions,
        united: United,
        found: &[(Arc<str>, Inferred)],
    ) -> Result<Self> {
        for (name, inferred) in found {
            if let Some(key) = files.keys.iter().find(|key| inferred.schema.index_of(key).is_ok()) {
                return Err(in_both(name, key));
            }
        }
        let (said, columns) = (said_as(files, &found_in_folders(files, &options), &options)?, united.schema);
        Self { files: files.clone(), formats, options, columns, said, notes: united.notes, is_whole: true }.checked()
    }

    fn checked(mut self) -> Result<Self> {
        self.notes.splice(0..0, self.files.notes.iter().cloned());
        self.layout(None).map(|_| self)
    }

    /// The format of the files, where all are of one.
    pub(crate) fn format(&self) -> &dyn Format {
        &*self.formats[0]
    }

    /// How each file is read.
    pub(crate) fn options(&self) -> &ReadOptions {
        &self.options
    }

    /// The files.
    pub(crate) fn files(&self) -> &Files {
        &self.files
    }

    /// Who takes the rejected records.
    #[cfg(feature = "sql")]
    pub(crate) fn rejects(&self) -> Option<&Arc<dyn crate::format::Rejects>> {
        self.options.rejects.as_ref()
    }

    /// What the user should know of how the columns came about.
    pub(crate) fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The schema of all rows.
    #[cfg(feature = "sql")]
    pub(crate) fn schema(&self) -> Result<SchemaRef> {
        Ok(self.layout(None)?.schema)
    }

    /// How a batch of a file becomes one of the table, with all columns or some.
    pub(super) fn layout(&self, columns: Option<&[String]>) -> Result<Layout> {
        let columns = columns.or(self.options.columns.as_deref());
        let (mut of_file, mut fields, mut pieces) = (Vec::new(), Vec::new(), Vec::new());
        let said = self.said.schema();
        let all = self.columns.fields().iter().chain(said.fields()).map(|field| field.name().clone());
        let all: Vec<String> = all.collect();
        for name in columns.unwrap_or(&all) {
            if let Ok(place) = said.index_of(name) {
                pieces.push(Piece::Said(Arc::clone(self.said.column(place))));
                fields.push(said.field(place).clone());
            } else if let Ok(field) = self.columns.field_with_name(name) {
                pieces.push(Piece::Own(of_file.len()));
                of_file.push(name.clone());
                fields.push(field.clone());
            } else {
                let error = Error::not_found("find", format_args!("column `{name}` of {}", self.files.what));
                return Err(match nearest(all.iter().map(String::as_str), &[name]) {
                    Some(near) => error.with_hint(format_args!("the nearest name is `{near}`")),
                    None => error,
                });
            }
        }
        if let Some(name) = &self.options.row_number {
            pieces.push(Piece::Own(of_file.len()));
            fields.push(Field::new(name, DataType::UInt64, false));
        }
        if let Some(name) = &self.options.source_column {
            pieces.push(Piece::Source);
            fields.push(Field::new(name, DataType::Utf8, false));
        }
        let added = self.options.row_number.iter().chain(&self.options.source_column);
        if let Some(name) = added.into_iter().find(|name| fields.iter().filter(|f| f.name() == *name).count() > 1) {
            return Err(taken(&self.files.what, name));
        }
        Ok(Layout { schema: Arc::new(Schema::new(fields)), pieces, of_file })
    }

    /// Opens a file.
    pub(super) async fn open(&self, number: usize, source: Source, options: ReadOptions) -> Result<Batches> {
        detect::member_is_possible(&source, &options).await?;
        self.formats[number].read(source, options).await
    }
}

/// Of what the columns of the table are made.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) schema: SchemaRef,
    pub(super) pieces: Vec<Piece>,
    /// The columns that are read of each file.
    pub(super) of_file: Vec<String>,
}

#[derive(Debug)]
pub(super) enum Piece {
    /// A column of the file's batches.
    Own(usize),
    /// What the folders of each file say.
    Said(ArrayRef),
    /// The file's name.
    Source,
}

impl Files {
    /// The format of all files where an option or their names tell it, so that it is known before any of them is read.
    pub(in crate::format) fn told(&self, options: &ReadOptions) -> Option<Arc<dyn Format>> {
        if let Some(name) = &options.format {
            return detect::format(name);
        }
        let mut formats = self.files.iter().map(|file| file.file_name().and_then(|name| detect::by_name(&name)));
        let first = formats.next()??;
        formats.all(|other| other.is_some_and(|other| other.name() == first.name())).then_some(first)
    }

    /// How files are read, without what is said of their folders: their values have that decimal mark and these words for what is
    /// missing, whatever the files are.
    pub(in crate::format) fn alone(&self, options: &ReadOptions) -> ReadOptions {
        if self.keys.is_empty() {
            return options.clone();
        }
        options.clone().with_decimal(None).with_nulls(ReadOptions::default().nulls)
    }
}

/// The formats of all files: by option, by their names, or by their first bytes.
async fn formats_of(files: &Files, options: &ReadOptions) -> Result<Formats> {
    if options.format.is_some() {
        let format = detect::detect(&files.files[0].source()?, options).await?.0;
        return Ok(std::iter::repeat_n(format, files.len()).collect());
    }
    let found = (0..files.len()).map(|place| {
        let by_name = files.files[place].file_name().and_then(|name| detect::by_name(&name));
        let (files, options) = (Arc::clone(&files.files), options.clone());
        async move {
            match by_name {
                Some(format) => Ok::<_, Error>(format),
                None => Ok(detect::detect(&files[place].source()?, &options).await?.0),
            }
        }
    });
    let found: Vec<_> = stream::iter(found.collect::<Vec<_>>()).buffered(AT_ONCE).try_collect().await?;
    Ok(found.into())
}

/// Sees that all files are of one format.
fn of_one(files: &Files, formats: &[Arc<dyn Format>]) -> Result<()> {
    let first = &formats[0];
    match formats.iter().position(|other| other.name() != first.name()) {
        None => Ok(()),
        Some(place) => Err(Error::invalid("read", &files.what)
            .with_reason(format_args!(
                "{} is {}, and {} is {}",
                files.files[0].name,
                first.name(),
                files.files[place].name,
                formats[place].name()
            ))
            .with_hint("name files of one format, for example by `*.csv`, or say the format of all")),
    }
}

/// The schemas of some files, in their order.
async fn infer(
    files: &Files,
    which: impl Iterator<Item = usize>,
    formats: &Formats,
    options: &ReadOptions,
) -> Result<Vec<(Arc<str>, Inferred)>> {
    // Which columns there are does not depend on those that are asked for, or added.
    let mut options = options.clone().with_columns(None).with_row_number(None);
    options.rejects = None;
    let budget = MemoryBudget::of_read(&options);
    let (small, large) = ((Arc::clone(formats), options.clone()), options);
    let mut found = Vec::new();
    let mut done = worked(&files.files, which, Look::First, budget, move |number, source| {
        let (format, options) = (Arc::clone(&small.0[number]), small.1.clone());
        async move {
            detect::member_is_possible(&source, &options).await?;
            format.infer_schema(&source, &options).await
        }
        .boxed()
    });
    while let Some(some) = done.try_next().await? {
        match some {
            Done::Small(some) => found.extend(some),
            Done::Large(number) => {
                let source = files.files[number].source()?;
                detect::member_is_possible(&source, &large).await?;
                found.push((number, formats[number].infer_schema(&source, &large).await?));
            }
        }
    }
    Ok(found.into_iter().map(|(number, inferred)| (Arc::clone(&files.files[number].name), inferred)).collect())
}
