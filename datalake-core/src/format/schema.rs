//! The types of columns, found from their texts: null, then bool, int64, decimal(38,0) for longer integers, float64, date or
//! timestamp, then text.

use std::collections::HashMap;
use std::fmt;

use arrow::datatypes::{DataType, SchemaRef};

use super::cell::Kinds;
use super::dialect::Dialect;
use super::json::{Kind, Shape};
use super::spec::{ColumnSpec, DecimalMark, type_name};
use crate::error::Error;

/// A schema and how it was found.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Inferred {
    /// The schema.
    pub schema: SchemaRef,
    /// What a user should know of it, such as a column that is text because of one value.
    pub notes: Vec<String>,
    /// How many records were looked at.
    pub rows: u64,
    /// Whether these were all.
    pub whole: bool,
    /// The columns whose type says nothing, since no value was seen in them.
    pub empty: Vec<String>,
    /// The columns of 64-bit integers that hold, or for all that is known may hold, one that no float64 is.
    pub wide_integers: Vec<String>,
    /// How the text is written, if it is CSV.
    pub dialect: Option<Dialect>,
    /// The columns whose numbers are found to have a decimal comma.
    pub comma_decimals: Vec<String>,
    /// What the texts of each column have in common, where its type was found from them.
    pub(crate) kinds: HashMap<String, Kinds>,
    /// The same, were a comma the decimal mark of the texts: of CSV, where it may be one.
    pub(crate) with_comma: HashMap<String, Kinds>,
    /// The columns of numbers with a dot, each of which could as well stand between groups of digits.
    pub(crate) dots_may_group: Vec<String>,
    /// The columns that are text because of some values, each with the note that says so.
    pub(crate) text_notes: Vec<(String, String)>,
    /// JSON: what the values of all fields have in common, where types were found from them.
    pub(crate) shape: Option<Box<Shape>>,
}

/// The fields of JSON records and how their values are stored.
pub(crate) type Fields = Vec<(String, Kind)>;

impl Inferred {
    pub(crate) fn new(schema: &SchemaRef, notes: Vec<String>, rows: u64, whole: bool) -> Self {
        Self {
            schema: SchemaRef::clone(schema),
            notes,
            rows,
            whole,
            empty: Vec::new(),
            wide_integers: Vec::new(),
            dialect: None,
            comma_decimals: Vec::new(),
            kinds: HashMap::new(),
            with_comma: HashMap::new(),
            dots_may_group: Vec::new(),
            text_notes: Vec::new(),
            shape: None,
        }
    }

    /// Takes what was seen of columns whose types were inferred.
    pub(crate) fn with_observed<'a>(
        mut self,
        columns: impl Iterator<Item = (&'a String, Option<&'a Observed>)>,
    ) -> Self {
        for (name, observed) in columns.filter(|(name, _)| self.schema.index_of(name).is_ok()) {
            if let Some(observed) = observed {
                self.kinds.insert(name.clone(), observed.kinds);
            }
            match observed {
                Some(observed) if observed.is_empty() => self.empty.push(name.clone()),
                Some(observed) if observed.is_wide_integer() => self.wide_integers.push(name.clone()),
                _ => {}
            }
        }
        self
    }
}

/// The columns that other files of the same table were found to have. What a file adds to them, a value or a column that
/// would have led to other ones, is a [`Misfit`].
#[derive(Debug)]
pub(crate) struct Guess {
    pub(crate) columns: Vec<ColumnSpec>,
    /// Whether each column had no value so far.
    pub(crate) unseen: Vec<bool>,
    /// JSON: the fields of all files.
    pub(crate) fields: Option<Fields>,
}

impl Guess {
    /// Sees whether all columns of a source are among these.
    pub(crate) fn covers(&self, source: &str, names: &[String]) -> crate::error::Result<()> {
        let is_known = |name: &&String| self.columns.iter().any(|column| column.name == **name);
        match names.iter().find(|name| !is_known(name)) {
            None => Ok(()),
            Some(name) => Err(Error::invalid("read", source)
                .with_reason(format_args!("column `{name}` is not in the files that were looked at first"))
                .with_source(Misfit)),
        }
    }
}

/// The cause of an error: a value that does not fit the types found from a sample. To read the source again with
/// types found from the whole of it gives a result.
#[derive(Debug)]
#[non_exhaustive]
pub struct Misfit;

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the types of the columns were found from a sample")
    }
}

impl std::error::Error for Misfit {}

impl Misfit {
    /// Whether an error comes of a schema found from a sample.
    #[must_use]
    pub fn is_cause_of(error: &Error) -> bool {
        std::error::Error::source(error).is_some_and(<dyn std::error::Error>::is::<Self>)
    }
}

/// What the cells of a column have in common.
#[derive(Debug, Clone)]
pub(crate) struct Observed {
    kinds: Kinds,
    values: u64,
    /// The record that made the column text, and its cell.
    spoiler: Option<(u64, String)>,
}

impl Observed {
    pub(crate) fn new() -> Self {
        Self { kinds: Kinds::ALL, values: 0, spoiler: None }
    }

    /// Takes a cell that is not missing.
    #[cfg(test)]
    pub(crate) fn observe(&mut self, row: u64, text: &str, mark: DecimalMark) {
        self.observe_kinds(row, text, || Kinds::of(text, mark));
    }

    /// Takes a cell whose types are known otherwise.
    pub(crate) fn observe_kinds(&mut self, row: u64, text: &str, kinds: impl FnOnce() -> Kinds) {
        if self.kinds != Kinds::NONE {
            self.kinds = self.kinds.and(kinds());
            if self.kinds == Kinds::NONE && self.values > 0 {
                self.spoiler = Some((row, shortened(text)));
            }
        }
        self.values += 1;
    }

    /// Takes so many cells at once that have these kinds in common; `spoiler` gives the one among them with which a column of
    /// the kinds before, and of values before or not, has none left.
    pub(crate) fn absorb(
        &mut self,
        kinds: Kinds,
        values: u64,
        spoiler: impl FnOnce(Kinds, bool) -> Option<(u64, String)>,
    ) {
        if self.kinds != Kinds::NONE && values > 0 {
            let before = self.kinds;
            self.kinds = before.and(kinds);
            if self.kinds == Kinds::NONE {
                self.spoiler = spoiler(before, self.values > 0);
            }
        }
        self.values += values;
    }

    /// Takes what was seen of cells that come after these.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.absorb(other.kinds, other.values, |_, _| other.spoiler.clone());
    }

    /// The narrowest type of all cells; text where there are none.
    pub(crate) fn data_type(&self) -> DataType {
        if self.is_empty() { DataType::Utf8 } else { self.kinds.narrowest() }
    }

    /// Whether there was no cell.
    pub(crate) fn is_empty(&self) -> bool {
        self.values == 0
    }

    /// How many cells there were.
    pub(crate) fn values(&self) -> u64 {
        self.values
    }

    /// Whether it has values that are nothing but text.
    pub(crate) fn is_text(&self) -> bool {
        self.values > 0 && self.kinds == Kinds::NONE
    }

    /// The same cells, which turned out to be of these kinds.
    pub(crate) fn of_kinds(&self, kinds: Kinds) -> Self {
        Self { kinds, values: self.values, spoiler: None }
    }

    /// Whether these are integers, and one of them no float.
    fn is_wide_integer(&self) -> bool {
        self.data_type() == DataType::Int64 && !self.kinds.has(Kinds::FLOAT)
    }

    /// Why a column is text though its first values were not.
    pub(crate) fn note(&self, column: &str) -> Option<String> {
        let (row, text) = self.spoiler.as_ref()?;
        Some(format!("column `{column}` is {} because of `{text}` in row {row}", type_name(&self.data_type())))
    }

    /// The column as if it were declared.
    pub(crate) fn spec(&self, name: &str, mark: DecimalMark) -> ColumnSpec {
        ColumnSpec::new(name, self.data_type()).with_decimal(mark)
    }
}

/// The beginning of a text, for messages.
pub(crate) fn shortened(text: &str) -> String {
    const LONGEST: usize = 60;
    match text.char_indices().nth(LONGEST) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(cells: &[&str]) -> Observed {
        let mut observed = Observed::new();
        for (row, cell) in cells.iter().enumerate() {
            observed.observe(row as u64 + 1, cell, DecimalMark::Dot);
        }
        observed
    }

    #[test]
    fn a_column_is_as_narrow_as_all_its_cells_allow() {
        assert_eq!(of(&["1", "2"]).data_type(), DataType::Int64);
        assert_eq!(of(&["1", "2.5"]).data_type(), DataType::Float64);
        assert_eq!(of(&["true", "false"]).data_type(), DataType::Boolean);
        assert_eq!(of(&["1", "true"]).data_type(), DataType::Utf8);
        assert_eq!(of(&["2024-01-01", "2024-01-01T00:00:00"]).data_type(), DataType::Utf8);
        assert_eq!(of(&[]).data_type(), DataType::Utf8);
    }

    #[test]
    fn an_integer_that_no_float_holds_makes_the_column_text() {
        let column = of(&["0.5", "9007199254740993"]);
        assert_eq!(column.data_type(), DataType::Utf8);
        assert_eq!(column.note("x").unwrap(), "column `x` is text because of `9007199254740993` in row 2");
        assert_eq!(of(&["1", "9007199254740993"]).data_type(), DataType::Int64);
    }

    #[test]
    fn a_column_that_never_looked_like_numbers_has_no_note() {
        assert_eq!(of(&["a", "1"]).note("x"), None);
    }
}
