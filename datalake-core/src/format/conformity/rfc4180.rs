//! CSV by RFC 4180, rule by rule, and what is beyond it.

use super::{cells, set_aside};
use crate::format::{Csv, ReadOptions};

/// A text, the rows that it has (a missing value is `-`), and the codes of what is set aside, with lines.
type Case = (&'static str, &'static str, &'static [&'static [&'static str]], &'static [(u64, &'static str)]);

/// With a header `a,b` before each text but for the third rule.
const CASES: &[Case] = &[
    ("1: a record a line, which CR LF ends", "1,2\r\n3,4\r\n", &[&["1", "2"], &["3", "4"]], &[]),
    ("1: or LF alone", "1,2\n3,4\n", &[&["1", "2"], &["3", "4"]], &[]),
    ("1: or CR alone", "1,2\r3,4\r", &[&["1", "2"], &["3", "4"]], &[]),
    ("1: or one after the other", "1,2\r\n3,4\n5,6\r7,8", &[&["1", "2"], &["3", "4"], &["5", "6"], &["7", "8"]], &[]),
    ("2: the last may have no line end", "1,2\r\n3,4", &[&["1", "2"], &["3", "4"]], &[]),
    ("2: an empty last field is one", "1,2\r\n3,", &[&["1", "2"], &["3", "-"]], &[]),
    ("4: spaces are part of a field", " 1 , 2\n", &[&[" 1 ", " 2"]], &[]),
    ("4: and before a quote they make it a character", "1, \"2\"\n", &[&["1", " \"2\""]], &[]),
    ("4: each line has the same number of fields: fewer", "1\n2,3\n", &[&["2", "3"]], &[(2, "ragged")]),
    ("4: or more", "1,2,3\n4,5\n", &[&["4", "5"]], &[(2, "ragged")]),
    ("4: nothing stands behind the last comma: that is a field", "1,2,\n4,5\n", &[&["4", "5"]], &[(2, "ragged")]),
    ("5: fields may be in quotes or not", "\"1\",2\n3,\"4\"\n", &[&["1", "2"], &["3", "4"]], &[]),
    ("5: all may", "\"1\",\"2\"\r\n", &[&["1", "2"]], &[]),
    ("5: in a field that is not, a quote is a character", "1\"x,2\"\n", &[&["1\"x", "2\""]], &[]),
    ("6: line ends within quotes", "\"x\r\ny\",2\r\n3,4\r\n", &[&["x\r\ny", "2"], &["3", "4"]], &[]),
    ("6: of every kind", "\"x\ny\rz\",2\n", &[&["x\ny\rz", "2"]], &[]),
    ("6: commas within quotes", "\",\",\"a,b,c\"\n", &[&[",", "a,b,c"]], &[]),
    ("6: a field in quotes to the end of the text", "1,\"2\"", &[&["1", "2"]], &[]),
    ("7: a doubled quote is one", "\"a\"\"b\",\"\"\"\"\n", &[&["a\"b", "\""]], &[]),
    ("7: two doubled are two", "\"\"\"\"\"\",x\n", &[&["\"\"", "x"]], &[]),
    ("7: beside a comma and a line end", "\"\"\",\",\"\"\"\n\"\n", &[&["\",", "\"\n"]], &[]),
    ("7: none in quotes is an empty field", "\"\",2\n", &[&["-", "2"]], &[]),
    ("beyond: blank lines are no records", "\n1,2\n\n\r\n3,4\n\n", &[&["1", "2"], &["3", "4"]], &[]),
    ("beyond: a line of blanks is one, of one field", " \n3,4\n", &[&["3", "4"]], &[(2, "ragged")]),
    ("beyond: a line of commas is a record", ",\n1,2\n", &[&["-", "-"], &["1", "2"]], &[]),
    ("beyond: something behind a closing quote", "\"1\"x,2\n3,4\n", &[&["3", "4"]], &[(2, "quote")]),
    ("beyond: a blank there", "\"1\" ,2\n3,4\n", &[&["3", "4"]], &[(2, "quote")]),
    ("beyond: a quote that is not closed", "1,\"2\n3,4\n", &[&["3", "4"]], &[(2, "quote")]),
    ("beyond: of the last record", "1,2\n3,\"4", &[&["1", "2"]], &[(3, "quote")]),
    ("beyond: a NUL is a character", "a\0b,\0\n", &[&["a\0b", "\0"]], &[]),
    ("beyond: other scripts", "\u{e4},\u{4e2d}\u{1f34e}\n", &[&["\u{e4}", "\u{4e2d}\u{1f34e}"]], &[]),
    ("beyond: a byte order mark within is a character", "\u{feff}1,2\n", &[&["\u{feff}1", "2"]], &[]),
    ("beyond: a backslash escapes nothing", "a\\,b\n\"c\\\",d\n", &[&["a\\", "b"], &["c\\", "d"]], &[]),
];

#[test]
fn rules_hold_and_what_breaks_them_is_told() {
    for (rule, text, rows, codes) in CASES {
        for mark in ["", "\u{feff}"] {
            let text = format!("{mark}a,b\n{text}");
            let options = ReadOptions::default().with_text(true);
            let (table, rejects) = set_aside(&Csv, text.as_bytes(), options).unwrap();
            assert_eq!(&cells(&table), rows, "{rule}");
            let found: Vec<_> = rejects.iter().map(|(line, _, code, _)| (*line, code.as_str())).collect();
            assert_eq!(&found, codes, "{rule}");
        }
    }
}

#[test]
fn rule_3_a_header_is_there_or_not_as_is_said() {
    let with = set_aside(&Csv, b"1,2\n3,4\n", ReadOptions::default().with_text(true).with_header(true)).unwrap().0;
    assert_eq!((with.schema().field(0).name().as_str(), cells(&with)), ("1", vec![vec!["3".into(), "4".into()]]));
    let without = ReadOptions::default().with_text(true).with_header(false);
    let without = set_aside(&Csv, b"1,2\n3,4\n", without).unwrap().0;
    assert_eq!((without.schema().field(0).name().as_str(), without.num_rows()), ("column_1", 2));
}

/// What the rules ask of a writer: a field with a quote, a delimiter or a line end is in quotes, and its quotes are doubled.
#[test]
fn what_is_written_keeps_the_rules() {
    use crate::format::{Batches, Sink, WriteOptions};
    use arrow::array::{ArrayRef, RecordBatch, StringArray};
    use std::sync::Arc;

    let texts = ["a", "a,b", "a\"b", "\"", "\n", "\r", "a\r\nb", "", " ", "\u{feff}x", "a;b", "\\", "#"];
    let column: ArrayRef = Arc::new(StringArray::from(texts.to_vec()));
    let table = RecordBatch::try_from_iter([("x,y", Arc::clone(&column)), ("\"q\"", column)]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.csv");
    let batches = Batches::from_vec(table.schema(), vec![table]);
    use crate::format::Format;
    super::wait(Csv.write(Sink::LocalFile(path.clone()), batches, WriteOptions::default())).unwrap();
    let text = std::fs::read(path).unwrap();
    // A reader of others has the same fields.
    let mut reader = csv::Reader::from_reader(&*text);
    assert_eq!(reader.headers().unwrap().iter().collect::<Vec<_>>(), ["x,y", "\"q\""]);
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.iter().map(|row| &row[1]).collect::<Vec<_>>(), texts);
    assert!(rows.iter().all(|row| row.len() == 2 && row[0] == row[1]));
}
