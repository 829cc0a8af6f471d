//! Conversion between formats in memory: one table, every direction that users take most.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use datalake_core::format::{self, ReadOptions, Sink, Source, WriteOptions};
use datalake_core::lake::MemoryLake;
use datalake_core::progress::Silent;
use datalake_core::sample::{SampleOptions, land};
use datalake_core::{Bucket, BucketName, Lake, Result};
use tokio::runtime::Runtime;

const ROWS: u64 = 20_000;

async fn sample() -> Result<Bucket> {
    let bucket = MemoryLake::default().create_bucket(&BucketName::new("raw-data")?).await?;
    land(&bucket, &"foods".into(), &SampleOptions::default().with_rows(ROWS).with_clean(true), &Silent).await?;
    Ok(bucket)
}

fn convert(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("the operating system grants threads");
    let bucket = runtime.block_on(sample()).expect("a lake in memory takes the sample");
    let mut group = criterion.benchmark_group("convert");
    group.sample_size(20);
    for (from, to) in [
        ("foods-2021.csv", "out.parquet"),
        ("foods-2023.ndjson", "out.parquet"),
        ("foods-2024.json", "out.parquet"),
        ("foods-2025.parquet", "out.csv"),
        ("foods-2025.parquet", "out.ndjson"),
    ] {
        let path = format!("foods/{from}").as_str().into();
        let size = runtime.block_on(bucket.head(&path)).expect("the object was landed").size;
        group.throughput(Throughput::Bytes(size));
        group.bench_function(BenchmarkId::new(from, to), |bencher| {
            bencher.to_async(&runtime).iter(|| async {
                let source = Source::Object { bucket: bucket.clone(), path: path.clone() };
                let sink = Sink::Object { bucket: bucket.clone(), path: to.into() };
                format::convert(source, sink, ReadOptions::default(), WriteOptions::default())
                    .await
                    .expect("the sample is clean")
            });
        });
    }
    group.finish();
}

criterion_group!(benches, convert);
criterion_main!(benches);
