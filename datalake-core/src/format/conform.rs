//! Record batches as a declared schema wants them, strictly: what cannot be had without loss is a fault of its cell.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, PrimitiveArray, PrimitiveBuilder, RecordBatch,
    RecordBatchOptions, StringArray, new_null_array,
};
use arrow::compute::{cast, filter_record_batch};
use arrow::datatypes::{
    ArrowTimestampType, DataType, Date32Type, Decimal128Type, Decimal256Type, DecimalType, Float32Type, Float64Type,
    Int8Type, Int16Type, Int32Type, Int64Type, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};

use super::cell::{self, Fault, Kinds};
use super::names::{meant, nearest};
use super::spec::{ColumnSpec, is_text_type};
use super::text::value_text;
use crate::error::{Error, ErrorKind, Result};

/// A cell that does not fit its column.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CellFault {
    /// The row in the batch given, from 0.
    pub row: u32,
    /// The declared column's name.
    pub column: String,
    /// A stable code: `type`, `unit` or `null`.
    pub code: &'static str,
    /// Why, with the value found.
    pub reason: String,
}

/// The rows of a batch that fit, and the cells of the others that do not.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Conformed {
    /// The rows that fit, in the declared schema.
    pub batch: RecordBatch,
    /// Their indices in the batch given.
    pub rows: Vec<u32>,
    /// All cells of the others that do not fit, by row, then in the order of the columns.
    pub faults: Vec<CellFault>,
    /// The cells that became null since they do not fit, in rows that are kept: none unless this was asked for.
    pub nulled: Vec<CellFault>,
}

impl Conformed {
    /// All rows of a batch.
    pub(crate) fn whole(batch: RecordBatch) -> Self {
        // Batches have far less than 2^32 rows.
        let rows = (0..batch.num_rows() as u32).collect();
        Self { batch, rows, faults: Vec::new(), nulled: Vec::new() }
    }
}

/// Makes batches of one schema fit a declared one.
///
/// ```
/// use std::sync::Arc;
///
/// use arrow::array::{AsArray, RecordBatch, StringArray};
/// use arrow::datatypes::{DataType, Float64Type};
/// use datalake_core::format::{ColumnSpec, conform};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let fat = StringArray::from(vec!["12.5 g", "300 mg", "tr"]);
/// let batch = RecordBatch::try_from_iter([("fat", Arc::new(fat) as _)])?;
/// let specs = [ColumnSpec::new("fat_g", DataType::Float64).with_unit("g").with_from(vec!["fat".into()])];
/// let conformed = conform(&batch, &specs)?;
/// assert_eq!(conformed.batch.column(0).as_primitive::<Float64Type>().values(), &[12.5, 0.3]);
/// assert_eq!(conformed.rows, [0, 1]);
/// assert_eq!(conformed.faults[0].reason, "`tr` is not a float64");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Conformer {
    specs: Vec<ColumnSpec>,
    /// Where each column stands in the source; `None` gives nulls.
    places: Vec<Option<usize>>,
    schema: SchemaRef,
    /// The columns of the source that no declared one is made of.
    left_out: Vec<String>,
    /// For types found from a sample: whether each column had no value in it.
    unseen: Option<Vec<bool>>,
    /// Whether a cell that does not fit becomes null, where its column may hold nulls.
    is_nulling: bool,
}

/// Makes one batch fit a declared schema; [`Conformer`] does it for many.
///
/// # Errors
/// Those of [`Conformer::new`].
pub fn conform(batch: &RecordBatch, specs: &[ColumnSpec]) -> Result<Conformed> {
    Conformer::new(batch.schema_ref(), specs)?.apply(batch)
}

impl Conformer {
    /// Finds each declared column in the source's schema.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if a column that may not be null is missing, with the nearest name that there is;
    /// [`ErrorKind::Unsupported`] for a declared type that text cannot become; [`ErrorKind::Invalid`] if a name is
    /// declared twice.
    pub fn new(source: &Schema, specs: &[ColumnSpec]) -> Result<Self> {
        let mut conformer = Self {
            specs: specs.to_vec(),
            places: Vec::with_capacity(specs.len()),
            schema: Arc::new(Schema::new(specs.iter().map(ColumnSpec::field).collect::<Vec<_>>())),
            left_out: Vec::new(),
            unseen: None,
            is_nulling: false,
        };
        // Of a name that is there twice the first counts.
        let mut known = HashMap::with_capacity(source.fields().len());
        for (place, field) in source.fields().iter().enumerate() {
            known.entry(field.name().as_str()).or_insert(place);
        }
        let mut declared = HashSet::with_capacity(specs.len());
        for spec in specs {
            if !declared.insert(spec.name.as_str()) {
                return Err(Error::invalid("use", "the declared schema")
                    .with_reason(format_args!("column `{}` is declared twice", spec.name)));
            }
            conformer.places.push(find(source, &known, spec)?);
        }
        let taken: HashSet<usize> = conformer.places.iter().flatten().copied().collect();
        let left_out = source.fields().iter().enumerate().filter(|(index, _)| !taken.contains(index));
        conformer.left_out = left_out.map(|(_, field)| field.name().clone()).collect();
        Ok(conformer)
    }

    /// Takes the types for those of a sample of texts: a text that would have led to another type does not fit, even
    /// if its column's type could hold it. Columns that are `unseen` had no value in the sample.
    pub(crate) fn guessed(mut self, unseen: Vec<bool>) -> Self {
        self.unseen = Some(unseen);
        self
    }

    /// Makes cells that do not fit null, where their columns may hold nulls, and keeps their rows.
    #[must_use]
    pub fn nulling(mut self) -> Self {
        self.is_nulling = true;
        self
    }

    /// The declared schema.
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// What a user should know: columns that are missing or left out.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let missing = self.specs.iter().zip(&self.places).filter(|(_, place)| place.is_none());
        let (missing, wanted): (Vec<_>, Vec<Vec<&str>>) =
            missing.map(|(spec, _)| (spec, spec.source_names().collect())).unzip();
        // A column that another declared one is made of is not meant.
        let others: Vec<&str> = self.left_out.iter().map(String::as_str).collect();
        let notes = missing.into_iter().zip(meant(&wanted, &others));
        let notes = notes.map(|(spec, near)| format!("column `{}` is not in the source: all null{near}", spec.name));
        notes.chain(self.note_of_left_out()).collect()
    }

    /// That of columns that are left out.
    pub(crate) fn note_of_left_out(&self) -> Option<String> {
        let names = self.left_out.join("`, `");
        (!self.left_out.is_empty()).then(|| format!("not in the declared schema, so left out: `{names}`"))
    }

    /// Makes a batch fit.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] if the batch is not of the source's schema.
    pub fn apply(&self, batch: &RecordBatch) -> Result<Conformed> {
        let mut faults = Vec::new();
        let mut columns = Vec::with_capacity(self.specs.len());
        for (index, (spec, place)) in self.specs.iter().zip(&self.places).enumerate() {
            if let (Some(unseen), Some(place)) = (&self.unseen, place) {
                surprises(batch.column(*place), spec, unseen[index], &mut faults);
            }
            columns.push(match place {
                Some(place) => column(batch.column(*place), spec, &mut faults)?,
                None => new_null_array(&spec.data_type, batch.num_rows()),
            });
        }
        faults.sort_by_key(|fault: &CellFault| fault.row);
        self.keep(columns, batch.num_rows(), faults)
    }

    /// The columns that stand in the source, with their places, and for guessed types whether the sample had no value.
    pub(crate) fn placed(&self) -> impl Iterator<Item = (&ColumnSpec, usize, Option<bool>)> {
        let guess = |index: usize| self.unseen.as_ref().map(|unseen| unseen[index]);
        let columns = self.specs.iter().zip(&self.places).enumerate();
        columns.filter_map(move |(index, (spec, place))| Some((spec, (*place)?, guess(index))))
    }

    /// All columns, with nulls for those that do not stand in the source.
    pub(crate) fn with_missing(&self, placed: Vec<ArrayRef>, rows: usize) -> Vec<ArrayRef> {
        let mut placed = placed.into_iter();
        let columns = self.specs.iter().zip(&self.places);
        let column = |(spec, place): (&ColumnSpec, &Option<usize>)| {
            place.and_then(|_| placed.next()).unwrap_or_else(|| new_null_array(&spec.data_type, rows))
        };
        columns.map(column).collect()
    }

    /// The rows without a fault, of columns whose faults are sorted by row.
    pub(crate) fn keep(&self, columns: Vec<ArrayRef>, rows: usize, faults: Vec<CellFault>) -> Result<Conformed> {
        let internal = |cause| Error::internal("conform", "a batch").with_source(cause);
        // Non-nullable columns may hold nulls until the rows at fault are gone.
        let fields: Vec<_> = self.schema.fields().iter().map(|f| f.as_ref().clone().with_nullable(true)).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let all = RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options);
        let mut all = all.map_err(internal)?;
        let (nulled, faults) = if self.is_nulling { self.nulled(faults) } else { (Vec::new(), faults) };
        let mut good = vec![true; rows];
        for fault in &faults {
            good[fault.row as usize] = false;
        }
        let kept = (0_u32..).zip(&good).filter(|(_, good)| **good).map(|(row, _)| row).collect();
        if !faults.is_empty() {
            all = filter_record_batch(&all, &BooleanArray::from(good)).map_err(internal)?;
        }
        let options = RecordBatchOptions::new().with_row_count(Some(all.num_rows()));
        let batch = RecordBatch::try_new_with_options(SchemaRef::clone(&self.schema), all.columns().to_vec(), &options);
        Ok(Conformed { batch: batch.map_err(internal)?, rows: kept, faults, nulled })
    }

    /// The faults of rows in which every cell at fault may be null, as it is then, and those of the others.
    fn nulled(&self, faults: Vec<CellFault>) -> (Vec<CellFault>, Vec<CellFault>) {
        let required: HashSet<&str> =
            self.specs.iter().filter(|spec| !spec.nullable).map(|spec| spec.name.as_str()).collect();
        let lost: HashSet<u32> =
            faults.iter().filter(|fault| required.contains(fault.column.as_str())).map(|fault| fault.row).collect();
        faults.into_iter().partition(|fault| !lost.contains(&fault.row))
    }
}

/// Where a declared column stands in the source.
fn find(source: &Schema, known: &HashMap<&str, usize>, spec: &ColumnSpec) -> Result<Option<usize>> {
    let place = spec.source_names().find_map(|name| known.get(name).copied());
    let may_fit = place.is_none_or(|place| {
        let found = source.field(place).data_type();
        // A column of text may have no value at all, and then fits; one of nulls has none.
        *found == DataType::Null || *found == spec.data_type || spec.data_type.is_nested() && *found == DataType::Utf8
    });
    if !is_text_type(&spec.data_type) && !may_fit {
        return Err(Error::new(ErrorKind::Unsupported, "declare", format_args!("column `{}`", spec.name))
            .with_reason(format_args!("values cannot become {}", spec.data_type)));
    }
    match place {
        Some(place) => Ok(Some(place)),
        None if spec.nullable => Ok(None),
        None => Err(missing(source, spec)),
    }
}

fn missing(source: &Schema, spec: &ColumnSpec) -> Error {
    let wanted: Vec<&str> = spec.source_names().collect();
    let error = Error::not_found("find", format_args!("column `{}`", wanted.join("` or `")));
    match nearest(source.fields().iter().map(|field| field.name().as_str()), &wanted) {
        Some(name) => error.with_hint(format_args!("the nearest name in the source is `{name}`")),
        None => error.with_reason("the source has no columns"),
    }
}

/// The texts that would have changed a type found from a sample.
fn surprises(array: &ArrayRef, spec: &ColumnSpec, is_unseen: bool, faults: &mut Vec<CellFault>) {
    let (Some(texts), kind) = (array.as_string_opt::<i32>(), Kinds::of_type(&spec.data_type)) else { return };
    if kind == Kinds::NONE && !is_unseen {
        return;
    }
    for (row, text) in texts.iter().enumerate() {
        if let Some(text) = text.filter(|text| is_unseen || !Kinds::of(text, spec.decimal).has(kind)) {
            faults.push(fault(row, spec, Fault::not_a(text, spec)));
        }
    }
}

/// One column in its declared type; cells that cannot be had are null and at fault.
pub(crate) fn column(array: &ArrayRef, spec: &ColumnSpec, faults: &mut Vec<CellFault>) -> Result<ArrayRef> {
    if *array.data_type() == DataType::Null {
        let missing = new_null_array(&spec.data_type, array.len());
        if !spec.nullable {
            require(&missing, spec, faults);
        }
        return Ok(missing);
    }
    let converted = if widens(array.data_type(), &spec.data_type) {
        let wide =
            cast(array, &spec.data_type).map_err(|cause| Error::internal("widen", "a column").with_source(cause))?;
        // A time too far off for microseconds.
        for row in (0..array.len()).filter(|row| wide.is_null(*row) && array.is_valid(*row)) {
            let text = value_text(array.as_ref(), row).ok().flatten();
            faults.push(fault(row, spec, Fault::lossy(text.as_deref().unwrap_or("a time of no calendar"), spec)));
        }
        wide
    } else {
        from_text(&texts(array)?, spec, faults)
    };
    if !spec.nullable {
        require(array, spec, faults);
    }
    Ok(converted)
}

/// Whether every value of a type is a value of the other, but for times that would be out of its range.
fn widens(from: &DataType, to: &DataType) -> bool {
    use DataType::{
        Decimal128, Float16, Float32, Float64, Int8, Int16, Int32, Int64, LargeUtf8, Timestamp, UInt8, UInt16, UInt32,
        UInt64, Utf8, Utf8View,
    };
    match (from, to) {
        (from, to) if from == to => true,
        (Int8 | Int16 | Int32 | UInt8 | UInt16 | UInt32, Int64 | Float64) => true,
        (Int8 | Int16 | UInt8 | UInt16, Int32 | Float32) | (Int8 | UInt8, Int16) => true,
        (UInt8 | UInt16 | UInt32, UInt64) | (UInt8 | UInt16, UInt32) | (UInt8, UInt16) => true,
        (Float16 | Float32, Float64) | (Float16, Float32) | (LargeUtf8 | Utf8View, Utf8) => true,
        (DataType::Dictionary(_, values), to) => **values == *to,
        (Timestamp(unit, zone), Timestamp(finer, wanted)) => {
            per_second(*unit) <= per_second(*finer) && zone.is_some() == wanted.is_some()
        }
        (Decimal128(precision, scale), Decimal128(wider, finer)) => {
            let whole = |precision: u8, scale: i8| i16::from(precision) - i16::from(scale);
            *scale >= 0 && scale <= finer && whole(*precision, *scale) <= whole(*wider, *finer)
        }
        _ => false,
    }
}

fn per_second(unit: TimeUnit) -> u32 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}

fn require(array: &ArrayRef, spec: &ColumnSpec, faults: &mut Vec<CellFault>) {
    let is_text = spec.data_type == DataType::Utf8;
    let blank = (!is_text && array.data_type() == &DataType::Utf8).then(|| array.as_string::<i32>());
    for row in 0..array.len() {
        let is_missing = array.is_null(row) || blank.is_some_and(|texts| texts.value(row).trim().is_empty());
        if is_missing {
            faults.push(fault(row, spec, Fault { code: "null", reason: "the value is missing".to_owned() }));
        }
    }
}

pub(crate) fn fault(row: usize, spec: &ColumnSpec, fault: Fault) -> CellFault {
    // Batches have far less than 2^32 rows.
    CellFault { row: row as u32, column: spec.name.clone(), code: fault.code, reason: fault.reason }
}

/// Any column as texts that say its values exactly.
fn texts(array: &ArrayRef) -> Result<StringArray> {
    let failed = |cause| Error::internal("read", "a column as text").with_source(cause);
    match array.data_type() {
        DataType::Utf8 => Ok(array.as_string::<i32>().clone()),
        DataType::LargeUtf8 | DataType::Utf8View | DataType::Dictionary(_, _) => {
            let plain = cast(array, &DataType::Utf8).map_err(failed)?;
            Ok(plain.as_string::<i32>().clone())
        }
        _ => (0..array.len()).map(|row| value_text(array.as_ref(), row)).collect(),
    }
}

fn from_text(texts: &StringArray, spec: &ColumnSpec, faults: &mut Vec<CellFault>) -> ArrayRef {
    macro_rules! whole {
        ($type:ty) => {
            parse::<$type>(texts, spec, faults, |text| cell::declared_int(text, spec))
        };
    }
    match &spec.data_type {
        DataType::Int8 => whole!(Int8Type),
        DataType::Int16 => whole!(Int16Type),
        DataType::Int32 => whole!(Int32Type),
        DataType::Int64 => whole!(Int64Type),
        DataType::UInt8 => whole!(UInt8Type),
        DataType::UInt16 => whole!(UInt16Type),
        DataType::UInt32 => whole!(UInt32Type),
        DataType::UInt64 => whole!(UInt64Type),
        DataType::Float32 => parse::<Float32Type>(texts, spec, faults, |text| cell::declared_single(text, spec)),
        DataType::Float64 => parse::<Float64Type>(texts, spec, faults, |text| cell::declared_float(text, spec)),
        DataType::Decimal128(precision, scale) => decimals::<Decimal128Type>(texts, spec, faults, *precision, *scale),
        DataType::Decimal256(precision, scale) => decimals::<Decimal256Type>(texts, spec, faults, *precision, *scale),
        DataType::Date32 => parse::<Date32Type>(texts, spec, faults, |text| cell::declared(text, spec, cell::date)),
        DataType::Timestamp(TimeUnit::Millisecond, _) => times::<TimestampMillisecondType>(texts, spec, faults),
        DataType::Timestamp(TimeUnit::Microsecond, _) => times::<TimestampMicrosecondType>(texts, spec, faults),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => times::<TimestampNanosecondType>(texts, spec, faults),
        DataType::Boolean => {
            let mut builder = arrow::array::BooleanBuilder::with_capacity(texts.len());
            each(
                texts,
                spec,
                faults,
                |text| cell::declared(text, spec, cell::boolean),
                |value| {
                    builder.append_option(value);
                },
            );
            Arc::new(builder.finish())
        }
        nested if nested.is_nested() => {
            each(texts, spec, faults, |text| Err::<(), _>(Fault::not_a(text, spec)), |_| {});
            new_null_array(nested, texts.len())
        }
        _ => Arc::new(texts.clone()),
    }
}

fn parse<T: ArrowPrimitiveType>(
    texts: &StringArray,
    spec: &ColumnSpec,
    faults: &mut Vec<CellFault>,
    read: impl Fn(&str) -> Result<T::Native, Fault>,
) -> ArrayRef {
    let mut builder: PrimitiveBuilder<T> = PrimitiveArray::builder(texts.len());
    each(texts, spec, faults, read, |value| builder.append_option(value));
    Arc::new(builder.finish())
}

fn decimals<T: DecimalType>(
    texts: &StringArray,
    spec: &ColumnSpec,
    faults: &mut Vec<CellFault>,
    precision: u8,
    scale: i8,
) -> ArrayRef {
    let mut builder =
        PrimitiveBuilder::<T>::with_capacity(texts.len()).with_data_type(T::TYPE_CONSTRUCTOR(precision, scale));
    let read = |text: &str| cell::declared_decimal::<T>(text, spec, precision, scale);
    each(texts, spec, faults, read, |value| builder.append_option(value));
    Arc::new(builder.finish())
}

fn times<T: ArrowTimestampType>(texts: &StringArray, spec: &ColumnSpec, faults: &mut Vec<CellFault>) -> ArrayRef {
    let mut builder = PrimitiveBuilder::<T>::with_capacity(texts.len()).with_data_type(spec.data_type.clone());
    each(texts, spec, faults, |text| cell::declared_time(text, spec), |value| builder.append_option(value));
    Arc::new(builder.finish())
}

/// Reads each text; a blank one is a missing value.
fn each<V>(
    texts: &StringArray,
    spec: &ColumnSpec,
    faults: &mut Vec<CellFault>,
    read: impl Fn(&str) -> Result<V, Fault>,
    mut append: impl FnMut(Option<V>),
) {
    for (row, text) in texts.iter().enumerate() {
        append(match text.filter(|text| !text.trim().is_empty()).map(&read) {
            None => None,
            Some(Ok(value)) => Some(value),
            Some(Err(found)) => {
                faults.push(fault(row, spec, found));
                None
            }
        });
    }
}

/// A batch whose text cells that stand in `nulls` are missing instead; empty texts stay.
pub(crate) fn with_nulls(batch: RecordBatch, nulls: &[String]) -> Result<RecordBatch> {
    let nulls: Vec<&str> = nulls.iter().map(String::as_str).filter(|null| !null.is_empty()).collect();
    if nulls.is_empty() {
        return Ok(batch);
    }
    let columns = batch.columns().iter().map(|column| without(column, &nulls)).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(batch.schema(), columns, &options)
        .map_err(|cause| Error::invalid("read", "missing values").with_source(cause))
}

fn without(column: &ArrayRef, nulls: &[&str]) -> ArrayRef {
    if column.data_type() != &DataType::Utf8 {
        return Arc::clone(column);
    }
    let texts = column.as_string::<i32>().iter().map(|text| text.filter(|text| !nulls.contains(text)));
    Arc::new(texts.collect::<StringArray>())
}

#[cfg(test)]
mod tests;
