//! The names of CSV columns.

use std::collections::{HashMap, HashSet};

/// Names that are neither empty nor taken: `column_3`, `id_1`. With notes of what was changed.
pub(crate) fn column_names(header: &[String]) -> (Vec<String>, Vec<String>) {
    let given: HashSet<&str> = header.iter().map(String::as_str).collect();
    let (mut used, mut next) = (HashSet::new(), HashMap::new());
    let (mut names, mut notes) = (Vec::with_capacity(header.len()), Vec::new());
    for (index, name) in header.iter().enumerate() {
        let is_new = !name.trim().is_empty() && used.insert(name.clone());
        if is_new {
            names.push(name.clone());
            continue;
        }
        let (base, first) = if name.trim().is_empty() { ("column", index + 1) } else { (name.as_str(), 1) };
        // Those before the number of the last one are taken.
        let next = next.entry(base).or_insert(first);
        *next = first.max(*next);
        let renamed = loop {
            let renamed = format!("{base}_{next}");
            *next += 1;
            if !given.contains(renamed.as_str()) && !used.contains(&renamed) {
                break renamed;
            }
        };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_whole_and_unique() {
        let header: Vec<String> = ["id", "", "id", "id_1", "column_2"].map(String::from).into();
        let (names, notes) = column_names(&header);
        assert_eq!(names, ["id", "column_3", "id_2", "id_1", "column_2"]);
        assert_eq!(notes.len(), 2);
        let header: Vec<String> = ["x", "x", "x_1", "x", "", "x", ""].map(String::from).into();
        assert_eq!(column_names(&header).0, ["x", "x_2", "x_1", "x_3", "column_5", "x_4", "column_7"]);
    }
}
