//! JSON by RFC 8259: what must be read, what must be refused, and what comes of what is left open.

use super::{cells, read, read_noted, set_aside, types};
use crate::error::ErrorKind;
use crate::format::trial::Trial;
use crate::format::{Json, ReadOptions};

/// A value, and the type and text that it is read as; a missing one is `-`.
const READ: &[(&str, &str, &str)] = &[
    // Numbers.
    ("0", "int64", "0"),
    ("-1", "int64", "-1"),
    ("9223372036854775807", "int64", "9223372036854775807"),
    ("-9223372036854775808", "int64", "-9223372036854775808"),
    ("9223372036854775808", "decimal(38,0)", "9223372036854775808"),
    ("123456789012345678901234567890", "decimal(38,0)", "123456789012345678901234567890"),
    ("-0", "float64", "-0.0"),
    ("-0.0", "float64", "-0.0"),
    ("0e0", "float64", "0.0"),
    ("0e+1", "float64", "0.0"),
    ("1E1", "float64", "10.0"),
    ("1e+2", "float64", "100.0"),
    ("1.5E-3", "float64", "0.0015"),
    ("1.0", "float64", "1.0"),
    ("0.1", "float64", "0.1"),
    ("1.7976931348623157e308", "float64", "1.7976931348623157e308"),
    ("5e-324", "float64", "5e-324"),
    ("2.2250738585072011e-308", "float64", "2.225073858507201e-308"),
    ("123456789012345680000", "decimal(38,0)", "123456789012345680000"),
    // More than floats have: kept as they are written.
    ("1e400", "text", "1e400"),
    ("-1e400", "text", "-1e400"),
    ("1e-400", "text", "1e-400"),
    (
        "0.4e00669999999999999999999999999999999999999999999999999999999999999999",
        "text",
        "0.4e00669999999999999999999999999999999999999999999999999999999999999999",
    ),
    // Words.
    ("true", "bool", "true"),
    ("false", "bool", "false"),
    ("null", "text", "-"),
    // Strings.
    ("\"\"", "text", ""),
    ("\"a\"", "text", "a"),
    ("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "text", "\"\\/\u{8}\u{c}\n\r\t"),
    ("\"\\u0041\\u00e4\\u4E2D\"", "text", "A\u{e4}\u{4e2d}"),
    ("\"\\ud834\\udd1e\"", "text", "\u{1d11e}"),
    ("\"\\uD83C\\uDF4E\\uD83C\\uDF4E\"", "text", "\u{1f34e}\u{1f34e}"),
    ("\"\\\\u0041\"", "text", "\\u0041"),
    ("\"\\\\ud800\"", "text", "\\ud800"),
    ("\"\\u0000\"", "text", "\0"),
    ("\"\\uFFFF\\ufdd0\"", "text", "\u{ffff}\u{fdd0}"),
    ("\"\u{7f}\"", "text", "\u{7f}"),
    ("\"\u{2028}\u{2029}\u{feff}\"", "text", "\u{2028}\u{2029}\u{feff}"),
    ("\"\u{10ffff}\"", "text", "\u{10ffff}"),
    ("\"1\"", "text", "1"),
    ("\"true\"", "text", "true"),
    ("\"2024-02-29\"", "date", "2024-02-29"),
    ("\"2024-02-30\"", "text", "2024-02-30"),
    // Lists and objects.
    ("[]", "List(Utf8)", "[]"),
    ("[1,2]", "List(Int64)", "[1,2]"),
    ("[ 1 , null\t]", "List(Int64)", "[1,null]"),
    ("[[],[[]]]", "List(List(List(Utf8)))", "[[],[[]]]"),
    ("{}", "text", "{}"),
    ("{\"\":0}", "Struct(\"\": Int64)", "{\"\":0}"),
    ("{\"a\":{\"b\":[{\"c\":1}]}}", "", "{\"a\":{\"b\":[{\"c\":1}]}}"),
    ("[1,\"a\",true]", "List(Utf8)", "[\"1\",\"a\",\"true\"]"),
    ("[1,[2]]", "List(Utf8)", "[\"1\",\"[2]\"]"),
];

/// What is no value. Each is told of as a record that is no JSON, and costs no other.
const REFUSED: &[&[u8]] = &[
    // Numbers.
    b"01",
    b"-01",
    b"00",
    b"+1",
    b".5",
    b"-.5",
    b"1.",
    b"1.e5",
    b"1e",
    b"1e+",
    b"1E-",
    b"-",
    b"--1",
    b"- 1",
    b"0x1",
    b"1_0",
    b"1 0",
    b"1.2.3",
    b"1a",
    b"0e",
    b"1e1.5",
    b"NaN",
    b"nan",
    b"Infinity",
    b"-Infinity",
    b"inf",
    b"\xef\xbc\x91",
    // Words.
    b"tru",
    b"True",
    b"TRUE",
    b"nul",
    b"Null",
    b"truee",
    b"true1",
    b"undefined",
    b"a",
    b"",
    // Strings.
    b"'a'",
    b"\"a",
    b"a\"",
    b"\"\\x\"",
    b"\"\\u12\"",
    b"\"\\u00zz\"",
    b"\"\\u\"",
    b"\"\\",
    b"\"\\\"",
    b"\"\t\"",
    b"\"\0\"",
    b"\"\x1f\"",
    b"\"\\ud800\"",
    b"\"\\udc00\"",
    b"\"\\ud800\\ud800\"",
    b"\"\\ud800\\u0041\"",
    b"\"\\ud800a\"",
    b"\"\\U0041\"",
    b"\"a\"\"b\"",
    b"\"\\0\"",
    // Lists and objects.
    b"[1,]",
    b"[,1]",
    b"[1,,2]",
    b"[1 2]",
    b"[1",
    b"1]",
    b"[1}",
    b"[",
    b"[\"a]",
    b"[1:2]",
    b"{\"a\":1,}",
    b"{,}",
    b"{a:1}",
    b"{1:1}",
    b"{\"a\"}",
    b"{\"a\":}",
    b"{\"a\" 1}",
    b"{\"a\",1}",
    b"{\"a\":1",
    b"{\"a\":1]",
    b"{\"a\":1 \"b\":2}",
    b"{'a':1}",
    b"{\"a\":1,,\"b\":2}",
    b"{\"\\ud800\":1}",
    b"[\"\\udc00\"]",
    // What others allow.
    b"1 /* one */",
    b"1 // one",
    b"1 # one",
    b"1;",
    b"\x0c1",
    b"1\xc2\xa0",
];

/// Bytes that are no text.
const NO_TEXT: &[&[u8]] =
    &[b"\"\xff\"", b"\"\xc0\x80\"", b"\"\xe4\"", b"\"\xed\xa0\x80\"", b"\"\xf4\x90\x80\x80\"", b"\"a\xc3\"", b"\xff"];

fn with<T>(by_hand: bool, read: impl FnOnce() -> T) -> T {
    Trial { by_hand, ..Trial::default() }.run(read)
}

#[test]
fn values_are_read_as_they_are() {
    for (value, data_type, text) in READ {
        for by_hand in [false, true] {
            for layout in [
                format!("{{\"v\":{value}}}\n"),
                format!("[{{\"v\":{value}}}]"),
                format!("{{\"r\":[{{\"v\":{value}}}]}}"),
            ] {
                let json = if layout.starts_with("{\"v") { Json::lines() } else { Json::document() };
                let table = with(by_hand, || read(&json, layout.as_bytes(), ReadOptions::default())).unwrap();
                assert_eq!(cells(&table), [[(*text).to_owned()]], "{layout}");
                let found = types(&table);
                assert!(data_type.is_empty() || found == [format!("v:{data_type}")], "{layout}: {found:?}");
            }
        }
    }
}

#[test]
fn what_is_no_value_is_told_and_costs_no_other() {
    for value in REFUSED {
        let text = [&b"{\"v\":1}\n{\"v\":"[..], value, b"}\n{\"v\":2}\n"].concat();
        for by_hand in [false, true] {
            let (table, rejects) = with(by_hand, || set_aside(&Json::lines(), &text, ReadOptions::default())).unwrap();
            let shown = String::from_utf8_lossy(value);
            assert_eq!(cells(&table), [["1"], ["2"]], "{shown}");
            let found: Vec<_> = rejects.iter().map(|(line, byte, code, _)| (*line, *byte, code.as_str())).collect();
            assert_eq!(found, [(2, 8, "syntax")], "{shown}");
            assert!(rejects[0].3.starts_with("the record is no JSON: "), "{shown}: {}", rejects[0].3);
        }
        // In an array what is broken may swallow what follows; but nothing is read as something else, and no record is lost.
        let text = [&b"[{\"v\":1},{\"v\":"[..], value, b"},{\"v\":2}]"].concat();
        match set_aside(&Json::document(), &text, ReadOptions::default()) {
            Err(error) => assert_eq!(error.kind(), ErrorKind::Invalid),
            Ok((table, rejects)) => {
                assert!(!rejects.is_empty(), "{}", String::from_utf8_lossy(&text));
                assert!(
                    cells(&table).iter().all(|row| row == &["1"] || row == &["2"]),
                    "{}",
                    String::from_utf8_lossy(&text)
                );
            }
        }
    }
}

#[test]
fn what_is_no_text_is_told_and_costs_no_other() {
    for value in NO_TEXT {
        for (begin, between, end, json) in [
            ("{\"v\":1}\n{\"v\":", "}\n{\"v\":2}", "\n", Json::lines()),
            ("[{\"v\":1},{\"v\":", "},{\"v\":2}", "]", Json::document()),
        ] {
            let text = [begin.as_bytes(), value, between.as_bytes(), end.as_bytes()].concat();
            let (table, rejects) = set_aside(&json, &text, ReadOptions::default()).unwrap();
            assert_eq!(cells(&table), [["1"], ["2"]], "{value:?}");
            assert_eq!(rejects.iter().map(|reject| reject.2.as_str()).collect::<Vec<_>>(), ["utf8"], "{value:?}");
        }
    }
}

#[test]
fn records_are_objects() {
    for value in ["1", "-1.5", "\"a\"", "null", "true", "[]", "[{\"v\":1}]"] {
        let reason = format!("a record must be an object, found `{value}`");
        let text = format!("{{\"v\":1}}\n{value}\n");
        let (table, rejects) = set_aside(&Json::lines(), text.as_bytes(), ReadOptions::default()).unwrap();
        assert_eq!(cells(&table), [["1"]]);
        assert_eq!(rejects, [(2, 8, "type".to_owned(), reason.clone())]);
        // Wherever blocks are cut.
        let text = format!("[{{\"v\":1}},{value},{value}]");
        let second = 10 + value.len() as u64;
        for block in [None, Some(1), Some(10)] {
            let trial = Trial { piece: block, block, by_hand: false };
            let read = || set_aside(&Json::document(), text.as_bytes(), ReadOptions::default()).unwrap();
            let (table, rejects) = trial.run(read);
            assert_eq!(cells(&table), [["1"]]);
            let told = |byte| (1, byte, "type".to_owned(), reason.clone());
            assert_eq!(rejects, [told(9), told(second)], "{block:?}");
        }
    }
}

/// Texts of one value, and what comes of them: rows or the reason of the error.
#[test]
fn texts_as_a_whole() {
    let rows: [(&str, &[&[&str]]); 14] = [
        ("[]", &[]),
        (" [ ] \n", &[]),
        ("\u{feff}[{\"v\":1}]", &[&["1"]]),
        ("\u{feff}{\"v\":1}\n{\"v\":2}", &[&["1"], &["2"]]),
        ("{}", &[&[]]),
        ("[{},{}]", &[&[], &[]]),
        ("{\"v\":1}", &[&["1"]]),
        ("\r\n\t {\r\n\t\"v\" :\r\n 1\t}\r\n", &[&["1"]]),
        ("{\"v\":1}\r\n{\"v\":2}\r\n", &[&["1"], &["2"]]),
        ("{\"v\":1}\n\n \t\r\n{\"v\":2}", &[&["1"], &["2"]]),
        ("{\"a\":1,\"a\":2}", &[&["2"]]),
        ("{\"a\":1,\"b\":{\"c\":1,\"c\":3},\"a\":null}", &[&["-", "{\"c\":3}"]]),
        // What the specification leaves to a reader: blanks that are none of JSON.
        ("[{\"v\":1}\u{c}]", &[&["1"]]),
        ("{\"a\":1,\"\\u0061\":2}", &[&["2"]]),
    ];
    for (text, rows) in rows {
        let table = read(&Json::document(), text.as_bytes(), ReadOptions::default()).unwrap();
        assert_eq!(cells(&table), rows, "{text}");
    }
    let refused = [
        ("", "it is empty: there is nothing but blanks in it, and so no columns"),
        (" \n\t", "it is empty: there is nothing but blanks in it, and so no columns"),
        ("1", "it is no JSON: it begins with `1`"),
        ("\"a\"", "it is no JSON: it begins with `\"a\"`"),
        ("null", "it is no JSON: it begins with `null`"),
        ("<a/>", "it is no JSON: it begins with `<a/>`"),
        ("]", "it is no JSON: it begins with `]`"),
        ("[,{\"v\":1}]", "expected a value, found `,`"),
        ("[{\"v\":1},]", "expected a value, found `]`"),
        ("[{\"v\":1},,{\"v\":2}]", "expected a value, found `,`"),
        ("[{\"v\":1} {\"v\":2}]", "expected `,` or `]`, found `{`"),
        ("[{\"v\":1}]]", "expected the end of the text, found `]`"),
        ("[{\"v\":1}] x", "expected the end of the text, found `x`"),
        ("[{\"v\":1}][{\"v\":2}]", "expected the end of the text, found `[`"),
        ("{\"v\":1}}", "expected the end of the text, found `}`"),
        ("[", "the text ends before its array is closed"),
        ("[{\"v\":1}", "the text ends before its array is closed"),
        ("[{\"v\":1},", "the text ends before its array is closed"),
        ("[{\"v\":1},{\"v\":", "the text ends within `{\"v\":`"),
        ("{\"v\":", "the text ends within `{\"v\":`"),
    ];
    for (text, reason) in refused {
        let error = read(&Json::document(), text.as_bytes(), ReadOptions::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{text}");
        assert_eq!(error.reason(), Some(reason), "{text}");
    }
}

#[test]
fn of_names_that_are_repeated_the_last_counts_and_is_noted() {
    let (table, notes) = read_noted(&Json::lines(), b"{\"a\":1}\n{\"a\":1,\"a\":2}\n", ReadOptions::default()).unwrap();
    assert_eq!(cells(&table), [["1"], ["2"]]);
    assert_eq!(notes, ["`a` is repeated in row 2; of repeated names the last counts"]);
}

/// Nesting is bounded where it becomes types, and nowhere else: what lies deeper is JSON text, and that is noted.
#[test]
fn nesting_has_no_limit_but_that_of_types() {
    const TYPES: usize = 32;
    let nested = |open: &str, inner: &str, close: &str, depth: usize| {
        format!("{}{inner}{}", open.repeat(depth), close.repeat(depth))
    };
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        for depth in [1, 31, 32, 33, 127, 128, 1000, 50_000] {
            let value = nested(open, "1", close, depth);
            let expected = match depth.checked_sub(TYPES) {
                None => value.clone(),
                Some(rest) => {
                    let text = serde_json::to_string(&nested(open, "1", close, rest)).unwrap();
                    nested(open, &text, close, TYPES)
                }
            };
            // An escape must be looked at, however deep the rest is.
            for extra in ["", ",\"w\":\"\\u00e4\""] {
                let text = format!("{{\"v\":{value}{extra}}}\n");
                let (table, notes) = read_noted(&Json::lines(), text.as_bytes(), ReadOptions::default()).unwrap();
                assert_eq!(cells(&table)[0][0], expected, "{depth}");
                assert_eq!(notes.len(), usize::from(depth >= TYPES), "{depth}: {notes:?}");
                assert!(notes.iter().all(|note| note.contains("nested too deeply")), "{notes:?}");
            }
        }
    }
    // Brackets that are not closed need no more room than the text has.
    let text = format!("{{\"v\":1}}\n{{\"v\":{}\n", "[".repeat(200_000));
    let (table, rejects) = set_aside(&Json::lines(), text.as_bytes(), ReadOptions::default()).unwrap();
    assert_eq!((table.num_rows(), rejects.len()), (1, 1));
}
