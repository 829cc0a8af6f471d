//! Records cut out of texts, whatever the pieces that they come in.

use super::*;

fn frame(text: &str, layout: &Layout, piece: usize) -> Result<Vec<(u64, u64, String)>> {
    let mut framer = Framer::new(&"test".into(), layout.clone());
    let mut pieces = text.as_bytes().chunks(piece);
    let mut records = Vec::new();
    loop {
        match framer.next()? {
            Next::Record => {
                let place = framer.place();
                let raw = String::from_utf8(framer.raw().to_vec()).unwrap();
                records.push((place.line.unwrap(), place.byte.unwrap(), raw));
            }
            Next::Cut(bad) => records.push((bad.place.line.unwrap(), bad.place.byte.unwrap(), bad.reason)),
            Next::Wait if framer.has_ended => return Ok(records),
            Next::Wait => match pieces.next() {
                Some(piece) => framer.push(piece),
                None => framer.finish(),
            },
        }
    }
}

fn texts(text: &str, layout: &Layout) -> Vec<String> {
    let whole = frame(text, layout, usize::MAX).unwrap();
    for piece in 1..=text.len() {
        assert_eq!(frame(text, layout, piece).unwrap(), whole, "pieces of {piece}");
    }
    whole.into_iter().map(|(_, _, text)| text).collect()
}

#[test]
fn lines_are_records_and_blank_ones_are_none() {
    let text = "\u{feff}{\"a\":1}\r\n\n  {\"a\":2} \n{\"a\":";
    assert_eq!(texts(text, &Layout::Lines), ["{\"a\":1}", "{\"a\":2}", "{\"a\":"]);
    let places: Vec<_> = frame(text, &Layout::Lines, 3).unwrap().into_iter().map(|(l, b, _)| (l, b)).collect();
    assert_eq!(places, [(1, 3), (3, 15), (4, 24)]);
}

#[test]
fn elements_are_records_whatever_their_strings_hold() {
    let text = "[ {\"a\":\"]},\\\"\\\\\"} ,\n[1,[2]], 7,\"x\", null]\n";
    let expected = ["{\"a\":\"]},\\\"\\\\\"}", "[1,[2]]", "7", "\"x\"", "null"];
    assert_eq!(texts(text, &Layout::Array), expected);
    assert!(texts("[]", &Layout::Array).is_empty());
}

#[test]
fn a_document_gives_the_elements_of_its_array() {
    let text = r#"{"n":[1,2],"note":"[{","v":1.5,"SRFoods":[{"a":[{"b":1}]},{"a":2}],"x":{"y":[{}]},"e":[]}"#;
    assert_eq!(texts(text, &Layout::Document(None)), [r#"{"a":[{"b":1}]}"#, r#"{"a":2}"#]);
    assert_eq!(texts(text, &Layout::Document(Some("n".into()))), ["1", "2"]);
}

#[test]
fn a_document_without_rows_is_a_record() {
    let text = " {\"a\":{\"b\":[1]},\"c\":2}\n";
    assert_eq!(texts(text, &Layout::Document(None)), ["{\"a\":{\"b\":[1]},\"c\":2}"]);
}

#[test]
fn rows_that_are_not_there_are_an_error() {
    let error = frame(r#"{"rows":[{"a":1}],"x":2}"#, &Layout::Document(Some("row".into())), 5).unwrap_err();
    assert_eq!(error.kind(), crate::error::ErrorKind::NotFound);
    assert_eq!(error.hint(), Some("the nearest member is `rows`"));
}

#[test]
fn two_arrays_of_objects_are_an_error() {
    let error = frame(r#"{"a":[{}],"b":[{}]}"#, &Layout::Document(None), 5).unwrap_err();
    assert_eq!(error.reason(), Some("there are two arrays of objects in it, `a` and `b`"));
}

#[test]
fn a_text_cut_short_says_so() {
    assert_eq!(texts("[{\"a\":1},{\"a\":", &Layout::Array)[1], "the text ends within `{\"a\":`");
    assert_eq!(texts("[{\"a\":1},", &Layout::Array)[1], "the text ends before its array is closed");
    assert_eq!(texts("[{\"a\":1}", &Layout::Array)[1], "the text ends before its array is closed");
    assert_eq!(texts("{\"r\":[{\"a\":1}]", &Layout::Document(None)).len(), 2);
    assert_eq!(texts("{\"r\":", &Layout::Document(None)).len(), 1);
}

#[test]
fn what_is_out_of_place_is_named() {
    let error = frame("[{}\n{}]", &Layout::Array, 2).unwrap_err();
    assert_eq!(error.to_string(), "cannot read test at row 2, line 2, byte 4: expected `,` or `]`, found `{`");
    assert!(frame("[{}] x", &Layout::Array, 2).is_err());
    let error = frame("[{},]", &Layout::Array, 2).unwrap_err();
    assert_eq!(error.to_string(), "cannot read test at row 2, line 1, byte 4: expected a value, found `]`");
    for text in ["{\"r\":[{}],}", "{\"r\":[{},]}", "{,}", "[,{}]"] {
        let layout = if text.starts_with('[') { Layout::Array } else { Layout::Document(None) };
        for piece in 1..text.len() {
            assert!(frame(text, &layout, piece).is_err(), "{text} {piece}");
        }
    }
    let none = Layout::Document(Some("a".into()));
    let error = frame("{\"a\":1}", &none, 5).unwrap_err();
    assert_eq!((error.reason(), error.hint()), (Some("the member of that name is no array"), None));
}
