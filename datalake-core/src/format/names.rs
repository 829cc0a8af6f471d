//! Which name may be meant by one that is not there.

/// Of so many pairs it is seen how much they are alike: nobody reads the notes of more, and each takes its time.
const MOST_PAIRS: usize = 100_000;

/// Longer names are nobody's slip.
const LONGEST: usize = 200;

/// For each column that is missing, of which the names are wanted: that one of the others which may be meant, as the end of a
/// note.
pub(crate) fn meant(missing: &[Vec<&str>], others: &[&str]) -> Vec<String> {
    let is_few = missing.len().saturating_mul(others.len()) <= MOST_PAIRS;
    let told = |wanted: &Vec<&str>| {
        let near = if is_few { resembling(others.iter().copied(), wanted) } else { None };
        near.map(|name| format!("; the nearest name there is `{name}`")).unwrap_or_default()
    };
    missing.iter().map(told).collect()
}

/// The name that is most like one of those wanted.
pub(crate) fn nearest<'a>(names: impl Iterator<Item = &'a str>, wanted: &[&str]) -> Option<&'a str> {
    // To compare two takes memory for each pair of their characters.
    let names = names.filter(|name| name.len() <= LONGEST);
    let wanted: Vec<&str> = wanted.iter().copied().filter(|name| name.len() <= LONGEST).collect();
    if wanted.is_empty() {
        return None;
    }
    let distance = |name: &str| {
        let name = name.to_lowercase();
        wanted.iter().map(|wanted| strsim::damerau_levenshtein(&name, &wanted.to_lowercase())).min()
    };
    names.min_by_key(|name| distance(name))
}

/// The same, if at least half of it is as in one of those wanted: of a name that may as well be of nothing that is there.
fn resembling<'a>(names: impl Iterator<Item = &'a str>, wanted: &[&str]) -> Option<&'a str> {
    nearest(names, wanted).filter(|name| {
        let name = name.to_lowercase();
        wanted.iter().any(|wanted| strsim::normalized_damerau_levenshtein(&name, &wanted.to_lowercase()) >= 0.5)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_like_another_by_half_of_it() {
        let names = ["Protein", "fat_g", "id"];
        for (wanted, near) in
            [("protien", Some("Protein")), ("fat", Some("fat_g")), ("ID", Some("id")), ("kcal", None), ("energy", None)]
        {
            assert_eq!(resembling(names.into_iter(), &[wanted]), near, "{wanted}");
            assert!(nearest(names.into_iter(), &[wanted]).is_some());
        }
        assert_eq!(resembling(names.into_iter(), &["kcal", "fat-g"]), Some("fat_g"));
    }

    #[test]
    fn long_names_are_not_compared() {
        let long = "x".repeat(LONGEST + 1);
        assert_eq!(nearest([long.as_str(), "y"].into_iter(), &["x"]), Some("y"));
        assert_eq!(nearest([long.as_str()].into_iter(), &["x"]), None);
        assert_eq!(nearest(["y"].into_iter(), &[&long]), None);
        assert_eq!(resembling([long.as_str()].into_iter(), &[&long]), None);
    }

    #[test]
    fn of_too_many_pairs_none_is_compared() {
        let missing = vec![vec!["x"]; MOST_PAIRS / 2];
        assert_eq!(meant(&missing, &["x_", "y"])[0], "; the nearest name there is `x_`");
        assert_eq!(meant(&missing, &["x_", "y", "z"])[0], "");
    }
}
