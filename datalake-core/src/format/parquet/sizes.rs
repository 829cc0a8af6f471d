//! How large row groups are, as a file says.

use parquet::arrow::ProjectionMask;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, RowGroupMetaData};

/// How many bytes a row group has about, decoded.
pub(super) fn group_bytes(group: &RowGroupMetaData) -> u64 {
    // What a damaged file says of its sizes may be beyond any. Encoded, a text that is repeated counts once; some writers say
    // how long all of them are.
    let length = |column: &ColumnChunkMetaData| {
        column.uncompressed_size().max(column.unencoded_byte_array_data_bytes().unwrap_or(0))
    };
    u64::try_from(group.columns().iter().map(length).fold(0, i64::saturating_add)).unwrap_or(0)
}

/// What writers make the pages of a column, if it has more.
const PAGE: i64 = 1024 * 1024;

/// The bytes that are held while a row group is read, in the one that takes most: the columns that are read as the file has
/// them, and about a page of each.
pub(super) fn most_held(metadata: &ParquetMetaData, mask: &ProjectionMask) -> u64 {
    // A damaged file may say anything.
    let held = |column: &ColumnChunkMetaData| {
        column.compressed_size().max(0).saturating_add(column.uncompressed_size().clamp(0, PAGE))
    };
    let of_group = |group: &RowGroupMetaData| {
        let columns = group.columns().iter().enumerate().filter(|(leaf, _)| mask.leaf_included(*leaf));
        columns.map(|(_, column)| held(column)).fold(0, i64::saturating_add)
    };
    u64::try_from(metadata.row_groups().iter().map(of_group).max().unwrap_or(0)).unwrap_or(0)
}
