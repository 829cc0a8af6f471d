//! Columns in their declared types, and what becomes of cells that do not fit.

use super::*;
use arrow::array::{Float32Array, Float64Array, Int32Array, Int64Array};

fn batch(name: &str, array: ArrayRef) -> RecordBatch {
    RecordBatch::try_from_iter([(name, array)]).unwrap()
}

fn apply(array: ArrayRef, data_type: DataType) -> Conformed {
    conform(&batch("x", array), &[ColumnSpec::new("x", data_type)]).unwrap()
}

#[test]
fn floats_become_integers_only_where_they_are_whole() {
    let conformed = apply(Arc::new(Float64Array::from(vec![1.0, 1.5, f64::NAN, -3.0])), DataType::Int64);
    assert_eq!(conformed.batch.column(0).as_primitive::<Int64Type>().values(), &[1, -3]);
    assert_eq!(conformed.rows, [0, 3]);
    assert_eq!(conformed.faults[0].reason, "`1.5` cannot be a int64 without loss");
}

#[test]
fn integers_become_floats_only_where_these_are_exact() {
    let conformed = apply(Arc::new(Int64Array::from(vec![1, (1 << 53) + 1])), DataType::Float64);
    assert_eq!(conformed.rows, [0]);
    let small = apply(Arc::new(Int32Array::from(vec![7])), DataType::Float64);
    assert_eq!(small.batch.column(0).as_primitive::<Float64Type>().values(), &[7.0]);
    let single = apply(Arc::new(Float32Array::from(vec![0.1])), DataType::Float64);
    assert_eq!(single.batch.column(0).as_primitive::<Float64Type>().values(), &[f64::from(0.1_f32)]);
}

#[test]
fn a_missing_value_is_a_fault_where_none_may_be() {
    let texts = StringArray::from(vec![Some("1"), None, Some(" ")]);
    let spec = ColumnSpec::new("x", DataType::Int64).with_nullable(false);
    let conformed = conform(&batch("x", Arc::new(texts)), &[spec]).unwrap();
    assert_eq!(conformed.rows, [0]);
    assert!(conformed.faults.iter().all(|fault| fault.code == "null"));
    assert!(!conformed.batch.schema().field(0).is_nullable());
}

#[test]
fn a_missing_column_is_null_or_an_error_with_the_nearest_name() {
    let source = batch("protein", Arc::new(Int32Array::from(vec![7])));
    let nullable = ColumnSpec::new("protien", DataType::Float64);
    let conformer = Conformer::new(source.schema_ref(), std::slice::from_ref(&nullable)).unwrap();
    let note = "column `protien` is not in the source: all null; the nearest name there is `protein`";
    let left_out = "not in the declared schema, so left out: `protein`";
    assert_eq!(conformer.notes(), [note, left_out]);
    assert_eq!(conformer.note_of_left_out().as_deref(), Some(left_out));
    // It is not meant where nothing is like it, or it is another column.
    let notes = |specs: &[ColumnSpec]| Conformer::new(source.schema_ref(), specs).unwrap().notes();
    assert_eq!(notes(&[ColumnSpec::new("id", DataType::Utf8)])[0], "column `id` is not in the source: all null");
    let both = notes(&[ColumnSpec::new("protein", DataType::Utf8), nullable.clone()]);
    assert_eq!(both, ["column `protien` is not in the source: all null"]);
    assert_eq!(conformer.apply(&source).unwrap().batch.column(0).null_count(), 1);
    let error = conform(&source, &[nullable.with_nullable(false)]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.hint(), Some("the nearest name in the source is `protein`"));
}

#[test]
fn a_time_too_far_off_is_a_fault() {
    let times = arrow::array::TimestampMillisecondArray::from(vec![1, 9_000_000_000_000_000_000]);
    let conformed = apply(Arc::new(times), DataType::Timestamp(TimeUnit::Microsecond, None));
    assert_eq!((conformed.rows.as_slice(), conformed.faults.len()), ([0].as_slice(), 1));
}

#[test]
fn types_of_a_sample_take_nothing_that_would_have_changed_them() {
    let texts = |texts: Vec<Option<&str>>| batch("x", Arc::new(StringArray::from(texts)));
    let faults = |batch: &RecordBatch, data_type: DataType, unseen: bool| {
        let specs = [ColumnSpec::new("x", data_type)];
        Conformer::new(batch.schema_ref(), &specs).unwrap().guessed(vec![unseen]).apply(batch).unwrap().faults.len()
    };
    let odd = texts(vec![Some("7"), None, Some("007"), Some(" 7"), Some("7.0")]);
    assert_eq!(faults(&odd, DataType::Int64, false), 3);
    assert_eq!(faults(&odd, DataType::Utf8, false), 0);
    assert_eq!(faults(&odd, DataType::Utf8, true), 4);
    assert_eq!(faults(&texts(vec![None, None]), DataType::Utf8, true), 0);
}

#[test]
fn a_text_column_without_values_can_be_nested() {
    let list = DataType::new_list(DataType::Int64, true);
    let conformed = apply(Arc::new(StringArray::from(vec![None, Some("[1]"), None])), list.clone());
    assert_eq!(conformed.rows, [0, 2]);
    assert_eq!(conformed.batch.column(0).data_type(), &list);
    assert!(conformed.faults[0].reason.starts_with("`[1]` is not a"), "{:?}", conformed.faults);
}

#[test]
fn the_first_alias_that_exists_is_taken() {
    let source = RecordBatch::try_from_iter([
        ("b", Arc::new(Int32Array::from(vec![2])) as ArrayRef),
        ("c", Arc::new(Int32Array::from(vec![3]))),
    ])
    .unwrap();
    let spec = ColumnSpec::new("x", DataType::Int64).with_from(vec!["a".into(), "b".into(), "c".into()]);
    let conformed = conform(&source, &[spec]).unwrap();
    assert_eq!(conformed.batch.column(0).as_primitive::<Int64Type>().value(0), 2);
}

#[test]
fn a_column_of_nulls_has_no_value_of_any_type() {
    use arrow::array::NullArray;
    use arrow::datatypes::Field;
    let nulls: ArrayRef = Arc::new(NullArray::new(2));
    let item = Arc::new(Field::new_list_field(DataType::Int64, true));
    for data_type in [DataType::Utf8, DataType::LargeUtf8, DataType::Binary, DataType::Date64, DataType::List(item)] {
        let schema = Schema::new(vec![Field::new("x", DataType::Null, true)]);
        let spec = ColumnSpec::new("x", data_type.clone());
        assert_eq!(find(&schema, &HashMap::from([("x", 0)]), &spec).unwrap(), Some(0));
        let mut faults = Vec::new();
        let made = column(&nulls, &spec, &mut faults).unwrap();
        assert_eq!((made.data_type(), made.null_count(), faults.len()), (&data_type, 2, 0));
        column(&nulls, &spec.with_nullable(false), &mut faults).unwrap();
        assert_eq!(faults.len(), 2);
    }
}
