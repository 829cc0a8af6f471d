//! Objects in a folder: what durability costs, and how fast a listing is.

use std::sync::Arc;

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use datalake_core::lake::{LocalLake, MemoryLake};
use datalake_core::{BucketName, Lake};
use object_store::PutMode;
use tokio::runtime::Runtime;

fn lake(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("the operating system grants threads");
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let lakes: [(&str, Arc<dyn Lake>); 2] =
        [("local", Arc::new(LocalLake::new(folder.path()))), ("memory", Arc::new(MemoryLake::default()))];
    let name = BucketName::new("raw-data").expect("the name is sound");
    for (kind, lake) in lakes {
        let bucket = runtime.block_on(lake.create_bucket(&name)).expect("the lake is new");
        let mut group = criterion.benchmark_group(format!("lake/{kind}"));
        group.sample_size(20);
        for size in [1 << 10, 1 << 20] {
            let object = Bytes::from(vec![7_u8; size]);
            group.throughput(Throughput::Bytes(size as u64));
            group.bench_function(BenchmarkId::new("put", size), |bencher| {
                let put = || async { bucket.put(&"a/object".into(), object.clone(), PutMode::Overwrite).await };
                bencher.to_async(&runtime).iter(|| async { put().await.expect("the lake takes it") });
            });
            group.bench_function(BenchmarkId::new("get", size), |bencher| {
                bencher
                    .to_async(&runtime)
                    .iter(|| async { bucket.get(&"a/object".into()).await.expect("it is there") });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, lake);
criterion_main!(benches);
