//! A table to learn from: features and target, encoded once, in the caller's row order.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, Float64Array, RecordBatch, StringArray, new_null_array};
use arrow::compute::nullif;
use arrow::datatypes::{DataType, Field, Schema};

use super::Task;
use super::feature::{self, Column, Feature, FeatureKind, MISSING, column_index, learn_categories};
use super::target::{Target, joined, read_target};
use crate::error::{Error, Position, Result};

/// The most rows that a [`Frame`] holds.
const MOST_ROWS: usize = i32::MAX as usize;

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
    targets: Vec<(String, Target)>,
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
        Self::of_targets(batch, features, &[target], task)
    }

    /// The same for several targets of one task, which a forest predicts together.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use arrow::array::{ArrayRef, Float64Array, RecordBatch};
    /// use arrow::array::AsArray;
    /// use datalake_core::ml::{Frame, Task, trainer};
    /// use datalake_core::progress::Silent;
    ///
    /// # let column = |values: Vec<f64>| Arc::new(Float64Array::from(values)) as ArrayRef;
    /// let table = RecordBatch::try_from_iter([
    ///     ("grams", column(vec![10.0, 20.0, 30.0, 40.0])),
    ///     ("fat_g", column(vec![1.0, 2.0, 3.0, 4.0])),
    ///     ("kcal", column(vec![30.0, 60.0, 90.0, 120.0])),
    /// ])?;
    /// let frame = Frame::of_targets(&table, &[], &["fat_g", "kcal"], Task::Regression)?;
    /// let forest = trainer("forest", Task::Regression, &serde_json::Value::Null)?.train(&frame, &Silent)?;
    /// let predicted = forest.predict(&table)?;
    /// assert_eq!(predicted.as_struct().column_names(), ["fat_g", "kcal"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Frame::new`], and for no target and one that is named twice.
    pub fn of_targets(batch: &RecordBatch, features: &[&str], targets: &[&str], task: Task) -> Result<Self> {
        let name = joined(targets);
        let target_indexes = target_indexes(batch, targets)?;
        check_rows(batch.num_rows(), &name)?;
        let indexes = feature_indexes(batch, features, &target_indexes)?;
        let read = |(name, index): (&&str, usize)| {
            read_target(batch.column(index), name, task).map(|target| ((*name).to_owned(), target))
        };
        let targets = targets.iter().zip(target_indexes).map(read).collect::<Result<Vec<_>>>()?;
        let (features, columns) =
            indexes.into_iter().map(|index| feature::learn(batch, index)).collect::<Result<(Vec<_>, Vec<_>)>>()?;
        targets.iter().try_for_each(|(name, target)| target.check(name))?;
        Ok(Self { features, columns, target_name: name, targets, groups: None, weights: None })
    }

    /// A frame of columns that are encoded already.
    pub(crate) fn from_parts(features: Vec<Feature>, columns: Vec<Column>, name: &str, target: Target) -> Result<Self> {
        check_rows(target.len(), name)?;
        if features.is_empty() {
            return Err(no_features(name));
        }
        target.check(name)?;
        let targets = vec![(name.to_owned(), target)];
        Ok(Self { features, columns, target_name: name.to_owned(), targets, groups: None, weights: None })
    }

    /// Names the column whose equal values belong together: a split never cuts a group in two. A row whose group is
    /// null or NaN is a group of its own.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for a column that is not there, has another number of rows, or is
    /// neither text nor number.
    pub fn with_groups(mut self, batch: &RecordBatch, column: &str) -> Result<Self> {
        let index = column_index(batch, column, "group by")?;
        let array = named_groups(batch.column(index), column)?;
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
    /// Forests learn by weights, and so do the mean and the shares of the `dummy`; the linear baselines do not. Metrics
    /// count every row once.
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
        self.target().len()
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

    /// The target column's name; of several, their names in a row.
    #[must_use]
    pub fn target_name(&self) -> &str {
        &self.target_name
    }

    /// The target's values; of several, those of the first.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.targets[0].1
    }

    /// Every target by its name: one, or those that are predicted together.
    #[must_use]
    pub fn targets(&self) -> &[(String, Target)] {
        &self.targets
    }

    /// What the target is for.
    #[must_use]
    pub fn task(&self) -> Task {
        self.target().task()
    }

    /// The class labels; empty for a regression and for several targets.
    #[must_use]
    pub fn classes(&self) -> &[String] {
        if self.targets.len() == 1 { self.target().classes() } else { &[] }
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

    /// The class of each row, for a stratified split; none for a regression and for several targets.
    #[must_use]
    pub fn strata(&self) -> Option<&[u32]> {
        match self.targets.as_slice() {
            [(_, Target::Labels { codes, .. })] => Some(codes),
            _ => None,
        }
    }

    /// The given rows as a frame of its own; classes stay those of the whole, categories and ranges are those of the rows.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for a row beyond the table, and as [`Frame::new`] when what is left cannot be learnt from.
    pub fn select(&self, rows: &[u32]) -> Result<Self> {
        self.check_selection(rows)?;
        check_rows(rows.len(), &self.target_name)?;
        let selected = self.features.iter().zip(&self.columns);
        let (features, columns) = selected.map(|(feature, column)| seen(feature, column.select(rows))).collect();
        let groups = self.groups.as_ref().map(|groups| rows.iter().map(|&row| groups[row as usize]).collect());
        let weights = self.weights.as_ref().map(|weights| rows.iter().map(|&row| weights[row as usize]).collect());
        let targets = self.targets.iter().map(|(name, target)| (name.clone(), target.select(rows))).collect();
        let frame = Self { features, columns, target_name: self.target_name.clone(), targets, groups, weights };
        if let Some(weights) = &frame.weights {
            check_weights(weights)?;
        }
        frame.targets.iter().try_for_each(|(name, target)| target.check(name))?;
        Ok(frame)
    }

    /// The given rows as a record batch of the features and, last, the targets: what a model predicts from.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for a row beyond the table.
    pub fn batch(&self, rows: &[u32]) -> Result<RecordBatch> {
        self.check_selection(rows)?;
        let features = self.features.iter().zip(&self.columns);
        let mut arrays: Vec<ArrayRef> =
            features.map(|(feature, column)| to_array(feature, &column.select(rows))).collect();
        arrays.extend(self.targets.iter().map(|(_, target)| target.select(rows).to_array()));
        let names = self.features.iter().map(|feature| feature.name.as_str());
        let names = names.chain(self.targets.iter().map(|(name, _)| name.as_str()));
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
}

/// The names of groups as text, null where there is none: NaN is missing here as everywhere, and not a name.
fn named_groups(array: &ArrayRef, column: &str) -> Result<ArrayRef> {
    let names = feature::text(array, column)?;
    if !feature::is_numeric(array.data_type()) {
        return Ok(names);
    }
    let missing: BooleanArray = feature::numbers(array, column)?.iter().map(|value| Some(value.is_nan())).collect();
    nullif(&names, &missing).map_err(|cause| Error::internal("leave out", "rows without a group").with_source(cause))
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

fn target_indexes(batch: &RecordBatch, targets: &[&str]) -> Result<Vec<usize>> {
    let indexes: Vec<usize> = targets.iter().map(|name| column_index(batch, name, "learn")).collect::<Result<_>>()?;
    let error = |reason: String| Err(Error::invalid("learn", "from a table").with_reason(reason));
    if indexes.is_empty() {
        return error("no target column is named".to_owned());
    }
    match (1..indexes.len()).find(|&place| indexes[..place].contains(&indexes[place])) {
        Some(place) => error(format!("the target `{}` is named twice", targets[place])),
        None => Ok(indexes),
    }
}

fn feature_indexes(batch: &RecordBatch, features: &[&str], targets: &[usize]) -> Result<Vec<usize>> {
    let indexes: Vec<usize> = if features.is_empty() {
        (0..batch.num_columns()).filter(|index| !targets.contains(index)).collect()
    } else {
        features.iter().map(|name| column_index(batch, name, "learn from")).collect::<Result<_>>()?
    };
    let schema = batch.schema();
    let both = targets.iter().find(|target| indexes.contains(target));
    let name = schema.field(*both.unwrap_or(&targets[0])).name();
    let error = |reason: String| Err(Error::invalid("learn", format_args!("column `{name}`")).with_reason(reason));
    if indexes.is_empty() {
        return Err(no_features(name));
    }
    if both.is_some() {
        return error(format!("`{name}` is named both as target and as feature"));
    }
    let mut names: Vec<&str> = indexes.iter().map(|&index| schema.field(index).name().as_str()).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => error(format!("feature `{}` is there twice", pair[0])),
        None => Ok(indexes),
    }
}

fn no_features(target: &str) -> Error {
    Error::invalid("learn", format_args!("column `{target}`"))
        .with_reason("no feature columns: the table holds nothing but the target")
}

/// The feature and its column as the rows of `column` show them.
fn seen(feature: &Feature, column: Column) -> (Feature, Column) {
    let (kind, column) = match (&feature.kind, column) {
        (_, Column::Numeric(values)) => (FeatureKind::Numeric { range: values.range() }, Column::Numeric(values)),
        (FeatureKind::Categorical { categories }, Column::Categorical(codes)) => {
            let (categories, codes) = seen_categories(categories, &codes);
            (FeatureKind::Categorical { categories }, Column::Categorical(codes.into()))
        }
        (kind, column) => (kind.clone(), column),
    };
    (Feature { kind, ..feature.clone() }, column)
}

/// The categories that there are, in their order, and the codes of each row among these.
fn seen_categories(categories: &[String], codes: &[u32]) -> (Vec<String>, Vec<u32>) {
    let mut new = vec![MISSING; categories.len()];
    codes.iter().filter(|code| **code != MISSING).for_each(|code| new[*code as usize] = 0);
    let mut seen = Vec::new();
    for (category, code) in categories.iter().zip(&mut new).filter(|(_, code)| **code != MISSING) {
        *code = seen.len() as u32;
        seen.push(category.clone());
    }
    let code = |code: &u32| if *code == MISSING { MISSING } else { new[*code as usize] };
    (seen, codes.iter().map(code).collect())
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
    fn a_selection_knows_its_own_categories_and_is_as_a_table_of_its_rows() {
        let batch = |rows: &[(Option<&str>, f64)]| {
            RecordBatch::try_from_iter([
                ("food", Arc::new(rows.iter().map(|row| row.0).collect::<StringArray>()) as ArrayRef),
                ("kcal", Arc::new(rows.iter().map(|row| Some(row.1)).collect::<Float64Array>())),
            ])
            .unwrap()
        };
        let frame = |rows: &[(Option<&str>, f64)]| Frame::new(&batch(rows), &[], "kcal", Task::Regression).unwrap();
        let rows = [(Some("egg"), 1.0), (None, 2.0), (Some("rice"), 3.0), (Some("apple"), 4.0)];
        let (part, alone) = (frame(&rows).select(&[2, 1, 0]).unwrap(), frame(&[rows[2], rows[1], rows[0]]));
        assert_eq!(part.features(), alone.features());
        assert_eq!(part.columns(), alone.columns());
    }

    #[test]
    fn rows_without_a_group_stand_alone() {
        let batch = RecordBatch::try_from_iter([
            ("x", Arc::new(Int64Array::from(vec![1, 2, 3, 4])) as ArrayRef),
            ("y", Arc::new(Int64Array::from(vec![1, 2, 3, 4])) as ArrayRef),
            ("brand", Arc::new(StringArray::from(vec![Some("a"), None, Some("a"), None])) as ArrayRef),
            ("shop", Arc::new(Float64Array::from(vec![Some(7.0), Some(f64::NAN), Some(7.0), None])) as ArrayRef),
            ("farm", Arc::new(Float64Array::from(vec![f64::NAN, 7.0, f64::NAN, 7.0])) as ArrayRef),
        ])
        .unwrap();
        let frame = Frame::new(&batch, &["x"], "y", Task::Regression).unwrap();
        for (column, groups) in [("brand", [0, 1, 0, 2]), ("shop", [0, 1, 0, 2]), ("farm", [1, 0, 2, 0])] {
            let frame = frame.clone().with_groups(&batch, column).unwrap();
            assert_eq!(frame.groups(), Some(&groups[..]), "{column}");
        }
    }
}
