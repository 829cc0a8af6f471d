//! Fit and predict of the forest, on the rows and columns that its peers are measured on.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use datalake_benches::friedman;
use datalake_core::compute;
use datalake_core::ml::{Frame, Task, trainer};
use datalake_core::progress::Silent;

fn fit(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("forest/fit");
    group.sample_size(10);
    for rows in [1_000, 10_000] {
        let frame = Frame::new(&friedman(rows, 1), &[], "y", Task::Regression).expect("the table is sound");
        let settings = serde_json::json!({ "n_estimators": 20, "seed": 1 });
        let forest = trainer("forest", Task::Regression, &settings).expect("the parameters are sound");
        group.throughput(Throughput::Elements(rows as u64));
        group.bench_function(BenchmarkId::from_parameter(rows), |bencher| {
            bencher.iter(|| compute::install(|| forest.train(&frame, &Silent)).expect("the table can be learnt from"));
        });
    }
    group.finish();
}

fn predict(criterion: &mut Criterion) {
    let table = friedman(10_000, 1);
    let frame = Frame::new(&table, &[], "y", Task::Regression).expect("the table is sound");
    let settings = serde_json::json!({ "n_estimators": 20, "seed": 1 });
    let forest = trainer("forest", Task::Regression, &settings).expect("the parameters are sound");
    let model = forest.train(&frame, &Silent).expect("the table can be learnt from");
    let mut group = criterion.benchmark_group("forest/predict");
    for rows in [1, 10_000] {
        let rows_of = table.slice(0, rows);
        group.throughput(Throughput::Elements(rows as u64));
        group.bench_function(BenchmarkId::from_parameter(rows), |bencher| {
            bencher.iter(|| model.predict(&rows_of).expect("the columns are there"));
        });
    }
    group.finish();
}

criterion_group!(benches, fit, predict);
criterion_main!(benches);
