//! An object that is made on the CPU threads while it is put, some parts of it in memory at a time.

use bytes::{Bytes, BytesMut};
use futures::future::try_join;
use tokio::sync::mpsc;

use crate::compute;
use crate::error::{Error, Result};
use crate::format::{Output, Sink};
use crate::lake::PART;

/// Puts all that `make` hands on. It appears once all of it was made, and not at all where that failed. Gives what `make`
/// returns, and the SHA-256 of the bytes in hex.
///
/// Of a large object some parts of 8 MiB are in memory at a time. A CPU thread waits while they are put.
pub(crate) async fn put<T, F>(sink: Sink, make: F) -> Result<(T, String)>
where
    T: Send + 'static,
    F: FnOnce(&mut dyn FnMut(&[u8]) -> Result<()>) -> Result<T> + Send + 'static,
{
    let (pieces, mut made) = mpsc::channel(1);
    let make = compute::run(move || {
        let mut pieces = Pieces { open: BytesMut::with_capacity(PART), taken: pieces };
        let done = make(&mut |bytes| pieces.add(bytes))?;
        pieces.hand_on()?;
        Ok(done)
    });
    let store = async {
        let mut output = Output::open(sink).await?;
        while let Some(piece) = made.recv().await {
            output.write(piece).await?;
        }
        Ok::<_, Error>(output)
    };
    let (done, output) = try_join(make, store).await?;
    let (_, sha256) = output.finish().await?;
    Ok((done, sha256))
}

/// Bytes that are handed on a part at a time.
struct Pieces {
    open: BytesMut,
    taken: mpsc::Sender<Bytes>,
}

impl Pieces {
    fn add(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(PART - self.open.len()));
            self.open.extend_from_slice(now);
            bytes = later;
            if self.open.len() == PART {
                self.hand_on()?;
            }
        }
        Ok(())
    }

    fn hand_on(&mut self) -> Result<()> {
        let piece = std::mem::replace(&mut self.open, BytesMut::with_capacity(PART)).freeze();
        // Whoever no longer takes them has failed, and says why.
        self.taken.blocking_send(piece).map_err(|_| Error::internal("put", "what nobody takes"))
    }
}

#[cfg(test)]
mod tests {
    use object_store::PutMode;
    use sha2::{Digest, Sha256};

    use super::*;
    use crate::format::digest::hex;
    use crate::lake::{Bucket, BucketName, Lake, LocalLake, MemoryLake};

    async fn bucket(lake: &dyn Lake) -> Bucket {
        lake.create_bucket(&BucketName::new("models").unwrap()).await.unwrap()
    }

    fn sink(bucket: &Bucket) -> Sink {
        Sink::Object { bucket: bucket.clone(), path: "m".into() }
    }

    /// Some parts and a rest, in pieces that end nowhere near the parts.
    fn pieces() -> impl Iterator<Item = Vec<u8>> {
        (0..7_u8).map(|number| vec![number; PART / 2 + 1000])
    }

    #[tokio::test]
    async fn what_is_made_is_put_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        for lake in [Box::new(MemoryLake::default()) as Box<dyn Lake>, Box::new(LocalLake::new(folder.path()))] {
            let bucket = bucket(lake.as_ref()).await;
            for whole in [Vec::new(), vec![1; PART], vec![2; 2 * PART], pieces().flatten().collect()] {
                let copy = whole.clone();
                let made = put(sink(&bucket), move |hand_on| {
                    copy.chunks(PART / 2 + 1000).try_for_each(hand_on)?;
                    Ok(copy.len())
                });
                let (length, sha256) = made.await.unwrap();
                assert_eq!((length, sha256), (whole.len(), hex(&Sha256::digest(&whole))));
                assert!(bucket.get(&"m".into()).await.unwrap() == whole, "{} bytes", whole.len());
            }
        }
    }

    #[tokio::test]
    async fn what_fails_while_it_is_made_leaves_the_object_that_was_there() {
        let lake = MemoryLake::default();
        let bucket = bucket(&lake).await;
        bucket.put(&"m".into(), "before", PutMode::Overwrite).await.unwrap();
        let failed = put(sink(&bucket), |hand_on| -> Result<()> {
            pieces().try_for_each(|piece| hand_on(&piece))?;
            Err(Error::invalid("make", "a model"))
        });
        assert_eq!(failed.await.unwrap_err().to_string(), Error::invalid("make", "a model").to_string());
        let panicked = put(sink(&bucket), |hand_on| -> Result<()> {
            pieces().try_for_each(|piece| hand_on(&piece))?;
            panic!("on purpose")
        });
        assert!(panicked.await.unwrap_err().to_string().contains("on purpose"));
        assert_eq!(bucket.get(&"m".into()).await.unwrap(), "before");
    }

    #[tokio::test]
    async fn a_store_that_fails_is_the_cause() {
        let (writer, reader) = tokio::io::duplex(64);
        drop(reader);
        let sink = Sink::Stream { name: "a pipe".to_owned(), writer: Box::pin(writer) };
        let error = put(sink, |hand_on| pieces().try_for_each(|piece| hand_on(&piece))).await.unwrap_err();
        assert!(error.to_string().contains("a pipe"), "{error}");
    }
}
