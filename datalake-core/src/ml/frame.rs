//! A table to learn from: features and target, encoded once, in the caller's row order.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Float64Array, RecordBatch, StringArray, new_null_array};
use arrow::datatypes::{DataType, Field, Schema};

use super::Task;
use super::feature::{self, Column, Feature, FeatureKind, MISSING, column_index, learn_categories};
use crate::error::{Error, Position, Result};

/// The most rows that a [`Frame`] holds.
const MOST_ROWS: usize = i32::MAX as usize;

/// What a model learns to predict, one value a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    /// The numbers of a regression, all finite.
    Numbers(Vec<f64>),
    /// The labels of a classification.
    Labels {
        /// The distinct labels: text sorted as text, numbers and booleans by value.
        classes: Vec<String>,
        /// Each row's index into `classes`.
        codes: Vec<u32>,
    },
}

impl Target {
    /// The number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Numbers(values) => values.len(),
            Self::Labels { codes, .. } => codes.len(),
        }
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn select(&self, rows: &[u32]) -> Self {
        match self {
            Self::Numbers(values) => Self::Numbers(rows.iter().map(|&row| values[row as usize]).collect()),
            Self::Labels { classes, codes } => {
                Self::Labels { classes: classes.clone(), codes: rows.iter().map(|&row| codes[row as usize]).collect() }
            }
        }
    }
}

/// A table to learn from: features, target, and, where given, groups.
///
/// ```
/// use std::sync::Arc;
/// use arrow::array::{ArrayRef, Float64Array, RecordBatch};
/// use datalake_core::ml::{Frame, Task};
///
/// let table = RecordBatch::try_from_iter([
///     ("fat_g", Arc::new(Float64Array::from(vec![0.2, 9.5, 1.0])) as ArrayRef),
///     ("kcal", Arc::new(Float64Array::from(vec![52.0, 155.0, 89.0])) as ArrayRef),
/// ])?;
/// let frame = Frame::new(&table, &[], "kcal", Task::Regression)?;
/// assert_eq!((frame.rows(), frame.features()[0].name.as_str()), (3, "fat_g"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Frame {
    pub(super) features: Vec<Feature>,
    columns: Vec<Column>,
    target_name: String,
    target: Target,
    groups: Option<Vec<u32>>,
    weights: Option<Vec<f64>>,
}

impl Frame {
    /// Reads `features` and `target` from a batch; no features named means every column but the target.
    ///
    /// Numbers, booleans and decimals are numeric features, text and dictionaries of text are categorical ones;
    /// null and NaN are missing. The target of a classification may be text, whole numbers or booleans.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for a column that is not there, of a type that is no feature, or
    /// infinite somewhere; for a target that is missing or infinite in any row, constant, or has less than two rows.
    pub fn new(batch: &RecordBatch, features: &[&str], target: &str, task: Task) -> Result<Self> {
        let target_index = column_index(batch, target, "learn")?;
        check_rows(batch.num_rows(), target)?;
        let indexes = feature_indexes(batch, features, target_index)?;
        let learnt = read_target(batch.column(target_index), target, task)?;
        let (features, columns) =
            indexes.into_iter().map(|index| feature::learn(batch, index)).collect::<Result<(Vec<_>, Vec<_>)>>()?;
        let frame =
            Self { features, columns, target_name: target.to_owned(), target: learnt, groups: None, weights: None };
        frame.check_target()?;
        Ok(frame)
    }

    /// A frame of columns that are encoded already.
    pub(crate) fn from_parts(features: Vec<Feature>, columns: Vec<Column>, name: &str, target: Target) -> Result<Self> {
        check_rows(target.len(), name)?;
        if features.is_empty() {
            return Err(no_features(name));
        }
        let frame = Self { features, columns, target_name: name.to_owned(), target, groups: None, weights: None };
        frame.check_target()?;
        Ok(frame)
    }

    /// Names the column whose equal values belong together: a split never cuts a group in two.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for a column that is not there, has another number of rows, or is
    /// neither text nor number.
    pub fn with_groups(mut self, batch: &RecordBatch, column: &str) -> Result<Self> {
        let index = column_index(batch, column, "group by")?;
        let array = feature::text(batch.column(index), column)?;
        if array.len() != self.rows() {
            return Err(Error::invalid("group by", format_args!("column `{column}`")).with_reason(format_args!(
                "it has {} rows and the table {}",
                array.len(),
                self.rows()
            )));
        }
        let (names, mut codes) = learn_categories(&array);
        // Rows without a group have nothing in common: each is a group of its own.
        let missing = codes.iter_mut().filter(|code| **code == MISSING);
        (names.len() as u32..).zip(missing).for_each(|(own, code)| *code = own);
        self.groups = Some(codes);
        Ok(self)
    }

    /// Gives every row a weight: what an error in it costs. A row of weight 0 is not there, one of weight 2 is as two.
    ///
    /// Forests learn by weights, and so does the mean of the `dummy`; the linear baselines do not. Metrics count
    /// every row once.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for another number of weights than rows, for a weight that is negative
    /// or not finite, and where all are zero.
    pub fn with_weights(mut self, weights: Vec<f64>) -> Result<Self> {
        if weights.len() != self.rows() {
            return Err(Error::invalid("weigh", format_args!("{} rows", self.rows()))
                .with_reason(format_args!("there are {} weights", weights.len())));
        }
        check_weights(&weights)?;
        self.weights = Some(weights);
        Ok(self)
    }

    /// The same by a column of the batch that the frame was read from.
    ///
    /// # Errors
    /// As [`Frame::with_weights`], and for a column that is not there or not numeric.
    pub fn with_weight_column(self, batch: &RecordBatch, column: &str) -> Result<Self> {
        let array = batch.column(column_index(batch, column, "weigh by")?);
        if !feature::is_numeric(array.data_type()) {
            return Err(Error::invalid("weigh", format_args!("rows by column `{column}`"))
                .with_reason(format_args!("weights are numbers, and this column is {}", array.data_type())));
        }
        self.with_weights(feature::numbers(array, column)?)
    }

    /// The number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.target.len()
    }

    /// The features, in the order of the columns.
    #[must_use]
    pub fn features(&self) -> &[Feature] {
        &self.features
    }

    /// The features' values.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The target column's name.
    #[must_use]
    pub fn target_name(&self) -> &str {
        &self.target_name
    }

    /// The target's values.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// What the target is for.
    #[must_use]
    pub fn task(&self) -> Task {
        match self.target {
            Target::Numbers(_) => Task::Regression,
            Target::Labels { .. } => Task::Classification,
        }
    }

    /// The class labels; empty for a regression.
    #[must_use]
    pub fn classes(&self) -> &[String] {
        match &self.target {
            Target::Numbers(_) => &[],
            Target::Labels { classes, .. } => classes,
        }
    }

    /// The group of each row, where groups were given.
    #[must_use]
    pub fn groups(&self) -> Option<&[u32]> {
        self.groups.as_deref()
    }

    /// The weight of each row, where weights were given.
    #[must_use]
    pub fn weights(&self) -> Option<&[f64]> {
        self.weights.as_deref()
    }

    /// The class of each row, for a stratified split; none for a regression.
    #[must_use]
    pub fn strata(&self) -> Option<&[u32]> {
        match &self.target {
            Target::Numbers(_) => None,
            Target::Labels { codes, .. } => Some(codes),
        }
    }

    /// The given rows as a frame of its own; classes and categories stay those of the whole.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for a row beyond the table, and as [`Frame::new`] when what is left cannot be learnt from.
    pub fn select(&self, rows: &[u32]) -> Result<Self> {
        self.check_selection(rows)?;
        check_rows(rows.len(), &self.target_name)?;
        let columns: Vec<Column> = self.columns.iter().map(|column| column.select(rows)).collect();
        let features = self.features.iter().zip(&columns).map(|(feature, column)| seen(feature, column)).collect();
        let groups = self.groups.as_ref().map(|groups| rows.iter().map(|&row| groups[row as usize]).collect());
        let weights = self.weights.as_ref().map(|weights| rows.iter().map(|&row| weights[row as usize]).collect());
        let target = self.target.select(rows);
        let frame = Self { features, columns, target_name: self.target_name.clone(), target, groups, weights };
        if let Some(weights) = &frame.weights {
            check_weights(weights)?;
        }
        frame.check_target()?;
        Ok(frame)
    }

    /// The given rows as a record batch of the features and, last, the target: what a model predicts from.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for a row beyond the table.
    pub fn batch(&self, rows: &[u32]) -> Result<RecordBatch> {
        self.check_selection(rows)?;
        let features = self.features.iter().zip(&self.columns);
        let mut arrays: Vec<ArrayRef> =
            features.map(|(feature, column)| to_array(feature, &column.select(rows))).collect();
        arrays.push(match self.target.select(rows) {
            Target::Numbers(values) => Arc::new(Float64Array::from(values)),
            Target::Labels { classes, codes } => labels(&classes, &codes),
        });
        let names = self.features.iter().map(|feature| feature.name.as_str()).chain([self.target_name.as_str()]);
        let fields: Vec<Field> =
            names.zip(&arrays).map(|(name, array)| Field::new(name, array.data_type().clone(), true)).collect();
        RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
            .map_err(|cause| Error::internal("take", "rows of a table").with_source(cause))
    }

    fn check_selection(&self, rows: &[u32]) -> Result<()> {
        match rows.iter().find(|&&row| row as usize >= self.rows()) {
            None => Ok(()),
            Some(row) => Err(Error::invalid("select", format_args!("row {row}"))
                .with_reason(format_args!("the table has {} rows, counted from 0", self.rows()))),
        }
    }

    fn check_target(&self) -> Result<()> {
        let constant = match &self.target {
            Target::Numbers(values) => values.iter().all(|value| value.to_bits() == values[0].to_bits()),
            Target::Labels { codes, .. } => codes.iter().all(|code| *code == codes[0]),
        };
        if !constant {
            return Ok(());
        }
        let value = match &self.target {
            Target::Numbers(values) => values[0].to_string(),
            Target::Labels { classes, codes } => classes[codes[0] as usize].clone(),
        };
        Err(Error::invalid("learn", format_args!("column `{}`", self.target_name))
            .with_reason(format_args!("the target is constant: all {} rows are `{value}`", self.rows()))
            .with_hint("choose another target, or other rows: a constant needs no model"))
    }
}

fn check_weights(weights: &[f64]) -> Result<()> {
    let error = || Error::invalid("weigh", format_args!("{} rows", weights.len()));
    if let Some(row) = weights.iter().position(|weight| !(*weight >= 0.0 && weight.is_finite())) {
        return Err(error()
            .with_position(Position::row(row as u64 + 1))
            .with_reason(format_args!("a weight must be zero or a positive number, got `{}`", weights[row])));
    }
    if weights.iter().all(|weight| *weight <= 0.0) {
        return Err(error().with_reason("all weights are zero"));
    }
    Ok(())
}

fn check_rows(rows: usize, target: &str) -> Result<()> {
    let error = Error::invalid("learn", format_args!("column `{target}`"));
    match rows {
        0 | 1 => Err(error.with_reason(format_args!("a model needs at least 2 rows, got {rows}"))),
        2..=MOST_ROWS => Ok(()),
        _ => Err(error.with_reason(format_args!("a table may have {MOST_ROWS} rows, got {rows}"))),
    }
}

fn feature_indexes(batch: &RecordBatch, features: &[&str], target: usize) -> Result<Vec<usize>> {
    let indexes: Vec<usize> = if features.is_empty() {
        (0..batch.num_columns()).filter(|&index| index != target).collect()
    } else {
        features.iter().map(|name| column_index(batch, name, "learn from")).collect::<Result<_>>()?
    };
    let name = batch.schema().field(target).name().clone();
    let error = |reason: String| Err(Error::invalid("learn", format_args!("column `{name}`")).with_reason(reason));
    if indexes.is_empty() {
        return Err(no_features(&name));
    }
    if indexes.contains(&target) {
        return error(format!("`{name}` is named both as target and as feature"));
    }
    let mut sorted = indexes.clone();
    sorted.sort_unstable();
    match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => error(format!("feature `{}` is named twice", batch.schema().field(pair[0]).name())),
        None => Ok(indexes),
    }
}

fn no_features(target: &str) -> Error {
    Error::invalid("learn", format_args!("column `{target}`"))
        .with_reason("no feature columns: the table holds nothing but the target")
}

/// The feature as the rows of `column` show it.
fn seen(feature: &Feature, column: &Column) -> Feature {
    let kind = match column {
        Column::Numeric(values) => FeatureKind::Numeric { range: values.range() },
        Column::Categorical(_) => feature.kind.clone(),
    };
    Feature { kind, ..feature.clone() }
}

fn to_array(feature: &Feature, column: &Column) -> ArrayRef {
    match (&feature.kind, column) {
        (FeatureKind::Categorical { categories }, Column::Categorical(codes)) => labels(categories, codes),
        (_, Column::Numeric(values)) => {
            Arc::new(values.iter().map(|value| (!value.is_nan()).then_some(value)).collect::<Float64Array>())
        }
        (FeatureKind::Numeric { .. }, Column::Categorical(codes)) => new_null_array(&DataType::Float64, codes.len()),
    }
}

/// Codes as text.
pub(crate) fn labels(names: &[String], codes: &[u32]) -> ArrayRef {
    Arc::new(codes.iter().map(|&code| names.get(code as usize)).collect::<StringArray>())
}

/// The target column of a batch, read for `task`.
pub(crate) fn read_target(array: &ArrayRef, name: &str, task: Task) -> Result<Target> {
    if array.logical_null_count() == array.len() {
        return Err(Error::invalid("learn", format_args!("column `{name}`"))
            .with_reason(format_args!("every one of its {} values is null", array.len()))
            .with_hint("choose another target"));
    }
    match task {
        Task::Regression => read_numbers(array, name).map(Target::Numbers),
        Task::Classification => read_labels(array, name),
    }
}

fn read_numbers(array: &ArrayRef, name: &str) -> Result<Vec<f64>> {
    if !feature::is_numeric(array.data_type()) {
        return Err(wrong_target(array, name, "the target of a regression must be numeric"));
    }
    let values = feature::numbers(array, name)?;
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(values),
        Some(row) => Err(bad_target_value(array, name, row, values[row])),
    }
}

fn bad_target_value(array: &ArrayRef, name: &str, row: usize, value: f64) -> Error {
    let found = if array.is_null(row) { "null".to_owned() } else { value.to_string() };
    Error::invalid("learn", format_args!("column `{name}`"))
        .with_position(Position::row(row as u64 + 1))
        .with_reason(format_args!("the target must be known and finite in every row, got `{found}`"))
        .with_hint("drop rows without a target by a rule before training")
}

fn wrong_target(array: &ArrayRef, name: &str, wanted: &str) -> Error {
    Error::invalid("learn", format_args!("column `{name}`"))
        .with_reason(format_args!("{wanted}, and this column is {}", array.data_type()))
}

fn read_labels(array: &ArrayRef, name: &str) -> Result<Target> {
    let whole = array.data_type().is_integer() || *array.data_type() == DataType::Boolean;
    if !whole && !feature::is_text(array.data_type()) {
        let wanted = "the target of a classification must be text, whole numbers or booleans";
        return Err(wrong_target(array, name, wanted));
    }
    if let Some(row) = (0..array.len()).find(|&row| array.is_null(row)) {
        return Err(bad_target_value(array, name, row, f64::NAN));
    }
    let (classes, codes) = learn_categories(&feature::text(array, name)?);
    if let Some(row) = codes.iter().position(|code| *code == MISSING) {
        return Err(bad_target_value(array, name, row, f64::NAN));
    }
    Ok(if array.data_type().is_integer() { by_value(&classes, &codes) } else { Target::Labels { classes, codes } })
}

/// Puts classes that are whole numbers into the order of their values.
fn by_value(classes: &[String], codes: &[u32]) -> Target {
    let mut order: Vec<usize> = (0..classes.len()).collect();
    order.sort_by_key(|&index| classes[index].parse::<i128>().unwrap_or(i128::MAX));
    let place: HashMap<u32, u32> = (0..).zip(&order).map(|(new, old)| (*old as u32, new)).collect();
    let codes = codes.iter().map(|code| place[code]).collect();
    Target::Labels { classes: order.into_iter().map(|index| classes[index].clone()).collect(), codes }
}

#[cfg(test)]
mod tests {
    use arrow::array::Int64Array;

    use super::*;

    fn table(target: Vec<Option<f64>>) -> RecordBatch {
        let rows = target.len() as i64;
        RecordBatch::try_from_iter([
            ("x", Arc::new(Int64Array::from_iter_values(0..rows)) as ArrayRef),
            ("kcal", Arc::new(Float64Array::from(target)) as ArrayRef),
        ])
        .unwrap()
    }

    fn refusal(target: Vec<Option<f64>>) -> Error {
        Frame::new(&table(target), &[], "kcal", Task::Regression).unwrap_err()
    }

    #[test]
    fn targets_that_cannot_be_learnt_are_refused_in_plain_words() {
        let error = refusal(vec![Some(1.0), None]);
        assert_eq!(
            error.to_string(),
            "cannot learn column `kcal` at row 2: the target must be known and finite in every row, got `null`"
        );
        assert!(refusal(vec![Some(1.0), Some(f64::INFINITY)]).to_string().contains("row 2: "));
        assert!(refusal(vec![Some(1.0), Some(f64::INFINITY)]).to_string().contains("got `inf`"));
        assert!(refusal(vec![Some(f64::NEG_INFINITY), Some(1.0)]).to_string().contains("got `-inf`"));
        assert!(refusal(vec![Some(f64::NAN), Some(1.0)]).to_string().contains("got `NaN`"));
        assert!(refusal(vec![None, None]).to_string().contains("every one of its 2 values is null"));
        assert!(refusal(vec![Some(4.0); 3]).to_string().contains("constant: all 3 rows are `4`"));
        assert!(refusal(vec![Some(4.0)]).to_string().contains("at least 2 rows, got 1"));
        assert!(refusal(vec![]).to_string().contains("got 0"));
    }

    #[test]
    fn one_class_or_one_row_is_refused() {
        let of = |labels: Vec<Option<&str>>| {
            let rows = labels.len() as i64;
            let batch = RecordBatch::try_from_iter([
                ("x", Arc::new(Int64Array::from_iter_values(0..rows)) as ArrayRef),
                ("group", Arc::new(StringArray::from(labels))),
            ]);
            Frame::new(&batch.unwrap(), &[], "group", Task::Classification).unwrap_err().to_string()
        };
        assert!(of(vec![Some("fruit"); 4]).contains("the target is constant: all 4 rows are `fruit`"));
        assert!(of(vec![Some("fruit")]).contains("at least 2 rows, got 1"));
        assert!(of(vec![Some("fruit"), None]).contains("row 2: the target must be known"));
        assert!(of(vec![None, None]).contains("every one of its 2 values is null"));
    }

    #[test]
    fn a_misspelt_target_names_the_nearest_column() {
        let error = Frame::new(&table(vec![Some(1.0), Some(2.0)]), &[], "kcla", Task::Regression).unwrap_err();
        assert_eq!(error.hint(), Some("did you mean `kcal`?"));
    }

    #[test]
    fn a_table_of_nothing_but_the_target_is_refused() {
        let batch = table(vec![Some(1.0), Some(2.0)]).project(&[1]).unwrap();
        let error = Frame::new(&batch, &[], "kcal", Task::Regression).unwrap_err();
        assert!(error.to_string().contains("no feature columns"), "{error}");
    }

    #[test]
    fn whole_numbers_are_classes_in_the_order_of_their_values() {
        let batch = RecordBatch::try_from_iter([
            ("x", Arc::new(Int64Array::from(vec![1, 2, 3])) as ArrayRef),
            ("group", Arc::new(Int64Array::from(vec![10, 9, -1])) as ArrayRef),
        ])
        .unwrap();
        let frame = Frame::new(&batch, &["x"], "group", Task::Classification).unwrap();
        assert_eq!(frame.classes(), ["-1", "9", "10"]);
        assert_eq!(frame.strata(), Some(&[2, 1, 0][..]));
    }

    #[test]
    fn a_selection_is_the_rows_asked_for_with_the_range_they_show() {
        let frame = Frame::new(&table(vec![Some(1.0), Some(2.0), Some(3.0)]), &[], "kcal", Task::Regression).unwrap();
        let part = frame.select(&[2, 1]).unwrap();
        assert_eq!(part.target(), &Target::Numbers(vec![3.0, 2.0]));
        assert_eq!(part.features()[0].kind, FeatureKind::Numeric { range: Some([1.0, 2.0]) });
        assert!(frame.select(&[3]).is_err());
        assert_eq!(frame.batch(&[0]).unwrap().num_columns(), 2);
    }

    #[test]
    fn rows_without_a_group_stand_alone() {
        let batch = RecordBatch::try_from_iter([
            ("x", Arc::new(Int64Array::from(vec![1, 2, 3, 4])) as ArrayRef),
            ("y", Arc::new(Int64Array::from(vec![1, 2, 3, 4])) as ArrayRef),
            ("brand", Arc::new(StringArray::from(vec![Some("a"), None, Some("a"), None])) as ArrayRef),
        ])
        .unwrap();
        let frame = Frame::new(&batch, &["x"], "y", Task::Regression).unwrap().with_groups(&batch, "brand").unwrap();
        assert_eq!(frame.groups(), Some(&[0, 1, 0, 2][..]));
    }
}
