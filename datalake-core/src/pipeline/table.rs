//! The tables that models learn from and predict for: read whole, rows without a target set aside.

use std::collections::HashSet;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Schema};
use serde_json::{Map, Value, json};

use crate::error::{Error, Position, Result};
use crate::format::ReadOptions;
use crate::ml::{Frame, Keep, categorical_features, holdout, is_text};
use crate::pipeline::file::nearest;
use crate::pipeline::manifest::{ObjectVersion, version};
use crate::pipeline::prepare::filtered;
use crate::pipeline::run::Context;
use crate::pipeline::step::Train;
use crate::query::DataSet;

/// A table split the way that a training step asks for.
#[derive(Debug)]
pub(crate) struct Split {
    /// The rows that have a target.
    pub(crate) table: RecordBatch,
    /// The same rows as features and target.
    pub(crate) frame: Frame,
    /// The rows to learn from, ascending.
    pub(crate) train: Vec<u32>,
    /// The rows held out, ascending.
    pub(crate) test: Vec<u32>,
    /// Rows left out because they have no target.
    pub(crate) without_target: u64,
}

/// A classification of more classes is taken for a mistake: an identifier as the target.
const MOST_CLASSES: usize = 1_000;

/// A text column of more values than this, and of more than one for every two rows, names rows instead of saying something
/// of them.
const MOST_NAMES: usize = 50;
/// Of fewer rows than this to each text little can be learnt.
const FEW_ROWS: usize = 10;
/// What to do for a column that is left out.
const AS_FEATURE: &str = "to learn from it, name all columns to learn from as features";

/// Which columns of a step's table are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Columns {
    /// Those that it learns from, and those that its rows are split and weighed by.
    Needed,
    /// All of them.
    All,
}

/// Reads a step's table and splits it: the same settings give the same split.
pub(crate) async fn split(step: &Train, columns: Columns, context: &Context) -> Result<Split> {
    let data = DataSet::open(&context.lake, &step.table, ReadOptions::default()).await?;
    data.notes().iter().for_each(|note| context.progress.note(note));
    are_there(step, data.schema())?;
    let needed = (columns == Columns::Needed).then(|| needed(step, data.schema()));
    let whole = data.collect(needed).await?;
    let target = column(&whole, &step.target, step)?;
    let present: BooleanArray = (0..whole.num_rows()).map(|row| Some(target.is_valid(row))).collect();
    // Rows are counted as in the whole table, where a user looks for them.
    let in_whole = |error| at_row(error, |row| place(&present, row));
    let table = as_categories(&filtered(&whole, &present)?, step).map_err(in_whole)?;
    let without_target = (whole.num_rows() - table.num_rows()) as u64;
    let mut features = features(step, &table)?;
    if step.features.is_empty() {
        leave_out_names(&mut features, &table, step, context);
        leave_out_groups(&mut features, step, context);
    }
    let features: Vec<&str> = features.iter().map(String::as_str).collect();
    let mut frame = Frame::new(&table, &features, &step.target, step.task).map_err(in_whole)?;
    if frame.classes().len() > MOST_CLASSES {
        return Err(Error::invalid("train", format_args!("model `{}`", step.name))
            .with_reason(format_args!(
                "`{}` has {} classes in {} rows",
                step.target,
                frame.classes().len(),
                frame.rows()
            ))
            .with_hint("is it an identifier, or a number with a few words among its values?"));
    }
    if let Some(by) = &step.split_by {
        frame = frame.with_groups(&table, by)?;
    }
    if let Some(weights) = &step.weights {
        frame = frame.with_weight_column(&table, weights).map_err(in_whole)?;
    }
    let keep = frame.groups().map_or(Keep::Nothing, Keep::Groups);
    let rows = holdout(frame.rows(), step.test, step.seed, keep)?;
    Ok(Split { table, frame, train: rows.train, test: rows.test, without_target })
}

/// Sees whether the columns that a step names are in its table.
fn are_there(step: &Train, schema: &Schema) -> Result<()> {
    known(schema, &step.target, step).map_err(|error| match step.target.contains(',') {
        true => error.with_hint("a pipeline learns one target; the Python module and the Rust crate learn several"),
        false => error,
    })?;
    let others = [&step.categorical_features, &step.features, &step.exclude].into_iter().flatten();
    let mut others = others.chain(&step.split_by).chain(&step.weights);
    others.try_for_each(|name| known(schema, name, step).map(drop))
}

/// The columns without which a step can do, left out.
fn needed(step: &Train, schema: &Schema) -> Vec<String> {
    let is_named = |name: &String| {
        let lists = [&step.features, &step.categorical_features];
        lists.iter().any(|list| list.contains(name))
            || [Some(&step.target), step.split_by.as_ref(), step.weights.as_ref()].contains(&Some(name))
    };
    let is_learnt_from = |name: &String| step.features.is_empty() && !step.exclude.contains(name);
    let names = schema.fields().iter().map(|field| field.name());
    names.filter(|name| is_named(name) || is_learnt_from(name)).cloned().collect()
}

/// The same error, its row counted as `place` says: from 1, as in every position.
pub(crate) fn at_row(error: Error, place: impl Fn(u64) -> u64) -> Error {
    let position = error.position().cloned().filter(|position| position.row.is_some());
    match position {
        Some(position) => error.with_position(Position { row: position.row.map(place), ..position }),
        None => error,
    }
}

/// Where the `row`-th of the rows that are `present` stands among all, both from 1.
fn place(present: &BooleanArray, row: u64) -> u64 {
    let kept = usize::try_from(row).ok().and_then(|row| row.checked_sub(1));
    let found = kept.and_then(|kept| present.values().set_indices().nth(kept));
    found.map_or(row, |index| index as u64 + 1)
}

/// The rows that a model has learnt from, and those held out, are only known on the very table that it was trained on.
///
/// Gives that table's version; `lineage` is the model's.
pub(crate) async fn same_table(
    action: &'static str,
    train: &Train,
    lineage: &Map<String, Value>,
    context: &Context,
) -> Result<Option<ObjectVersion>> {
    let now = version(context.lake.as_ref(), &train.table).await?;
    if lineage.get("table") == Some(&json!(now)) {
        return Ok(now);
    }
    Err(Error::invalid(action, format_args!("model `{}`", train.name))
        .with_reason(format_args!(
            "{} has changed since it was trained, so rows held out then are not known now",
            train.table
        ))
        .with_hint("train it again"))
}

/// The table with the step's categorical features as text.
fn as_categories(table: &RecordBatch, step: &Train) -> Result<RecordBatch> {
    for name in &step.categorical_features {
        if *name == step.target {
            return Err(Error::invalid("train", format_args!("model `{}`", step.name))
                .with_reason(format_args!("the target `{name}` is among its categorical features")));
        }
    }
    categorical_features(table, &step.categorical_features)
}

/// The columns to learn from: those named, or all but the target and those excluded.
fn features(step: &Train, table: &RecordBatch) -> Result<Vec<String>> {
    if step.features.contains(&step.target) {
        return Err(Error::invalid("train", format_args!("model `{}`", step.name))
            .with_reason(format_args!("the target `{}` is among its features", step.target)));
    }
    if let Some(weights) = step.weights.as_ref().filter(|weights| step.features.contains(weights)) {
        return Err(Error::invalid("train", format_args!("model `{}`", step.name))
            .with_reason(format_args!("the weights `{weights}` are among its features")));
    }
    let schema = table.schema();
    let all = || schema.fields().iter().map(|field| field.name().clone()).collect();
    let mut names: Vec<String> = if step.features.is_empty() { all() } else { step.features.clone() };
    names.retain(|name| *name != step.target && step.weights.as_ref() != Some(name) && !step.exclude.contains(name));
    if names.is_empty() {
        return Err(Error::invalid("train", format_args!("model `{}`", step.name))
            .with_reason("no column is left to learn from")
            .with_hint("exclude fewer columns, or name those to learn from"));
    }
    Ok(names)
}

/// The rows held out have none of the groups that a model has learnt from, which would say nothing of them.
fn leave_out_groups(features: &mut Vec<String>, step: &Train, context: &Context) {
    let meant = |by: &&String| features.contains(by) && !step.categorical_features.contains(by);
    let Some(by) = step.split_by.as_ref().filter(meant).filter(|_| features.len() > 1) else { return };
    features.retain(|name| name != by);
    context.progress.note(&format!(
        "column `{by}` is left out: rows are split by it, so none held out has its values; {AS_FEATURE}"
    ));
}

/// A forest would learn its rows by heart from a column of names, and know nothing of others. Where all columns are
/// meant, those are not; where nothing else is left, they stay.
fn leave_out_names(features: &mut Vec<String>, table: &RecordBatch, step: &Train, context: &Context) {
    let distinct = |name: &String| {
        // What is asked for by name is wanted.
        let column = table.column_by_name(name).filter(|_| !step.categorical_features.contains(name));
        let texts = column.filter(|column| is_text(column.data_type()));
        let texts = texts.and_then(|column| cast(column, &DataType::Utf8).ok());
        texts.map_or(0, |texts| texts.as_string::<i32>().iter().flatten().collect::<HashSet<_>>().len())
    };
    let rows = table.num_rows();
    let counted = features.iter().map(|name| (name.clone(), distinct(name)));
    let (names, others): (Vec<_>, Vec<_>) = counted.partition(|(_, found)| *found > MOST_NAMES.max(rows / 2));
    if others.is_empty() {
        return;
    }
    for (name, found) in names {
        context.progress.note(&format!(
            "column `{name}` is left out: {found} different texts in {rows} rows name them; {AS_FEATURE}"
        ));
    }
    for (name, found) in others.iter().filter(|(_, found)| *found > MOST_NAMES && rows / found < FEW_ROWS) {
        context.progress.note(&format!(
            "column `{name}` has {found} different texts in {rows} rows: a model may learn them by heart; exclude it where \
             one without it is better"
        ));
    }
    *features = others.into_iter().map(|(name, _)| name).collect();
}

fn column<'a>(table: &'a RecordBatch, name: &str, step: &Train) -> Result<&'a dyn Array> {
    known(table.schema_ref(), name, step).map(|place| table.column(place).as_ref())
}

/// Where a column is in a table of this schema.
fn known(schema: &Schema, name: &str, step: &Train) -> Result<usize> {
    if let Ok(place) = schema.index_of(name) {
        return Ok(place);
    }
    let known = || schema.fields().iter().map(|field| field.name().as_str());
    let hint = match nearest(name, known()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("it has: {}", known().collect::<Vec<_>>().join(", ")),
    };
    Err(Error::not_found("use", &step.table).with_reason(format_args!("it has no column `{name}`")).with_hint(hint))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::datatypes::Field;

    use super::*;
    use crate::lake::{BucketName, Lake, MemoryLake};
    use crate::pipeline::manifest::RunId;
    use crate::progress::Silent;

    #[test]
    fn a_row_is_counted_among_all() {
        let present = BooleanArray::from(vec![false, true, false, true]);
        assert_eq!((place(&present, 1), place(&present, 2)), (2, 4));
        let error = Error::invalid("use", "a").with_position(Position::row(2).with_column("x"));
        let error = at_row(error, |row| place(&present, row));
        assert_eq!(error.position(), Some(&Position::row(4).with_column("x")));
        assert_eq!(at_row(Error::invalid("use", "a"), |row| row + 1).position(), None);
    }

    #[tokio::test]
    async fn errors_name_the_row_of_the_whole_table() {
        let lake = MemoryLake::default();
        let bucket = lake.create_bucket(&BucketName::new("processed-data").unwrap()).await.unwrap();
        // Two rows without a target above.
        let table = "{\"x\":1.5}\n{\"x\":1.5}\n{\"x\":1.5,\"y\":1.0,\"w\":1.0}\n{\"x\":2.5,\"y\":2.0,\"w\":-1.0}\n";
        bucket.put(&"foods.ndjson".into(), table, Default::default()).await.unwrap();
        let context = Context { lake: Arc::new(lake), run: RunId::now(), progress: Arc::new(Silent) };
        let step = json!({
            "name": "m", "task": "regression", "table": "processed-data/foods.ndjson", "target": "y",
            "features": ["x"], "weights": "w",
        });
        let step: Train = serde_json::from_value(step).unwrap();
        let error = split(&step, Columns::Needed, &context).await.unwrap_err();
        assert!(error.to_string().contains("at row 4: "), "{error}");
    }

    #[test]
    fn columns_that_nobody_needs_are_not_read() {
        let fields = ["code", "name", "x", "w", "by", "y"].map(|name| Field::new(name, DataType::Float64, true));
        let schema = Schema::new(fields.to_vec());
        let step = |more: Value| -> Train {
            let mut step = json!({ "name": "m", "task": "regression", "table": "raw-data/t.csv", "target": "y" });
            step.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            serde_json::from_value(step).unwrap()
        };
        for (more, wanted) in [
            (json!({}), &["code", "name", "x", "w", "by", "y"][..]),
            (json!({ "exclude": ["code", "name"] }), &["x", "w", "by", "y"][..]),
            (json!({ "exclude": ["code", "by", "y"], "split_by": "by" }), &["name", "x", "w", "by", "y"][..]),
            (json!({ "features": ["x"], "weights": "w" }), &["x", "w", "y"][..]),
            (json!({ "features": ["x"], "split_by": "by", "exclude": ["name"] }), &["x", "by", "y"][..]),
        ] {
            assert_eq!(needed(&step(more.clone()), &schema), wanted, "{more}");
        }
        for more in [
            json!({ "target": "z" }),
            json!({ "features": ["z"] }),
            json!({ "exclude": ["z"] }),
            json!({ "split_by": "z" }),
            json!({ "weights": "z" }),
            json!({ "categorical_features": ["z"] }),
        ] {
            let error = are_there(&step(more.clone()), &schema).unwrap_err();
            assert_eq!(error.hint(), Some("it has: code, name, x, w, by, y"), "{more}");
        }
    }
}
