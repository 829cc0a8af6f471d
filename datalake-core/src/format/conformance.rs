//! What every format promises, one function a promise.

#[cfg(test)]
mod tests {
    use super::super::*;
    use arrow::array::RecordBatch;
    use futures::TryStreamExt;
    use std::sync::Arc;

    pub(crate) fn stream(bytes: &[u8]) -> Source {
        Source::Stream { name: "test".into(), reader: Box::pin(std::io::Cursor::new(bytes.to_vec())) }
    }

    async fn read(text: &str, options: ReadOptions) -> Result<(RecordBatch, Balance)> {
        let batches = Csv.read(stream(text.as_bytes()), options).await?;
        let (schema, tally) = (Arc::clone(batches.schema()), Arc::clone(batches.tally()));
        let all: Vec<RecordBatch> = batches.try_collect().await?;
        Ok((arrow::compute::concat_batches(&schema, &all).unwrap(), tally.balance()))
    }

    #[tokio::test]
    async fn smoke() {
        let (b, n) =
            read("\u{feff}a;b;c\r\n1;2,5;x\r\n3;;\r\n", ReadOptions::default().with_decimal(DecimalMark::Comma))
                .await
                .unwrap();
        println!("{b:?} {n:?}");
        let q = Arc::new(Quarantine::new(Limit::Rows(10)));
        let o = ReadOptions::default()
            .with_on_row_error(OnRowError::Quarantine)
            .with_rejects(Some(q.clone()))
            .with_row_number(Some("n".into()));
        let (b, n) = read("a,b\n1,2\n3\n4,\"5\n6,7\n", o).await.unwrap();
        println!("{b:?} {n:?} {:?}", q.counts());
        println!("{:?}", read("a,b\n1,2\n3\n4,\"5\n6,7\n", ReadOptions::default()).await.unwrap_err());
        let dir = tempfile::tempdir().unwrap();
        let p = dir.path().join("x.parquet");
        let c = convert(
            stream(b"a,b\n1,x\n2,\n"),
            Sink::LocalFile(p.clone()),
            ReadOptions::default(),
            WriteOptions::default(),
        )
        .await
        .unwrap();
        println!("{c:?}");
        let c2 = convert(
            Source::LocalFile(p),
            Sink::LocalFile(dir.path().join("x.csv.gz")),
            ReadOptions::default(),
            WriteOptions::default(),
        )
        .await
        .unwrap();
        println!("{c2:?}");
        assert_eq!(c.written.digest, c2.written.digest);
    }
}
