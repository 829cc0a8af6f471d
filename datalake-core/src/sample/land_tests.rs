//! What a landed sample holds, found by parsers that know nothing of the generator.

use std::collections::{BTreeMap, HashSet};

use object_store::memory::InMemory;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value as Json;
use sha2::{Digest, Sha256};

use super::*;
use crate::lake::BucketName;
use crate::progress::{Silent, Stopped};
use crate::sample::{ENERGY, MAX_ENERGY_KCAL, NUTRIENTS, atwater};

fn bucket() -> Bucket {
    Bucket::new(BucketName::new("raw-data").unwrap(), Arc::new(InMemory::new()))
}

async fn landed(options: &SampleOptions) -> (Bucket, Landed) {
    let bucket = bucket();
    let landed = land(&bucket, &"foods".into(), options, &Silent).await.unwrap();
    (bucket, landed)
}

/// A record as an independent reader sees it: its values as text, or the code of what is wrong with it.
type Found = Result<BTreeMap<String, String>, &'static str>;

fn csv_records(bytes: &[u8], delimiter: u8) -> Vec<Found> {
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(bytes);
    let header: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    let read = |row: csv::ByteRecord| {
        if row.len() != header.len() {
            return Err("ragged");
        }
        let row = csv::StringRecord::from_byte_record(row).map_err(|_| "utf8")?;
        let decimal = |value: &str| if delimiter == b';' { value.replace(',', ".") } else { value.to_owned() };
        let values = row.iter().enumerate().map(|(at, value)| if at < 6 { value.to_owned() } else { decimal(value) });
        Ok(header.iter().cloned().zip(values).filter(|(_, value)| !value.is_empty()).collect())
    };
    reader.byte_records().map(|row| read(row.unwrap())).collect()
}

fn json_record(object: &Json) -> BTreeMap<String, String> {
    let mut record = BTreeMap::new();
    for (name, value) in object.as_object().unwrap() {
        match value {
            Json::Object(_) => record.extend(json_record(value)),
            Json::Null => {}
            Json::String(text) => drop(record.insert(name.clone(), text.clone())),
            number => drop(record.insert(name.clone(), number.to_string())),
        }
    }
    record
}

fn ndjson_records(bytes: &[u8]) -> Vec<Found> {
    let lines = std::str::from_utf8(bytes).unwrap().lines();
    lines.map(|line| serde_json::from_str(line).map(|object| json_record(&object)).map_err(|_| "syntax")).collect()
}

fn parquet_records(bytes: Bytes) -> Vec<Found> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap().build().unwrap();
    let mut records = Vec::new();
    for batch in reader.map(|batch| batch.unwrap()) {
        for row in 0..batch.num_rows() {
            let cell = |column: usize| arrow::util::display::array_value_to_string(batch.column(column), row).unwrap();
            let names = batch.schema().fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>();
            let cells = names.into_iter().enumerate().map(|(at, name)| (name, cell(at)));
            records.push(Ok(cells.filter(|(_, cell)| !cell.is_empty()).collect()));
        }
    }
    records
}

async fn records(bucket: &Bucket, object: &LandedObject) -> Vec<Found> {
    let bytes = bucket.get(&object.key.as_str().into()).await.unwrap();
    assert_eq!(bytes.len() as u64, object.bytes);
    match object.key.as_str() {
        "foods/foods-2021.csv" => csv_records(&bytes, b','),
        "foods/foods-2022.csv" => csv_records(&bytes, b';'),
        "foods/foods-2023.ndjson" => ndjson_records(&bytes),
        "foods/foods-2024.json" => {
            serde_json::from_slice::<Vec<Json>>(&bytes).unwrap().iter().map(|object| Ok(json_record(object))).collect()
        }
        "foods/foods-2025.parquet" => parquet_records(bytes),
        other => panic!("{other}"),
    }
}

/// The number in a text of the form `12.5`, `12.5 g`, `300 mg` or `836 kJ`, in the unit of its column.
fn number(text: &str) -> Option<f64> {
    let Some((number, unit)) = text.split_once(' ') else { return text.parse().ok() };
    let number: f64 = number.parse().ok()?;
    match unit {
        "g" => Some(number),
        "mg" => Some(number / 1000.0),
        "kJ" => Some(number / 4.184),
        _ => None,
    }
}

/// The measured values of a record, energy last, or the code of the rule that one of them breaks.
fn measured(record: &BTreeMap<String, String>) -> Result<Vec<Option<f64>>, &'static str> {
    let mut values = Vec::new();
    for name in NUTRIENTS.iter().chain([&ENERGY]) {
        let value = match record.get(*name) {
            Some(text) => Some(number(text).ok_or("type")?),
            None => None,
        };
        let most = match *name {
            ENERGY => MAX_ENERGY_KCAL + 0.1,
            name if name.ends_with("_g") => 100.0,
            _ => f64::MAX,
        };
        if value.is_some_and(|value| !(0.0..=most).contains(&value)) {
            return Err("range");
        }
        values.push(value);
    }
    Ok(values)
}

#[tokio::test]
async fn the_counts_are_those_of_independent_parsers() {
    let (bucket, landed) = landed(&SampleOptions::default()).await;
    let mut codes = HashSet::new();
    for object in &landed.objects {
        let mut counts = Counts::default();
        for found in records(&bucket, object).await {
            counts.rows += 1;
            match found.and_then(|record| measured(&record).map(|values| (record, values))) {
                Err(code) => *counts.broken.entry(code).or_default() += 1,
                Ok((record, values)) => {
                    assert_eq!(record["source"], "synthetic");
                    counts.duplicates += u64::from(!codes.insert(record["food_code"].clone()));
                    counts.without_energy += u64::from(values[ENERGY_AT].is_none());
                    let unit = |text: &String| text.ends_with(" g") || text.ends_with(" mg") || text.ends_with(" kJ");
                    let name_of = |name: &str| NUTRIENTS.contains(&name) || name == ENERGY;
                    counts.with_units += u64::from(record.iter().any(|(name, text)| name_of(name) && unit(text)));
                }
            }
        }
        let table = Table::ALL.into_iter().find(|table| object.key.ends_with(table.file_name())).unwrap();
        assert_eq!(&counts.object(&object.key.as_str().into(), table, object.bytes), object);
    }
    assert_eq!(codes.len() as u64, landed.foods);
    let stored = bucket.get(&"foods/_sample.json".into()).await.unwrap();
    assert_eq!(serde_json::from_slice::<Landed>(&stored).unwrap(), landed);
}

#[tokio::test]
async fn good_rows_keep_to_atwater_after_repair() {
    let (bucket, landed) = landed(&SampleOptions::default().with_rows(3_000)).await;
    let mut checked = 0;
    for object in &landed.objects {
        for record in records(&bucket, object).await.into_iter().flatten() {
            let Ok(values) = measured(&record) else { continue };
            let Some(values) = values.into_iter().collect::<Option<Vec<f64>>>() else { continue };
            let exact = atwater(values[..NUTRIENTS.len()].try_into().unwrap());
            let error = (values[ENERGY_AT] - exact).abs() / (1.0 + 0.015 * exact);
            assert!(error < 6.0, "{record:?}");
            checked += 1;
        }
    }
    assert!(checked > 1_000, "{checked}");
}

#[tokio::test]
async fn a_clean_sample_has_nothing_to_repair() {
    let (bucket, landed) = landed(&SampleOptions::default().with_rows(1_003).with_clean(true)).await;
    assert_eq!((landed.rows(), landed.broken(), landed.foods), (1_003, 0, 1_003));
    assert!(landed.objects.iter().all(|object| object.with_units == 0 && object.duplicates == 0));
    for object in &landed.objects {
        for record in records(&bucket, object).await {
            measured(&record.unwrap()).unwrap();
        }
    }
}

async fn digest(bucket: &Bucket, key: &str) -> String {
    Sha256::digest(bucket.get(&key.into()).await.unwrap()).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn the_same_options_give_the_same_bytes_for_ever() {
    let (bucket, landed) = landed(&SampleOptions::default().with_rows(2_000)).await;
    let mut digests = String::new();
    // Parquet carries the version of its writer: its bytes are not pinned.
    for object in landed.objects.iter().filter(|object| object.format != "parquet") {
        digests += &format!("{} {}\n", digest(&bucket, &object.key).await, object.key);
    }
    assert_eq!(digests, include_str!("land_digests.txt"));
}

#[tokio::test]
async fn another_seed_gives_other_bytes() {
    let (one, _) = landed(&SampleOptions::default().with_rows(100)).await;
    let (two, _) = landed(&SampleOptions::default().with_rows(100).with_seed(43)).await;
    assert_ne!(digest(&one, "foods/foods-2021.csv").await, digest(&two, "foods/foods-2021.csv").await);
}

#[tokio::test]
async fn several_chunks_make_one_whole() {
    let options = SampleOptions::default().with_rows(5 * 2 * CHUNK + 70);
    let (bucket, landed) = landed(&options).await;
    for object in &landed.objects {
        assert_eq!(records(&bucket, object).await.len() as u64, object.rows, "{}", object.key);
    }
}

#[tokio::test]
async fn too_few_rows_are_refused() {
    let error = land(&bucket(), &"foods".into(), &SampleOptions::default().with_rows(4), &Silent).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(error.to_string(), "cannot make the sample: rows must be at least 5, one for each object, got 4");
}

#[tokio::test]
async fn a_stop_leaves_nothing_behind() {
    let bucket = bucket();
    let error = land(&bucket, &"foods".into(), &SampleOptions::default(), &Stopped).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert!(bucket.list(None).await.unwrap().is_empty());
}
