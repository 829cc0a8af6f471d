//! Gathers record batches into row groups, cut by rows and bytes.

use std::collections::VecDeque;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::DataType;

/// Rows whose bytes are counted together: a group ends behind such a unit, so that batches do not matter.
const UNIT: usize = 16;
/// A group ends with the unit in which it comes to so many bytes in memory.
const GROUP_BYTES: usize = 32 * 1024 * 1024;

/// The rows of a row group.
#[derive(Debug, Clone, Default)]
pub(super) struct Group {
    batches: Vec<RecordBatch>,
    rows: usize,
    bytes: usize,
}

impl Group {
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn batches(&self) -> &[RecordBatch] {
        &self.batches
    }

    /// The parts of a column.
    pub(super) fn column(&self, index: usize) -> Vec<ArrayRef> {
        self.batches.iter().map(|batch| ArrayRef::clone(batch.column(index))).collect()
    }
}

/// Groups in the making.
#[derive(Debug)]
pub(super) struct Gathering {
    most_rows: usize,
    /// Whether a group ends with each batch.
    batch_is_group: bool,
    group: Group,
    whole: VecDeque<Group>,
}

impl Gathering {
    pub(super) fn new(most_rows: usize) -> Self {
        Self { most_rows, batch_is_group: false, group: Group::default(), whole: VecDeque::new() }
    }

    /// Says whether a group ends with each batch too.
    pub(super) fn with_batch_is_group(mut self, batch_is_group: bool) -> Self {
        self.batch_is_group = batch_is_group;
        self
    }

    /// Adds rows.
    pub(super) fn push(&mut self, batch: &RecordBatch) {
        let fixed: usize = batch.columns().iter().filter_map(|column| width(column.data_type())).sum();
        let varying: Vec<&ArrayRef> =
            batch.columns().iter().filter(|column| width(column.data_type()).is_none()).collect();
        let mut from = 0;
        let mut at = 0;
        while at < batch.num_rows() {
            let unit = UNIT - self.group.rows % UNIT;
            let rows = unit.min(batch.num_rows() - at).min(self.most_rows - self.group.rows);
            let of_varying: usize = varying.iter().map(|column| bytes(column.as_ref(), at, rows)).sum();
            self.group.bytes += fixed * rows + of_varying;
            self.group.rows += rows;
            at += rows;
            let is_heavy = self.group.rows.is_multiple_of(UNIT) && self.group.bytes >= GROUP_BYTES;
            if is_heavy || self.group.rows == self.most_rows {
                self.group.batches.push(batch.slice(from, at - from));
                self.whole.push_back(std::mem::take(&mut self.group));
                from = at;
            }
        }
        if from < at {
            self.group.batches.push(batch.slice(from, at - from));
        }
        if self.batch_is_group && self.group.rows > 0 {
            self.whole.push_back(std::mem::take(&mut self.group));
        }
    }

    /// Whether a group is whole.
    pub(super) fn has_whole(&self) -> bool {
        !self.whole.is_empty()
    }

    /// The next group that is whole, or what is left if nothing follows.
    pub(super) fn next(&mut self, has_ended: bool) -> Option<Group> {
        let rest = || (has_ended && self.group.rows > 0).then(|| std::mem::take(&mut self.group));
        self.whole.pop_front().or_else(rest)
    }
}

/// How many bytes the rows of a batch take, however it is cut.
pub(in crate::format) fn batch_bytes(batch: &RecordBatch) -> usize {
    batch.columns().iter().map(|column| bytes(column.as_ref(), 0, batch.num_rows())).sum()
}

/// How many bytes a value of a type takes, where each takes as many.
fn width(data_type: &DataType) -> Option<usize> {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => None,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => None,
        DataType::Struct(_) | DataType::List(_) | DataType::LargeList(_) | DataType::Map(_, _) => None,
        DataType::FixedSizeList(_, _) | DataType::Dictionary(_, _) => None,
        DataType::FixedSizeBinary(width) => Some(usize::try_from(*width).unwrap_or(1)),
        other => Some(other.primitive_width().unwrap_or(1)),
    }
}

/// How many bytes some rows take, however the array is cut and whatever its offsets are.
fn bytes(array: &dyn Array, from: usize, rows: usize) -> usize {
    let ends = |first: usize, last: usize| last - first;
    match array.data_type() {
        DataType::Utf8 | DataType::Binary => {
            let offsets = match array.data_type() {
                DataType::Utf8 => array.as_string::<i32>().value_offsets(),
                _ => array.as_binary::<i32>().value_offsets(),
            };
            ends(offsets[from] as usize, offsets[from + rows] as usize) + 4 * rows
        }
        DataType::LargeUtf8 => {
            let offsets = array.as_string::<i64>().value_offsets();
            ends(offsets[from] as usize, offsets[from + rows] as usize) + 4 * rows
        }
        DataType::LargeBinary => {
            let offsets = array.as_binary::<i64>().value_offsets();
            ends(offsets[from] as usize, offsets[from + rows] as usize) + 4 * rows
        }
        DataType::Utf8View => {
            let views = array.as_string_view();
            (from..from + rows).map(|row| if views.is_valid(row) { views.value(row).len() + 4 } else { 4 }).sum()
        }
        DataType::BinaryView => {
            let views = array.as_binary_view();
            (from..from + rows).map(|row| if views.is_valid(row) { views.value(row).len() + 4 } else { 4 }).sum()
        }
        DataType::Dictionary(_, _) => {
            let dictionary = array.as_any_dictionary();
            let (keys, values) = (dictionary.keys().slice(from, rows), dictionary.values());
            let keys_of = arrow::compute::cast(&keys, &DataType::UInt64).ok();
            let Some(keys_of) = keys_of else { return 4 * rows };
            let keys_of = keys_of.as_primitive::<arrow::datatypes::UInt64Type>();
            let length = |key: Option<u64>| key.map_or(4, |key| bytes(values.as_ref(), key as usize, 1));
            keys_of.iter().map(length).sum()
        }
        DataType::Struct(_) => {
            let columns = array.as_struct().columns().iter();
            columns.map(|column| bytes(column.as_ref(), from, rows)).sum::<usize>() + rows
        }
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            let offsets = list.value_offsets();
            let (first, last) = (offsets[from] as usize, offsets[from + rows] as usize);
            bytes(list.values().as_ref(), first, last - first) + 4 * rows
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            let offsets = list.value_offsets();
            let (first, last) = (offsets[from] as usize, offsets[from + rows] as usize);
            bytes(list.values().as_ref(), first, last - first) + 4 * rows
        }
        DataType::FixedSizeList(_, size) => {
            let (list, size) = (array.as_fixed_size_list(), usize::try_from(*size).unwrap_or(1));
            bytes(list.values().as_ref(), from * size, rows * size) + 4 * rows
        }
        DataType::Map(_, _) => {
            let map = array.as_map();
            let offsets = map.value_offsets();
            let (first, last) = (offsets[from] as usize, offsets[from + rows] as usize);
            bytes(map.entries(), first, last - first) + 4 * rows
        }
        other => width(other).unwrap_or(1) * rows,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use arrow::array::{Int64Array, StringArray};

    fn groups(batches: &[RecordBatch], most_rows: usize) -> Vec<usize> {
        let mut gathering = Gathering::new(most_rows);
        let mut groups = Vec::new();
        for batch in batches {
            gathering.push(batch);
            groups.extend(std::iter::from_fn(|| gathering.next(false)).map(|group| group.rows()));
        }
        groups.extend(std::iter::from_fn(|| gathering.next(true)).map(|group| group.rows()));
        groups
    }

    #[test]
    fn groups_do_not_depend_on_batches() {
        let texts = (0..9000).map(|row| "x".repeat(if row < 5000 { 10_000 } else { 10 }));
        let columns: [(&str, ArrayRef); 2] = [
            ("n", Arc::new(Int64Array::from_iter_values(0..9000))),
            ("text", Arc::new(StringArray::from_iter_values(texts))),
        ];
        let whole = RecordBatch::try_from_iter(columns).unwrap();
        let cut = |size: usize| -> Vec<RecordBatch> {
            (0..9000).step_by(size).map(|row| whole.slice(row, size.min(9000 - row))).collect()
        };
        // Texts of 10,000 bytes: 32 MiB are reached within these sixteen rows.
        assert_eq!(groups(&cut(9000), 122_880), [3360, 5640]);
        assert_eq!(groups(&cut(9000), 3000), [3000, 3000, 3000]);
        for size in [1, 7, 1000, 1024, 4096, 5000] {
            assert_eq!(groups(&cut(size), 122_880), [3360, 5640], "{size}");
            assert_eq!(groups(&cut(size), 3000), [3000, 3000, 3000], "{size}");
        }
    }

    #[test]
    fn a_batch_may_be_a_group() {
        let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..10));
        let batch = RecordBatch::try_from_iter([("n", column)]).unwrap();
        let mut gathering = Gathering::new(4).with_batch_is_group(true);
        gathering.push(&batch);
        gathering.push(&batch.slice(0, 3));
        let groups: Vec<usize> = std::iter::from_fn(|| gathering.next(true)).map(|group| group.rows()).collect();
        assert_eq!(groups, [4, 4, 2, 3]);
        assert_eq!((batch_bytes(&batch), batch_bytes(&batch.slice(5, 2))), (80, 16));
    }

    #[test]
    fn nothing_makes_no_group() {
        assert!(groups(&[], 10).is_empty());
    }
}
