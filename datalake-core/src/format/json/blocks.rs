//! JSON text to record batches: blocks are read on all CPU threads, and settled in their order.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};

use super::build::{Members, Record, Unfit};
use super::columns::Reader;
use super::cut::{Block, BlockRecords};
use super::decode::{Target, flatten, misfit, parse, repeated_note};
use super::frame::{Layout, Next};
use super::shape::Kind;
use crate::compute;
use crate::error::{Error, Result};
use crate::format::batches::slices;
use crate::format::drive;
use crate::format::intake::{BadRecord, Intake, Log, Place, Records};
use crate::format::trial;

/// How many bytes of text are read at a time, about.
pub(super) const BLOCK: usize = 1024 * 1024;

/// What is made of a block.
struct Decoded {
    columns: Vec<ArrayRef>,
    rows: usize,
    records: Found,
    /// How many records and lines there are.
    count: (u64, u64),
    bad: Vec<BadRecord>,
    /// The first row in which a name is repeated, and that name.
    repeated: Option<(u64, String)>,
    /// What ends all.
    end: Option<End>,
}

enum End {
    /// A record that the types do not fit.
    Unfit(Place, Unfit),
    /// What is between records is no JSON.
    Broken(Error),
}

/// The records behind the rows.
enum Found {
    Block(BlockRecords),
    Log(Log),
}

impl Found {
    fn records(&self) -> &dyn Records {
        match self {
            Self::Block(block) => block,
            Self::Log(log) => log,
        }
    }
}

/// What blocks are read with.
struct Decoder {
    source: Arc<str>,
    layout: Layout,
    /// None where nothing is quick.
    reader: Option<Reader>,
    target: Target,
    nulls: Vec<String>,
    keeps_raw: bool,
}

impl Decoder {
    fn decode(&self, block: Block) -> Result<Decoded> {
        let quick = match &self.reader {
            Some(reader) => reader.columns(&block, &self.layout)?,
            None => None,
        };
        match quick {
            None => self.by_hand(&block),
            Some((columns, rows, lines)) => {
                let count = (rows as u64, lines);
                let records = Found::Block(BlockRecords::new(&self.source, block, &self.layout));
                // A name that is repeated is not quick.
                Ok(Decoded { columns, rows, records, count, bad: Vec::new(), repeated: None, end: None })
            }
        }
    }

    /// Takes each record by itself; places are counted within the block but for bytes.
    fn by_hand(&self, block: &Block) -> Result<Decoded> {
        let mut framer = block.framer(&self.source, &self.layout);
        let mut members = Members::new(&self.target.kinds);
        let (mut log, mut end, mut rows, mut repeated) = (Log::new(self.keeps_raw), None, 0, None);
        loop {
            match framer.next() {
                Err(error) => end = Some(End::Broken(error)),
                Ok(Next::Wait) => {
                    if !block.is_last && self.layout == Layout::Array {
                        end = framer.check_end().err().map(End::Broken);
                    }
                }
                Ok(Next::Cut(bad)) => {
                    rows = bad.place.row;
                    log.add_bad(bad);
                    continue;
                }
                Ok(Next::Record) => {
                    let place = framer.place();
                    rows = place.row;
                    match parse(framer.raw(), place) {
                        Err(bad) => log.add_bad(*bad),
                        Ok(fields) => {
                            let mut record = Record::new(&self.nulls);
                            match members.append(&fields, &mut record) {
                                Ok(()) => log.add(place, framer.raw()),
                                Err(unfit) => end = Some(End::Unfit(place, unfit)),
                            }
                            repeated = repeated.or(record.repeated.map(|name| (place.row, name)));
                        }
                    }
                    if end.is_none() {
                        continue;
                    }
                }
            }
            break;
        }
        // Columns that a value did not fit are of no use.
        let columns = if end.is_some() { Vec::new() } else { members.finish_fields()? };
        let bad = log.take_bad();
        let (rows, count, records) = (log.len(), (rows, block.lines()), Found::Log(log));
        Ok(Decoded { columns, rows, records, count, bad, repeated, end })
    }
}

/// Whether a record of these lines has a value that is not of its field's kind.
pub(super) fn is_misfit(source: &Arc<str>, kinds: &[(String, Kind)], nulls: &[String], text: Vec<u8>) -> Result<bool> {
    let layout = Layout::Lines;
    let block = Block { text, byte: 0, is_first: false, is_last: true };
    if Reader::new(kinds, nulls).is_some_and(|reader| matches!(reader.columns(&block, &layout), Ok(Some(_)))) {
        return Ok(false);
    }
    let (mut framer, mut members) = (block.framer(source, &layout), Members::new(kinds));
    loop {
        match framer.next() {
            // What is broken is the reader's business.
            Ok(Next::Wait) | Err(_) => return Ok(false),
            Ok(Next::Cut(_)) => {}
            Ok(Next::Record) => {
                let place = framer.place();
                let Ok(fields) = parse(framer.raw(), place) else { continue };
                if members.append(&fields, &mut Record::new(nulls)).is_err() {
                    return Ok(true);
                }
            }
        }
    }
}

/// Deals with what was made of blocks, one after the other.
struct Settler {
    decoded: BoxStream<'static, Result<Decoded>>,
    decoder: Arc<Decoder>,
    intake: Arc<Intake>,
    before: (u64, u64),
    tells_repeated: bool,
    batch_rows: usize,
    ready: VecDeque<RecordBatch>,
}

/// Decodes blocks as a stream of batches.
pub(super) fn batches(
    source: &Arc<str>,
    layout: Layout,
    blocks: BoxStream<'static, Result<Block>>,
    target: Target,
    nulls: Vec<String>,
    intake: Intake,
    batch_rows: usize,
) -> BoxStream<'static, Result<RecordBatch>> {
    let decoder = Arc::new(Decoder {
        source: Arc::clone(source),
        layout,
        reader: Reader::new(&target.kinds, &nulls).filter(|_| !trial::by_hand()),
        target,
        nulls,
        keeps_raw: intake.wants_raw(),
    });
    let shared = Arc::clone(&decoder);
    let ahead = intake.memory().blocks(compute::threads());
    let decoded = drive::worked(blocks, ahead, move |block| shared.decode(block));
    let (tells_repeated, intake) = (decoder.target.tells_repeated, Arc::new(intake));
    let settler =
        Settler { decoded, decoder, intake, before: (0, 0), tells_repeated, batch_rows, ready: VecDeque::new() };
    futures::stream::try_unfold(settler, Settler::next).boxed()
}

impl Settler {
    async fn next(mut self) -> Result<Option<(RecordBatch, Self)>> {
        loop {
            if let Some(batch) = self.ready.pop_front() {
                return Ok(Some((batch, self)));
            }
            let Some(mut decoded) = self.decoded.try_next().await? else { return Ok(None) };
            let (before, count) = (self.before, decoded.count);
            self.before = (before.0 + count.0, before.1 + count.1);
            let (decoder, intake) = (Arc::clone(&self.decoder), Arc::clone(&self.intake));
            if let Some((row, name)) = decoded.repeated.take()
                && std::mem::take(&mut self.tells_repeated)
            {
                // Blocks come in their order, so there is none before.
                intake.note(repeated_note(before.0 + row, &name));
            }
            let batch = compute::run(move || settle(decoded, before, &decoder, &intake)).await?;
            if let Some(batch) = batch {
                self.ready.extend(slices(&batch, self.batch_rows));
            }
        }
    }
}

fn settle(mut decoded: Decoded, before: (u64, u64), decoder: &Decoder, intake: &Intake) -> Result<Option<RecordBatch>> {
    match &mut decoded.records {
        Found::Block(block) => block.follow(before),
        Found::Log(log) => log.follow(before),
    }
    for bad in &mut decoded.bad {
        bad.place.follow(before);
    }
    match decoded.end {
        None => {}
        Some(End::Unfit(mut place, unfit)) => {
            place.follow(before);
            return Err(misfit(&decoder.source, place, unfit));
        }
        Some(End::Broken(error)) => {
            // What was rejected before it is told first.
            intake.reject(decoded.bad)?;
            return Err(error.after(before));
        }
    }
    let mut columns = decoded.columns;
    if decoder.target.flattens {
        let nested = std::mem::take(&mut columns);
        nested.into_iter().for_each(|column| flatten(column, &mut columns));
    }
    let options = RecordBatchOptions::new().with_row_count(Some(decoded.rows));
    let batch = RecordBatch::try_new_with_options(Arc::clone(&decoder.target.schema), columns, &options)
        .map_err(|cause| Error::internal("read", &decoder.source).with_source(cause))?;
    intake.accept(batch, decoded.records.records(), decoded.bad)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::json::decoded_schema;
    use arrow::datatypes::{DataType, TimeUnit};
    use proptest::prelude::*;

    fn kinds() -> Vec<(String, Kind)> {
        let scalar = |data_type| Kind::Scalar(data_type);
        let inner = vec![("x".to_owned(), scalar(DataType::Int64)), ("y z".to_owned(), scalar(DataType::Utf8))];
        let kinds = [
            ("i", scalar(DataType::Int64)),
            ("w", scalar(DataType::Decimal128(38, 0))),
            ("f", scalar(DataType::Float64)),
            ("t", scalar(DataType::Utf8)),
            ("b", scalar(DataType::Boolean)),
            ("d", scalar(DataType::Date32)),
            ("at", scalar(DataType::Timestamp(TimeUnit::Microsecond, None))),
            ("none", Kind::Empty),
            ("l", Kind::List(Box::new(scalar(DataType::Float64)))),
            ("s", Kind::Struct(inner.clone())),
            ("ls", Kind::List(Box::new(Kind::Struct(inner)))),
        ];
        kinds.map(|(name, kind)| (name.to_owned(), kind)).into()
    }

    fn decoder(nulls: &[String], layout: Layout) -> Decoder {
        let schema = decoded_schema(&kinds(), false, &mut Vec::new());
        Decoder {
            source: "test".into(),
            layout,
            reader: Reader::new(&kinds(), nulls),
            target: Target { kinds: kinds(), schema, flattens: false, tells_repeated: false },
            nulls: nulls.to_vec(),
            keeps_raw: true,
        }
    }

    /// Whether a block is read at once; if so, as by hand.
    fn agree(text: &str, nulls: &[String]) -> Result<bool, TestCaseError> {
        agree_in(text, nulls, Layout::Lines)
    }

    fn agree_in(text: &str, nulls: &[String], layout: Layout) -> Result<bool, TestCaseError> {
        let decoder = decoder(nulls, layout);
        let block = || Block { text: text.as_bytes().to_vec(), byte: 7, is_first: true, is_last: true };
        let Some((columns, rows, _)) = decoder.reader.as_ref().unwrap().columns(&block(), &decoder.layout).unwrap()
        else {
            return Ok(false);
        };
        let by_hand = decoder.by_hand(&block()).unwrap();
        prop_assert!(by_hand.end.is_none() && by_hand.bad.is_empty(), "{text}");
        prop_assert_eq!(rows, by_hand.rows);
        prop_assert_eq!(&columns, &by_hand.columns, "{}", text);
        let quick = decoder.decode(block()).unwrap();
        prop_assert_eq!(quick.count, by_hand.count);
        for row in 0..rows {
            let (a, b) = (quick.records.records(), by_hand.records.records());
            prop_assert_eq!(a.raw(row), b.raw(row));
            let (a, b) = (a.place(row), b.place(row));
            prop_assert_eq!((a.row, a.line, a.byte), (b.row, b.line, b.byte));
        }
        Ok(true)
    }

    #[test]
    fn texts_as_most_are_are_read_at_once() {
        let text = concat!(
            r#"{"i":1,"w":-99999999999999999999999999999999999999,"f":0.5,"t":"a","b":true,"d":"2024-02-29","at":"2024-02-29T12:00:00","none":null,"l":[1.5,null],"s":{"x":1,"y z":"ü"},"ls":[{"x":null,"y z":"\n"},{}]}"#,
            "\n\n  { \"f\" : 3 , \"i\":-2,\"t\":\"a\\\"b\\\\c\\u00e4\\ud83c\\udf4e\" }\r\n{}\n",
            r#"{"t":null,"l":[],"s":null}"#,
        );
        assert!(agree(text, &[]).unwrap());
        assert!(agree(text, &["a".to_owned()]).unwrap());
        assert!(agree("", &[]).unwrap() && agree("\n \n", &[]).unwrap());
        let array = "[\n  {\n    \"i\": 1,\n    \"l\": [\n      1.5\n    ]\n  },\n  {}\n]\n";
        assert!(agree_in(array, &[], Layout::Array).unwrap());
    }

    #[test]
    fn what_is_not_as_expected_is_not_read_at_once() {
        for text in [
            r#"{"i":1,"i":2}"#,
            r#"{"i":1.0}"#,
            r#"{"w":1.0}"#,
            r#"{"w":-0}"#,
            r#"{"w":100000000000000000000000000000000000000}"#,
            r#"{"i":01}"#,
            r#"{"f":1.}"#,
            r#"{"f":1.e5}"#,
            r#"{"f":.5}"#,
            r#"{"f":+1}"#,
            r#"{"f":NaN}"#,
            r#"{"t":1}"#,
            "{\"t\":\"a\tb\"}",
            r#"{"t":"\x"}"#,
            r#"{"t":"\ud83c"}"#,
            r#"{"t":"\u00g0"}"#,
            r#"{"b":truee}"#,
            r#"{"n":nul}"#,
            r#"{"i":1,}"#,
            r#"{"i":1 "f":2}"#,
            r#"{"i":1}}"#,
            r#"{"i":1"#,
            r#"{"l":[1,]}"#,
            r#"{"l":[1}"#,
            r#"{"unknown":1}"#,
            r#"[1]"#,
            "{\"i\":\n1}",
            r#"{"t":"a"#,
        ] {
            assert!(!agree(text, &[]).unwrap(), "{text}");
        }
    }

    #[test]
    fn a_block_that_ends_within_an_element_is_no_json() {
        let text = b"[{\"i\":1}, {\"t\":\"x".to_vec();
        let torn = |is_last| {
            let block = Block { text: text.clone(), byte: 0, is_first: true, is_last };
            decoder(&[], Layout::Array).decode(block).unwrap()
        };
        assert!(matches!(torn(false).end, Some(End::Broken(_))));
        // At the end of the text it is a record that is cut.
        assert!(torn(true).end.is_none() && torn(true).bad.len() == 1);
    }

    fn value() -> impl Strategy<Value = String> {
        prop_oneof![
            "-?[0-9]{1,19}",
            "-?[1-9][0-9]{17,40}",
            "-?[0-9]{1,3}\\.[0-9]{0,18}(e-?[0-9]{1,2})?",
            "true|false|null|nul",
            "\"([a-z \u{e4}]|\\\\n|\\\\\"|\\\\u00e4|\\\\ud83c\\\\udf4e|\\\\){0,6}\"",
            "\"20[0-9]{2}-[01][0-9]-[0-2][0-9](T[0-2][0-9]:00:00)?\"",
            "\\[(-?[0-9]\\.[0-9](, ?)?){0,3}\\]",
            "\\{(\"x\": ?[0-9])?(,?\"y z\":\"[a-z]\")?\\}",
            "\\[\\{\"x\":1\\},\\{\"y z\":\"b\",\"x\":2\\}\\]",
        ]
    }

    fn member() -> impl Strategy<Value = String> {
        let name = prop_oneof!["i|w|f|t|b|d|at|none|l|s|ls", Just("other".to_owned())];
        (name, value(), "[ \t]?", "[ \t]?").prop_map(|(name, value, a, b)| format!("{a}\"{name}\"{b}:{a}{value}{b}"))
    }

    proptest! {
        #[test]
        fn what_is_read_at_once_is_as_by_hand(
            records in proptest::collection::vec(proptest::collection::vec(member(), 0..4), 0..3),
            nulls in prop_oneof![Just(vec![]), Just(vec!["a".to_owned(), "2024-01-01".to_owned()])],
        ) {
            let lines: Vec<String> = records.iter().map(|members| format!("{{{}}}", members.join(","))).collect();
            agree(&lines.join("\n"), &nulls)?;
            agree_in(&format!("[{}]", lines.join(" ,\n")), &nulls, Layout::Array)?;
        }

        #[test]
        fn texts_of_all_lengths_are_as_by_hand(
            texts in proptest::collection::vec("[a\u{e4}b]{0,90}(\\\\n|\\\\\")?[cd]{0,40}", 1..6),
            blanks in 0_usize..70,
        ) {
            let lines = texts.iter().map(|text| format!("{}{{\"t\":\"{text}\",\"f\":0.5}}\n", " ".repeat(blanks)));
            prop_assert!(agree(&lines.collect::<String>(), &[])?);
        }

        #[test]
        fn single_values_are_as_by_hand(member in member()) {
            agree(&format!("{{{member}}}"), &[])?;
        }
    }
}
