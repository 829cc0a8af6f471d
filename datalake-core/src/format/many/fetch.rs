//! Work on many files: small ones are fetched and worked on several at a time, each whole on one CPU thread; large ones are
//! left to whoever reads them, one by one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures::future::{BoxFuture, try_join_all};
use futures::stream::BoxStream;
use futures::{StreamExt, stream};

use super::find::File;
use crate::compute;
use crate::error::Result;
use crate::format::source::Source;

/// Up to this size in bytes, as stored, a file is small.
const SMALL: u64 = 4 * 1024 * 1024;
/// Small files that are together no larger than this, in bytes, are handed to a CPU thread at once.
const GROUP: u64 = 256 * 1024;
/// So many of them at most.
const GROUP_FILES: usize = 64;
/// So many bytes of small files are kept for a second look.
const KEPT: u64 = 32 * 1024 * 1024;

/// What came of some files that follow one another.
pub(super) enum Done<T> {
    /// Of small ones, by their numbers.
    Small(Vec<(usize, T)>),
    /// A large one, on which nothing was done yet.
    Large(usize),
}

/// Whether files are looked at again later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    First,
    Last,
}

enum Group {
    Small(Vec<usize>),
    Large(usize),
}

/// Does work on some files, given by their numbers; what comes of it has their order.
pub(super) fn worked<T: Send + 'static>(
    files: &Arc<[File]>,
    which: impl Iterator<Item = usize>,
    look: Look,
    work: impl Fn(usize, Source) -> BoxFuture<'static, Result<T>> + Send + Sync + 'static,
) -> BoxStream<'static, Result<Done<T>>> {
    let (files, work) = (Arc::clone(files), Arc::new(work));
    let kept = Arc::new(AtomicU64::new(0));
    let groups = stream::iter(grouped(&files, which));
    let done = groups.map(move |group| {
        let (files, work, kept) = (Arc::clone(&files), Arc::clone(&work), Arc::clone(&kept));
        async move {
            let numbers = match group {
                Group::Large(number) => return Ok(Done::Large(number)),
                Group::Small(numbers) => numbers,
            };
            let fetched = try_join_all(numbers.iter().map(|number| fetched(&files[*number], look, &kept))).await?;
            compute::finish(move || async move {
                let mut done = Vec::with_capacity(numbers.len());
                for (number, bytes) in numbers.into_iter().zip(fetched) {
                    let source = Source::Bytes { name: Arc::clone(&files[number].name), bytes };
                    done.push((number, work(number, source).await?));
                }
                Ok(Done::Small(done))
            })
            .await
        }
    });
    done.buffered(compute::threads() + 2).boxed()
}

fn grouped(files: &[File], which: impl Iterator<Item = usize>) -> Vec<Group> {
    let (mut groups, mut bytes) = (Vec::new(), 0);
    for number in which {
        let size = files[number].size;
        match groups.last_mut() {
            _ if size > SMALL => groups.push(Group::Large(number)),
            Some(Group::Small(group)) if bytes + size <= GROUP && group.len() < GROUP_FILES => {
                group.push(number);
                bytes += size;
            }
            _ => {
                groups.push(Group::Small(vec![number]));
                bytes = size;
            }
        }
    }
    groups
}

/// The bytes of a file, those kept if they are; kept for later while there is room.
async fn fetched(file: &File, look: Look, kept: &AtomicU64) -> Result<Bytes> {
    let known = {
        let mut own = file.kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if look == Look::Last { own.take() } else { own.clone() }
    };
    if let Some(bytes) = known {
        kept.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        return Ok(bytes);
    }
    let bytes = file.bytes().await?;
    if look == Look::First && kept.fetch_add(bytes.len() as u64, Ordering::Relaxed) + file.size <= KEPT {
        *file.kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(bytes.clone());
    }
    Ok(bytes)
}
