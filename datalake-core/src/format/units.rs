//! Units of mass and energy, and exact conversion between those of one dimension.

/// What a unit measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dimension {
    Mass,
    Energy,
}

/// A unit as so many of its dimension's smallest: micrograms, or thousandths of a joule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unit {
    dimension: Dimension,
    size: u64,
}

/// Names in lower case. A micro sign is U+00B5, a Greek mu U+03BC; both are in use.
const UNITS: [(&str, Unit); 11] = [
    ("kg", Unit { dimension: Dimension::Mass, size: 1_000_000_000 }),
    ("g", Unit { dimension: Dimension::Mass, size: 1_000_000 }),
    ("mg", Unit { dimension: Dimension::Mass, size: 1_000 }),
    ("ug", Unit { dimension: Dimension::Mass, size: 1 }),
    ("mcg", Unit { dimension: Dimension::Mass, size: 1 }),
    ("\u{b5}g", Unit { dimension: Dimension::Mass, size: 1 }),
    ("\u{3bc}g", Unit { dimension: Dimension::Mass, size: 1 }),
    ("kcal", Unit { dimension: Dimension::Energy, size: 4_184_000 }),
    ("kj", Unit { dimension: Dimension::Energy, size: 1_000_000 }),
    ("cal", Unit { dimension: Dimension::Energy, size: 4_184 }),
    ("j", Unit { dimension: Dimension::Energy, size: 1_000 }),
];

impl Unit {
    /// The unit of this name, in any case; but not `Cal`, which means 1 or 1,000 calories by custom.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        let lower = name.to_lowercase();
        let found = UNITS.iter().find(|(known, _)| *known == lower)?;
        (name == "cal" || found.0 != "cal").then_some(found.1)
    }

    /// An amount of this unit in another, where both measure the same. Rounds at most twice.
    pub(crate) fn convert(self, amount: f64, to: Self) -> Option<f64> {
        if self.dimension != to.dimension {
            return None;
        }
        let shared = gcd(self.size, to.size);
        // Both are below 2^53: exact.
        Some(amount * (self.size / shared) as f64 / (to.size / shared) as f64)
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn convert(amount: f64, from: &str, to: &str) -> Option<f64> {
        Unit::of_name(from)?.convert(amount, Unit::of_name(to)?)
    }

    #[test]
    fn amounts_convert_within_a_dimension() {
        assert_eq!(convert(300.0, "mg", "g"), Some(0.3));
        assert_eq!(convert(0.0025, "kg", "mg"), Some(2500.0));
        assert_eq!(convert(7.0, "\u{b5}g", "mcg"), Some(7.0));
        assert_eq!(convert(836.8, "KJ", "kcal"), Some(200.0));
        assert_eq!(convert(1.0, "kcal", "cal"), Some(1000.0));
    }

    #[test]
    fn dimensions_do_not_mix() {
        assert_eq!(convert(1.0, "g", "kcal"), None);
        assert_eq!(Unit::of_name("IU"), None);
        assert_eq!(Unit::of_name("Cal"), None);
    }
}
