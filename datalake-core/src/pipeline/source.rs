//! The sources of a step: which objects are read, and how.

use serde::{Deserialize, Serialize};

use crate::format::{DecimalMark, Quote, ReadOptions, one_or_many};

/// Objects to read, and how.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct SourceSpec {
    /// `bucket/key`, with `*` and `**` where several are meant.
    pub path: String,
    /// The format, where suffix and content do not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// The encoding of text that is neither UTF-8 nor UTF-16 with a byte order mark.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoding: Option<String>,
    /// The file of a zip archive that is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// The field separator of CSV; detected where not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<char>,
    /// What encloses the fields of CSV; detected where not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quote: Option<Quote>,
    /// What makes the next character of CSV one of the field's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub escape: Option<char>,
    /// What begins a line of CSV that is no record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<char>,
    /// How many lines stand before the first record of CSV.
    #[serde(skip_serializing_if = "super::manifest::is_zero")]
    pub skip_lines: u64,
    /// Whether the first record of CSV names the columns; detected where not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<bool>,
    /// The decimal mark of numbers in CSV, where columns are not declared; detected where not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decimal: Option<DecimalMark>,
    /// What may stand between groups of three digits of numbers in CSV.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thousands: Option<char>,
    /// Words that mean a missing value, beside the empty field.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nulls: Vec<String>,
    /// Whether nested JSON fields become columns `outer_inner`.
    pub flatten: bool,
    /// The member of a JSON document that holds the rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<String>,
}

impl SourceSpec {
    /// What it says of reading, for the options of a reader.
    pub(super) fn read_options(&self) -> ReadOptions {
        let mut nulls = vec![String::new()];
        nulls.extend(self.nulls.iter().cloned());
        let mut options = ReadOptions::default()
            .with_format(self.format.clone())
            .with_encoding(self.encoding.clone())
            .with_member(self.member.clone())
            .with_delimiter(self.delimiter)
            .with_escape(self.escape)
            .with_comment(self.comment)
            .with_skip_lines(self.skip_lines)
            .with_thousands(self.thousands)
            .with_nulls(nulls)
            .with_flatten(self.flatten)
            .with_rows(self.rows.clone());
        (options.quote, options.header, options.decimal) = (self.quote, self.header, self.decimal);
        options
    }
}

/// A source is a path alone, or a table with a path and options.
impl<'de> Deserialize<'de> for SourceSpec {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PathOrTable)
    }
}

struct PathOrTable;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SourceTable {
    path: String,
    format: Option<String>,
    encoding: Option<String>,
    member: Option<String>,
    delimiter: Option<char>,
    quote: Option<Quote>,
    escape: Option<char>,
    comment: Option<char>,
    #[serde(default)]
    skip_lines: u64,
    header: Option<bool>,
    decimal: Option<DecimalMark>,
    thousands: Option<char>,
    #[serde(default, deserialize_with = "one_or_many")]
    nulls: Vec<String>,
    #[serde(default)]
    flatten: bool,
    rows: Option<String>,
}

impl<'de> serde::de::Visitor<'de> for PathOrTable {
    type Value = SourceSpec;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a path, or a table with `path` and options")
    }

    fn visit_str<E: serde::de::Error>(self, path: &str) -> Result<SourceSpec, E> {
        Ok(SourceSpec { path: path.to_owned(), ..SourceSpec::default() })
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<SourceSpec, A::Error> {
        let table = SourceTable::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
        Ok(SourceSpec {
            path: table.path,
            format: table.format,
            encoding: table.encoding,
            member: table.member,
            delimiter: table.delimiter,
            quote: table.quote,
            escape: table.escape,
            comment: table.comment,
            skip_lines: table.skip_lines,
            header: table.header,
            decimal: table.decimal,
            thousands: table.thousands,
            nulls: table.nulls,
            flatten: table.flatten,
            rows: table.rows,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_source_says_reaches_its_reader() {
        let toml = r##"path = "raw-data/a.csv"
            quote = "none"
            escape = "\\"
            comment = "#"
            skip_lines = 2
            header = false
            decimal = "comma"
            thousands = "."
            nulls = "NA""##;
        let options = toml::from_str::<SourceSpec>(toml).unwrap().read_options();
        assert_eq!((options.quote, options.header), (Some(Quote::Absent), Some(false)));
        assert_eq!((options.escape, options.comment, options.skip_lines), (Some('\\'), Some('#'), 2));
        assert_eq!((options.decimal, options.thousands), (Some(DecimalMark::Comma), Some('.')));
        assert_eq!(options.nulls, ["", "NA"]);
        // What is not said enters no fingerprint.
        let alone: SourceSpec = serde_json::from_str("\"raw-data/a.csv\"").unwrap();
        assert_eq!(serde_json::to_string(&alone).unwrap(), "{\"path\":\"raw-data/a.csv\",\"flatten\":false}");
        assert!(toml::from_str::<SourceSpec>("path = \"a/b\"\nheaders = true").is_err());
    }
}
