//! What the leaves of a tree say: one number each, or numbers that many leaves share.
//!
//! In a classification most leaves are of one class, and in a full-grown regression each is one of the targets. So
//! leaves name a row of numbers where that takes less. Rows of many classes, nearly all zero, keep only what is not.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::OnceLock;

use crate::ml::store::Store;

/// Rows of more numbers keep those that are not zero.
const MOST_DENSE: usize = 8;

/// The rows of numbers that leaves say.
#[derive(Debug, Clone)]
pub(super) enum Rows {
    /// `width` numbers a row.
    Dense(Store<f64>),
    /// The numbers that are not zero.
    Sparse {
        /// Where each row ends.
        ends: Store<u32>,
        /// The places of its numbers, ascending.
        places: Store<u32>,
        /// The numbers.
        values: Store<f64>,
    },
}

impl Rows {
    pub(super) fn new(width: usize) -> Self {
        if is_dense(width) {
            return Self::Dense(Store::default());
        }
        Self::Sparse { ends: Store::default(), places: Store::default(), values: Store::default() }
    }

    pub(super) fn count(&self, width: usize) -> usize {
        match self {
            Self::Dense(values) => values.len() / width,
            Self::Sparse { ends, .. } => ends.len(),
        }
    }

    fn push(&mut self, row: &[f64]) {
        match self {
            Self::Dense(values) => values.to_mut().extend_from_slice(row),
            Self::Sparse { ends, places, values } => {
                for (place, value) in (0..).zip(row).filter(|(_, value)| value.to_bits() != 0) {
                    places.to_mut().push(place);
                    values.to_mut().push(*value);
                }
                ends.to_mut().push(values.len() as u32);
            }
        }
    }

    /// Calls `say` with each number of a row that may differ from zero, and its place.
    #[inline]
    fn each(&self, row: usize, width: usize, mut say: impl FnMut(usize, f64)) {
        match self {
            Self::Dense(values) => {
                values[row * width..][..width].iter().enumerate().for_each(|(place, value)| say(place, *value));
            }
            Self::Sparse { ends, places, values } => {
                let begin = if row == 0 { 0 } else { ends[row - 1] as usize };
                let range = begin..ends[row] as usize;
                places[range.clone()]
                    .iter()
                    .zip(&values[range])
                    .for_each(|(place, value)| say(*place as usize, *value));
            }
        }
    }

    /// Some of the rows, of one number each.
    pub(super) fn part(&self, begin: usize, end: usize) -> Self {
        match self {
            Self::Dense(values) => Self::Dense(values.part(begin, end)),
            Self::Sparse { .. } => self.clone(),
        }
    }

    fn shrink(&mut self) {
        match self {
            Self::Dense(values) => values.to_mut().shrink_to_fit(),
            Self::Sparse { ends, places, values } => {
                ends.to_mut().shrink_to_fit();
                places.to_mut().shrink_to_fit();
                values.to_mut().shrink_to_fit();
            }
        }
    }
}

/// Whether rows of this width are kept with their zeros.
pub(super) fn is_dense(width: usize) -> bool {
    width <= MOST_DENSE
}

/// Finds rows again, to keep each once.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    rows: HashMap<Vec<u8>, u32>,
    /// The rows that are all zero but for a one, by its place; one more, so that zero is none.
    ones: Vec<u32>,
    key: Vec<u8>,
}

impl Seen {
    /// The number of a row among `rows`, where it is put if it is new.
    pub(super) fn number(&mut self, rows: &mut Rows, row: &[f64]) -> u32 {
        let mut others = (0..).zip(row).filter(|(_, value)| value.to_bits() != 0);
        if let (Some((place, &1.0)), None) = (others.next(), others.next()) {
            self.ones.resize(row.len(), 0);
            let known = &mut self.ones[place];
            if *known == 0 {
                rows.push(row);
                *known = rows.count(row.len()) as u32;
            }
            return *known - 1;
        }
        self.key.clear();
        for (place, value) in (0_u32..).zip(row).filter(|(_, value)| value.to_bits() != 0) {
            self.key.extend_from_slice(&place.to_ne_bytes());
            self.key.extend_from_slice(&value.to_bits().to_ne_bytes());
        }
        if let Some(number) = self.rows.get(&self.key) {
            return *number;
        }
        rows.push(row);
        let number = rows.count(row.len()) as u32 - 1;
        self.rows.insert(self.key.clone(), number);
        number
    }
}

/// The leaves of a tree, from left to right.
#[derive(Debug, Clone)]
pub(super) struct Leaves {
    width: usize,
    /// The row of each leaf; none where each has a row of its own, in their order.
    codes: Option<Store<u32>>,
    rows: Rows,
    /// While a tree grows.
    seen: Option<Box<Seen>>,
    /// The number of each leaf, found by its code once there are rows enough to be worth it: a walk of many rows waits
    /// for the memory of every leaf, and should not do so twice.
    numbers: OnceLock<Box<[f64]>>,
}

/// As many rows are worth finding the numbers of all leaves.
const MANY: usize = 1 << 12;

impl Leaves {
    /// No leaves yet, of `width` numbers each.
    pub(super) fn new(width: usize) -> Self {
        let shared = width > 1;
        Self {
            width,
            codes: shared.then(Store::default),
            rows: Rows::new(width),
            seen: shared.then(Box::<Seen>::default),
            numbers: OnceLock::new(),
        }
    }

    /// Leaves of a file: with codes, each less than the number of rows, or with a row for each leaf.
    pub(super) fn of(width: usize, codes: Option<Store<u32>>, rows: Rows) -> Self {
        Self { width, codes, rows, seen: None, numbers: OnceLock::new() }
    }

    pub(super) fn push(&mut self, row: &[f64]) {
        match &mut self.codes {
            None => self.rows.push(row),
            Some(codes) => {
                let number = self.seen.get_or_insert_default().number(&mut self.rows, row);
                codes.to_mut().push(number);
            }
        }
    }

    /// Adds the leaves of a branch.
    pub(super) fn append(&mut self, branch: &Self) {
        if let (None, Rows::Dense(values), Rows::Dense(others)) = (&self.codes, &mut self.rows, &branch.rows) {
            values.to_mut().extend_from_slice(others);
            return;
        }
        let mut row = vec![0.0; self.width];
        for leaf in 0..branch.count() as u32 {
            branch.copy(leaf, &mut row);
            self.push(&row);
        }
    }

    /// Gives back what was needed for growing.
    pub(super) fn shrink(&mut self) {
        self.seen = None;
        self.rows.shrink();
        if let Some(codes) = &mut self.codes {
            codes.to_mut().shrink_to_fit();
        }
    }

    pub(super) fn width(&self) -> usize {
        self.width
    }

    pub(super) fn count(&self) -> usize {
        self.codes.as_ref().map_or_else(|| self.rows.count(self.width), |codes| codes.len())
    }

    /// How many bytes codes and rows take.
    pub(super) fn bytes(&self) -> u64 {
        let codes = self.codes.as_ref().map_or(0, |codes| codes.len());
        let (words, numbers) = match &self.rows {
            Rows::Dense(values) => (0, values.len()),
            Rows::Sparse { ends, places, values } => (ends.len() + places.len(), values.len()),
        };
        ((codes + words) * size_of::<u32>() + numbers * size_of::<f64>()) as u64
    }

    /// What a leaf says.
    pub(super) fn copy(&self, leaf: u32, row: &mut [f64]) {
        row.fill(0.0);
        self.rows.each(self.row_of(leaf), self.width, |place, value| row[place] = value);
    }

    /// What leaves of one number say, from left to right.
    pub(super) fn numbers(&self) -> Cow<'_, [f64]> {
        match (&self.codes, &self.rows) {
            (None, Rows::Dense(values)) => Cow::Borrowed(values),
            (Some(codes), Rows::Dense(values)) => codes.iter().map(|code| values[*code as usize]).collect(),
            (_, Rows::Sparse { .. }) => unreachable!("rows of one number are dense"),
        }
    }

    /// The number of rows that leaves may say.
    pub(super) fn rows(&self) -> usize {
        self.rows.count(self.width)
    }

    /// Which of them a leaf says.
    pub(super) fn row_of(&self, leaf: u32) -> usize {
        self.codes.as_ref().map_or(leaf, |codes| codes[leaf as usize]) as usize
    }

    /// Adds one of the rows that leaves may say to sums.
    pub(super) fn add_row(&self, row: usize, sums: &mut [f64]) {
        match &self.rows {
            // Without a look at each place: `each` takes a tenth longer to predict one row.
            Rows::Dense(values) => {
                let row = &values[row * self.width..][..self.width];
                sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
            }
            rows @ Rows::Sparse { .. } => rows.each(row, self.width, |place, value| sums[place] += value),
        }
    }

    /// Makes ready for adding what so many rows' leaves say.
    pub(super) fn prepare(&self, rows: usize) {
        if rows >= MANY && self.width == 1 && self.codes.is_some() {
            self.numbers.get_or_init(|| self.numbers().into());
        }
    }

    /// Adds what each row's leaf says to its sums.
    pub(super) fn add<'a>(&self, sums: impl Iterator<Item = &'a mut [f64]>, leaves: &'a [u32]) {
        let (width, pairs) = (self.width, sums.zip(leaves));
        match (&self.codes, &self.rows) {
            (None, Rows::Dense(values)) if width == 1 => {
                let values = &**values;
                pairs.for_each(|(sums, &leaf)| sums[0] += values[leaf as usize]);
            }
            (Some(codes), Rows::Dense(values)) if width == 1 => {
                let (codes, values) = (&**codes, &**values);
                match self.numbers.get() {
                    None => pairs.for_each(|(sums, &leaf)| sums[0] += values[codes[leaf as usize] as usize]),
                    Some(numbers) => pairs.for_each(|(sums, &leaf)| sums[0] += numbers[leaf as usize]),
                }
            }
            (Some(codes), Rows::Dense(values)) => match width {
                2 => add_rows::<2>(pairs, codes, values),
                3 => add_rows::<3>(pairs, codes, values),
                4 => add_rows::<4>(pairs, codes, values),
                _ => pairs.for_each(|(sums, &leaf)| {
                    let row = &values[codes[leaf as usize] as usize * width..][..width];
                    sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
                }),
            },
            (_, rows) => pairs.for_each(|(sums, &leaf)| {
                rows.each(self.row_of(leaf), width, |place, value| sums[place] += value);
            }),
        }
    }
}

/// Adds rows of a few numbers, without a loop that asks for each row how many.
fn add_rows<'a, const WIDTH: usize>(
    pairs: impl Iterator<Item = (&'a mut [f64], &'a u32)>,
    codes: &[u32],
    values: &[f64],
) {
    let rows: &[[f64; WIDTH]] = values.as_chunks().0;
    for (sums, &leaf) in pairs {
        let row = rows[codes[leaf as usize] as usize];
        let Ok(sums) = <&mut [f64; WIDTH]>::try_from(sums) else { unreachable!("sums are as wide as leaves") };
        (0..WIDTH).for_each(|place| sums[place] += row[place]);
    }
}

impl PartialEq for Leaves {
    /// Whether they say the same, however it is kept.
    fn eq(&self, other: &Self) -> bool {
        let (mut own, mut others) = (vec![0.0; self.width], vec![0.0; other.width]);
        self.width == other.width
            && self.count() == other.count()
            && (0..self.count() as u32).all(|leaf| {
                self.copy(leaf, &mut own);
                other.copy(leaf, &mut others);
                own == others
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_say_what_was_pushed_and_equal_ones_are_kept_once() {
        for width in [1, 2, MOST_DENSE, MOST_DENSE + 1, 300] {
            let row = |number: usize| -> Vec<f64> {
                let mut row = vec![0.0; width];
                row[number % width] = if number.is_multiple_of(3) { 1.0 } else { 0.25 };
                row[number * 7 % width] += 0.5;
                row
            };
            let mut leaves = Leaves::new(width);
            (0..40).for_each(|number| leaves.push(&row(number % 10)));
            leaves.shrink();
            assert_eq!((leaves.width(), leaves.count()), (width, 40));
            assert!(width == 1 || leaves.rows.count(width) <= 10);
            let mut found = vec![9.0; width];
            let mut sums = vec![0.0; 40 * width];
            leaves.add(sums.chunks_exact_mut(width), &(0..40).collect::<Vec<_>>());
            for leaf in 0..40 {
                leaves.copy(leaf, &mut found);
                assert_eq!(found, row(leaf as usize % 10));
                assert_eq!(sums[leaf as usize * width..][..width], found);
            }
            assert!(leaves == leaves.clone());
        }
    }
}
