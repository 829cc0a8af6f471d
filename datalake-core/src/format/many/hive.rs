//! Folders that say the value of a column, `year=2024/`, as Hive writes and reads them.

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use crate::error::{Error, Result};

/// The value of a folder whose rows have none in the column.
pub(crate) const NULL: &str = "__HIVE_DEFAULT_PARTITION__";

/// What Hive writes as `%XX`.
const ESCAPED: &AsciiSet = &CONTROLS
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'\'')
    .add(b'*')
    .add(b'/')
    .add(b':')
    .add(b'=')
    .add(b'?')
    .add(b'\\')
    .add(b'{')
    .add(b'}')
    .add(b'[')
    .add(b']')
    .add(b'^')
    .add(b'~')
    .add(b'<')
    .add(b'>')
    .add(b'|')
    .add(b'`');

/// A column and its value, `None` where it is missing.
pub(super) type Pair = (String, Option<String>);

/// The columns that the folders of a file say, given the path between the table's folder and the file.
pub(super) fn pairs(file: &str, folders: &str) -> Result<Vec<Pair>> {
    let mut pairs: Vec<Pair> = Vec::new();
    for folder in folders.split('/') {
        let Some((key, value)) = folder.split_once('=').filter(|(key, _)| !key.is_empty()) else { continue };
        let decoded = |text: &str| {
            let decoded = percent_decode_str(text).decode_utf8().map(std::borrow::Cow::into_owned);
            decoded.map_err(|_| {
                Error::invalid("read", file)
                    .with_reason(format_args!("its folder `{folder}` says a value that is not UTF-8"))
            })
        };
        let (key, value) = (decoded(key)?, (value != NULL).then(|| decoded(value)).transpose()?);
        if pairs.iter().any(|(other, _)| *other == key) {
            return Err(Error::invalid("read", file).with_reason(format_args!("two of its folders say `{key}`")));
        }
        pairs.push((key, value));
    }
    Ok(pairs)
}

/// The folder of a value. Like Hive's, that of an empty text is the one of missing values.
pub(crate) fn folder(column: &str, value: Option<&str>) -> String {
    // Hive leaves what is not ASCII as it is, and would take its `%XX` for single characters.
    let encoded = |text: &str| -> String {
        let pieces = text.split_inclusive(|c: char| !c.is_ascii()).flat_map(|piece| {
            let cut =
                piece.char_indices().next_back().filter(|(_, c)| !c.is_ascii()).map_or(piece.len(), |(cut, _)| cut);
            utf8_percent_encode(&piece[..cut], ESCAPED).chain(std::iter::once(&piece[cut..]))
        });
        pieces.collect()
    };
    match value.filter(|value| !value.is_empty()) {
        Some(value) => format!("{}={}", encoded(column), encoded(value)),
        None => format!("{}={NULL}", encoded(column)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn folders_are_those_of_hive() {
        assert_eq!(folder("at", Some("12:30 a/b")), "at=12%3A30 a%2Fb");
        assert_eq!(folder("a=b", None), "a%3Db=__HIVE_DEFAULT_PARTITION__");
        assert_eq!(folder("ä", Some("é:ü")), "ä=é%3Aü");
        assert_eq!(
            pairs("f", "x/y=1=2/z=").unwrap(),
            [("y".into(), Some("1=2".into())), ("z".into(), Some("".into()))]
        );
        assert!(pairs("f", "a=%FF").unwrap_err().reason().unwrap().contains("UTF-8"));
        assert!(pairs("f", "a=1/a=2").is_err());
    }

    proptest! {
        #[test]
        fn a_folder_reads_back(column in "\\PC{1,8}", value in proptest::option::of("\\PC{1,12}")) {
            let path = folder(&column, value.as_deref());
            prop_assert!(!path.contains('/'));
            if value.as_deref() != Some(NULL) {
                prop_assert_eq!(pairs("f", &path).unwrap(), [(column, value)]);
            }
        }
    }
}
