//! The names of CSV columns, and the delimiter that a text is likely to have.

use std::collections::HashSet;

use super::careful::{self, Careful, is_line_end};
use super::structure::Dialect;

/// Names that are neither empty nor taken: `column_3`, `id_1`. With notes of what was changed.
pub(crate) fn column_names(header: &[String]) -> (Vec<String>, Vec<String>) {
    let given: HashSet<&str> = header.iter().map(String::as_str).collect();
    let mut used = HashSet::new();
    let (mut names, mut notes) = (Vec::with_capacity(header.len()), Vec::new());
    for (index, name) in header.iter().enumerate() {
        let is_new = !name.trim().is_empty() && used.insert(name.clone());
        if is_new {
            names.push(name.clone());
            continue;
        }
        let (base, first) = if name.trim().is_empty() { ("column", index + 1) } else { (name.as_str(), 1) };
        let renamed = (first..)
            .map(|number| format!("{base}_{number}"))
            .find(|name| !given.contains(name.as_str()) && !used.contains(name))
            .unwrap_or_default();
        notes.push(format!("column {}, `{name}`, is read as `{renamed}`", index + 1));
        used.insert(renamed.clone());
        names.push(renamed);
    }
    (names, notes)
}

/// `column_1`, `column_2` and so on, for a text without a header.
pub(crate) fn numbered(width: usize) -> Vec<String> {
    (1..=width).map(|number| format!("column_{number}")).collect()
}

/// The delimiter among `,`, `;`, tab and `|` that cuts the first records into the most fields, the same number each;
/// a comma where none does.
pub(crate) fn delimiter(head: &[u8], quote: u8) -> u8 {
    const CANDIDATES: [u8; 4] = [b',', b';', b'\t', b'|'];
    let score = |delimiter: u8| {
        let widths = widths(head, Dialect { delimiter, quote });
        let first = widths.first().copied().unwrap_or(0);
        let alike = widths.iter().filter(|width| **width == first).count();
        // A few ragged rows are dirt; more mean that it is another delimiter.
        if first > 1 && alike * 10 >= widths.len() * 8 { first } else { 0 }
    };
    let mut best = (0, b',');
    for candidate in CANDIDATES {
        let score = score(candidate);
        if score > best.0 {
            best = (score, candidate);
        }
    }
    if best.0 > 0 { best.1 } else { most_in_first_line(head, &CANDIDATES) }
}

/// Where no delimiter cuts alike, the one that the header has most of.
fn most_in_first_line(head: &[u8], candidates: &[u8]) -> u8 {
    let line = head.split(|byte| matches!(byte, b'\n' | b'\r')).next().unwrap_or_default();
    let mut best = (0, b',');
    for candidate in candidates {
        let count = line.iter().filter(|byte| *byte == candidate).count();
        if count > best.0 {
            best = (count, *candidate);
        }
    }
    best.1
}

/// How many fields each of the first records has, up to one that cannot be read.
fn widths(head: &[u8], dialect: Dialect) -> Vec<usize> {
    const RECORDS: usize = 100;
    let (mut widths, mut ends, mut at) = (Vec::new(), Vec::new(), 0);
    loop {
        at += head[at..].iter().take_while(|byte| is_line_end(byte)).count();
        ends.clear();
        // What may be cut off is no record.
        let is_record = at < head.len() && careful::record(head, at, false, dialect, &mut ends) == Careful::Record;
        if widths.len() == RECORDS || !is_record {
            return widths;
        }
        widths.push(ends.len());
        at = ends.last().map_or(at, |end| *end as usize + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_whole_and_unique() {
        let header: Vec<String> = ["id", "", "id", "id_1", "column_2"].map(String::from).into();
        let (names, notes) = column_names(&header);
        assert_eq!(names, ["id", "column_3", "id_2", "id_1", "column_2"]);
        assert_eq!(notes.len(), 2);
    }

    #[test]
    fn the_delimiter_is_that_of_the_records() {
        assert_eq!(delimiter(b"a;b\n1,5;2,5\n3,5;4\n", b'"'), b';');
        assert_eq!(delimiter(b"a,b,c\n\"x;y;z\",2,3\n", b'"'), b',');
        assert_eq!(delimiter(b"a\tb\n1\t2\n", b'"'), b'\t');
        assert_eq!(delimiter(b"a|b\n1|2\n", b'"'), b'|');
        assert_eq!(delimiter(b"a\n1\n", b'"'), b',');
    }
}
