//! The driver from record batches to a sink of text: what is encoded on the CPU threads is hashed, compressed and stored.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use bytes::Bytes;
use futures::future::try_join;
use futures::{StreamExt, TryStreamExt};
use tokio::sync::mpsc;

use crate::compute;
use crate::error::{Error, ErrorKind, Result};
use crate::format::batches::Batches;
use crate::format::compression::{Deflate, Packed, Seal, Stretch};
use crate::format::digest::TableDigest;
use crate::format::memory::MemoryBudget;
use crate::format::sink::{Output, Sink, Written};

/// Makes text of record batches, many at a time.
pub(crate) trait Encode: Send + Sync + 'static {
    /// What stands before all rows.
    fn begin(&self) -> Vec<u8>;
    /// Encodes a batch, to the end of `bytes`.
    fn encode(&self, batch: &RecordBatch, bytes: &mut Vec<u8>) -> Result<()>;
    /// Corrects what was encoded of the batch that has the first row.
    fn first(&self, bytes: &mut [u8]) {
        let _ = bytes;
    }
    /// What stands behind so many rows.
    fn end(&self, rows: u64) -> Vec<u8>;
}

/// Memory of texts that were stored, for those that follow: what is given back to the operating system must be cleared by it
/// before it comes again.
#[derive(Debug, Default)]
struct Spare {
    texts: Mutex<Vec<Vec<u8>>>,
}

impl Spare {
    fn take(&self) -> Vec<u8> {
        self.lock().pop().unwrap_or_default()
    }

    /// Keeps the memory of a text that nobody else has any more.
    fn keep(&self, text: Bytes) {
        if let Ok(mut text) = text.try_into_mut() {
            text.clear();
            self.lock().push(text.into());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        // Whole texts come and go, so a panic elsewhere leaves nothing behind that matters.
        self.texts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What hashes and compresses what was encoded.
struct Press {
    deflate: Deflate,
    digest: TableDigest,
    rows: u64,
    name: String,
}

impl Press {
    fn take(&mut self, batch: &RecordBatch, bytes: Vec<u8>) -> Result<Vec<Stretch>> {
        self.rows += batch.num_rows() as u64;
        self.digest.update(batch)?;
        self.press(bytes)
    }

    fn press(&mut self, bytes: Vec<u8>) -> Result<Vec<Stretch>> {
        self.deflate.push(bytes).map_err(|cause| Error::io("compress", &self.name, cause))
    }

    /// The last bytes, and the table's digest.
    fn finish(mut self, last: Vec<u8>) -> Result<(Vec<Stretch>, u64, String)> {
        let mut stretches = self.press(last)?;
        stretches.push(self.deflate.finish().map_err(|cause| Error::io("compress", &self.name, cause))?);
        Ok((stretches, self.rows, self.digest.finish()))
    }
}

/// Two columns of one name could not be told apart by any reader.
pub(crate) fn refuse_repeated_names(schema: &Schema, sink: &str) -> Result<()> {
    let mut names = HashSet::new();
    match schema.fields().iter().find(|field| !names.insert(field.name())) {
        None => Ok(()),
        Some(field) => Err(Error::invalid("write", sink)
            .with_reason(format_args!("two columns have the name `{}`", field.name()))
            .with_hint("give each column a name of its own, in SQL with AS")),
    }
}

/// Encodes all batches into a sink, on as many CPU threads as memory lets be at work.
pub(crate) async fn write<E: Encode>(
    sink: Sink,
    batches: Batches,
    encoder: E,
    deflate: Deflate,
    memory: MemoryBudget,
) -> Result<Written> {
    let at_once = memory.batches(compute::threads());
    let name = sink.to_string();
    refuse_repeated_names(batches.schema(), &name)?;
    let digest = TableDigest::new(batches.schema());
    let mut press = Press { deflate, digest, rows: 0, name: name.clone() };
    let mut output = Output::open(sink).await?;
    let encoder = Arc::new(encoder);
    let shared = Arc::clone(&encoder);
    // How many bytes the largest batch so far came to: the next one will not have to grow much.
    let room = Arc::new(AtomicUsize::new(0));
    // Compressed texts are small beside those that they are made of.
    let spare = press.deflate.is_plain().then(|| Arc::new(Spare::default()));
    let from_spare = spare.clone();
    let encode = move |batch: Result<RecordBatch>| {
        let (encoder, room, spare) = (Arc::clone(&shared), Arc::clone(&room), from_spare.clone());
        async move {
            let batch = batch?;
            compute::run(move || {
                let mut bytes = spare.as_deref().map(Spare::take).unwrap_or_default();
                bytes.reserve(room.load(Ordering::Relaxed) / 8 * 9);
                encoder.encode(&batch, &mut bytes)?;
                room.fetch_max(bytes.len(), Ordering::Relaxed);
                Ok((batch, bytes))
            })
            .await
        }
    };
    let mut encoded = batches.map(encode).buffered(at_once);
    // What is ready is stored while the next batch is pressed.
    let (sender, mut receiver) = mpsc::channel(2);
    let pressed = async move {
        // Where nothing is stored any more, whoever stores has an error to tell.
        let gone = |_| Error::new(ErrorKind::Cancelled, "write", "what was encoded");
        for stretch in press.press(encoder.begin())? {
            sender.send(stretch).await.map_err(gone)?;
        }
        while let Some((batch, mut bytes)) = encoded.try_next().await? {
            let ready;
            let encoder = Arc::clone(&encoder);
            (press, ready) = compute::run(move || {
                if press.rows == 0 {
                    encoder.first(&mut bytes);
                }
                let ready = press.take(&batch, bytes)?;
                Ok((press, ready))
            })
            .await?;
            for stretch in ready {
                sender.send(stretch).await.map_err(gone)?;
            }
        }
        let (last, rows, digest) = compute::run(move || {
            let end = encoder.end(press.rows);
            press.finish(end)
        })
        .await?;
        for stretch in last {
            sender.send(stretch).await.map_err(gone)?;
        }
        Ok((rows, digest))
    };
    let pack = move |stretch: Stretch| {
        let name = name.clone();
        async move {
            if let Stretch::Ready(bytes) = stretch {
                return Ok(Packed::from(bytes));
            }
            compute::run(move || stretch.pack().map_err(|cause| Error::io("compress", name, cause))).await
        }
    };
    let stored = async move {
        let stretches = futures::stream::poll_fn(move |context| receiver.poll_recv(context));
        let mut packed = std::pin::pin!(stretches.map(pack).buffered(at_once));
        let mut seal = Seal::default();
        while let Some(packed) = packed.try_next().await? {
            let bytes = Bytes::from(seal.take(packed));
            let kept = spare.as_ref().map(|spare| (spare, bytes.clone()));
            output.write(bytes).await?;
            if let Some((spare, bytes)) = kept {
                spare.keep(bytes);
            }
        }
        Ok::<_, Error>(output)
    };
    let ((rows, digest), output) = try_join(pressed, stored).await?;
    let (bytes, sha256) = output.finish().await?;
    Ok(Written { rows, bytes, sha256, digest })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_memory_that_nobody_has_any_more_is_kept() {
        let spare = Spare::default();
        let text = Bytes::from(Vec::from([7; 1000]));
        let other = text.clone();
        spare.keep(text);
        assert_eq!(spare.take().capacity(), 0);
        let address = other.as_ptr();
        spare.keep(other);
        let text = spare.take();
        assert!(text.is_empty() && text.capacity() >= 1000);
        assert_eq!(text.as_ptr(), address);
        assert_eq!(spare.take().capacity(), 0);
    }
}
