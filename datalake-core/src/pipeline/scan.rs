//! The scan of a prepare step: row by row from raw objects to declared columns, past the quality rules.

use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::datatypes::{Schema, SchemaRef, UInt64Type};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use futures::{StreamExt, stream};

use crate::error::{Error, Position, Result};
use crate::format::{
    Batches, CellFault, ColumnSpec, Conformer, Infer, OnRowError, Quarantine, ReadOptions, Reject, Rejects, Tally,
};
use crate::pipeline::ledger::{Ledger, SourceRejects};
use crate::pipeline::prepare::filtered;
use crate::pipeline::run::Context;
use crate::pipeline::step::{Prepare, Rule, RuleAction, SourceSpec};
use crate::progress::Progress;
use crate::query::{Part, RowExpression, parts, unite};

/// The column that carries a record's number through the scan.
const ROW: &str = "__row";

/// What is read, in which order, into which columns, past which rules: fixed before the first row.
#[derive(Debug)]
pub(crate) struct Scan {
    parts: Vec<(Part, ReadOptions)>,
    columns: Vec<ColumnSpec>,
    schema: SchemaRef,
    rules: Vec<(Rule, RowExpression)>,
    on_row_error: OnRowError,
    quarantine: Arc<Quarantine>,
    ledger: Arc<Ledger>,
    progress: Arc<dyn Progress>,
}

impl Scan {
    /// Finds the objects, fixes the schema and checks the rules against it.
    pub(crate) async fn plan(step: &Prepare, context: &Context, quarantine: Arc<Quarantine>) -> Result<Self> {
        let mut found = Vec::new();
        for source in &step.sources {
            let options = read_options(source, step);
            for part in parts(context.lake.as_ref(), &source.path, &options).await? {
                found.push((part, options.clone()));
            }
        }
        let (columns, notes) = match step.columns.as_slice() {
            [] => inferred(&mut found).await?,
            columns => (columns.to_vec(), Vec::new()),
        };
        let schema = Arc::new(Schema::new(columns.iter().map(ColumnSpec::field).collect::<Vec<_>>()));
        let rules: Result<_> =
            step.rules.iter().map(|rule| Ok((rule.clone(), RowExpression::new(&rule.keep, &schema)?))).collect();
        let ledger = Arc::new(Ledger::new(found.iter().map(|(part, _)| part.path())));
        for note in notes {
            context.progress.note(&note);
            ledger.note(note);
        }
        Ok(Self {
            parts: found,
            columns,
            schema,
            rules: rules?,
            on_row_error: step.on_row_error,
            quarantine,
            ledger,
            progress: Arc::clone(&context.progress),
        })
    }

    /// Where records are counted.
    pub(crate) fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// All clean rows, object by object, in order.
    pub(crate) fn read(self) -> Batches {
        let schema = Arc::clone(&self.schema);
        let found = vec![false; self.columns.len()];
        let state = State { scan: self, index: 0, current: None, found };
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

/// How a source of a step is read.
fn read_options(source: &SourceSpec, step: &Prepare) -> ReadOptions {
    let mut nulls = vec![String::new()];
    nulls.extend(source.nulls.iter().cloned());
    ReadOptions::default()
        .with_format(source.format.clone())
        .with_delimiter(source.delimiter)
        .with_nulls(nulls)
        .with_flatten(source.flatten)
        .with_rows(source.rows.clone())
        .with_text(!step.columns.is_empty())
        .with_infer(Infer::Whole)
        .with_on_row_error(step.on_row_error)
        .with_row_number(Some(ROW.to_owned()))
}

/// Without declared columns: the union of what the objects hold. Where they differ, each is read in the common types.
async fn inferred(found: &mut [(Part, ReadOptions)]) -> Result<(Vec<ColumnSpec>, Vec<String>)> {
    let united = unite(found).await?;
    let columns: Vec<_> = united.columns.into_iter().filter(|column| column.name != ROW).collect();
    if !united.alike {
        for (_, options) in found {
            *options = options.clone().with_schema(Some(columns.clone()));
        }
    }
    Ok((columns, united.notes))
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
    /// Which declared columns some object had.
    found: Vec<bool>,
}

impl State {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            let Some((batches, conformer)) = &mut self.current else {
                if !self.open().await? {
                    self.every_column_found()?;
                    let seen = self.scan.ledger.balance().seen();
                    self.scan.quarantine.check(seen)?;
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
        let conformer = Conformer::new(batches.schema(), &self.scan.columns)
            .map_err(|cause| Error::new(cause.kind(), "prepare", part.path()).with_source(cause))?;
        let path = part.path();
        for (column, found) in self.scan.columns.iter().zip(&mut self.found) {
            if column.source_names().any(|name| batches.schema().field_with_name(name).is_ok()) {
                *found = true;
            } else {
                let note = format!("{path}: has no column `{}`: null there", column.name);
                self.scan.progress.note(&note);
                self.scan.ledger.note(note);
            }
        }
        self.current = Some((batches, conformer));
        Ok(true)
    }

    /// A declared column that no object has is a misspelt one.
    fn every_column_found(&self) -> Result<()> {
        match self.scan.columns.iter().zip(&self.found).find(|(_, found)| !**found) {
            None => Ok(()),
            Some((column, _)) => {
                let names: Vec<&str> = column.source_names().collect();
                Err(Error::invalid("find", format_args!("column `{}`", names.join("` or `")))
                    .with_reason("no source has it, so it would be null in every row")
                    .with_hint("correct `from` or the name, or leave the column out"))
            }
        }
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
            OnRowError::Quarantine => self.keep(reject),
            OnRowError::Fail => Err(Error::invalid("read", &reject.source)
                .with_position(reject.position())
                .with_reason(&reject.reason)
                .with_hint("correct the value, widen the column's type, or set `on_row_error = \"quarantine\"`")),
        }
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
