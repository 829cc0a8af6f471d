//! The chunks of an object, some of which are fetched while those before are worked on: what a store takes to answer would be
//! waited for again and again.

use std::collections::BTreeMap;

use bytes::Bytes;
use tokio::task::JoinSet;

use super::source::{CHUNK, Input};
use crate::error::{Error, Result};

/// So many chunks are asked for at a time.
const UNDER_WAY: usize = 3;

/// Chunks that are on their way. Dropping it gives them up.
#[derive(Debug, Default)]
pub(super) struct ReadAhead {
    /// With the place where each begins.
    under_way: JoinSet<(u64, Result<Bytes>)>,
    arrived: BTreeMap<u64, Result<Bytes>>,
    /// Where the first chunk begins that was not asked for.
    next: u64,
}

impl ReadAhead {
    /// The chunk from `offset` on, up to `stop`; none at the end. Each call goes on where the one before ended.
    pub(super) async fn chunk(&mut self, input: &Input, offset: u64, stop: u64) -> Result<Bytes> {
        self.next = self.next.max(offset);
        while self.under_way.len() + self.arrived.len() < UNDER_WAY && self.next < stop.min(input.size()) {
            let (input, from) = (input.clone(), self.next);
            self.under_way.spawn(async move { (from, input.chunk(from, stop, Vec::new()).await) });
            self.next += CHUNK;
        }
        loop {
            if let Some(chunk) = self.arrived.remove(&offset) {
                return chunk;
            }
            match self.under_way.join_next().await {
                Some(Ok((from, chunk))) => self.arrived.insert(from, chunk),
                Some(Err(cause)) => return Err(Error::internal("read", input.name()).with_source(cause)),
                None => return Ok(Bytes::new()),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use object_store::ObjectStoreExt;
    use object_store::memory::InMemory;
    use object_store::path::Path;

    use super::*;
    use crate::format::source::Source;
    use crate::lake::{Bucket, BucketName};

    #[tokio::test]
    async fn chunks_come_in_order_and_whole() {
        let store = Arc::new(InMemory::new());
        let bucket = Bucket::new(BucketName::new("raw-data").unwrap(), store.clone());
        let size = usize::try_from(CHUNK).unwrap();
        for length in [0, 1, size, size + 1, 5 * size - 1] {
            let text: Vec<u8> = (0..length).map(|at| (at / 7) as u8).collect();
            store.put(&Path::from("a"), text.clone().into()).await.unwrap();
            let input = Input::open(&Source::Object { bucket: bucket.clone(), path: "a".into() }).await.unwrap();
            let (mut ahead, mut found) = (ReadAhead::default(), Vec::new());
            loop {
                let chunk = ahead.chunk(&input, found.len() as u64, u64::MAX).await.unwrap();
                if chunk.is_empty() {
                    break;
                }
                found.extend_from_slice(&chunk);
                let rest = (length - found.len()).div_ceil(size);
                assert_eq!(ahead.under_way.len() + ahead.arrived.len(), rest.min(UNDER_WAY - 1), "of {length}");
            }
            assert!(found == text, "{length}");
            assert_eq!(ahead.chunk(&input, 0, 0).await.unwrap().len(), 0);
        }
    }

    #[tokio::test]
    async fn an_object_that_is_replaced_on_the_way_is_an_error_in_its_turn() {
        let store = Arc::new(InMemory::new());
        let bucket = Bucket::new(BucketName::new("raw-data").unwrap(), store.clone());
        let path = Path::from("a");
        let text = vec![b'x'; 5 * usize::try_from(CHUNK).unwrap()];
        store.put(&path, text.clone().into()).await.unwrap();
        let input = Input::open(&Source::Object { bucket, path: path.clone() }).await.unwrap();
        let mut ahead = ReadAhead::default();
        assert_eq!(ahead.chunk(&input, 0, u64::MAX).await.unwrap().len() as u64, CHUNK);
        store.put(&path, text.into()).await.unwrap();
        let mut last = Ok(Bytes::new());
        for chunk in 1..5 {
            last = ahead.chunk(&input, chunk * CHUNK, u64::MAX).await;
            if last.is_err() {
                break;
            }
        }
        assert_eq!(last.unwrap_err().reason(), Some("it was replaced while it was being read"));
    }
}
