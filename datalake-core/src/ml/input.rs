//! Rows to predict for, against what the model has seen: new categories, and numbers out of the range of training.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, RecordBatch};
use serde::{Deserialize, Serialize};

use super::categorical::category_text;
use super::feature::{Column, Feature, FeatureKind, MISSING, encode};
use super::numbers::{Numbers, count_of, rounded};
use crate::error::Result;

/// At most so many new categories of a column are kept by name, with their counts; the others are counted together.
const MOST_NAMED: usize = 20;
/// A smaller share of numbers out of range is what any two samples of one table show.
const MOST_OUTSIDE: f64 = 0.01;

/// What rows hold that a model has not seen in training, column by column.
///
/// ```
/// # use std::sync::Arc;
/// # use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray};
/// use datalake_core::ml::{InputReport, Feature, FeatureKind};
///
/// let features = [
///     Feature { name: "fat_g".into(), kind: FeatureKind::Numeric { range: Some([0.0, 90.0]) }, unit: None },
///     Feature { name: "group".into(), kind: FeatureKind::Categorical { categories: vec!["fruit".into()] }, unit: None },
/// ];
/// let rows = RecordBatch::try_from_iter([
///     ("fat_g", Arc::new(Float64Array::from(vec![1.0, 95.0])) as ArrayRef),
///     ("group", Arc::new(StringArray::from(vec!["fruit", "rock"]))),
/// ])?;
/// let mut report = InputReport::default();
/// report.add(&features, &rows)?;
/// assert_eq!(report.notes(), [
///     "column `fat_g`: 1 of 2 rows (50 %) lie outside of 0 to 90, the range seen in training; the greatest is 95",
///     "column `group`: 1 of 2 rows have a category that was not seen in training and counts as missing: `rock` (1)",
/// ]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct InputReport {
    /// The rows looked at.
    pub rows: u64,
    /// The columns where something was found, by name.
    pub columns: BTreeMap<String, ColumnInput>,
}

/// What a column holds that a model has not seen.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ColumnInput {
    /// The range seen in training; none where every number was missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seen: Option<[f64; 2]>,
    /// Rows below it.
    pub below: u64,
    /// Rows above it.
    pub above: u64,
    /// The least and the greatest number found, where some lie outside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<[f64; 2]>,
    /// Rows of a category that was not seen.
    pub new: u64,
    /// The first such categories, with their rows.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub categories: BTreeMap<String, u64>,
}

impl InputReport {
    /// Looks at more rows.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for a column that is not there, of another type or infinite somewhere.
    pub fn add(&mut self, features: &[Feature], rows: &RecordBatch) -> Result<()> {
        let columns = encode(features, rows)?;
        self.rows += rows.num_rows() as u64;
        for (feature, column) in features.iter().zip(&columns) {
            match (&feature.kind, column) {
                (FeatureKind::Numeric { range }, Column::Numeric(values)) => {
                    self.add_numbers(&feature.name, *range, values);
                }
                (FeatureKind::Categorical { categories }, Column::Categorical(codes)) => {
                    self.add_categories(&feature.name, categories, codes, rows)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Where training has seen no number, every one lies above. One that 32 bits do not tell from an end of the range
    /// is not outside: the number may have been rounded, or the range.
    fn add_numbers(&mut self, name: &str, range: Option<[f64; 2]>, values: &Numbers) {
        let [low, high] = range.map_or([f32::NEG_INFINITY; 2], |range| range.map(rounded));
        let is_below = |value: f64| rounded(value) < low;
        let is_above = |value: f64| rounded(value) > high;
        // A number that is in 32 bits is rounded as it is.
        let (below, above) = match values {
            Numbers::Single(values) => (count_of(values, |value| value < low), count_of(values, |value| value > high)),
            Numbers::Double(values) => (count_of(values, is_below), count_of(values, is_above)),
        };
        if below + above == 0 {
            return;
        }
        let column = self.columns.entry(name.to_owned()).or_default();
        column.seen = range;
        column.below += below;
        column.above += above;
        let outside = values.iter().filter(|value| is_below(*value) || is_above(*value));
        for value in outside.map(|value| if matches!(values, Numbers::Single(_)) { plain(value) } else { value }) {
            let [least, greatest] = column.found.unwrap_or([value, value]);
            column.found = Some([least.min(value), greatest.max(value)]);
        }
    }

    /// A value that has no code is new.
    fn add_categories(&mut self, name: &str, categories: &[String], codes: &[u32], rows: &RecordBatch) -> Result<()> {
        let missing = codes.iter().filter(|code| **code == MISSING).count();
        let Some(array) = rows.column_by_name(name).filter(|_| missing > 0) else { return Ok(()) };
        let Some(strings) = category_text(array, name, categories)? else { return Ok(()) };
        if strings.null_count() == missing {
            return Ok(());
        }
        let new = strings.as_string::<i32>().iter().zip(codes).filter(|(_, code)| **code == MISSING);
        let new = new.filter_map(|(category, _)| category);
        let column = self.columns.entry(name.to_owned()).or_default();
        for category in new {
            column.new += 1;
            if let Some(count) = column.categories.get_mut(category) {
                *count += 1;
            } else if column.categories.len() < MOST_NAMED {
                column.categories.insert(category.to_owned(), 1);
            }
        }
        Ok(())
    }

    /// What a user should know: every new category, and columns where more than one row in a hundred lies out of
    /// range.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let columns = self.columns.iter();
        columns
            .flat_map(|(name, column)| [column.range_note(name, self.rows), column.new_note(name, self.rows)])
            .flatten()
            .collect()
    }
}

impl ColumnInput {
    fn range_note(&self, name: &str, rows: u64) -> Option<String> {
        let outside = self.below + self.above;
        let share = outside as f64 / rows.max(1) as f64;
        let [least, greatest] = self.found?;
        if share <= MOST_OUTSIDE {
            return None;
        }
        let Some([low, high]) = self.seen else {
            return Some(format!("column `{name}`: {outside} of {rows} rows have a number, and none had in training"));
        };
        let ends = match (self.below, self.above) {
            (0, _) => format!("the greatest is {greatest}"),
            (_, 0) => format!("the least is {least}"),
            _ => format!("the least is {least}, the greatest {greatest}"),
        };
        let percent = (share * 1000.0).round() / 10.0;
        Some(format!(
            "column `{name}`: {outside} of {rows} rows ({percent} %) lie outside of {low} to {high}, the range seen in \
             training; {ends}"
        ))
    }

    fn new_note(&self, name: &str, rows: u64) -> Option<String> {
        if self.new == 0 {
            return None;
        }
        const SHOWN: usize = 5;
        let mut named: Vec<_> = self.categories.iter().collect();
        named.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let mut list: Vec<String> =
            named.iter().take(SHOWN).map(|(name, count)| format!("`{name}` ({count})")).collect();
        let counted: u64 = named.iter().take(SHOWN).map(|(_, count)| **count).sum();
        if counted < self.new {
            list.push(format!("others ({})", self.new - counted));
        }
        let list = list.join(", ");
        Some(format!(
            "column `{name}`: {} of {rows} rows have a category that was not seen in training and counts as missing: {list}",
            self.new
        ))
    }
}

/// A number of 32 bits by the fewest digits that name it: 95.3, not 95.30000305175781.
fn plain(value: f64) -> f64 {
    (value as f32).to_string().parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Float64Array, StringArray};

    use super::*;

    fn features() -> [Feature; 2] {
        let categories = vec!["fruit".to_owned(), "meat".to_owned()];
        [
            Feature { name: "fat_g".into(), kind: FeatureKind::Numeric { range: Some([0.0, 90.0]) }, unit: None },
            Feature { name: "group".into(), kind: FeatureKind::Categorical { categories }, unit: None },
        ]
    }

    fn rows(fat: Vec<Option<f64>>, group: Vec<Option<String>>) -> RecordBatch {
        RecordBatch::try_from_iter([
            ("fat_g", Arc::new(Float64Array::from(fat)) as ArrayRef),
            ("group", Arc::new(StringArray::from(group))),
        ])
        .unwrap()
    }

    #[test]
    fn what_was_seen_in_training_is_not_worth_a_word() {
        let mut report = InputReport::default();
        let batch = rows(vec![Some(0.0), Some(90.0), None], vec![Some("meat".into()), None, Some("fruit".into())]);
        report.add(&features(), &batch).unwrap();
        assert_eq!((report.notes().len(), report.columns.len(), report.rows), (0, 0, 3));
    }

    #[test]
    fn batches_add_up_and_few_numbers_out_of_range_are_only_counted() {
        let mut report = InputReport::default();
        let meat = || Some("meat".to_owned());
        for batch in 0..4 {
            let fat = (0..50).map(|row| Some(if batch == 0 && row < 2 { -1.0 } else { 5.0 })).collect();
            report.add(&features(), &rows(fat, vec![meat(); 50])).unwrap();
        }
        assert_eq!((report.columns["fat_g"].below, report.rows), (2, 200));
        assert_eq!(report.notes(), [""; 0]);
        report.add(&features(), &rows(vec![Some(120.0)], vec![meat()])).unwrap();
        assert_eq!(
            report.notes(),
            ["column `fat_g`: 3 of 201 rows (1.5 %) lie outside of 0 to 90, the range seen in training; \
              the least is -1, the greatest 120"]
        );
    }

    #[test]
    fn numbers_where_training_saw_none_are_said() {
        let [mut fat, _] = features();
        fat.kind = FeatureKind::Numeric { range: None };
        let mut report = InputReport::default();
        report.add(&[fat.clone()], &rows(vec![None, None], vec![None, None])).unwrap();
        assert_eq!(report.notes(), [""; 0]);
        report.add(&[fat], &rows(vec![Some(-7.0), None], vec![None, None])).unwrap();
        assert_eq!(report.notes(), ["column `fat_g`: 1 of 4 rows have a number, and none had in training"]);
    }

    #[test]
    fn new_categories_are_named_and_the_many_are_counted() {
        let mut report = InputReport::default();
        let group = (0..60).map(|row| Some(if row < 30 { "rock".to_owned() } else { format!("new {row}") })).collect();
        report.add(&features(), &rows(vec![None; 60], group)).unwrap();
        assert_eq!(report.columns["group"].categories.len(), MOST_NAMED);
        let note = &report.notes()[0];
        assert!(note.contains("60 of 60 rows") && note.contains("`rock` (30), `new 30` (1)"), "{note}");
        assert!(note.ends_with("others (26)"), "{note}");
    }

    #[test]
    fn a_missing_column_is_an_error_that_names_it() {
        let batch = rows(vec![None], vec![None]).project(&[0]).unwrap();
        let error = InputReport::default().add(&features(), &batch).unwrap_err();
        assert!(error.to_string().contains("`group`"), "{error}");
    }
}
