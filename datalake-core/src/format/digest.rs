//! The digest of a table: SHA-256 over its schema and its values in row order.
//!
//! It does not depend on how the rows were cut into batches or row groups, on dictionaries, views, large offsets or fixed sizes,
//! on the width of integers (but `uint64` is a type of its own), or on the file format. What a format cannot say is
//! another value there, and so another digest: CSV has no empty text beside a missing value, JSON no NaN, and both
//! read every number with a fraction as `float64` and every time in microseconds. Each leaf column has a hash of its own, fed with one entry a value; the table's digest is
//! the hash over names, logical types, the number of rows, and the column hashes. A float's NaN is one value, and
//! -0.0 is 0.0. What a missing value hides in its buffer does not count. Nullability is no part of it: it says what
//! could be missing, not what is.
//!
//! The entry of a value is one byte, 0 for missing and 1 for present, and for a present one: numbers, dates and
//! times as little-endian bytes; booleans as one byte; texts and bytes as their length (8 bytes, little-endian) and
//! themselves; lists as their length, with the elements as a column of their own, and so maps, whose elements are structs of
//! a key and a value. A struct has only the one byte, its fields are columns; where it is missing, they are skipped.

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, GenericListArray, LargeListArray, ListArray, OffsetSizeTrait,
    PrimitiveArray, RecordBatch, StructArray,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Field, Float16Type, Float32Type, Float64Type, Schema, SchemaRef, TimeUnit,
    ToByteSlice,
};
use arrow::downcast_primitive_array;
use sha2::{Digest, Sha256};

use super::cells::append;
use crate::error::{Error, ErrorKind, Result};

/// Entries are gathered to about so many bytes: a hash takes its time for each call, and memory that is used again is near.
const ENOUGH: usize = 32 * 1024;

/// Digests a table batch by batch.
///
/// ```
/// use arrow::array::{ArrayRef, Int64Array, RecordBatch};
/// use datalake_core::format::TableDigest;
/// use std::sync::Arc;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let column = |values: &[i64]| Arc::new(Int64Array::from(values.to_vec())) as ArrayRef;
/// let whole = RecordBatch::try_from_iter([("n", column(&[1, 2, 3]))])?;
/// let mut once = TableDigest::new(&whole.schema());
/// once.update(&whole)?;
/// let mut twice = TableDigest::new(&whole.schema());
/// twice.update(&whole.slice(0, 1))?;
/// twice.update(&whole.slice(1, 2))?;
/// assert_eq!(once.finish(), twice.finish());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct TableDigest {
    schema: SchemaRef,
    rows: u64,
    columns: Vec<Column>,
}

/// The hash of a column, and those of its fields or elements.
#[derive(Debug)]
struct Column {
    hash: Sha256,
    children: Vec<Column>,
}

impl TableDigest {
    /// The digest of a table of this schema, without rows so far.
    #[must_use]
    pub fn new(schema: &SchemaRef) -> Self {
        let columns = schema.fields().iter().map(|field| Column::of(field.data_type())).collect();
        Self { schema: SchemaRef::clone(schema), rows: 0, columns }
    }

    /// Adds the rows of a batch.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for a type that has no canonical form, such as a union;
    /// [`ErrorKind::Internal`] if the batch is of another schema.
    pub fn update(&mut self, batch: &RecordBatch) -> Result<()> {
        if batch.num_columns() != self.columns.len() {
            return Err(Error::internal("digest", "a batch of another schema"));
        }
        self.rows += batch.num_rows() as u64;
        for ((column, field), array) in self.columns.iter_mut().zip(self.schema.fields()).zip(batch.columns()) {
            column.update(array).map_err(|error| match error.kind() {
                ErrorKind::Unsupported => without_form(field, error),
                _ => error,
            })?;
        }
        Ok(())
    }

    /// The digest in hex.
    #[must_use]
    pub fn finish(self) -> String {
        let mut hash = Sha256::new();
        hash.update(b"datalake table 1\n");
        hash.update(signature(&self.schema));
        hash.update(self.rows.to_le_bytes());
        for column in self.columns {
            column.finish(&mut hash);
        }
        hex(&hash.finalize())
    }
}

impl Column {
    fn of(data_type: &DataType) -> Self {
        let children = match data_type {
            DataType::Struct(fields) => fields.iter().map(|field| Self::of(field.data_type())).collect(),
            DataType::List(element)
            | DataType::LargeList(element)
            | DataType::FixedSizeList(element, _)
            | DataType::Map(element, _) => vec![Self::of(element.data_type())],
            // As it is digested as its values are.
            DataType::Dictionary(_, values) => return Self::of(values),
            _ => Vec::new(),
        };
        Self { hash: Sha256::new(), children }
    }

    fn update(&mut self, array: &ArrayRef) -> Result<()> {
        match array.data_type() {
            DataType::Null => self.nulls(array.len()),
            DataType::Boolean => self.booleans(array.as_boolean()),
            DataType::Struct(_) => return self.structs(array.as_struct()),
            DataType::List(_) => return self.lists(array.as_list::<i32>()),
            DataType::LargeList(_) => return self.lists(array.as_list::<i64>()),
            // With large offsets, as the elements of all rows may be more than others can count.
            DataType::FixedSizeList(_, _) => {
                return self.lists(&LargeListArray::from(array.as_fixed_size_list().clone()));
            }
            DataType::Map(_, _) => return self.lists(&ListArray::from(array.as_map().clone())),
            DataType::Dictionary(_, values) => return self.update(&cast(array, values)?),
            narrow if is_narrow(narrow) => return self.update(&cast(array, &DataType::Int64)?),
            DataType::Utf8 => self.texts(array.as_string::<i32>().iter().map(|text| text.map(str::as_bytes))),
            DataType::LargeUtf8 => self.texts(array.as_string::<i64>().iter().map(|text| text.map(str::as_bytes))),
            DataType::Utf8View => self.texts(array.as_string_view().iter().map(|text| text.map(str::as_bytes))),
            DataType::Binary => self.texts(array.as_binary::<i32>().iter()),
            DataType::LargeBinary => self.texts(array.as_binary::<i64>().iter()),
            DataType::BinaryView => self.texts(array.as_binary_view().iter()),
            DataType::FixedSizeBinary(_) => self.texts(array.as_fixed_size_binary().iter()),
            DataType::Float64 => self.primitive_values(array.as_primitive::<Float64Type>(), canonical),
            DataType::Float32 => self.primitive_values(array.as_primitive::<Float32Type>(), |value| {
                // Through f64, which holds every f32 and has one NaN after `canonical`.
                canonical(f64::from(value)) as f32
            }),
            DataType::Float16 => self.primitive_values(array.as_primitive::<Float16Type>(), |value| {
                half::f16::from_f64(canonical(value.into()))
            }),
            _ => return self.primitives(array),
        }
        Ok(())
    }

    fn nulls(&mut self, rows: usize) {
        self.hash.update(vec![0; rows]);
    }

    fn booleans(&mut self, array: &BooleanArray) {
        let mut entries = Vec::with_capacity(2 * array.len());
        for value in array {
            match value {
                None => entries.push(0),
                Some(value) => entries.extend_from_slice(&[1, u8::from(value)]),
            }
        }
        self.hash.update(&entries);
    }

    fn texts<'a>(&mut self, values: impl Iterator<Item = Option<&'a [u8]>>) {
        let mut entries = Vec::with_capacity(2 * ENOUGH);
        for value in values {
            match value {
                None => entries.push(0),
                Some(value) => {
                    let mut head = [1; 9];
                    head[1..].copy_from_slice(&(value.len() as u64).to_le_bytes());
                    entries.extend_from_slice(&head);
                    append(&mut entries, value);
                }
            }
            if entries.len() > ENOUGH {
                self.hash.update(&entries);
                entries.clear();
            }
        }
        self.hash.update(&entries);
    }

    fn primitives(&mut self, array: &ArrayRef) -> Result<()> {
        let array = array.as_ref();
        downcast_primitive_array!(
            array => { self.primitive_values(array, |value| value); Ok(()) }
            other => Err(Error::new(ErrorKind::Unsupported, "digest", format_args!("values of type {other}")))
        )
    }

    fn primitive_values<T: ArrowPrimitiveType>(
        &mut self,
        array: &PrimitiveArray<T>,
        canonical: impl Fn(T::Native) -> T::Native,
    ) {
        let width = size_of::<T::Native>();
        let values = array.values();
        let rows = ENOUGH / (width + 1);
        let mut entries = Vec::with_capacity(rows * (width + 1));
        for first in (0..values.len()).step_by(rows) {
            let some = &values[first..values.len().min(first + rows)];
            entries.clear();
            match array.nulls() {
                None => {
                    entries.resize(some.len() * (width + 1), 1);
                    for (entry, value) in entries.chunks_exact_mut(width + 1).zip(some) {
                        entry[1..].copy_from_slice(canonical(*value).to_byte_slice());
                        make_little_endian(&mut entry[1..]);
                    }
                }
                Some(nulls) => {
                    for (row, value) in some.iter().enumerate() {
                        if nulls.is_null(first + row) {
                            entries.push(0);
                        } else {
                            entries.push(1);
                            let begin = entries.len();
                            entries.extend_from_slice(canonical(*value).to_byte_slice());
                            make_little_endian(&mut entries[begin..]);
                        }
                    }
                }
            }
            self.hash.update(&entries);
        }
    }

    fn structs(&mut self, array: &StructArray) -> Result<()> {
        self.validity(array.nulls(), array.len());
        for (child, values) in self.children.iter_mut().zip(array.columns()) {
            child.update(&present(values, array.nulls())?)?;
        }
        Ok(())
    }

    fn lists<O: OffsetSizeTrait>(&mut self, array: &GenericListArray<O>) -> Result<()> {
        let offsets = array.value_offsets();
        let mut entries = Vec::with_capacity(9 * array.len().min(ENOUGH));
        // What missing lists hide is left out; all else is given to the elements' columns in as few pieces as can be.
        let (mut begin, mut end) = (offsets[0], offsets[0]);
        for row in 0..array.len() {
            if array.is_null(row) {
                entries.push(0);
            } else {
                if end != offsets[row] {
                    self.elements(array, begin, end)?;
                    begin = offsets[row];
                }
                end = offsets[row + 1];
                let mut entry = [1; 9];
                entry[1..].copy_from_slice(&((end - offsets[row]).as_usize() as u64).to_le_bytes());
                entries.extend_from_slice(&entry);
            }
            if entries.len() > ENOUGH {
                self.hash.update(&entries);
                entries.clear();
            }
        }
        self.hash.update(&entries);
        self.elements(array, begin, end)
    }

    fn elements<O: OffsetSizeTrait>(&mut self, array: &GenericListArray<O>, begin: O, end: O) -> Result<()> {
        let elements = array.values().slice(begin.as_usize(), (end - begin).as_usize());
        self.children.iter_mut().try_for_each(|child| child.update(&elements))
    }

    fn validity(&mut self, nulls: Option<&NullBuffer>, rows: usize) {
        match nulls {
            None => self.hash.update(vec![1; rows]),
            Some(nulls) => self.hash.update(nulls.iter().map(u8::from).collect::<Vec<_>>()),
        }
    }

    fn finish(self, into: &mut Sha256) {
        into.update(self.hash.finalize());
        for child in self.children {
            child.finish(into);
        }
    }
}

/// What a column is whose values cannot be said in one way.
fn without_form(field: &Field, cause: Error) -> Error {
    Error::new(ErrorKind::Unsupported, "write", format_args!("column `{}`", field.name()))
        .with_reason(format_args!("there is no form for its type {} that files have in common", field.data_type()))
        .with_hint("leave the column out with `columns`, or make another type of it before")
        .with_source(cause)
}

/// The one bit pattern of a value: no -0.0, and a single NaN.
fn canonical(value: f64) -> f64 {
    if value.is_nan() {
        f64::NAN
    } else if value == 0.0 {
        0.0
    } else {
        value
    }
}

/// Turns the bytes of a value round where this machine has them the other way.
#[inline(always)]
fn make_little_endian(bytes: &mut [u8]) {
    if cfg!(target_endian = "big") {
        bytes.reverse();
    }
}

/// The values of a struct's field where the struct is present.
fn present(values: &ArrayRef, nulls: Option<&NullBuffer>) -> Result<ArrayRef> {
    match nulls {
        None => Ok(ArrayRef::clone(values)),
        Some(nulls) => arrow::compute::filter(values, &BooleanArray::new(nulls.inner().clone(), None))
            .map_err(|cause| Error::internal("digest", "a struct").with_source(cause)),
    }
}

fn cast(array: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    arrow::compute::cast(array, to).map_err(|cause| Error::internal("digest", "a column").with_source(cause))
}

/// Whether all values are integers of 64 bits too.
fn is_narrow(data_type: &DataType) -> bool {
    use DataType::{Int8, Int16, Int32, UInt8, UInt16, UInt32};
    matches!(data_type, Int8 | Int16 | Int32 | UInt8 | UInt16 | UInt32)
}

/// Names and logical types, each with its length before it, so that no two schemas read the same.
fn signature(schema: &Schema) -> Vec<u8> {
    let mut text = Vec::new();
    push_text(&mut text, &schema.fields().len().to_string());
    for field in schema.fields() {
        push_text(&mut text, field.name());
        push_type(&mut text, field.data_type());
    }
    text
}

fn push_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend((text.len() as u64).to_le_bytes());
    bytes.extend(text.as_bytes());
}

fn push_type(bytes: &mut Vec<u8>, data_type: &DataType) {
    match data_type {
        DataType::Dictionary(_, values) => push_type(bytes, values),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => push_text(bytes, "text"),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            push_text(bytes, "bytes");
        }
        DataType::Timestamp(unit, zone) => {
            push_text(bytes, "timestamp");
            push_text(bytes, unit_name(*unit));
            push_text(bytes, if zone.is_some() { "utc" } else { "local" });
        }
        DataType::List(element) | DataType::LargeList(element) | DataType::FixedSizeList(element, _) => {
            push_text(bytes, "list");
            push_type(bytes, element.data_type());
        }
        DataType::Map(entry, _) => {
            push_text(bytes, "map");
            push_type(bytes, entry.data_type());
        }
        DataType::Struct(fields) => {
            push_text(bytes, "struct");
            push_text(bytes, &fields.len().to_string());
            for field in fields {
                push_text(bytes, field.name());
                push_type(bytes, field.data_type());
            }
        }
        narrow if is_narrow(narrow) => push_type(bytes, &DataType::Int64),
        plain => push_text(bytes, &plain.to_string()),
    }
}

fn unit_name(unit: TimeUnit) -> &'static str {
    match unit {
        TimeUnit::Second => "s",
        TimeUnit::Millisecond => "ms",
        TimeUnit::Microsecond => "us",
        TimeUnit::Nanosecond => "ns",
    }
}

/// Bytes as lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{
        DictionaryArray, FixedSizeListArray, Float64Array, Int8Array, Int64Array, LargeStringArray, ListViewArray,
        StringArray, StringViewArray, UInt32Array,
    };
    use arrow::datatypes::Int8Type;
    use std::sync::Arc;

    fn digest(columns: &[(&str, ArrayRef)]) -> String {
        let batch = RecordBatch::try_from_iter(columns.iter().cloned()).unwrap();
        let mut digest = TableDigest::new(batch.schema_ref());
        digest.update(&batch).unwrap();
        digest.finish()
    }

    fn of(array: impl Array + 'static) -> String {
        digest(&[("x", Arc::new(array))])
    }

    /// The digest is a promise to every manifest ever written.
    #[test]
    fn the_digest_never_changes() {
        let table: [(&str, ArrayRef); 2] = [
            ("name", Arc::new(StringArray::from(vec![Some("lentils"), None]))),
            ("protein_g", Arc::new(Float64Array::from(vec![Some(24.6), Some(0.9)]))),
        ];
        assert_eq!(digest(&table), "cbce43c25835b5ea42860e7829a530d638689604d44e2b49bba8b017c142b4d2");
    }

    #[test]
    fn encodings_do_not_count() {
        let texts = vec!["a", "b", "a"];
        let plain = of(StringArray::from(texts.clone()));
        assert_eq!(plain, of(LargeStringArray::from(texts.clone())));
        assert_eq!(plain, of(StringViewArray::from(texts.clone())));
        assert_eq!(plain, of(texts.into_iter().collect::<DictionaryArray<Int8Type>>()));
    }

    #[test]
    fn the_width_of_integers_does_not_count() {
        let wide = of(Int64Array::from(vec![Some(-7), None, Some(120)]));
        assert_eq!(wide, of(Int8Array::from(vec![Some(-7), None, Some(120)])));
        assert_ne!(wide, of(Int8Array::from(vec![Some(-7), Some(0), Some(120)])));
        assert_eq!(of(Int64Array::from(vec![i64::from(u32::MAX)])), of(UInt32Array::from(vec![u32::MAX])));
    }

    #[test]
    fn lists_of_one_size_are_lists() {
        let values = |values: Vec<i64>| Arc::new(Int64Array::from(values)) as ArrayRef;
        let (field, nulls) = (Arc::new(Field::new_list_field(DataType::Int64, true)), vec![true, false, true]);
        let offsets = arrow::buffer::OffsetBuffer::from_lengths([2, 0, 2]);
        let lists = ListArray::new(Arc::clone(&field), offsets, values(vec![1, 2, 5, 6]), Some(nulls.clone().into()));
        let fixed = FixedSizeListArray::new(field, 2, values(vec![1, 2, 3, 4, 5, 6]), Some(nulls.into()));
        assert_eq!(of(lists.slice(1, 2)), of(fixed.slice(1, 2)));
        assert_eq!(of(lists), of(fixed));
    }

    #[test]
    fn a_type_without_a_form_is_told_with_its_column_and_what_to_do() {
        let list = ListViewArray::from(ListArray::from_iter_primitive::<Int8Type, _, _>([Some([Some(1)])]));
        let batch = RecordBatch::try_from_iter([("x", Arc::new(list) as ArrayRef)]).unwrap();
        let error = TableDigest::new(batch.schema_ref()).update(&batch).unwrap_err();
        let told = error.to_string();
        assert!(told.starts_with("cannot write column `x`") && told.contains("ListView"), "{error}");
        assert!(error.hint().unwrap().contains("`columns`"), "{error:?}");
    }

    #[test]
    fn one_nan_and_one_zero() {
        let nan = f64::from_bits(f64::NAN.to_bits() | 1);
        assert_eq!(of(Float64Array::from(vec![nan, -0.0])), of(Float64Array::from(vec![f64::NAN, 0.0])));
        let halves = |nan: u16, zero: f32| {
            of(arrow::array::Float16Array::from(vec![half::f16::from_bits(nan), half::f16::from_f32(zero)]))
        };
        assert_eq!(halves(0xfe01, -0.0), halves(0x7e00, 0.0));
    }

    #[test]
    fn what_a_missing_value_hides_does_not_count() {
        let hidden = |value| Int64Array::new(vec![1, value].into(), Some(vec![true, false].into()));
        assert_eq!(of(hidden(7)), of(hidden(9)));
        let lists = |values: Vec<i64>| {
            let field = Arc::new(Field::new_list_field(DataType::Int64, true));
            let offsets = arrow::buffer::OffsetBuffer::from_lengths([1, 1]);
            let nulls = Some(vec![true, false].into());
            arrow::array::ListArray::new(field, offsets, Arc::new(Int64Array::from(values)), nulls)
        };
        assert_eq!(of(lists(vec![1, 2])), of(lists(vec![1, 3])));
        let structs = |values: Vec<i64>| {
            let values: ArrayRef = Arc::new(Int64Array::from(values));
            let fields = vec![Field::new("a", DataType::Int64, true)];
            StructArray::new(fields.into(), vec![values], Some(vec![true, false].into()))
        };
        assert_eq!(of(structs(vec![1, 2])), of(structs(vec![1, 3])));
    }

    /// Lists of structs of a text and a float, cut anywhere, with lists that are missing and hide elements or not.
    #[test]
    fn lists_have_one_digest_however_they_are_cut() {
        let rows = 300;
        let lengths: Vec<usize> = (0..rows).map(|row| row * 7 % 5).collect();
        let elements: usize = lengths.iter().sum();
        let texts: ArrayRef =
            Arc::new(StringArray::from_iter((0..elements).map(|at| (at % 3 > 0).then(|| format!("t{at}")))));
        let floats: ArrayRef =
            Arc::new(Float64Array::from_iter((0..elements).map(|at| (at % 4 > 0).then_some(at as f64))));
        let fields = vec![Field::new("a", DataType::Utf8, true), Field::new("b", DataType::Float64, true)];
        let nulls = NullBuffer::from_iter((0..elements).map(|at| at % 6 > 0));
        let structs = StructArray::new(fields.into(), vec![texts, floats], Some(nulls));
        let field = Arc::new(Field::new_list_field(structs.data_type().clone(), true));
        let offsets = arrow::buffer::OffsetBuffer::from_lengths(lengths);
        let nulls = NullBuffer::from_iter((0..rows).map(|row| row % 7 > 1));
        let lists: ArrayRef = Arc::new(arrow::array::ListArray::new(field, offsets, Arc::new(structs), Some(nulls)));
        let in_parts = |size: usize| {
            let batch = RecordBatch::try_from_iter([("x", Arc::clone(&lists))]).unwrap();
            let mut digest = TableDigest::new(batch.schema_ref());
            for row in (0..rows).step_by(size) {
                digest.update(&batch.slice(row, size.min(rows - row))).unwrap();
            }
            digest.finish()
        };
        // One row at a time there is nothing to join.
        let expected = in_parts(1);
        for size in [2, 3, 64, 299, rows] {
            assert_eq!(in_parts(size), expected, "{size}");
        }
        // By the definition, computed elsewhere.
        assert_eq!(expected, "ccd3bfa9e378e11f7eb7a7064c02b961e294ab88fce051319051e1acf8a439c6");
    }

    #[test]
    fn long_columns_have_one_digest_however_they_are_cut() {
        let rows = 20_000;
        let ints: ArrayRef = Arc::new(Int64Array::from_iter_values((0..rows).map(|row| row * row)));
        let some =
            (0..rows).map(|row| (row % 3 > 0).then_some(if row % 5 == 0 { f64::NAN } else { -0.0 * row as f64 }));
        let floats: ArrayRef = Arc::new(Float64Array::from_iter(some));
        let texts: ArrayRef = Arc::new(StringArray::from_iter_values((0..rows).map(|row| format!("{row}"))));
        let batch =
            RecordBatch::try_from_iter_with_nullable([("i", ints, true), ("f", floats, true), ("t", texts, true)])
                .unwrap();
        let in_parts = |size: usize| {
            let mut digest = TableDigest::new(batch.schema_ref());
            for row in (0..batch.num_rows()).step_by(size) {
                digest.update(&batch.slice(row, size.min(batch.num_rows() - row))).unwrap();
            }
            digest.finish()
        };
        let expected = in_parts(1);
        for size in [7, 1000, 3641, 20_000] {
            assert_eq!(in_parts(size), expected, "{size}");
        }
    }

    #[test]
    fn everything_else_counts() {
        let base = of(StringArray::from(vec!["ab", "c"]));
        for other in [
            of(StringArray::from(vec!["a", "bc"])),
            of(StringArray::from(vec!["c", "ab"])),
            of(StringArray::from(vec!["ab"])),
            of(StringArray::from(vec![Some("ab"), None])),
            of(Int64Array::from(vec![1, 2])),
            digest(&[("y", Arc::new(StringArray::from(vec!["ab", "c"])))]),
        ] {
            assert_ne!(base, other);
        }
        assert_ne!(of(StringArray::from(vec![Some("")])), of(StringArray::from(vec![None::<&str>])));
    }
}
