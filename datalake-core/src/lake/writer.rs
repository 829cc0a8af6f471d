//! An object written piece by piece, which appears whole or not at all.

use bytes::{Bytes, BytesMut};
use object_store::path::Path;
use object_store::{MultipartUpload, PutPayload, PutResult};
use tokio::task::JoinSet;

use super::{Bucket, store_error};
use crate::error::{Error, Result};

/// The size of a part in bytes, and the largest object that is put in one request.
pub(crate) const PART: usize = 8 * 1024 * 1024;
/// After so many parts they grow by [`PART`], so that the 10,000 parts that S3 allows hold 429 GiB.
const PARTS_PER_SIZE: usize = 1000;
/// How many parts are under way at a time.
const IN_FLIGHT: usize = 2;

/// An object in the making; see [`Bucket::writer`].
///
/// Holds at most three parts of 8 MiB (more above 8 GB) in memory. Nothing is visible before
/// [`ObjectWriter::finish`]. Dropping it leaves no object; an upload in parts is then aborted where a Tokio runtime
/// is at hand, and else removed by [`Lake::sweep`](super::Lake::sweep).
#[derive(Debug)]
pub struct ObjectWriter {
    bucket: Bucket,
    key: Path,
    buffer: BytesMut,
    written: u64,
    upload: Option<Upload>,
    // Set while a part is handed over: after an error, or a write that was cancelled, bytes are missing.
    broken: bool,
}

/// What a finished write left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stored {
    /// The object's size in bytes.
    pub bytes: u64,
    /// Its entity tag, where the backend gives one.
    pub e_tag: Option<String>,
}

/// An upload in parts that is aborted on drop.
#[derive(Debug)]
struct Upload {
    // None once it is completed or aborted.
    inner: Option<Box<dyn MultipartUpload>>,
    under_way: JoinSet<object_store::Result<()>>,
    parts: usize,
}

impl ObjectWriter {
    pub(super) fn new(bucket: Bucket, key: Path) -> Self {
        Self { bucket, key, buffer: BytesMut::new(), written: 0, upload: None, broken: false }
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// What the store says of a part; what was stored is freed then, and the writer is of no further use.
    pub async fn write(&mut self, mut bytes: Bytes) -> Result<()> {
        self.check()?;
        self.written += bytes.len() as u64;
        let whole = bytes.len();
        loop {
            let size = self.upload.as_ref().map_or(PART, Upload::part_size);
            let room = size - self.buffer.len();
            // A full buffer waits for the next byte: an object of exactly one part is put in one request.
            if bytes.len() <= room {
                if self.buffer.is_empty() && bytes.len() == whole && whole > size / 2 {
                    // Taken over where nobody else has them. Smaller ones may be all that is wanted of much memory.
                    self.buffer = bytes.into();
                } else {
                    self.buffer.extend_from_slice(&bytes);
                }
                return Ok(());
            }
            self.buffer.extend_from_slice(&bytes.split_to(room));
            self.broken = true;
            if let Err(cause) = self.send_part().await {
                return Err(self.fail(cause).await);
            }
            self.broken = false;
        }
    }

    /// How many bytes were written so far.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Makes the object visible, in place of one of the same key.
    ///
    /// # Errors
    /// What the store says; the key is then as it was before.
    pub async fn finish(mut self) -> Result<Stored> {
        self.check()?;
        match self.complete().await {
            Ok(done) => Ok(Stored { bytes: self.written, e_tag: done.e_tag }),
            Err(cause) => Err(self.fail(cause).await),
        }
    }

    /// Gives the object up and frees what was stored of it.
    ///
    /// # Errors
    /// What the store says of the clean-up; nothing is visible in any case.
    pub async fn abort(mut self) -> Result<()> {
        let Some(mut upload) = self.upload.take() else { return Ok(()) };
        upload.abort().await.map_err(|cause| self.error(cause))
    }

    async fn send_part(&mut self) -> object_store::Result<()> {
        let part = self.buffer.split().freeze();
        let upload = match &mut self.upload {
            Some(upload) => upload,
            none => none.insert(Upload::begin(&self.bucket, &self.key).await?),
        };
        upload.send(part.into()).await
    }

    async fn complete(&mut self) -> object_store::Result<PutResult> {
        if self.upload.is_some() {
            self.send_part().await?;
        }
        match &mut self.upload {
            Some(upload) => upload.complete().await,
            None => {
                let object = PutPayload::from(self.buffer.split().freeze());
                self.bucket.store().put_opts(&self.key, object, Default::default()).await
            }
        }
    }

    fn check(&self) -> Result<()> {
        if !self.broken {
            return Ok(());
        }
        Err(Error::invalid("write", self.bucket.address(&self.key)).with_reason("an earlier write failed"))
    }

    /// Frees what was stored, and says why.
    async fn fail(&mut self, cause: object_store::Error) -> Error {
        if let Some(mut upload) = self.upload.take() {
            // The first error is the one to tell; a sweep removes what stays.
            let _ = upload.abort().await;
        }
        self.error(cause)
    }

    fn error(&self, cause: object_store::Error) -> Error {
        store_error("write", self.bucket.address(&self.key), cause)
    }
}

impl Upload {
    async fn begin(bucket: &Bucket, key: &Path) -> object_store::Result<Self> {
        let inner = bucket.store().put_multipart_opts(key, Default::default()).await?;
        Ok(Self { inner: Some(inner), under_way: JoinSet::new(), parts: 0 })
    }

    fn part_size(&self) -> usize {
        PART * (1 + self.parts / PARTS_PER_SIZE)
    }

    async fn send(&mut self, part: PutPayload) -> object_store::Result<()> {
        while self.under_way.len() >= IN_FLIGHT {
            self.wait_for_one().await?;
        }
        if let Some(upload) = &mut self.inner {
            self.under_way.spawn(upload.put_part(part));
            self.parts += 1;
        }
        Ok(())
    }

    async fn wait_for_one(&mut self) -> object_store::Result<()> {
        match self.under_way.join_next().await {
            Some(done) => done?,
            None => Ok(()),
        }
    }

    async fn complete(&mut self) -> object_store::Result<PutResult> {
        while !self.under_way.is_empty() {
            self.wait_for_one().await?;
        }
        let ended = || object_store::Error::Generic { store: "upload", source: "it has ended".into() };
        let done = self.inner.as_mut().ok_or_else(ended)?.complete().await?;
        self.inner = None;
        Ok(done)
    }

    async fn abort(&mut self) -> object_store::Result<()> {
        // A part that arrives after the abort would be stored for good, so those under way end first.
        while self.under_way.join_next().await.is_some() {}
        match self.inner.take() {
            Some(mut upload) => upload.abort().await,
            None => Ok(()),
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let Some(mut inner) = self.inner.take() else { return };
        let mut under_way = std::mem::take(&mut self.under_way);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                under_way.shutdown().await;
                // Nobody is left to hear of a failure; a sweep removes what stays.
                let _ = inner.abort().await;
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{BucketName, Lake, LocalLake};
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn a_cancelled_write_cannot_be_finished() {
        let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let lake = LocalLake::new(folder.path());
            let bucket = lake.create_bucket(&BucketName::new("raw-data").unwrap()).await.unwrap();
            // The only thread for files is busy, so that the first part has to wait.
            let (release, busy) = std::sync::mpsc::channel::<()>();
            tokio::task::spawn_blocking(move || busy.recv());
            let mut writer = bucket.writer(&"a".into());
            let mut write = Box::pin(writer.write(Bytes::from(vec![0; 3 * PART])));
            assert!(futures::poll!(&mut write).is_pending());
            drop(write);
            drop(release);
            assert_eq!(writer.write("b".into()).await.unwrap_err().kind(), ErrorKind::Invalid);
            assert_eq!(writer.finish().await.unwrap_err().kind(), ErrorKind::Invalid);
            assert!(bucket.list(None).await.unwrap().is_empty());
        });
    }

    #[test]
    fn parts_grow_so_that_ten_thousand_hold_hundreds_of_gibibytes() {
        let upload = |parts| Upload { inner: None, under_way: JoinSet::new(), parts }.part_size() as u64;
        assert_eq!((upload(0), upload(999), upload(1000)), (PART as u64, PART as u64, 2 * PART as u64));
        assert_eq!((0..10_000).map(upload).sum::<u64>() >> 30, 429);
    }
}
