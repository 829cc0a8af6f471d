//! The scan of a prepare step: row by row from raw objects to declared columns, past the quality rules.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::datatypes::{Schema, SchemaRef, UInt64Type};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use futures::{StreamExt, stream};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Position, Result};
use crate::format::{
    Batches, CellFault, ColumnSpec, Conformer, Files, Infer, Nulled, OnRowError, Quarantine, ReadOptions, Reject,
    Rejects, Tally,
};
use crate::pipeline::ledger::{Ledger, SourceRejects};
use crate::pipeline::manifest::ObjectVersion;
use crate::pipeline::prepare::filtered;
use crate::pipeline::run::Context;
use crate::pipeline::step::{Prepare, Rule, RuleAction};
use crate::progress::Progress;
use crate::query::{Part, RowExpression, unite};

/// The column that carries a record's number through the scan.
const ROW: &str = "__row";

/// What is fixed before the first row, from the objects alone: the columns, and how objects are read into them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Plan {
    columns: Vec<ColumnSpec>,
    /// Whether each object is read in these types, because by themselves they differ.
    imposed: bool,
    /// What the user should know of how the types came about.
    notes: Vec<String>,
}

impl Plan {
    /// The columns that the step declares; without them, the union of what the objects hold.
    async fn of(step: &Prepare, found: &Found) -> Result<Self> {
        let mut plan = if step.columns.is_empty() {
            let common = unite(&found.parts).await?;
            let columns = common.columns.into_iter().filter(|column| column.name != ROW).collect();
            Self { columns, imposed: !common.alike, notes: common.notes }
        } else {
            Self::declared(step)
        };
        plan.notes.splice(0..0, found.notes.iter().cloned());
        Ok(plan)
    }

    /// The columns that the step declares.
    pub(crate) fn declared(step: &Prepare) -> Self {
        Self { columns: step.columns.clone(), imposed: false, notes: Vec::new() }
    }

    /// The columns that the step declares, and what is to be known of how its objects were found.
    pub(crate) async fn declared_over(step: &Prepare, context: &Context) -> Result<Self> {
        let mut plan = Self::declared(step);
        for source in &step.sources {
            let files = files_of(step, &source.path, context).await?;
            plan.notes.extend_from_slice(files.notes());
        }
        Ok(plan)
    }

    /// The plan of a step over all of its objects.
    pub(crate) async fn make(step: &Prepare, context: &Context) -> Result<Self> {
        Self::of(step, &found(step, context, None).await?).await
    }

    /// The columns as a schema.
    pub(crate) fn schema(&self) -> SchemaRef {
        Arc::new(Schema::new(self.columns.iter().map(ColumnSpec::field).collect::<Vec<_>>()))
    }

    /// What the user should know of how the types came about.
    pub(crate) fn notes(&self) -> &[String] {
        &self.notes
    }

    /// A declared column that no object has is a misspelt one.
    pub(crate) fn every_column_found(&self, ledger: &Ledger) -> Result<()> {
        let found = ledger.columns_found();
        match self.columns.iter().find(|column| !found.contains(&column.name)) {
            None => Ok(()),
            Some(column) => {
                let names: Vec<&str> = column.source_names().collect();
                Err(Error::invalid("find", format_args!("column `{}`", names.join("` or `")))
                    .with_reason("no source has it, so it would be null in every row")
                    .with_hint("correct `from` or the name, or leave the column out"))
            }
        }
    }
}

/// The objects of a source. Where columns are declared, folders are asked for those alone.
async fn files_of(step: &Prepare, path: &str, context: &Context) -> Result<Files> {
    let is_declared = |key: &str| step.columns.iter().any(|column| column.source_names().any(|name| name == key));
    let is_wanted = |key: &str| step.columns.is_empty() || is_declared(key);
    Files::in_lake_of(context.lake.as_ref(), &path.parse()?, is_wanted).await
}

/// The objects that a step reads, in order, and how; only some of them where a shard is meant, which must be as they
/// were when they were listed.
async fn found(step: &Prepare, context: &Context, shard: Option<&Shard<'_>>) -> Result<Found> {
    let (mut parts, mut notes) = (Vec::new(), Vec::new());
    let mut number = 0;
    for source in &step.sources {
        let options = source
            .read_options()
            .with_text(!step.columns.is_empty())
            .with_infer(Infer::Whole)
            .with_on_row_error(step.on_row_error)
            .with_row_number(Some(ROW.to_owned()));
        let files = files_of(step, &source.path, context).await?;
        notes.extend_from_slice(files.notes());
        for (bucket, meta, said) in files.objects() {
            let wanted = shard.is_none_or(|shard| shard.objects.contains(&number));
            if wanted {
                let part = Part::detect(bucket.clone(), meta.clone(), said, &options).await?;
                if let Some(shard) = shard {
                    shard.check(number, &part)?;
                }
                parts.push((part, options.clone()));
            }
            number += 1;
        }
    }
    Ok(Found { parts, notes })
}

/// The objects that a step reads, and how.
struct Found {
    parts: Vec<(Part, ReadOptions)>,
    /// What the user should know of how they were found.
    notes: Vec<String>,
}

/// Some of a step's objects, by their numbers among all, for one worker.
#[derive(Debug)]
pub(crate) struct Shard<'a> {
    pub(crate) objects: Range<usize>,
    /// All objects as they were listed.
    pub(crate) listed: &'a [ObjectVersion],
}

impl Shard<'_> {
    /// Sees that an object is the one that was listed, before a part of the rows is of another.
    fn check(&self, number: usize, part: &Part) -> Result<()> {
        let now = ObjectVersion { path: part.path(), size: part.meta.size, etag: part.meta.e_tag.clone() };
        if self.listed.get(number) == Some(&now) {
            return Ok(());
        }
        Err(Error::invalid("read", part.path())
            .with_reason("it has changed since the step was planned, or objects beside it have come or gone")
            .with_hint("run the pipeline again"))
    }
}

/// What is read, in which order, into which columns, past which rules.
#[derive(Debug)]
pub(crate) struct Scan {
    parts: Vec<(Part, ReadOptions)>,
    plan: Arc<Plan>,
    schema: SchemaRef,
    rules: Vec<(Rule, RowExpression)>,
    on_row_error: OnRowError,
    quarantine: Arc<Quarantine>,
    ledger: Arc<Ledger>,
    progress: Arc<dyn Progress>,
    /// Whether these are all objects of the step, so that what must hold of all can be seen at the end.
    whole: bool,
}

impl Scan {
    /// A scan of all objects: finds them, fixes the schema and checks the rules against it.
    pub(crate) async fn plan(step: &Prepare, context: &Context, quarantine: Arc<Quarantine>) -> Result<Self> {
        let found = found(step, context, None).await?;
        let plan = Plan::of(step, &found).await?;
        let scan = Self::new(step, found.parts, plan, context, quarantine)?;
        for note in scan.plan.notes() {
            scan.progress.note(note);
            scan.ledger.note(note.clone());
        }
        Ok(Self { whole: true, ..scan })
    }

    /// A scan of some objects, by a plan that was made from all.
    pub(crate) async fn of_shard(
        step: &Prepare,
        plan: Plan,
        shard: &Shard<'_>,
        context: &Context,
        quarantine: Arc<Quarantine>,
    ) -> Result<Self> {
        let found = found(step, context, Some(shard)).await?;
        Self::new(step, found.parts, plan, context, quarantine)
    }

    fn new(
        step: &Prepare,
        mut parts: Vec<(Part, ReadOptions)>,
        plan: Plan,
        context: &Context,
        quarantine: Arc<Quarantine>,
    ) -> Result<Self> {
        if plan.imposed {
            for (_, options) in &mut parts {
                *options = options.clone().with_schema(Some(plan.columns.clone()));
            }
        }
        let schema = plan.schema();
        let rules: Result<_> =
            step.rules.iter().map(|rule| Ok((rule.clone(), RowExpression::new(&rule.keep, &schema)?))).collect();
        Ok(Self {
            ledger: Arc::new(Ledger::new(parts.iter().map(|(part, _)| part.path()))),
            parts,
            plan: Arc::new(plan),
            schema,
            rules: rules?,
            on_row_error: step.on_row_error,
            quarantine,
            progress: Arc::clone(&context.progress),
            whole: false,
        })
    }

    /// Where records are counted.
    pub(crate) fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// All clean rows, object by object, in order.
    pub(crate) fn read(self) -> Batches {
        let schema = Arc::clone(&self.schema);
        let state = State { scan: self, index: 0, current: None };
        let stream =
            stream::try_unfold(state, |mut state| async move { Ok(state.next().await?.map(|batch| (batch, state))) });
        Batches::new(schema, stream.boxed(), Arc::new(Tally::default()))
    }

    /// One batch of raw rows, turned into clean ones; the others are accounted for.
    fn clean(&self, index: usize, conformer: &Conformer, batch: &RecordBatch) -> Result<RecordBatch> {
        let source = Raw { scan: self, index, batch, rows: row_numbers(batch)? };
        let conformed = conformer.apply(batch)?;
        let (typed, rows) = (conformed.batch, conformed.rows);
        // A row may have several faults; the first one tells why it is rejected.
        let mut last = None;
        for fault in conformed.faults.iter().filter(|fault| last.replace(fault.row) != Some(fault.row)) {
            source.reject_fault(fault)?;
        }
        for faults in conformed.nulled.chunk_by(|a, b| a.row == b.row) {
            source.null(faults)?;
        }
        let mut keep = vec![true; typed.num_rows()];
        for (rule, condition) in &self.rules {
            let kept = condition.condition(&typed).map_err(|cause| source.unanswered(rule, cause))?;
            let mut dropped = 0;
            for row in 0..typed.num_rows() {
                if keep[row] && kept.is_valid(row) && !kept.value(row) {
                    source.break_rule(rule, rows[row] as usize)?;
                    keep[row] = false;
                    dropped += 1;
                }
            }
            if rule.action == RuleAction::Drop {
                self.ledger.add_dropped(index, &rule.name, dropped);
            }
        }
        let clean = if keep.contains(&false) { filtered(&typed, &BooleanArray::from(keep))? } else { typed };
        self.ledger.add_written(index, clean.num_rows() as u64);
        Ok(clean)
    }
}

fn row_numbers(batch: &RecordBatch) -> Result<Vec<u64>> {
    let numbers = batch.column_by_name(ROW).and_then(|column| column.as_primitive_opt::<UInt64Type>());
    numbers.map(|numbers| numbers.values().to_vec()).ok_or_else(|| Error::internal("number", "the rows of a source"))
}

/// The scan on its way: which object, and what of it is left.
struct State {
    scan: Scan,
    index: usize,
    current: Option<(Batches, Conformer)>,
}

impl State {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            let Some((batches, conformer)) = &mut self.current else {
                if !self.open().await? {
                    if self.scan.whole {
                        self.scan.plan.every_column_found(&self.scan.ledger)?;
                        self.scan.quarantine.check(self.scan.ledger.balance().seen())?;
                    }
                    return Ok(None);
                }
                continue;
            };
            match batches.next().await {
                Some(batch) => {
                    let clean = self.scan.clean(self.index, conformer, &batch?)?;
                    if clean.num_rows() > 0 {
                        return Ok(Some(clean));
                    }
                }
                None => {
                    let tally = Arc::clone(batches.tally());
                    self.scan.ledger.close(self.index, tally.bytes(), tally.balance().seen);
                    for column in self.scan.ledger.nulled(self.index) {
                        let note = column.to_string();
                        self.scan.progress.note(&note);
                        self.scan.ledger.note(note);
                    }
                    self.current = None;
                    self.index += 1;
                }
            }
        }
    }

    /// Opens the next object; false after the last.
    async fn open(&mut self) -> Result<bool> {
        let Some((part, options)) = self.scan.parts.get(self.index) else { return Ok(false) };
        let rejects = SourceRejects::new(&self.scan.ledger, self.index, &self.scan.quarantine);
        let options = options.clone().with_rejects(Some(Arc::new(rejects)));
        let batches = part.read(options).await?;
        let conformer = Conformer::new(batches.schema(), &self.scan.plan.columns)
            .map_err(|cause| Error::new(cause.kind(), "prepare", part.path()).with_source(cause))?;
        let is_nulling = self.scan.on_row_error == OnRowError::Null;
        let conformer = if is_nulling { conformer.nulling() } else { conformer };
        let path = part.path();
        for column in &self.scan.plan.columns {
            if column.source_names().any(|name| batches.schema().field_with_name(name).is_ok()) {
                self.scan.ledger.found(&column.name);
            } else {
                let note = format!("{path}: has no column `{}`: null there", column.name);
                self.scan.progress.note(&note);
                self.scan.ledger.note(note);
            }
        }
        self.current = Some((batches, conformer));
        Ok(true)
    }
}

/// A batch as it was read, to name and keep the records that do not pass.
struct Raw<'a> {
    scan: &'a Scan,
    index: usize,
    batch: &'a RecordBatch,
    rows: Vec<u64>,
}

impl Raw<'_> {
    /// A cell that does not fit its declared column.
    fn reject_fault(&self, fault: &CellFault) -> Result<()> {
        let reject = self.reject(fault.row as usize, Some(fault.column.clone()), fault.code, &fault.reason);
        match self.scan.on_row_error {
            OnRowError::Quarantine | OnRowError::Null => self.keep(reject),
            OnRowError::Fail => Err(Error::invalid("read", &reject.source)
                .with_position(reject.position())
                .with_reason(&reject.reason)
                .with_hint("correct the value, widen the column's type, or set `on_row_error = \"quarantine\"`")),
        }
    }

    /// Cells of a row that became null.
    fn null(&self, faults: &[CellFault]) -> Result<()> {
        let source = self.source();
        let value = |fault: &CellFault| {
            Nulled::new(&source, Position::row(self.rows[fault.row as usize]), &fault.column, &fault.reason)
        };
        let values: Vec<Nulled> = faults.iter().map(value).collect();
        SourceRejects::new(&self.scan.ledger, self.index, &self.scan.quarantine).nulled(&values)
    }

    /// A row that breaks a rule.
    fn break_rule(&self, rule: &Rule, row: usize) -> Result<()> {
        let reason = format!(
            "rule `{}` does not hold: {}",
            rule.name,
            rule.keep.split_whitespace().collect::<Vec<_>>().join(" ")
        );
        match rule.action {
            RuleAction::Drop => Ok(()),
            RuleAction::Quarantine => self.keep(self.reject(row, None, &rule.name, &reason)),
            RuleAction::Fail => Err(Error::invalid("accept", self.source())
                .with_position(Position::row(self.rows[row]))
                .with_reason(reason)
                .with_hint("correct the row, or give the rule the action `quarantine` or `drop`")),
        }
    }

    /// A rule that cannot be evaluated on these rows.
    fn unanswered(&self, rule: &Rule, cause: Error) -> Error {
        let (first, last) = (self.rows.first().copied().unwrap_or(0), self.rows.last().copied().unwrap_or(0));
        Error::new(cause.kind(), "apply", format_args!("rule `{}`", rule.name))
            .with_reason(format_args!("rows {first} to {last} of {}", self.source()))
            .with_source(cause)
    }

    fn keep(&self, reject: Reject) -> Result<()> {
        SourceRejects::new(&self.scan.ledger, self.index, &self.scan.quarantine).reject(reject)
    }

    fn reject(&self, row: usize, column: Option<String>, code: &str, reason: &str) -> Reject {
        Reject {
            source: self.source(),
            row: self.rows[row],
            line: None,
            byte: None,
            column,
            code: code.to_owned(),
            reason: reason.to_owned(),
            raw: record(self.batch, row),
        }
    }

    fn source(&self) -> String {
        self.scan.parts[self.index].0.path()
    }
}

/// A record as a JSON object of its values as text; missing ones are left out.
fn record(batch: &RecordBatch, row: usize) -> String {
    let mut object = serde_json::Map::new();
    let options = FormatOptions::default();
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        if field.name() == ROW || column.is_null(row) {
            continue;
        }
        let text = match ArrayFormatter::try_new(column, &options) {
            Ok(values) => values.value(row).to_string(),
            Err(_) => format!("a value of type {}", field.data_type()),
        };
        object.insert(field.name().clone(), text.into());
    }
    serde_json::Value::Object(object).to_string()
}
