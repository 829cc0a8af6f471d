//! One schema for several files: columns united by name, types widened as far as needed.

use std::fmt::Display;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use indexmap::IndexMap;

use crate::format::cell::Kinds;
use crate::format::schema::Inferred;
use crate::format::spec::{ColumnSpec, DecimalMark, type_name};

/// So many notes of single files are told; of more, how many there are.
const MOST_NOTES: usize = 10;

/// What several files have in common.
#[derive(Debug)]
pub(crate) struct United {
    /// The schema of all of them.
    pub(crate) schema: SchemaRef,
    /// The same as declared columns.
    pub(crate) columns: Vec<ColumnSpec>,
    /// Whether no file has a value in a column, for each.
    pub(crate) unseen: Vec<bool>,
    /// Whether every file has just this schema.
    pub(crate) alike: bool,
    /// Whether a column is text only because types differ.
    pub(crate) has_conflict: bool,
    /// What the user should know: columns that were widened, or that files lack.
    pub(crate) notes: Vec<String>,
}

/// Unites the schemas of files, columns in the order in which they are first seen. Nested columns that differ become one
/// with the fields of all where `nests`, else text.
pub(crate) fn unite<N: Display>(found: &[(N, Inferred)], mark: Option<DecimalMark>, nests: bool) -> United {
    let mut columns: IndexMap<&str, Column> = IndexMap::new();
    for (file, (_, inferred)) in found.iter().enumerate() {
        for field in inferred.schema.fields() {
            let column = columns.entry(field.name().as_str()).or_default();
            column.files += 1;
            if inferred.empty.contains(field.name()) {
                column.is_empty_somewhere = true;
            } else {
                column.take(file, field, inferred, nests);
            }
        }
    }
    let types: IndexMap<&str, DataType> =
        columns.iter().map(|(name, column)| (*name, column.data_type(nests).unwrap_or(DataType::Utf8))).collect();
    let mut notes = file_notes(found, &types);
    let mut conflicts: Vec<(&str, &Conflict)> =
        columns.iter().filter_map(|(name, column)| Some((*name, column.conflict.as_ref()?))).collect();
    let has_conflict = !conflicts.is_empty();
    conflicts.sort_by_key(|(_, conflict)| conflict.file);
    notes.extend(conflicts.into_iter().map(|(name, Conflict { file, found: own, before })| {
        let (path, own, before) = (&found[*file].0, type_name(own), type_name(before));
        format!("{path}: column `{name}` is {own}, elsewhere {before}: read as {}", type_name(&DataType::Utf8))
    }));
    let unclear =
        columns.iter().filter(|(_, column)| column.texts.is_some_and(|texts| texts.has_comma && texts.dots_may_group));
    notes.extend(unclear.map(|(name, _)| {
        format!(
            "column `{name}` has a decimal comma in some files, and in others dots that could group digits; with \
             `decimal = \",\"` and `thousands = \".\"` it is read so in all"
        )
    }));
    let lacks = columns.iter().filter(|(_, column)| column.files < found.len());
    notes.extend(lacks.map(|(name, column)| {
        let first = found.iter().find(|(_, inferred)| inferred.schema.field_with_name(name).is_err());
        let first = first.map_or_else(String::new, |(path, _)| path.to_string());
        lacking(name, found.len() - column.files, found.len(), &first)
    }));
    let unseen = columns.values().map(|column| !column.has_values() && column.is_empty_somewhere).collect();
    let marks: Vec<DecimalMark> = columns.values().map(|column| mark.unwrap_or_else(|| column.mark())).collect();
    let alike = found.windows(2).all(|pair| pair[0].1.schema == pair[1].1.schema);
    let schema = match found.first() {
        Some((_, first)) if alike => Arc::clone(&first.schema),
        _ => {
            let fields = columns.into_iter().map(|(name, column)| column.field(name, nests));
            Arc::new(Schema::new(fields.collect::<Vec<_>>()))
        }
    };
    let spec = |(field, mark): (&Arc<Field>, DecimalMark)| {
        ColumnSpec::new(field.name(), field.data_type().clone()).with_decimal(mark)
    };
    let columns = schema.fields().iter().zip(marks).map(spec).collect();
    United { schema, columns, unseen, alike, has_conflict, notes }
}

/// That some files lack a column.
pub(crate) fn lacking(column: &str, files: usize, of: usize, first: &str) -> String {
    match files {
        1 => format!("{first}: has no column `{column}`: null there"),
        _ => format!("{files} of {of} files, the first of them {first}, have no column `{column}`: null there"),
    }
}

/// What is to be known of single files, the same of several once. That a column is text is not, where it is none in the table.
fn file_notes<N: Display>(found: &[(N, Inferred)], types: &IndexMap<&str, DataType>) -> Vec<String> {
    let mut notes = FileNotes::default();
    for (path, inferred) in found {
        let is_text = |column: &String| types.get(column.as_str()) == Some(&DataType::Utf8);
        let is_moot = |note: &&String| inferred.text_notes.iter().any(|(column, own)| own == *note && !is_text(column));
        notes.add(path, inferred.notes.iter().filter(|note| !is_moot(note)));
    }
    notes.told()
}

/// What is to be known of single files: the same of several is told once.
#[derive(Debug, Default)]
pub(super) struct FileNotes {
    /// The first file of each, and how many there are.
    notes: IndexMap<String, (String, usize)>,
}

impl FileNotes {
    pub(super) fn add<'a>(&mut self, file: impl Display, notes: impl Iterator<Item = &'a String>) {
        for note in notes {
            match self.notes.get_mut(note) {
                Some((_, files)) => *files += 1,
                None => {
                    self.notes.insert(note.clone(), (file.to_string(), 1));
                }
            }
        }
    }

    pub(super) fn told(&self) -> Vec<String> {
        let more = self.notes.len().saturating_sub(MOST_NOTES);
        let told = self.notes.iter().take(MOST_NOTES).map(|(note, (file, files))| match files {
            1 => format!("{file}: {note}"),
            files => format!("{file}: {note} (and so in {} more)", files - 1),
        });
        told.chain((more > 0).then(|| format!("{more} more notes of single files"))).collect()
    }
}

/// A column as all files so far have it.
#[derive(Debug, Default)]
struct Column {
    /// The type where files say it themselves; none where no value was seen.
    typed: Option<DataType>,
    /// What the texts have in common, where types are found from them.
    texts: Option<Texts>,
    /// Whether there is an integer that no float is.
    has_wide_integers: bool,
    /// Whether a file has it without a value, and so as text.
    is_empty_somewhere: bool,
    /// How many files have it.
    files: usize,
    /// What made it text.
    conflict: Option<Conflict>,
}

/// A file with which a column became text.
#[derive(Debug)]
struct Conflict {
    file: usize,
    found: DataType,
    before: DataType,
}

/// What the texts of several files have in common.
#[derive(Debug, Clone, Copy)]
struct Texts {
    /// By the decimal mark that each file is found to have.
    own: Kinds,
    /// With a comma in all files: what a comma means where it may group thousands is shown by the others.
    with_comma: Kinds,
    /// Whether a file is found to have a decimal comma.
    has_comma: bool,
    /// Whether a file has dots that could stand between groups of digits.
    dots_may_group: bool,
}

impl Texts {
    fn of(name: &str, inferred: &Inferred) -> Option<Self> {
        let own = *inferred.kinds.get(name)?;
        let with_comma = inferred.with_comma.get(name).copied().unwrap_or(own);
        let has_comma = inferred.comma_decimals.iter().any(|column| column == name);
        let dots_may_group = inferred.dots_may_group.iter().any(|column| column == name);
        Some(Self { own, with_comma, has_comma, dots_may_group })
    }

    fn and(self, other: Self) -> Self {
        Self {
            own: self.own.and(other.own),
            with_comma: self.with_comma.and(other.with_comma),
            has_comma: self.has_comma || other.has_comma,
            dots_may_group: self.dots_may_group || other.dots_may_group,
        }
    }

    /// Whether they are numbers only if a comma is the decimal mark in all files, as in one file with all texts.
    fn take_commas(self) -> bool {
        self.own == Kinds::NONE && self.has_comma && self.with_comma.has(Kinds::FLOAT)
    }

    fn data_type(self) -> DataType {
        if self.take_commas() { self.with_comma.narrowest() } else { self.own.narrowest() }
    }

    fn mark(self) -> DecimalMark {
        // What is a number with a comma is none with a dot in any file: each shows which it has.
        if self.has_comma { DecimalMark::Either } else { DecimalMark::Dot }
    }
}

impl Column {
    /// Takes the column of a file that has values in it.
    fn take(&mut self, file: usize, field: &Field, inferred: &Inferred, nests: bool) {
        let before = self.data_type(nests);
        self.has_wide_integers |= inferred.wide_integers.contains(field.name());
        match (Texts::of(field.name(), inferred), self.typed.take()) {
            (Some(texts), typed) => {
                self.texts = Some(self.texts.map_or(texts, |known| known.and(texts)));
                self.typed = typed;
            }
            (None, None) => self.typed = Some(field.data_type().clone()),
            (None, Some(known)) if known == *field.data_type() => self.typed = Some(known),
            (None, Some(known)) => self.typed = Some(wider(&known, field.data_type(), self.has_wide_integers, nests)),
        }
        // As within one file: a number with a fraction among whole ones is nothing to tell, nor is a number among texts.
        match (self.data_type(nests), before) {
            (Some(DataType::Utf8), Some(before)) if before != DataType::Utf8 => {
                self.conflict = Some(Conflict { file, found: field.data_type().clone(), before });
            }
            (Some(DataType::Utf8), _) => {}
            _ => self.conflict = None,
        }
    }

    fn has_values(&self) -> bool {
        self.typed.is_some() || self.texts.is_some()
    }

    /// Its type in the files that have values in it.
    fn data_type(&self, nests: bool) -> Option<DataType> {
        match (&self.typed, self.texts.map(Texts::data_type)) {
            (Some(typed), Some(found)) if *typed != found => Some(wider(typed, &found, self.has_wide_integers, nests)),
            (_, Some(found)) => Some(found),
            (typed, None) => typed.clone(),
        }
    }

    fn mark(&self) -> DecimalMark {
        self.texts.map_or(DecimalMark::Dot, Texts::mark)
    }

    /// It in all files: text where no file has a value.
    fn field(self, name: &str, nests: bool) -> Field {
        let data_type = match self.data_type(nests) {
            None => DataType::Utf8,
            Some(data_type) if self.is_empty_somewhere => of_text(data_type),
            Some(data_type) => data_type,
        };
        ColumnSpec::new(name, data_type).field()
    }
}

/// The narrowest type that holds the values of a type and that a text can become.
fn of_text(data_type: DataType) -> DataType {
    match data_type {
        DataType::Boolean | DataType::Date32 | DataType::Timestamp(TimeUnit::Microsecond, None) => data_type,
        DataType::Decimal128(_, 0..) => data_type,
        DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) if zone.as_ref() == "UTC" => {
            DataType::Timestamp(TimeUnit::Microsecond, Some(zone))
        }
        integer if fits_int64(&integer) => DataType::Int64,
        float if float.is_floating() => DataType::Float64,
        nested if nested.is_nested() => nested,
        _ => DataType::Utf8,
    }
}

fn fits_int64(data_type: &DataType) -> bool {
    data_type.is_integer() && data_type != &DataType::UInt64
}

/// The narrowest type that holds the values of both without loss, text at worst. Of integers with and without sign, and
/// of floats and integers that no float is, that is text; of nested types too, unless their fields can be those of both.
fn wider(a: &DataType, b: &DataType, has_wide_integers: bool, nests: bool) -> DataType {
    let is_float = DataType::is_floating;
    match (a, b) {
        (DataType::Null, other) | (other, DataType::Null) => other.clone(),
        (DataType::Struct(a), DataType::Struct(b)) if nests => DataType::Struct(fields_of_both(a, b)),
        (DataType::List(a), DataType::List(b)) if nests => {
            DataType::new_list(wider_within(a.data_type(), b.data_type()), true)
        }
        (a, b) if fits_int64(a) && fits_int64(b) => DataType::Int64,
        (DataType::Decimal128(precision, 0), whole) | (whole, DataType::Decimal128(precision, 0))
            if fits_int64(whole) && *precision >= 19 =>
        {
            DataType::Decimal128(*precision, 0)
        }
        (a, b) if is_float(a) && is_float(b) => DataType::Float64,
        (a, b) if is_float(a) && b.is_integer() && !has_wide_integers => DataType::Float64,
        (a, b) if is_float(b) && a.is_integer() && !has_wide_integers => DataType::Float64,
        _ => DataType::Utf8,
    }
}

fn fields_of_both(a: &Fields, b: &Fields) -> Fields {
    let mut all: IndexMap<&str, DataType> = a.iter().map(|f| (f.name().as_str(), f.data_type().clone())).collect();
    for field in b {
        let found = field.data_type();
        all.entry(field.name())
            .and_modify(|known| *known = wider_within(known, found))
            .or_insert_with(|| found.clone());
    }
    all.into_iter().map(|(name, data_type)| Field::new(name, data_type, true)).collect()
}

/// Within nested values it is not known how large integers are, so one that no float is may be among them.
fn wider_within(a: &DataType, b: &DataType) -> DataType {
    if a == b { a.clone() } else { wider(a, b, true, true) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inferred(fields: &[(&str, DataType)]) -> Inferred {
        let fields = fields.iter().map(|(name, data_type)| Field::new(*name, data_type.clone(), true));
        Inferred::new(&Arc::new(Schema::new(fields.collect::<Vec<_>>())), Vec::new(), 1, true)
    }

    fn types(schemas: &[Inferred], notes: &mut Vec<String>) -> Vec<(String, DataType)> {
        let schemas: Vec<_> = schemas.iter().map(|inferred| ("x".to_owned(), inferred.clone())).collect();
        let united = unite(&schemas, None, true);
        notes.extend(united.notes);
        united.schema.fields().iter().map(|field| (field.name().clone(), field.data_type().clone())).collect()
    }

    #[test]
    fn columns_unite_by_name_and_widen() {
        let first = inferred(&[("a", DataType::Int64), ("b", DataType::Utf8)]);
        let second = inferred(&[("b", DataType::Boolean), ("a", DataType::Float64), ("c", DataType::Date32)]);
        let mut notes = Vec::new();
        let types = types(&[first, second], &mut notes);
        let expected = [("a", DataType::Float64), ("b", DataType::Utf8), ("c", DataType::Date32)];
        assert_eq!(types, expected.map(|(name, data_type)| (name.to_owned(), data_type)));
        assert_eq!(notes, ["x: has no column `c`: null there"]);
    }

    #[test]
    fn a_column_without_a_value_widens_nothing() {
        let mut empty = inferred(&[("a", DataType::Utf8), ("b", DataType::Utf8)]);
        empty.empty = vec!["a".to_owned(), "b".to_owned()];
        let full = inferred(&[("a", DataType::Int64)]);
        let expected = [("a".to_owned(), DataType::Int64), ("b".to_owned(), DataType::Utf8)];
        assert_eq!(types(&[empty.clone(), full.clone()], &mut Vec::new()), expected);
        assert_eq!(types(&[full, empty], &mut Vec::new()), expected);
    }

    #[test]
    fn integers_that_no_float_holds_become_text_in_any_order() {
        let float = inferred(&[("a", DataType::Float64)]);
        let small = inferred(&[("a", DataType::Int64)]);
        let mut large = small.clone();
        large.wide_integers = vec!["a".to_owned()];
        let expected = [("a".to_owned(), DataType::Utf8)];
        for order in [[&float, &small, &large], [&small, &large, &float], [&large, &float, &small]] {
            let mut notes = Vec::new();
            assert_eq!(types(&order.map(Inferred::clone), &mut notes), expected);
            assert_eq!(notes.len(), 1, "{notes:?}");
        }
        let wide = inferred(&[("a", DataType::Decimal128(38, 0))]);
        for order in [[&float, &wide, &small], [&small, &wide, &float], [&wide, &float, &small]] {
            assert_eq!(types(&order.map(Inferred::clone), &mut Vec::new()), expected);
        }
        let decimal = [("a".to_owned(), DataType::Decimal128(38, 0))];
        assert_eq!(types(&[small.clone(), wide.clone()], &mut Vec::new()), decimal);
        assert_eq!(types(&[wide, small.clone()], &mut Vec::new()), decimal);
        let unsigned = inferred(&[("a", DataType::UInt64)]);
        assert_eq!(types(&[small, unsigned], &mut Vec::new()), expected);
    }

    #[test]
    fn what_many_files_lack_is_told_once_with_their_number() {
        let (full, less) =
            (inferred(&[("a", DataType::Int64), ("b", DataType::Int64)]), inferred(&[("a", DataType::Int64)]));
        let mut notes = Vec::new();
        types(&[full, less.clone(), less.clone(), less], &mut notes);
        assert_eq!(notes, ["3 of 4 files, the first of them x, have no column `b`: null there"]);
    }

    #[test]
    fn a_note_of_many_files_is_told_once() {
        let mut noted = inferred(&[("a", DataType::Int64)]);
        noted.notes = vec!["look".to_owned()];
        let mut notes = Vec::new();
        types(&[noted.clone(), noted.clone(), noted], &mut notes);
        assert_eq!(notes, ["x: look (and so in 2 more)"]);
    }

    #[test]
    fn nested_columns_have_the_fields_of_all_files() {
        let of = |fields: &[(&str, DataType)]| {
            DataType::Struct(fields.iter().map(|(name, kind)| Field::new(*name, kind.clone(), true)).collect())
        };
        let first = inferred(&[("o", of(&[("x", DataType::Int64), ("y", DataType::Utf8)]))]);
        let second = inferred(&[("o", of(&[("y", DataType::Boolean), ("z", DataType::Date32)]))]);
        let both = of(&[("x", DataType::Int64), ("y", DataType::Utf8), ("z", DataType::Date32)]);
        assert_eq!(types(&[first.clone(), second], &mut Vec::new()), [("o".to_owned(), both)]);
        let scalar = inferred(&[("o", DataType::Int64)]);
        assert_eq!(types(&[first, scalar], &mut Vec::new()), [("o".to_owned(), DataType::Utf8)]);
    }
}
