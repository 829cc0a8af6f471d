//! What a forest was grown from, as a digest: which rows its trees have drawn means nothing of other rows, or of the
//! same in another order.

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::Forest;
use super::columns::Cells;
use crate::error::{Error, Result};
use crate::ml::codec::ModelSchema;
use crate::ml::{Frame, Target};

/// SHA-256 over rows in their order: the features as trees see them, targets, and weights that are not all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct GrownFrom(pub(super) [u8; 32]);

impl GrownFrom {
    pub(super) fn of(table: &Frame, cells: &[Cells]) -> Self {
        let features = cells.par_iter().map(|cells| match cells {
            // A missing value is one, whatever the bits of its NaN.
            Cells::Numeric(values) => digest(
                values.iter().map(|value| if value.is_nan() { f32::NAN } else { *value + 0.0 }.to_bits().to_le_bytes()),
            ),
            Cells::Categorical(codes) => digest(codes.iter().map(|code| code.to_le_bytes())),
        });
        let targets = table.targets().par_iter().map(|(_, target)| match target {
            Target::Numbers(values) => digest(values.iter().copied().map(word)),
            Target::Labels { codes, .. } => digest(codes.iter().map(|code| code.to_le_bytes())),
        });
        let mut all: Vec<[u8; 32]> = features.chain(targets).collect();
        let uneven =
            table.weights().filter(|weights| weights.iter().any(|weight| weight.to_bits() != weights[0].to_bits()));
        all.extend(uneven.map(|weights| digest(weights.iter().copied().map(word))));
        Self(digest(all.into_iter()))
    }
}

/// A finite number's bits, those of zero always the same.
fn word(value: f64) -> [u8; 8] {
    (value + 0.0).to_bits().to_le_bytes()
}

fn digest<const N: usize>(words: impl Iterator<Item = [u8; N]>) -> [u8; 32] {
    const PIECE: usize = 1 << 12;
    let (mut hash, mut piece) = (Sha256::new(), Vec::with_capacity(PIECE + N));
    for word in words {
        piece.extend_from_slice(&word);
        if piece.len() >= PIECE {
            hash.update(&piece);
            piece.clear();
        }
    }
    hash.update(&piece);
    hash.finalize().into()
}

impl Forest {
    /// The cells of the table that the forest was grown from. Any other is refused: which rows a tree has seen would
    /// mean nothing.
    pub(super) fn cells_grown_from(&self, table: &Frame, action: &str) -> Result<Vec<Cells>> {
        let differs = if ModelSchema::of(table) != self.schema || table.rows() != self.rows as usize {
            "rows, features, ranges or classes differ"
        } else {
            let cells: Vec<Cells> = table.columns().par_iter().map(Cells::of).collect();
            if self.grown_from.is_none_or(|known| known == GrownFrom::of(table, &cells)) {
                return Ok(cells);
            }
            "values, weights or the order of the rows differ"
        };
        Err(Error::invalid(action, format_args!("a forest for `{}`", self.schema.target))
            .with_reason(format_args!("the table is not the one that it was grown from: {differs}"))
            .with_hint("give the rows that the forest was trained on, in the same order and with the same weights"))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Float32Array, Float64Array, RecordBatch, StringArray};

    use super::*;
    use crate::ml::forest::{ForestParams, ForestTrainer};
    use crate::ml::{Envelope, decode, encode};
    use crate::ml::{PermutationParams, Task};
    use crate::progress::Silent;

    type Row = (f32, &'static str, f64);

    const ROWS: [Row; 4] = [(1.0, "a", 5.0), (-0.0, "b", 6.0), (f32::NAN, "a", 7.0), (3.0, "b", 8.0)];

    fn table(rows: &[Row]) -> RecordBatch {
        RecordBatch::try_from_iter([
            ("x", Arc::new(rows.iter().map(|row| Some(row.0)).collect::<Float32Array>()) as ArrayRef),
            ("food", Arc::new(rows.iter().map(|row| Some(row.1)).collect::<StringArray>()) as ArrayRef),
            ("y", Arc::new(rows.iter().map(|row| Some(row.2)).collect::<Float64Array>()) as ArrayRef),
        ])
        .unwrap()
    }

    fn frame(rows: &[Row]) -> Frame {
        Frame::new(&table(rows), &[], "y", Task::Regression).unwrap()
    }

    fn digest_of(frame: &Frame) -> GrownFrom {
        GrownFrom::of(frame, &frame.columns().iter().map(Cells::of).collect::<Vec<_>>())
    }

    #[test]
    fn every_value_and_its_row_count_and_bits_that_mean_the_same_do_not() {
        let known = digest_of(&frame(&ROWS));
        let changed = |change: &dyn Fn(&mut [Row])| {
            let mut rows = ROWS;
            change(&mut rows);
            digest_of(&frame(&rows))
        };
        assert_eq!(known, changed(&|rows| rows[1].0 = 0.0));
        assert_eq!(known, changed(&|rows| rows[2].0 = f32::from_bits(0x7FC0_0001)));
        assert_ne!(known, changed(&|rows| rows[0].0 = 2.0));
        assert_ne!(known, changed(&|rows| rows[0].1 = "b"));
        assert_ne!(known, changed(&|rows| rows[0].2 = 5.5));
        assert_ne!(known, changed(&|rows| rows.swap(0, 3)));
        let weighed = |weights: [f64; 4]| digest_of(&frame(&ROWS).with_weights(weights.to_vec()).unwrap());
        assert_eq!(known, weighed([0.5; 4]));
        assert_ne!(known, weighed([1.0, 1.0, 1.0, 2.0]));
        assert_ne!(weighed([2.0, 1.0, 1.0, 1.0]), weighed([1.0, 1.0, 1.0, 2.0]));
    }

    #[test]
    fn labels_and_every_target_count() {
        let of = |labels: [&str; 4], second: [f64; 4]| {
            let columns = [("a", ROWS.map(|row| row.2)), ("b", second), ("x", [1.0, 2.0, 3.0, 4.0])];
            let columns = columns.map(|(name, values)| {
                (name, Arc::new(values.into_iter().map(Some).collect::<Float64Array>()) as ArrayRef)
            });
            let labels = Arc::new(labels.into_iter().map(Some).collect::<StringArray>()) as ArrayRef;
            let table = RecordBatch::try_from_iter(columns.into_iter().chain([("label", labels)])).unwrap();
            let classes = Frame::new(&table, &["x"], "label", Task::Classification).unwrap();
            let numbers = Frame::of_targets(&table, &["x"], &["a", "b"], Task::Regression).unwrap();
            (digest_of(&classes), digest_of(&numbers))
        };
        let known = of(["p", "p", "q", "q"], [1.0, 2.0, 3.0, 4.0]);
        let changed = of(["p", "q", "p", "q"], [1.0, 2.0, 4.0, 3.0]);
        assert_ne!(known.0, changed.0);
        assert_ne!(known.1, changed.1);
    }

    #[test]
    fn a_forest_that_does_not_say_is_not_refused() {
        let table = frame(&ROWS);
        let params = ForestParams { n_estimators: 4, ..ForestParams::default() };
        let trainer = ForestTrainer::new(Task::Regression, params).unwrap();
        let whole = trainer.fit(&table, &Silent).unwrap();
        let mut older = trainer.fit_trees(&table, 0..2, &Silent).unwrap();
        older.grown_from = None;
        let newer = trainer.fit_trees(&table, 2..4, &Silent).unwrap();
        assert_eq!(Forest::merge(&[&older, &newer]).unwrap().grown_from, whole.grown_from);
        let older = Forest { grown_from: None, ..whole.clone() };
        let more = ForestParams { n_estimators: 5, ..whole.params.clone() };
        let more = ForestTrainer::new(Task::Regression, more).unwrap().fit_more(&older, &table, &Silent).unwrap();
        assert_eq!((more.trees(), more.grown_from), (5, whole.grown_from));
    }

    #[test]
    fn rows_in_another_order_are_refused_wherever_draws_matter_also_by_a_forest_from_a_file() {
        let own = frame(&ROWS);
        let mut rows = ROWS;
        rows.swap(0, 3);
        let other = frame(&rows);
        let trainer = |trees| {
            let params = ForestParams { n_estimators: trees, ..ForestParams::default() };
            ForestTrainer::new(Task::Regression, params).unwrap()
        };
        let grown = trainer(4).fit(&own, &Silent).unwrap();
        let file = encode(&grown, &Envelope::default()).unwrap();
        let (read, _) = decode(&file).unwrap();
        let read = read.as_forest().unwrap().clone();
        for forest in [grown, read] {
            let found = [
                forest.clone().score_out_of_bag(&other).err(),
                forest.leaf_statistics(0, &other).err(),
                forest.draws_of(0, &other).err(),
                forest.out_of_bag_importances(&other, &PermutationParams::default(), &Silent).err(),
                trainer(5).fit_more(&forest, &other, &Silent).err(),
                Forest::merge(&[
                    &trainer(4).fit_trees(&own, 0..2, &Silent).unwrap(),
                    &trainer(4).fit_trees(&other, 2..4, &Silent).unwrap(),
                ])
                .err(),
            ];
            for error in found {
                assert!(error.unwrap().reason().unwrap().contains("order"));
            }
            assert!(forest.draws_of(0, &own).is_ok());
            assert!(trainer(5).fit_more(&forest, &own, &Silent).is_ok());
        }
    }
}
