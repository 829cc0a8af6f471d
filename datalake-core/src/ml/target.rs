//! What a model learns to predict, read from columns: numbers or labels, one target or several.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Float64Array, StructArray};
use arrow::datatypes::{DataType, Field};
use serde::Serialize;

use super::Task;
use super::feature::{self, MISSING, learn_categories};
use super::frame::labels;
use crate::error::{Error, Position, Result};

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

/// One of the targets of a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Output {
    /// The column.
    pub name: String,
    /// The class labels in the order of their shares; empty for a regression.
    pub classes: Vec<String>,
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

    /// What the target is for.
    #[must_use]
    pub fn task(&self) -> Task {
        match self {
            Self::Numbers(_) => Task::Regression,
            Self::Labels { .. } => Task::Classification,
        }
    }

    /// The class labels; empty for numbers.
    #[must_use]
    pub fn classes(&self) -> &[String] {
        match self {
            Self::Labels { classes, .. } => classes,
            Self::Numbers(_) => &[],
        }
    }

    /// The target as a column.
    pub(super) fn to_array(&self) -> ArrayRef {
        match self {
            Self::Numbers(values) => Arc::new(Float64Array::from(values.clone())),
            Self::Labels { classes, codes } => labels(classes, codes),
        }
    }

    pub(super) fn select(&self, rows: &[u32]) -> Self {
        match self {
            Self::Numbers(values) => Self::Numbers(rows.iter().map(|&row| values[row as usize]).collect()),
            Self::Labels { classes, codes } => {
                Self::Labels { classes: classes.clone(), codes: rows.iter().map(|&row| codes[row as usize]).collect() }
            }
        }
    }

    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) where all rows are the same.
    pub(super) fn check(&self, name: &str) -> Result<()> {
        let value = match self {
            Self::Numbers(values) => {
                let constant = values.iter().all(|value| value.to_bits() == values[0].to_bits());
                constant.then(|| values[0].to_string())
            }
            Self::Labels { classes, codes } => {
                codes.iter().all(|code| *code == codes[0]).then(|| classes[codes[0] as usize].clone())
            }
        };
        let Some(value) = value else { return Ok(()) };
        Err(Error::invalid("learn", format_args!("column `{name}`"))
            .with_reason(format_args!("the target is constant: all {} rows are `{value}`", self.len()))
            .with_hint("choose another target, or other rows: a constant needs no model"))
    }
}

/// Each target, and the places of its numbers in a row of predictions.
pub(crate) fn parts(targets: &[(String, Target)]) -> Vec<(Range<usize>, &Target)> {
    let each = targets.iter().map(|(_, target)| target);
    places(each.clone().map(|target| target.classes().len())).into_iter().zip(each).collect()
}

/// Where the numbers of each target lie in a row of predictions: one, or a share for each class.
pub(crate) fn places(classes: impl Iterator<Item = usize>) -> Vec<Range<usize>> {
    let next = |begin: &mut usize, classes: usize| {
        let range = *begin..*begin + classes.max(1);
        *begin = range.end;
        Some(range)
    };
    classes.scan(0, next).collect()
}

/// Columns that are predicted together, as one.
pub(crate) fn together<'a>(columns: impl Iterator<Item = (&'a str, ArrayRef)>) -> ArrayRef {
    let field = |name: &str, array: &ArrayRef| Arc::new(Field::new(name, array.data_type().clone(), false));
    Arc::new(StructArray::from(columns.map(|(name, array)| (field(name, &array), array)).collect::<Vec<_>>()))
}

/// Their names, as one.
pub(crate) fn joined(names: &[&str]) -> String {
    names.join(", ")
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
        let error = wrong_target(array, name, "the target of a regression must be numeric");
        return Err(match feature::is_text(array.data_type()) {
            true => error.with_hint("choose the task `classification` to learn classes, or a column of numbers"),
            false => error,
        });
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
        let error = wrong_target(array, name, wanted);
        return Err(match feature::is_numeric(array.data_type()) {
            true => error.with_hint("choose the task `regression` to learn numbers"),
            false => error,
        });
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
