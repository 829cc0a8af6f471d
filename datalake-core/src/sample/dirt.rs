//! Which food stands where in which object, and what is wrong with it: known in advance for every record.

use super::foods::{FAT, Food, Foods, NUTRIENTS, PROTEIN};
use crate::random::{Draws, mix};

/// The number of objects.
pub(super) const TABLES: usize = 5;
/// The number of measured columns: the nutrients and energy.
pub(super) const MEASURED: usize = NUTRIENTS.len() + 1;
/// Energy's position among the measured columns.
pub(super) const ENERGY_AT: usize = NUTRIENTS.len();

const FAULT: u64 = 0xBAD;
const UNIT: u64 = 0x0C3;
/// One record in so many is broken in one way, in objects large enough.
const FAULT_SPAN: u64 = 300;

/// One of the objects that are landed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Table {
    CommaCsv,
    EuropeanCsv,
    JsonLines,
    JsonArray,
    Parquet,
}

/// What makes a record one to quarantine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// A byte that is no UTF-8.
    Utf8,
    /// Fields too few or too many.
    Ragged,
    /// Text where a number must stand.
    Text,
    /// An amount below zero.
    Negative,
    /// An amount that no food can have.
    Impossible,
    /// A JSON line cut in two.
    Cut,
}

/// One measured value as it stands in a table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value {
    Missing,
    Number(f64),
    /// A number with its unit, as text.
    Quantity(f64, &'static str),
    /// Text that is no number.
    Text(&'static str),
}

/// A record before it is put into bytes.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) food: Food,
    pub(super) values: [Value; MEASURED],
    pub(super) fault: Option<Fault>,
}

/// Where every food stands.
///
/// The last digit of a record's position says what may befall it: 3, 6 and 7 are repeated or repeat, so that both
/// copies are good; 8 may repeat within the object; each fault has a digit of its own, so that no record has two.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) foods: Foods,
    seed: u64,
    clean: bool,
    sizes: [u64; TABLES],
    firsts: [u64; TABLES],
}

impl Table {
    pub(super) const ALL: [Self; TABLES] =
        [Self::CommaCsv, Self::EuropeanCsv, Self::JsonLines, Self::JsonArray, Self::Parquet];

    /// The object's name under the prefix.
    pub(super) fn file_name(self) -> &'static str {
        match self {
            Self::CommaCsv => "foods-2021.csv",
            Self::EuropeanCsv => "foods-2022.csv",
            Self::JsonLines => "foods-2023.ndjson",
            Self::JsonArray => "foods-2024.json",
            Self::Parquet => "foods-2025.parquet",
        }
    }

    /// The format's name.
    pub(super) fn format(self) -> &'static str {
        match self {
            Self::CommaCsv | Self::EuropeanCsv => "csv",
            Self::JsonLines => "ndjson",
            Self::JsonArray => "json",
            Self::Parquet => "parquet",
        }
    }

    /// What can be wrong with a record of this format: Parquet is typed, JSON has no columns to miss.
    fn faults(self) -> &'static [Fault] {
        use Fault::{Cut, Impossible, Negative, Ragged, Text, Utf8};
        match self {
            Self::CommaCsv | Self::EuropeanCsv => &[Utf8, Ragged, Text, Negative, Impossible],
            Self::JsonLines => &[Cut, Text, Negative, Impossible],
            Self::JsonArray => &[Text, Negative, Impossible],
            Self::Parquet => &[Negative, Impossible],
        }
    }
}

impl Fault {
    /// The last digit of the positions it befalls.
    fn digit(self) -> u64 {
        match self {
            Self::Utf8 => 0,
            Self::Ragged => 1,
            Self::Text => 2,
            Self::Negative => 4,
            Self::Impossible => 5,
            Self::Cut => 9,
        }
    }

    /// The code under which it is counted.
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::Utf8 => "utf8",
            Self::Ragged => "ragged",
            Self::Text => "type",
            Self::Negative | Self::Impossible => "range",
            Self::Cut => "syntax",
        }
    }

    /// How many bad records a reader finds in its place.
    pub(super) fn records(self) -> u64 {
        if self == Self::Cut { 2 } else { 1 }
    }
}

impl Plan {
    /// Spreads `rows` records over the objects, the first ones longer by one where it does not come out even.
    pub(super) fn new(seed: u64, rows: u64, clean: bool) -> Self {
        let tables = TABLES as u64;
        let sizes = std::array::from_fn(|table| rows / tables + u64::from((table as u64) < rows % tables));
        let mut firsts = [0; TABLES];
        for table in 1..TABLES {
            firsts[table] = firsts[table - 1] + sizes[table - 1];
        }
        Self { foods: Foods::new(seed), seed, clean, sizes, firsts }
    }

    /// How many records are made for a table; a cut line counts once here.
    pub(super) fn size(&self, table: Table) -> u64 {
        self.sizes[table as usize]
    }

    /// Whether the food of this position also stands earlier, in this table or the one before.
    pub(super) fn repeats(&self, table: Table, position: u64) -> bool {
        self.original(table, position) != self.firsts[table as usize] + position
    }

    /// The index of the food at this position.
    fn original(&self, table: Table, position: u64) -> u64 {
        let first = self.firsts[table as usize];
        match position % 200 {
            _ if self.clean => first + position,
            198 => first + position - 102,
            digits if digits % 10 == 7 && table != Table::CommaCsv => self.firsts[table as usize - 1] + position - 4,
            _ => first + position,
        }
    }

    /// What is wrong with the record at this position.
    pub(super) fn fault(&self, table: Table, position: u64) -> Option<Fault> {
        let fault = *table.faults().iter().find(|fault| !self.clean && fault.digit() == position % 10)?;
        // A third of a small object, so that each fault comes up a few times, but no less than a hundred records: the
        // smallest samples must not be more dirt than a run puts up with. Whole tens, one position in each.
        let span = (self.size(table) / 30).clamp(10, FAULT_SPAN / 10);
        let (block, within) = (position / 10 / span, position / 10 % span);
        let stream = mix(mix(FAULT, table as u64 * 10 + fault.digit()), block);
        (Draws::new(self.seed, stream).below(span) == within).then_some(fault)
    }

    /// The record at this position.
    pub(super) fn record(&self, table: Table, position: u64) -> Record {
        let food = self.foods.food(self.original(table, position));
        let fault = self.fault(table, position);
        let mut values = measured(&food);
        let mut draws = Draws::new(self.seed, mix(mix(UNIT, table as u64), position));
        match fault {
            Some(fault) => spoil(&mut values, fault, &mut draws),
            None if self.may_carry_units(table, position) => write_unit(&mut values, &mut draws),
            None => {}
        }
        Record { food, values, fault }
    }

    /// Copies of a food are the same everywhere, so units stay away from what is repeated.
    fn may_carry_units(&self, table: Table, position: u64) -> bool {
        !self.clean && table != Table::Parquet && !matches!(position % 10, 3 | 6 | 7 | 8)
    }
}

fn measured(food: &Food) -> [Value; MEASURED] {
    std::array::from_fn(|at| {
        let value = if at == ENERGY_AT { food.energy_kcal } else { food.nutrients[at] };
        value.map_or(Value::Missing, Value::Number)
    })
}

/// Puts a value into the record that no rule lets pass. Faults of the bytes are left to the writers of bytes.
fn spoil(values: &mut [Value; MEASURED], fault: Fault, draws: &mut Draws) {
    match fault {
        Fault::Text => values[FAT] = Value::Text(["n/a", "tr", "approx 5", "see note"][draws.below(4) as usize]),
        Fault::Negative => values[PROTEIN] = Value::Number(-0.5 - draws.below(400) as f64 / 10.0),
        Fault::Impossible if draws.below(2) == 0 => values[ENERGY_AT] = Value::Number(99_999.0),
        Fault::Impossible => values[FAT] = Value::Number(250.0),
        Fault::Utf8 | Fault::Ragged | Fault::Cut => {}
    }
}

/// Writes one value in forty with its unit, not always the unit that the column is named after.
fn write_unit(values: &mut [Value; MEASURED], draws: &mut Draws) {
    if draws.below(40) != 0 {
        return;
    }
    let grams = [PROTEIN, FAT, 4, 5, 6, ENERGY_AT][draws.below(6) as usize];
    let Value::Number(number) = values[grams] else { return };
    values[grams] = if grams == ENERGY_AT {
        Value::Quantity((number * 41.84).round() / 10.0, "kJ")
    } else if number < 2.0 {
        Value::Quantity((number * 1000.0).round(), "mg")
    } else {
        Value::Quantity(number, "g")
    };
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap};

    use super::*;

    #[test]
    fn every_fault_comes_up_a_few_times_in_two_thousand_rows() {
        let plan = Plan::new(42, 2_000, false);
        let mut counts = BTreeMap::new();
        for table in Table::ALL {
            for fault in (0..plan.size(table)).filter_map(|position| plan.fault(table, position)) {
                *counts.entry(format!("{fault:?}")).or_insert(0_u32) += 1;
            }
        }
        assert_eq!(counts.len(), 6, "{counts:?}");
        assert!(counts.values().all(|&count| count >= 2), "{counts:?}");
    }

    #[test]
    fn faults_are_rare_in_large_objects() {
        let plan = Plan::new(42, 150_000, false);
        let ragged = (0..30_000).filter(|&at| plan.fault(Table::CommaCsv, at) == Some(Fault::Ragged)).count();
        assert_eq!(ragged, 100);
    }

    #[test]
    fn repeated_foods_are_good_and_the_same_everywhere() {
        let plan = Plan::new(7, 5_000, false);
        let mut seen: HashMap<String, [Value; MEASURED]> = HashMap::new();
        let mut repeats = 0;
        for table in Table::ALL {
            for position in 0..plan.size(table) {
                let record = plan.record(table, position);
                assert_eq!(plan.repeats(table, position), seen.contains_key(&record.food.code));
                if let Some(earlier) = seen.insert(record.food.code.clone(), record.values) {
                    assert_eq!(earlier, record.values);
                    assert!(record.fault.is_none());
                    repeats += 1;
                }
            }
        }
        assert_eq!(repeats, 4 * 100 + 5 * 5);
    }

    #[test]
    fn a_clean_plan_has_no_dirt_and_no_repeats() {
        let plan = Plan::new(7, 3_000, true);
        for table in Table::ALL {
            for position in 0..plan.size(table) {
                let record = plan.record(table, position);
                assert!(record.fault.is_none() && !plan.repeats(table, position));
                assert!(record.values.iter().all(|value| matches!(value, Value::Missing | Value::Number(_))));
            }
        }
    }
}
