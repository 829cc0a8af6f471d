//! Tables of any values through every pair of formats: what is read from the second is what was written into the first.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::SchemaRef;
use futures::TryStreamExt;
use proptest::prelude::*;

use super::{bucket, sink, source, wait};
use crate::error::Result;
use crate::format::{Batches, ColumnSpec, Csv, Format, Json, Parquet, ReadOptions, TableDigest, WriteOptions};
use crate::lake::Bucket;

type Row = (Option<String>, Option<i64>, Option<f64>, Option<bool>, Option<i32>, Option<i64>, Option<i64>);

/// Days from 0001-01-01 to 9999-12-31.
const DAYS: std::ops::RangeInclusive<i32> = -719_162..=2_932_896;
const DAY: i64 = 86_400_000_000;

fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[^\\x00]{1,12}",
        4 => "[a-z,;\"\r\n\t|']{1,8}",
        1 => "-?[0-9]{1,3}|true|NaN|null|NA|2024-02-29| 1|007",
        1 => Just("\u{feff}x".to_owned()),
        1 => Just("\0".to_owned()),
        1 => Just("\u{1f468}\u{200d}\u{1f469}\u{10ffff}\u{2028}".to_owned()),
    ]
}

fn ints() -> impl Strategy<Value = i64> {
    prop_oneof![any::<i64>(), -10_i64..10, Just(i64::MIN), Just(i64::MAX), Just((1 << 53) + 1), Just(-(1 << 53) - 1)]
}

fn floats() -> impl Strategy<Value = f64> {
    let finite = prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL | prop::num::f64::ZERO | prop::num::f64::NEGATIVE;
    prop_oneof![
        finite,
        (-1_000_000_i64..1_000_000).prop_map(|value| value as f64 / 100.0),
        Just(f64::MAX),
        Just(f64::MIN_POSITIVE),
        Just(5e-324),
        Just(1e308),
        Just(9_007_199_254_740_993.0),
        Just(1e22),
        Just(1e23),
    ]
}

fn times() -> impl Strategy<Value = i64> {
    let span = i64::from(*DAYS.start()) * DAY..=(i64::from(*DAYS.end()) + 1) * DAY - 1;
    prop_oneof![
        span.clone(),
        (*DAYS.start()..=*DAYS.end()).prop_map(|day| i64::from(day) * DAY),
        Just(*span.start()),
        Just(*span.end())
    ]
}

fn row() -> impl Strategy<Value = Row> {
    let days = prop_oneof![DAYS, Just(*DAYS.start()), Just(*DAYS.end()), Just(-1), Just(0)];
    (
        prop::option::of(texts()),
        prop::option::of(ints()),
        prop::option::of(floats()),
        any::<Option<bool>>(),
        prop::option::of(days),
        prop::option::of(times()),
        prop::option::of(times()),
    )
}

fn table(rows: &[Row]) -> RecordBatch {
    let columns: [(&str, ArrayRef); 7] = [
        ("t, \"1\"", Arc::new(rows.iter().map(|row| row.0.clone()).collect::<StringArray>())),
        ("i", Arc::new(rows.iter().map(|row| row.1).collect::<Int64Array>())),
        ("f;", Arc::new(rows.iter().map(|row| row.2).collect::<Float64Array>())),
        ("b\nb", Arc::new(rows.iter().map(|row| row.3).collect::<BooleanArray>())),
        ("\u{e4}", Arc::new(rows.iter().map(|row| row.4).collect::<Date32Array>())),
        ("z", Arc::new(rows.iter().map(|row| row.5).collect::<TimestampMicrosecondArray>().with_timezone("UTC"))),
        ("l", Arc::new(rows.iter().map(|row| row.6).collect::<TimestampMicrosecondArray>())),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true))).unwrap()
}

fn formats() -> [(&'static str, Box<dyn Format>); 6] {
    [
        ("a.csv", Box::new(Csv)),
        ("a.tsv.gz", Box::new(Csv)),
        ("a.ndjson", Box::new(Json::lines())),
        ("a.json", Box::new(Json::document())),
        ("a.json.zst", Box::new(Json::document())),
        ("a.parquet", Box::new(Parquet)),
    ]
}

async fn through(
    format: &dyn Format,
    bucket: &Bucket,
    key: &str,
    batches: Batches,
    specs: Vec<ColumnSpec>,
) -> Result<(String, Batches)> {
    let written = format.write(sink(bucket, key), batches, WriteOptions::default()).await?;
    // Rows come in other batches than they were written in.
    let options = ReadOptions::default().with_schema(Some(specs)).with_batch_rows(3);
    Ok((written.digest, format.read(source(bucket, key), options).await?))
}

fn digest(table: &RecordBatch) -> String {
    let mut digest = TableDigest::new(table.schema_ref());
    digest.update(table).unwrap();
    digest.finish()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 8, ..ProptestConfig::default() })]

    #[test]
    fn a_table_is_the_same_behind_every_pair_of_formats(rows in prop::collection::vec(row(), 1..10)) {
        let table = table(&rows);
        let expected = digest(&table);
        let specs: Vec<_> =
            table.schema().fields().iter().map(|field| ColumnSpec::new(field.name(), field.data_type().clone())).collect();
        let bucket = bucket();
        for (first, from) in formats() {
            for (second, to) in formats() {
                let (first, second) = (format!("1{first}"), format!("2{second}"));
                let batches = Batches::from_vec(table.schema(), vec![table.clone()]);
                let back = wait(async {
                    let (once, batches) = through(&*from, &bucket, &first, batches, specs.clone()).await?;
                    let (twice, batches) = through(&*to, &bucket, &second, batches, specs.clone()).await?;
                    let schema = SchemaRef::clone(batches.schema());
                    let all: Vec<_> = batches.try_collect().await?;
                    Ok::<_, crate::Error>((once, twice, arrow::compute::concat_batches(&schema, &all).unwrap()))
                });
                let (once, twice, back) = back.unwrap();
                let pair = format!("{first} to {second}");
                prop_assert_eq!(&once, &expected, "{}", pair);
                prop_assert_eq!(&twice, &expected, "{}", pair);
                // Bit for bit: a digest knows no -0.0.
                prop_assert_eq!(&back, &table, "{}", pair);
            }
        }
    }

    /// Types are found anew: a column may become another one (a text that looks like a number), but the texts of its cells do not,
    /// unless they are fractions, of which `.0` is written as `0.0`, or the zero that no integer is.
    #[test]
    fn cells_are_the_same_where_types_are_found(rows in prop::collection::vec(row(), 1..10)) {
        let table = table(&rows);
        let expected = super::cells(&table);
        let bucket = bucket();
        for (name, format) in formats() {
            let batches = Batches::from_vec(table.schema(), vec![table.clone()]);
            let back = wait(async {
                format.write(sink(&bucket, name), batches, WriteOptions::default()).await?;
                let batches = format.read(source(&bucket, name), ReadOptions::default()).await?;
                let schema = SchemaRef::clone(batches.schema());
                let all: Vec<_> = batches.try_collect().await?;
                Ok::<_, crate::Error>(arrow::compute::concat_batches(&schema, &all).unwrap())
            });
            let back = back.unwrap();
            for (found, given) in super::cells(&back).iter().flatten().zip(expected.iter().flatten()) {
                let is_float = |text: &String| text.contains(['.', 'e', 'E']) || text == "-0";
                let number = |text: &String| is_float(text).then(|| text.parse::<f64>().ok()).flatten();
                let is_same = found == given || number(found).is_some() && number(found) == number(given);
                prop_assert!(is_same, "{}: {} for {}", name, found, given);
            }
            prop_assert_eq!(back.num_rows(), table.num_rows(), "{}", name);
            let names: Vec<_> = back.schema().fields().iter().map(|field| field.name().clone()).collect();
            let given: Vec<_> = table.schema().fields().iter().map(|field| field.name().clone()).collect();
            prop_assert_eq!(names, given, "{}", name);
        }
    }
}
