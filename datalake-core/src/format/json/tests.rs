//! JSON as it is found: dirt, nesting, numbers, layouts.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{Decimal128Type, Float64Type, Int64Type};
use futures::TryStreamExt;

use super::*;
use crate::error::ErrorKind;
use crate::format::trial::Trial;
use crate::format::{ColumnSpec, OnRowError, Reject, Rejects};

#[derive(Debug, Default)]
struct Seen(std::sync::Mutex<Vec<Reject>>);

impl Rejects for Seen {
    fn reject(&self, reject: Reject) -> Result<()> {
        self.0.lock().unwrap().push(reject);
        Ok(())
    }
}

fn source(text: &[u8]) -> Source {
    Source::Stream { name: "test".into(), reader: Box::pin(std::io::Cursor::new(text.to_vec())) }
}

async fn read_noted(text: &[u8], options: ReadOptions) -> Result<(RecordBatch, Vec<String>)> {
    let mut batches = Json::document().read(source(text), options).await?;
    let mut all = Vec::new();
    while let Some(batch) = batches.try_next().await? {
        all.push(batch);
    }
    Ok((concat_batches(batches.schema(), &all).unwrap(), batches.notes().to_vec()))
}

async fn read(text: &str) -> (RecordBatch, Vec<String>) {
    read_noted(text.as_bytes(), ReadOptions::default()).await.unwrap()
}

fn texts(table: &RecordBatch, column: &str) -> Vec<Option<String>> {
    let column = table.column_by_name(column).unwrap();
    column.as_string::<i32>().iter().map(|text| text.map(str::to_owned)).collect()
}

#[tokio::test]
async fn a_table_is_the_same_in_every_layout() {
    let lines = read("{\"a\":1,\"b\":\"x\"}\n{\"a\":2.5}\n").await.0;
    let array = read("[{\"a\":1,\"b\":\"x\"},\n {\"a\":2.5}]").await.0;
    let document = read("{\"v\":1,\n \"rows\":[{\"a\":1,\"b\":\"x\"},{\"a\":2.5}]}").await;
    assert_eq!(lines, array);
    assert_eq!(lines, document.0);
    assert_eq!(document.1, ["the rows are the elements of `rows`; left out: `v`"]);
    assert_eq!(lines.column(0).as_primitive::<Float64Type>().values(), &[1.0, 2.5]);
}

#[tokio::test]
async fn numbers_are_never_rounded() {
    let (table, notes) = read("{\"a\":9007199254740993,\"b\":12345678901234567890}\n{\"a\":0.5,\"b\":1}\n").await;
    assert_eq!(texts(&table, "a"), [Some("9007199254740993".into()), Some("0.5".into())]);
    let wide = table.column_by_name("b").unwrap().as_primitive::<Decimal128Type>();
    assert_eq!(wide.values(), &[12_345_678_901_234_567_890, 1]);
    assert_eq!(notes, ["column `a` is text because of `0.5` in row 2"]);
}

#[tokio::test]
async fn a_field_first_seen_late_is_in_the_schema() {
    let (table, _) = read("{\"a\":1}\n{\"b\":2}\n").await;
    assert_eq!(
        table.column_by_name("b").unwrap().as_primitive::<Int64Type>().iter().collect::<Vec<_>>(),
        [None, Some(2)]
    );
}

#[tokio::test]
async fn objects_are_structs_or_columns_of_their_own() {
    let text = "{\"n\":{\"fat\":1.5,\"x\":{\"y\":true}},\"l\":[1,null],\"n_fat\":7}\n{\"n\":null,\"l\":[]}\n{}\n";
    let (nested, _) = read(text).await;
    assert_eq!(nested.num_columns(), 3);
    assert!(nested.column(0).is_null(1) && nested.column(1).is_null(2));
    assert_eq!(nested.column(1).as_list::<i32>().value_length(1), 0);
    let options = ReadOptions::default().with_flatten(true);
    let (flat, notes) = read_noted(text.as_bytes(), options).await.unwrap();
    let names: Vec<_> = flat.schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names, ["n_fat", "n_x_y", "l", "n_fat_1"]);
    assert_eq!(notes, ["column 4, `n_fat`, is read as `n_fat_1`"]);
    assert_eq!(flat.column(0).null_count(), 2);
}

#[tokio::test]
async fn lists_and_what_is_kept_as_text_are_not_flattened() {
    let wide: Vec<String> = (0..5000).map(|name| format!("\"k{name}\":1")).collect();
    let text = format!(
        "{{\"o\":{{\"l\":[{{\"a\":{{\"b\":1}}}}],\"m\":{{\"k\":1}},\"w\":{{{}}}}}}}\n{{\"o\":{{\"m\":2}}}}\n",
        wide.join(",")
    );
    let (flat, _) = read_noted(text.as_bytes(), ReadOptions::default().with_flatten(true)).await.unwrap();
    let names: Vec<_> = flat.schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names, ["o_l", "o_m", "o_w"]);
    assert!(matches!(flat.column(0).data_type(), DataType::List(element) if element.data_type().is_nested()));
    assert_eq!(texts(&flat, "o_m"), [Some("{\"k\":1}".into()), Some("2".into())]);
    assert!(texts(&flat, "o_w")[0].as_deref().is_some_and(|json| json.starts_with("{\"k0\":1,")));
}

#[tokio::test]
async fn values_of_several_kinds_are_text() {
    let (table, notes) = read("{\"a\":1,\"b\":\"x\"}\n{\"a\":[ 2 ],\"b\":3}\n{\"a\":\"s\",\"b\":true}\n").await;
    assert_eq!(texts(&table, "a"), [Some("1".into()), Some("[2]".into()), Some("\"s\"".into())]);
    assert_eq!(texts(&table, "b"), [Some("x".into()), Some("3".into()), Some("true".into())]);
    assert_eq!(notes, ["column `a` holds values of several kinds, kept as JSON text"]);
}

#[tokio::test]
async fn of_repeated_names_the_last_counts_and_is_noted() {
    let (table, notes) = read("{\"a\":1,\"a\":2}\n").await;
    assert_eq!(table.column(0).as_primitive::<Int64Type>().value(0), 2);
    assert_eq!(notes, ["`a` is repeated in row 1; of repeated names the last counts"]);
}

/// All notes of a read, with types from a sample of a few bytes and blocks of a few as well, or from the whole.
fn noted(json: Json, text: &str, infer: Infer, flatten: bool) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let trial = Trial { piece: Some(16), block: Some(16), by_hand: false };
    trial.run(|| {
        runtime.block_on(async {
            let options = ReadOptions::default().with_infer(infer).with_flatten(flatten);
            let mut batches = json.read(source(text.as_bytes()), options).await.unwrap();
            while batches.try_next().await.unwrap().is_some() {}
            batches.notes().iter().cloned().chain(batches.tally().notes()).collect()
        })
    })
}

#[test]
fn a_name_that_is_repeated_behind_the_sample_is_told_as_if_it_came_early() {
    let plain = r#"{"a":1,"s":{"x":1,"y":[{"z":1}]},"m":1}"#;
    let mixed = r#"{"a":1,"s":{"x":1,"y":[{"z":1}]},"m":{"k":1,"k":2}}"#;
    let inner = r#"{"a":1,"s":{"x":2,"y":[{"z":1},{"z":1,"z":2}],"x":3}}"#;
    let outer = r#"{"b":1,"a":2,"b":3,"a":4}"#;
    let first = r#"{"b":1,"a":2}"#;
    let note =
        |name: &str, row: u64| vec![format!("`{name}` is repeated in row {row}; of repeated names the last counts")];
    for (rows, expected) in [
        (vec![first, plain, plain, plain, inner, outer, outer], note("x", 5)),
        (vec![first, plain, plain, plain, plain, outer, inner], note("a", 6)),
        // Told of the sample once, and not again.
        (vec![outer, plain, plain, plain, inner], note("a", 1)),
        // A text keeps both values.
        (vec![first, plain, mixed, plain], Vec::new()),
    ] {
        let (lines, array) = (rows.join("\n"), format!("[{}]", rows.join(",\n")));
        let document = format!("{{\"rows\":{array}}}");
        for (json, text) in [(Json::lines(), &lines), (Json::document(), &array), (Json::document(), &document)] {
            for flatten in [false, true] {
                // The sample has all fields and kinds, and ends before the fifth row.
                for infer in [Infer::Sample(120), Infer::Whole] {
                    let mut told = noted(json, text, infer, flatten);
                    told.retain(|note| note.ends_with("of repeated names the last counts"));
                    assert_eq!(told, expected, "{infer:?} {text}");
                }
            }
        }
    }
}

#[tokio::test]
async fn broken_records_are_set_aside() {
    let text = b"{\"a\":1}\n{\"a\":\n{\"a\":2}\n[3]\n{\"a\":\"\xff\"}\n{\"a\":\"\\ud800\"}\n{\"a\":4";
    let seen = Arc::new(Seen::default());
    let options = ReadOptions::default().with_on_row_error(OnRowError::Quarantine).with_rejects(Some(seen.clone()));
    let mut batches = Json::lines().read(source(text), options).await.unwrap();
    let mut rows = 0;
    while let Some(batch) = batches.try_next().await.unwrap() {
        rows += batch.num_rows();
    }
    assert_eq!(rows, 2);
    let rejected = seen.0.lock().unwrap().clone();
    let found: Vec<_> = rejected.iter().map(|r| (r.row, r.line.unwrap(), r.byte.unwrap(), r.code.as_str())).collect();
    assert_eq!(
        found,
        [(2, 2, 8, "syntax"), (4, 4, 22, "type"), (5, 5, 26, "utf8"), (6, 6, 36, "syntax"), (7, 7, 51, "syntax")]
    );
    assert_eq!(rejected[1].reason, "a record must be an object, found `[3]`");
    assert_eq!(rejected[2].raw, "{\"a\":\"\\xFF\"}");
}

#[tokio::test]
async fn an_array_that_is_cut_ends_the_read_or_is_set_aside() {
    let error = read_noted(b"[{\"a\":1},\n{\"a\":", ReadOptions::default()).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot read test at row 2, line 2, byte 10: the text ends within `{\"a\":`");
    let options = ReadOptions::default().with_on_row_error(OnRowError::Quarantine);
    assert_eq!(read_noted(b"[{\"a\":1},\n{\"a\":", options).await.unwrap().0.num_rows(), 1);
}

#[tokio::test]
async fn a_declared_schema_reads_texts_numbers_and_flattened_fields() {
    let specs = vec![
        ColumnSpec::new("fat_g", DataType::Float64).with_unit("g").with_from(vec!["n_fat".into()]),
        ColumnSpec::new("name", DataType::Utf8),
    ];
    let options = ReadOptions::default().with_schema(Some(specs)).with_flatten(true);
    let text = "{\"name\":\"\",\"n\":{\"fat\":\"300 mg\"}}\n{\"name\":\"b\",\"n\":{\"fat\":2}}\n";
    let (table, _) = read_noted(text.as_bytes(), options).await.unwrap();
    assert_eq!(table.column(0).as_primitive::<Float64Type>().values(), &[0.3, 2.0]);
    assert_eq!(texts(&table, "name"), [Some(String::new()), Some("b".into())]);
}

#[tokio::test]
async fn deep_nesting_is_kept_as_text() {
    let deep = format!("{{\"a\":{}1{}}}\n", "[".repeat(5000), "]".repeat(5000));
    let (table, _) = read(&deep).await;
    assert_eq!(table.num_rows(), 1);
}

#[test]
fn batches_do_not_depend_on_the_pieces_of_the_text() {
    let text = "\u{feff}[{\"a\":\"x,]}\\\"\"}, {\"a\":\n null} ,{\"a\":\"\u{4e2d}\"},{\"a\":".as_bytes();
    let decode = |piece: usize| {
        let source: Arc<str> = "test".into();
        let kinds = vec![("a".to_owned(), Kind::Scalar(DataType::Utf8))];
        let schema = decoded_schema(&kinds, false, &mut Vec::new());
        let options = ReadOptions::default().with_on_row_error(OnRowError::Quarantine);
        let tally = Arc::new(Tally::default());
        let intake = Intake::new(&source, &schema, None, &options, &tally).unwrap();
        let framer = Framer::new(&source, Layout::Array);
        let target = Target { kinds, schema, flattens: false, tells_repeated: false };
        let decoder = Decoder::new(&source, framer, target, Vec::new(), intake, 2);
        (drive::decode_pieces(decoder, text.chunks(piece)).unwrap(), tally.balance())
    };
    let (whole, balance) = decode(text.len());
    assert_eq!((balance.written, balance.quarantined), (3, 1));
    for piece in 1..text.len() {
        assert_eq!(decode(piece), (whole.clone(), balance), "pieces of {piece}");
    }
}

#[tokio::test]
async fn long_records_make_batches_of_fewer_rows() {
    let long = "x".repeat(1 << 20);
    let text: String = (0..40).map(|row| format!("{{\"id\":{row},\"x\":\"{long}\"}}\n")).collect();
    let mut batches = Json::lines().read(source(text.as_bytes()), ReadOptions::default()).await.unwrap();
    let (mut sizes, mut ids) = (Vec::new(), Vec::new());
    while let Some(batch) = batches.try_next().await.unwrap() {
        sizes.push(batch.num_rows());
        ids.extend(batch.column(0).as_primitive::<Int64Type>().values().iter().copied());
    }
    // A block has some megabytes.
    assert!(sizes.iter().all(|rows| (1..=5).contains(rows)), "{sizes:?}");
    assert_eq!(ids, (0..40).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_an_empty_table_leaves_is_refused_with_what_to_do() {
    let options = ReadOptions::default();
    let error = Json::lines().read(source(b""), options).await.map(|_| ()).unwrap_err();
    assert!(error.reason().unwrap().ends_with("and so no columns"), "{error}");
    assert!(error.hint().unwrap().contains("keep it as CSV or Parquet"));
}

#[tokio::test]
async fn declared_types_may_be_nested() {
    let list = ColumnSpec::new("tags", DataType::new_list(DataType::Int64, true));
    let options =
        ReadOptions { schema: Some(vec![list.clone(), ColumnSpec::new("n", DataType::Utf8)]), ..Default::default() };
    for (text, tags) in [
        ("{\"tags\":[1,null],\"n\":1}\n{\"n\":null}", 1),
        ("{\"n\":1,\"tags\":null}\n{\"n\":[2]}", 0),
        ("{\"n\":1,\"tags\":[]}\n{\"n\":[2]}", 1),
    ] {
        let (table, _) = read_noted(text.as_bytes(), options.clone()).await.unwrap();
        assert_eq!(table.schema().field(0).data_type(), &list.data_type, "{text}");
        assert_eq!((table.num_rows(), table.column(0).len() - table.column(0).null_count()), (2, tags), "{text}");
    }
    let error = read_noted(b"{\"tags\":7}", options).await.unwrap_err();
    assert!(error.reason().unwrap().starts_with("`7` is not a list"), "{error}");
}

#[tokio::test]
async fn columns_without_a_value_and_with_large_integers_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.ndjson");
    let text = "{\"l\":[1],\"a\":null,\"n\":{\"x\":null,\"y\":9007199254740993},\"b\":9007199254740993,\"c\":1}\n";
    std::fs::write(&path, text).unwrap();
    let source = Source::LocalFile(path);
    let found = Json::lines().infer_schema(&source, &ReadOptions::default()).await.unwrap();
    assert_eq!((found.empty, found.wide_integers), (vec!["a".to_owned()], vec!["b".to_owned()]));
    let flat = Json::lines().infer_schema(&source, &ReadOptions::default().with_flatten(true)).await.unwrap();
    assert_eq!(flat.empty, ["a", "n_x"]);
    assert_eq!(flat.wide_integers, ["n_y", "b"]);
}

#[tokio::test]
async fn elements_without_brackets_are_told_one_by_one() {
    let text = format!("[{{\"a\":1}},{}2,{{\"a\":3}}]", "2,".repeat(1_500_000));
    let error = read_json(&text).await.unwrap_err();
    assert_eq!(error.reason(), Some("a record must be an object, found `2`"));
    assert_eq!(error.position().unwrap().row, Some(2));
}

#[tokio::test]
async fn a_text_torn_between_records_is_an_error() {
    let text = format!("[{{\"a\":1}}, foo\"bar, {}{{\"a\":3}}]", "{\"a\":\"{x}\"},".repeat(200_000));
    assert_eq!(read_json(&text).await.unwrap_err().kind(), ErrorKind::Invalid);
}

async fn read_json(text: &str) -> Result<Vec<RecordBatch>> {
    Json::document().read(source(text.as_bytes()), ReadOptions::default()).await?.try_collect().await
}

#[tokio::test]
async fn a_declared_column_does_not_depend_on_other_rows() {
    let text = "{\"t\":\"abc\",\"n\":\"5\"}\n{\"t\":{\"a\": 1},\"n\":6}\n{\"t\":[1, \"x\"],\"n\":{}}\n{\"t\":1.50,\"n\":7}\n{\"t\":null}\n";
    let specs = vec![ColumnSpec::new("t", DataType::Utf8), ColumnSpec::new("n", DataType::Int64)];
    let options = ReadOptions::default().with_schema(Some(specs)).with_on_row_error(OnRowError::Quarantine);
    let (table, _) = read_noted(text.as_bytes(), options).await.unwrap();
    let expected = [Some("abc"), Some("{\"a\":1}"), Some("1.50"), None].map(|text| text.map(str::to_owned));
    assert_eq!(texts(&table, "t"), expected);
    let numbers = table.column_by_name("n").unwrap().as_primitive::<Int64Type>();
    assert_eq!(numbers.iter().collect::<Vec<_>>(), [Some(5), Some(6), Some(7), None]);
    // Where nothing is declared, values of several kinds are JSON text, all of them.
    let (table, notes) = read("{\"t\":\"abc\"}\n{\"t\":{\"a\": 1}}\n").await;
    assert_eq!(texts(&table, "t"), [Some("\"abc\"".to_owned()), Some("{\"a\":1}".to_owned())]);
    assert_eq!(notes, ["column `t` holds values of several kinds, kept as JSON text"]);
}

#[tokio::test]
async fn objects_without_fields_in_a_sample_say_nothing_of_those_that_follow() {
    // More than a piece of a text, which is the least that a sample has.
    let text = format!("{}{{\"o\":{{\"a\":1}}}}\n", "{\"o\":{}}\n".repeat(1 << 20));
    let sampled = ReadOptions::default().with_infer(Infer::Sample(1));
    let error = read_noted(text.as_bytes(), sampled.clone()).await.unwrap_err();
    assert!(crate::format::Misfit::is_cause_of(&error), "{error:?}");
    let whole = read(&text).await.0;
    assert_eq!(whole.column(0).as_struct().column(0).as_primitive::<Int64Type>().value(1 << 20), 1);
    // Where there are none, they are text.
    let (table, _) = read_noted(b"{\"o\":{}}\n{\"o\":null}\n{\"o\": { }}\n", sampled).await.unwrap();
    assert_eq!(texts(&table, "o"), [Some("{}".to_owned()), None, Some("{}".to_owned())]);
}
