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

/// The bytes that the columns to be read have in the file, in the row group that has most.
pub(super) fn most_encoded(metadata: &ParquetMetaData, mask: &ProjectionMask) -> u64 {
    let encoded = |group: &RowGroupMetaData| {
        let columns = group.columns().iter().enumerate().filter(|(leaf, _)| mask.leaf_included(*leaf));
        columns.map(|(_, column)| column.compressed_size()).fold(0, i64::saturating_add)
    };
    u64::try_from(metadata.row_groups().iter().map(encoded).max().unwrap_or(0)).unwrap_or(0)
}
