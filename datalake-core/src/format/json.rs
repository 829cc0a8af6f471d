//! JSON, in both directions: one object a line (NDJSON), an array of objects, or a document that holds one.
//!
//! A scanner cuts the text into records; `serde_json` parses each of them level by level, so that numbers stay as they
//! are written until their column's type is known. Arrow's own JSON reader takes 1.5 for 1 in a column of integers,
//! and fails a whole batch for one bad value, so columns are built here.
//!
//! Objects become structs and arrays lists, unless fields are asked to be columns of their own. A field that holds
//! values of several kinds is text: scalars as they are written, anything with an object or an array as JSON. Texts
//! become dates and times where all of a field are, and never numbers. What is written reads back as the same values;
//! but JSON has no NaN and no infinities, which are written as `null`.

mod blocks;
mod build;
mod column;
mod columns;
mod cut;
mod decode;
mod elements;
mod frame;
#[cfg(test)]
mod kernels;
mod marks;
mod members;
mod name;
mod rows;
mod shape;
mod slot;
mod strings;
#[cfg(test)]
mod tests;
mod value;
mod write;

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;

use self::cut::Cutter;
use self::decode::{Decoder, Scan, Target};
use self::frame::{Framer, Layout};
use self::shape::struct_fields;
pub(crate) use self::shape::{Kind, Shape};
use self::value::Value;
use self::write::Encoder;
use super::batches::{Batches, Tally};
use super::compression::Deflate;
use super::csv::column_names;
use super::intake::{Intake, Origin, escaped};
use super::memory::MemoryBudget;
use super::options::{Infer, ReadOptions, WriteOptions};
use super::packing::Packing;
use super::schema::{Inferred, Observed, shortened};
use super::sink::{Sink, Written};
use super::source::{Input, Source};
use super::spec::ColumnSpec;
use super::{Format, ahead, drive, trial};
use crate::compute;
use crate::error::{Error, Result};

/// The JSON formats: `ndjson` and `json`.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Json {
    is_lines: bool,
}

impl Json {
    /// One object a line.
    #[must_use]
    pub fn lines() -> Self {
        Self { is_lines: true }
    }

    /// An array of objects. What is read may also be a document that holds one, or one object a line.
    #[must_use]
    pub fn document() -> Self {
        Self { is_lines: false }
    }
}

/// An opened source, and all that must be known of it before its records are read.
struct Plan {
    input: Input,
    packing: Packing,
    layout: Layout,
    kinds: Vec<(String, Kind)>,
    schema: SchemaRef,
    /// What was seen of each column of the schema whose type was inferred; `None` where it is nested.
    observed: Vec<Option<Observed>>,
    notes: Vec<String>,
    rows: u64,
    whole: bool,
    /// Whether a name that is repeated may be found only where all records are read.
    tells_repeated: bool,
    /// What the values have in common, where types are found from them.
    shape: Option<Box<Shape>>,
}

impl Plan {
    async fn new(source: &Source, options: &ReadOptions, is_lines: bool) -> Result<Self> {
        let input = Input::open(source).await?;
        let packing = Packing::of(&input, options).await?;
        let layout = layout(&input, &packing, options, is_lines).await?;
        let limit = match options.infer {
            Infer::Sample(bytes) => Some(bytes.max(1)),
            Infer::Auto | Infer::Whole => None,
        };
        if let Some(fields) = options.guess.as_ref().and_then(|guess| guess.fields.clone()) {
            let (mut notes, observed) = (Vec::new(), Vec::new());
            let schema = decoded_schema(&fields, options.flatten, &mut notes);
            return Ok(Self {
                input,
                packing,
                layout,
                kinds: fields,
                schema,
                observed,
                notes,
                rows: 0,
                whole: false,
                // The fields were found from all records, and what there is to be told was.
                tells_repeated: false,
                shape: None,
            });
        }
        let scan = Scan::new(Framer::new(input.name(), layout.clone()), options.nulls.clone());
        let (scan, whole) = drive::observe(&input, &packing, scan, limit).await?;
        let is_text = options.text || options.schema.is_some();
        let observed = if is_text { Vec::new() } else { scan.observed(options.flatten) };
        let shape = (!is_text).then(|| Box::new(scan.shape().clone()));
        let mut kinds = scan.shape().record();
        if is_text {
            let declared = options.schema.as_deref().unwrap_or_default();
            kinds =
                Declared { specs: declared, json_text: &options.json_text, flattens: options.flatten }.kinds("", kinds);
        }
        let mut notes = scan.notes(&kinds, !is_text);
        let schema = decoded_schema(&kinds, options.flatten, &mut notes);
        let tells_repeated = !whole && scan.shape().repeated(&kinds).is_none();
        let rows = scan.rows();
        Ok(Self { input, packing, layout, kinds, schema, observed, notes, rows, whole, tells_repeated, shape })
    }

    fn intake(&self, options: &ReadOptions, tally: &Arc<Tally>) -> Result<Intake> {
        let specs = options.schema.as_deref().map(|specs| (specs, Origin::Declared));
        Intake::new(self.input.name(), &self.schema, specs, options, tally)
    }
}

/// What is declared of the types of columns.
struct Declared<'a> {
    specs: &'a [ColumnSpec],
    /// The columns that hold JSON text.
    json_text: &'a [String],
    flattens: bool,
}

impl Declared<'_> {
    /// The kinds that values are decoded in: nested ones in theirs, all others as text.
    fn kinds(&self, prefix: &str, kinds: Vec<(String, Kind)>) -> Vec<(String, Kind)> {
        let as_declared = |(name, kind): (String, Kind)| {
            let column = format!("{prefix}{name}");
            let is_declared =
                |spec: &&ColumnSpec| spec.data_type.is_nested() && spec.source_names().any(|n| n == column);
            let kind = match (kind, self.specs.iter().find(is_declared)) {
                _ if self.json_text.contains(&column) => Kind::Json,
                (Kind::Struct(fields), _) if self.flattens => Kind::Struct(self.kinds(&format!("{column}_"), fields)),
                (kind, Some(spec)) if kind.data_type() == spec.data_type => kind,
                (_, Some(spec)) => Kind::of_type(&spec.data_type).unwrap_or(Kind::Json),
                // An object with fields behind a sample makes columns of them.
                (kind @ (Kind::Empty | Kind::NoFields), None) if self.flattens => kind,
                (_, None) => Kind::Text,
            };
            (name, kind)
        };
        kinds.into_iter().map(as_declared).collect()
    }
}

/// Which columns of a decoded schema hold JSON text, since their values are of several kinds.
fn json_text(kinds: &[(String, Kind)], schema: &Schema, flattens: bool) -> Vec<String> {
    fn push(kinds: &[(String, Kind)], flattens: bool, are_json: &mut Vec<bool>) {
        for (_, kind) in kinds {
            match kind {
                Kind::Struct(fields) if flattens => push(fields, true, are_json),
                kind => are_json.push(matches!(kind, Kind::Json | Kind::NoFields)),
            }
        }
    }
    let mut are_json = Vec::new();
    push(kinds, flattens, &mut are_json);
    let columns = schema.fields().iter().zip(are_json).filter(|(_, is_json)| *is_json);
    columns.map(|(field, _)| field.name().clone()).collect()
}

/// The fields of records of which these shapes were seen one after the other, and the schema of decoded batches.
pub(crate) fn united<'a>(shapes: impl Iterator<Item = &'a Shape>, flattens: bool) -> (Vec<(String, Kind)>, SchemaRef) {
    let mut all = Shape::new();
    shapes.for_each(|shape| all.merge(shape));
    let kinds = all.record();
    let schema = decoded_schema(&kinds, flattens, &mut Vec::new());
    (kinds, schema)
}

/// The schema of decoded batches; names that are empty or taken are changed.
fn decoded_schema(kinds: &[(String, Kind)], flattens: bool, notes: &mut Vec<String>) -> SchemaRef {
    let mut columns = Vec::new();
    for field in &struct_fields(kinds) {
        push_columns("", field, flattens, &mut columns);
    }
    let given: Vec<String> = columns.iter().map(|(name, _)| name.clone()).collect();
    let (names, renamed) = column_names(&given);
    notes.extend(renamed);
    let fields = names.iter().zip(columns).map(|(name, (_, data_type))| Field::new(name, data_type, true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn push_columns(prefix: &str, field: &Field, flattens: bool, columns: &mut Vec<(String, DataType)>) {
    let name = format!("{prefix}{}", field.name());
    match field.data_type() {
        DataType::Struct(fields) if flattens => {
            for field in fields {
                push_columns(&format!("{name}_"), field, flattens, columns);
            }
        }
        data_type => columns.push((name, data_type.clone())),
    }
}

/// How the records lie in a text, seen from its beginning.
async fn layout(input: &Input, packing: &Packing, options: &ReadOptions, is_lines: bool) -> Result<Layout> {
    const HEAD: usize = 1024 * 1024;
    let (head, is_whole) = drive::head(input, packing, HEAD).await?;
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&head).trim_ascii_start();
    match text.first() {
        None if is_whole => Err(Error::invalid("read", input.name())
            .with_reason("it is empty: there is nothing but blanks in it, and so no columns")
            .with_hint("a table without rows leaves no names in JSON; keep it as CSV or Parquet")),
        Some(b'[') => match &options.rows {
            None => Ok(Layout::Array),
            Some(rows) => Err(Error::invalid("read", input.name())
                .with_reason(format_args!("it is an array, and no document with a member `{rows}`"))
                .with_hint("leave `rows` away: the elements of the array are the rows")),
        },
        _ if is_lines => Ok(Layout::Lines),
        Some(b'{') if options.rows.is_none() && is_one_a_line(text) => Ok(Layout::Lines),
        Some(b'{') => Ok(Layout::Document(options.rows.clone())),
        _ => Err(Error::invalid("read", input.name()).with_reason(format_args!(
            "it is no JSON: it begins with `{}`",
            shortened(&escaped(&text[..text.len().min(40)]))
        ))),
    }
}

/// Whether the first line is an object and another begins after it.
fn is_one_a_line(text: &[u8]) -> bool {
    let mut lines = text.splitn(2, |byte| *byte == b'\n');
    let (Some(first), Some(rest)) = (lines.next(), lines.next()) else { return false };
    let is_object = std::str::from_utf8(first).is_ok_and(|line| matches!(Value::of_text(line), Ok(Value::Object(_))));
    is_object && rest.trim_ascii_start().first() == Some(&b'{')
}

#[async_trait]
impl Format for Json {
    fn name(&self) -> &'static str {
        if self.is_lines { "ndjson" } else { "json" }
    }

    async fn infer_schema(&self, source: &Source, options: &ReadOptions) -> Result<Inferred> {
        let mut plan = Plan::new(source, options, self.is_lines).await?;
        let intake = plan.intake(options, &Arc::default())?;
        plan.notes.extend(intake.notes());
        let inferred = Inferred::new(intake.schema(), plan.notes, plan.rows, plan.whole);
        let inferred = Inferred { shape: plan.shape, ..inferred };
        let names: Vec<_> = plan.schema.fields().iter().map(|field| field.name()).collect();
        Ok(inferred.with_observed(names.into_iter().zip(plan.observed.iter().map(Option::as_ref))))
    }

    async fn read(&self, source: Source, options: ReadOptions) -> Result<Batches> {
        let plan = Plan::new(&source.spool().await?, &options, self.is_lines).await?;
        let tally = Arc::new(Tally::default());
        let intake = plan.intake(&options, &tally)?;
        let schema = Arc::clone(intake.schema());
        let mut notes = plan.notes;
        notes.extend(intake.notes());
        let names = plan.schema.fields().iter().map(|field| field.name().clone()).collect();
        let name = Arc::clone(plan.input.name());
        if let (Some(rejects), None) = (&options.rejects, &options.schema) {
            rejects.json_text(json_text(&plan.kinds, &plan.schema, options.flatten));
        }
        let (flattens, tells_repeated) = (options.flatten, plan.tells_repeated);
        let target = Target { kinds: plan.kinds, schema: plan.schema, flattens, tells_repeated };
        if options.looks_ahead && plan.layout == Layout::Lines && plan.packing.is_as_stored() {
            for piece in ahead::pieces(&plan.input).await? {
                let (source, kinds, nulls) = (Arc::clone(&name), target.kinds.clone(), options.nulls.clone());
                if compute::run(move || blocks::is_misfit(&source, &kinds, &nulls, piece)).await? {
                    return Err(ahead::misfit(&plan.input));
                }
            }
        }
        let (nulls, batch_rows) = (options.nulls, options.batch_rows);
        let stream = if let Layout::Document(_) = plan.layout {
            let decoder = Decoder::new(&name, Framer::new(&name, plan.layout), target, nulls, intake, batch_rows);
            drive::decoded(plan.input, &plan.packing, decoder, Arc::clone(&tally))?
        } else {
            let cutter = Cutter::new(&name, &plan.layout, trial::block(blocks::BLOCK));
            let cut = drive::decoded(plan.input, &plan.packing, cutter, Arc::clone(&tally))?;
            blocks::batches(&name, plan.layout, cut, target, nulls, intake, batch_rows)
        };
        Ok(Batches::new(schema, stream, tally).with_notes(notes).with_source_columns(names))
    }

    async fn write(&self, sink: Sink, batches: Batches, options: WriteOptions) -> Result<Written> {
        let memory = MemoryBudget::of_write(&options);
        let deflate = Deflate::for_sink(&sink, &options)?;
        let encoder = Encoder::new(batches.schema(), !self.is_lines);
        drive::write(sink, batches, encoder, deflate, memory).await
    }
}
