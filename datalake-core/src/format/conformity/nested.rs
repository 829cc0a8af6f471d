//! JSON of any nesting: as it is read, through Parquet, and back.

use object_store::PutMode;
use object_store::path::Path;
use proptest::prelude::*;
use serde_json::{Map, Value};

use super::{bucket, cells, read, sink, source, wait};
use crate::format::trial::Trial;
use crate::format::{Json, ReadOptions, WriteOptions, convert};

/// Values of one kind a name, as most documents have them, and of any kind for the others.
fn value() -> impl Strategy<Value = Value> {
    let text =
        prop_oneof!["[a-z\"\\\\\n\u{e4}\u{1f34e}]{0,6}", Just("2024-02-29".to_owned()), Just("\u{0}".to_owned())];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1000_i64..1000).prop_map(|value| Value::from(value as f64 / 8.0)),
        text.prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(("[abc]", inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn record() -> impl Strategy<Value = Value> {
    let numbers = prop::collection::vec(prop::option::of(-5_i64..5), 0..4);
    let inner = (prop::option::of(any::<bool>()), prop::option::of("[a-z]{0,3}"));
    (prop::option::of(numbers), prop::option::of(inner), prop::option::of(value()), any::<i64>()).prop_map(
        |(numbers, inner, any, id)| {
            let mut record = Map::new();
            record.insert("id".into(), id.into());
            numbers.map(|numbers| record.insert("n".into(), numbers.into()));
            inner.map(|(a, b)| record.insert("o".into(), serde_json::json!({"a": a, "b": b})));
            any.map(|any| record.insert("x".into(), any));
            Value::Object(record)
        },
    )
}

/// What a reader of others has of what we wrote, without members that are null.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(name, value)| (name, without_nulls(value)))
                .collect(),
        ),
        Value::Array(elements) => elements.into_iter().map(without_nulls).collect(),
        other => other,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 2, ..ProptestConfig::default() })]

    #[test]
    fn records_are_the_same_in_every_layout_and_way(records in prop::collection::vec(record(), 1..8)) {
        let lines: String = records.iter().map(|record| format!("{record}\n")).collect();
        let array = serde_json::to_string_pretty(&records).unwrap();
        let document = format!("{{\"v\":1,\"rows\":{array}}}");
        let usual = read(&Json::lines(), lines.as_bytes(), ReadOptions::default()).unwrap();
        let by_hand = Trial { by_hand: true, ..Trial::default() };
        prop_assert_eq!(&by_hand.run(|| read(&Json::lines(), lines.as_bytes(), ReadOptions::default()).unwrap()), &usual);
        for text in [array, document] {
            let other = read(&Json::document(), text.as_bytes(), ReadOptions::default()).unwrap();
            prop_assert_eq!(cells(&other), cells(&usual), "{}", text);
            prop_assert_eq!(other.schema(), usual.schema());
        }
    }

    #[test]
    fn records_come_back_from_parquet(records in prop::collection::vec(record(), 1..8)) {
        let bucket = bucket();
        let lines: String = records.iter().map(|record| format!("{record}\n")).collect();
        wait(bucket.put(&Path::from("a.ndjson"), lines, PutMode::Create)).unwrap();
        let mut digests = Vec::new();
        for (from, to) in [("a.ndjson", "b.parquet"), ("b.parquet", "c.json"), ("c.json", "d.parquet"), ("d.parquet", "e.ndjson")] {
            let (source, sink) = (source(&bucket, from), sink(&bucket, to));
            let done = wait(convert(source, sink, ReadOptions::default(), WriteOptions::default())).unwrap();
            digests.push(done.written.digest);
        }
        prop_assert!(digests.iter().all(|digest| *digest == digests[0]), "{digests:?}");
        let text = wait(bucket.get(&Path::from("e.ndjson"))).unwrap();
        let text = str::from_utf8(&text).unwrap();
        let back: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        prop_assert_eq!(back.len(), records.len());
        for (back, record) in back.into_iter().zip(records) {
            // What has one kind is as it was; of several kinds it may be text.
            for name in ["id", "n", "o"] {
                let value = |record: &Value| without_nulls(record.get(name).cloned().unwrap_or_default());
                prop_assert_eq!(value(&back), value(&record));
            }
        }
    }
}
