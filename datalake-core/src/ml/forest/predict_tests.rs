//! That rows are predicted the same however many come at a time, and by the trees that should be asked.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch};

use super::*;
use crate::ml::{Envelope, Frame, decode, encode};
use crate::progress::Silent;
use crate::random::Draws;

/// Numbers by chance, and a target of ten distinct values.
fn table(rows: usize, features: usize) -> RecordBatch {
    let mut draws = Draws::new(3, 0);
    let columns: Vec<Vec<f64>> = (0..features).map(|_| (0..rows).map(|_| draws.unit()).collect()).collect();
    let target = (0..rows).map(|row| (columns[0][row] * 10.0).floor()).collect::<Float64Array>();
    let features = columns.into_iter().enumerate().map(|(number, column)| {
        let column: ArrayRef = Arc::new(Float64Array::from(column));
        (format!("x{number}"), column)
    });
    RecordBatch::try_from_iter(features.chain([("y".to_owned(), Arc::new(target) as ArrayRef)])).unwrap()
}

fn trainer(n_estimators: u32) -> ForestTrainer {
    let params = ForestParams { n_estimators, max_features: MaxFeatures::Count(1), ..ForestParams::default() };
    ForestTrainer::new(Task::Regression, params).unwrap()
}

fn frame(table: &RecordBatch) -> Frame {
    Frame::new(table, &[], "y", Task::Regression).unwrap()
}

#[test]
fn leaves_that_share_their_numbers_in_a_file_say_the_same_to_many_rows_and_to_few() {
    let table = table(9000, 2);
    let forest = trainer(3).fit(&frame(&table), &Silent).unwrap();
    let (read, _) = decode(&encode(&forest, &Envelope::default()).unwrap()).unwrap();
    let read = read.as_forest().unwrap();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let many = pool.install(|| read.raw(&table)).unwrap();
    let few: Vec<f64> = (0..3000).flat_map(|three| read.raw(&table.slice(three * 3, 3)).unwrap()).collect();
    assert_eq!(many, few);
    assert_eq!(many, forest.raw(&table).unwrap());
}

#[test]
fn rows_of_so_many_features_that_they_come_in_blocks_are_predicted_as_alone() {
    let table = table(1100, 4100);
    let forest = trainer(2).fit(&frame(&table.slice(0, 100)), &Silent).unwrap();
    assert!(forest.is_quick(1100));
    let together = forest.raw(&table).unwrap();
    for row in (0..1100).step_by(50).chain([1021, 1022, 1023, 1099]) {
        assert_eq!(forest.raw(&table.slice(row, 1)).unwrap(), together[row..=row], "row {row}");
    }
}

#[test]
fn a_row_out_of_bag_asks_the_trees_that_have_not_seen_it() {
    for rows in [5, 40, 3000] {
        let (table, trainer) = (table(rows, 2), trainer(12));
        let frame = frame(&table);
        let forest = trainer.fit(&frame, &Silent).unwrap();
        let (mut sums, mut asked) = (vec![0.0; rows], vec![0_u32; rows]);
        for tree in 0..12 {
            let said = trainer.fit_trees(&frame, tree..tree + 1, &Silent).unwrap().raw(&table).unwrap();
            let draws = forest.draws_of(tree as usize, &frame).unwrap();
            for row in (0..rows).filter(|row| draws[*row] == 0) {
                sums[row] += said[row];
                asked[row] += 1;
            }
        }
        let expected: Vec<u64> =
            sums.iter().zip(&asked).map(|(sum, &asked)| (sum / f64::from(asked)).to_bits()).collect();
        let found = &forest.out_of_bag().unwrap().predictions;
        for row in (0..rows).filter(|row| asked[*row] > 0) {
            assert_eq!(found[row].to_bits(), expected[row], "row {row} of {rows}");
        }
        assert!((0..rows).all(|row| found[row].is_nan() == (asked[row] == 0)));
    }
}
