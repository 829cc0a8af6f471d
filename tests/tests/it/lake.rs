//! The lake on a real S3 server.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use bytes::Bytes;
use chrono::TimeDelta;
use datalake_core::lake::{self, Lake, LakeOptions, ObjectPattern, S3Lake, conformance};
use datalake_core::{BucketName, ErrorKind};
use datalake_tests::servers::Server;

fn options(server: &Server) -> LakeOptions {
    server.variables().fold(LakeOptions::default(), |options, (name, value)| options.with_variable(name, value))
}

fn name(name: &str) -> BucketName {
    BucketName::new(name).expect("a valid name")
}

#[tokio::test(flavor = "multi_thread")]
async fn minio_keeps_every_promise() {
    let Some(server) = Server::minio() else { return };
    let plain = lake::open(server.url(), &options(&server)).unwrap();
    conformance::run_all(&*plain).await;
    let renamed = lake::open(server.url(), &options(&server).with_bucket_prefix("acme-")).unwrap();
    conformance::run_all(&*renamed).await;
    assert!(plain.buckets().await.unwrap().is_empty());
}

#[tokio::test]
async fn wrong_credentials_are_denied_and_not_shown() {
    let Some(server) = Server::minio() else { return };
    let wrong_key = options(&server).with_variable("AWS_ACCESS_KEY_ID", "nobody");
    let wrong_secret = options(&server).with_variable("AWS_SECRET_ACCESS_KEY", "hush-hush");
    for options in [wrong_key, wrong_secret] {
        let lake = lake::open(server.url(), &options).unwrap();
        for error in [
            lake.buckets().await.unwrap_err(),
            lake.bucket(&name("raw-data")).await.unwrap_err(),
            lake.create_bucket(&name("raw-data")).await.unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Denied, "{error:?}");
            assert!(error.hint().unwrap().contains("AWS_SECRET_ACCESS_KEY"), "{error:?}");
            assert!(!format!("{error:?}{lake:?}").contains("hush"), "{error:?}");
        }
    }
    let right = lake::open(server.url(), &options(&server)).unwrap();
    let bucket = right.create_bucket(&name("raw-data")).await.unwrap();
    assert!(!format!("{bucket:?}").contains("secret-"), "{bucket:?}");
}

#[tokio::test]
async fn an_endpoint_that_is_down_is_unavailable_soon() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let options = LakeOptions::default()
        .with_variable("AWS_ACCESS_KEY_ID", "a")
        .with_variable("AWS_SECRET_ACCESS_KEY", "b")
        .with_retry_timeout(Duration::from_secs(1));
    let lake = lake::open(&format!("http://127.0.0.1:{port}"), &options).unwrap();
    let start = Instant::now();
    let error = lake.bucket(&name("raw-data")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert!(error.to_string().contains(&port.to_string()), "{error}");
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_server_that_goes_away_is_unavailable() {
    let Some(server) = Server::minio() else { return };
    let options = options(&server).with_retry_timeout(Duration::from_secs(1));
    let lake = lake::open(server.url(), &options).unwrap();
    let bucket = lake.create_bucket(&name("raw-data")).await.unwrap();
    drop(server);
    for error in [
        bucket.get(&"a".into()).await.unwrap_err(),
        bucket.put(&"a".into(), "a", Default::default()).await.unwrap_err(),
        bucket.list(None).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    }
}

#[tokio::test]
async fn a_deleted_bucket_is_missing_for_those_who_hold_it() {
    let Some(server) = Server::minio() else { return };
    let lake = lake::open(server.url(), &options(&server)).unwrap();
    let bucket = lake.create_bucket(&name("raw-data")).await.unwrap();
    lake.delete_bucket(&name("raw-data")).await.unwrap();
    for error in [
        bucket.get(&"a".into()).await.unwrap_err(),
        bucket.put(&"a".into(), "a", Default::default()).await.unwrap_err(),
        bucket.list(None).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error:?}");
        assert!(error.hint().is_some_and(|hint| hint.contains("datalake mb")), "{error:?}");
    }
}

#[tokio::test]
async fn uploads_without_a_sign_of_life_are_aborted() {
    let Some(server) = Server::minio() else { return };
    let lake = S3Lake::open(server.url(), &options(&server)).unwrap();
    let bucket = lake.create_bucket(&name("raw-data")).await.unwrap();
    for key in ["foods/a b.csv", "foods/c.csv"] {
        let mut upload = bucket.store().put_multipart_opts(&key.into(), Default::default()).await.unwrap();
        upload.put_part(Bytes::from(vec![0; 5 << 20]).into()).await.unwrap();
        drop(upload);
    }
    assert_eq!(lake.sweep(bucket.name()).await.unwrap(), 0, "they are young");
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let prefix = "foods/a b.csv".into();
    assert_eq!(lake.abort_uploads(bucket.name(), Some(&prefix), TimeDelta::seconds(1)).await.unwrap(), 1);
    assert_eq!(lake.abort_uploads(bucket.name(), None, TimeDelta::seconds(1)).await.unwrap(), 1);
    assert_eq!(lake.abort_uploads(bucket.name(), None, TimeDelta::zero()).await.unwrap(), 0);
}

#[tokio::test]
async fn patterns_list_a_thousand_keys_and_more() {
    let Some(server) = Server::minio() else { return };
    let lake = lake::open(server.url(), &options(&server)).unwrap();
    let bucket = lake.create_bucket(&name("raw-data")).await.unwrap();
    for index in 0..1005 {
        bucket.put(&format!("foods/{index:04}.csv").into(), "", Default::default()).await.unwrap();
    }
    let pattern: ObjectPattern = "raw-data/foods/*.csv".parse().unwrap();
    let found = pattern.matches(&*lake).await.unwrap();
    assert_eq!(found.len(), 1005);
    assert!(found.is_sorted_by(|a, b| a.1.location < b.1.location));
}
