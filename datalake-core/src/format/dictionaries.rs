//! Dictionaries with room: coded columns whose batches can be joined, however many values they have between them.

use arrow::datatypes::{DataType, Field, Schema};

/// The schema with keys of 32 bits in place of narrower ones.
///
/// pandas counts the categories of each table, and takes keys of 8 bits where there are less than 128. Two such tables,
/// or batches, may have more values between them than these keys can count, and then Arrow cannot join them. Dictionaries
/// within lists and structs stay as they are.
///
/// # Examples
/// ```
/// use arrow::datatypes::{DataType, Field, Schema};
/// use datalake_core::format::with_room;
///
/// let coded = |key| Field::new("color", DataType::Dictionary(Box::new(key), Box::new(DataType::Utf8)), true);
/// assert_eq!(with_room(&Schema::new(vec![coded(DataType::Int8)])), Schema::new(vec![coded(DataType::Int32)]));
/// ```
#[must_use]
pub fn with_room(schema: &Schema) -> Schema {
    let field = |field: &Field| match field.data_type() {
        DataType::Dictionary(key, values) if key.primitive_width().is_some_and(|bytes| bytes < 4) => {
            field.clone().with_data_type(DataType::Dictionary(Box::new(DataType::Int32), values.clone()))
        }
        _ => field.clone(),
    };
    let fields: Vec<Field> = schema.fields().iter().map(|each| field(each)).collect();
    Schema::new_with_metadata(fields, schema.metadata().clone())
}
