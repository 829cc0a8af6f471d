//! Work on many files: small ones are fetched and worked on several at a time, each whole on one CPU thread; large ones are
//! left to whoever reads them, one by one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures::future::{BoxFuture, try_join_all};
use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use tokio::sync::Semaphore;

use super::file::File;
use crate::compute;
use crate::error::{Error, Result};
use crate::format::memory::MemoryBudget;
use crate::format::source::Source;

/// Up to this size in bytes, as stored, a file is small.
const SMALL: u64 = 4 * 1024 * 1024;
/// Small files that are together no larger than this, in bytes, are handed to a CPU thread at once.
const GROUP: u64 = 256 * 1024;
/// So many of them at most.
const GROUP_FILES: usize = 64;
/// So many bytes of small files are kept for a second look.
const KEPT: u64 = 32 * 1024 * 1024;
/// So many requests for objects are under way at a time.
const REQUESTS: usize = 64;

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
    budget: MemoryBudget,
    work: impl Fn(usize, Source) -> BoxFuture<'static, Result<T>> + Send + Sync + 'static,
) -> BoxStream<'static, Result<Done<T>>> {
    let (files, work) = (Arc::clone(files), Arc::new(work));
    let (kept, requests) = (Arc::new(AtomicU64::new(0)), Arc::new(Semaphore::new(REQUESTS)));
    let most_kept = budget.bytes(8, KEPT);
    let groups = stream::iter(grouped(&files, which));
    let done = groups.map(move |group| {
        let (files, work, kept) = (Arc::clone(&files), Arc::clone(&work), Arc::clone(&kept));
        let requests = Arc::clone(&requests);
        async move {
            let numbers = match group {
                Group::Large(number) => return Ok(Done::Large(number)),
                Group::Small(numbers) => numbers,
            };
            let fetched = fetched(&files, &numbers, look, (&kept, most_kept), &requests).await?;
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
    done.buffered(budget.files(compute::threads())).boxed()
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

/// The bytes of files, those kept if they are; kept for later while there is room.
async fn fetched(
    files: &Arc<[File]>,
    numbers: &[usize],
    look: Look,
    (kept, most_kept): (&AtomicU64, u64),
    requests: &Semaphore,
) -> Result<Vec<Bytes>> {
    let known: Vec<Option<Bytes>> = numbers.iter().map(|number| files[*number].kept(look)).collect();
    let missing = numbers.iter().zip(&known).filter(|(_, known)| known.is_none()).map(|(number, _)| *number);
    let missing: Vec<usize> = missing.collect();
    let mut new = if missing.iter().all(|number| files[*number].is_local()) && !missing.is_empty() {
        // Handed over once for all.
        let (files, missing) = (Arc::clone(files), missing);
        let read = move || missing.iter().map(|number| files[*number].read()).collect::<Result<Vec<Bytes>>>();
        let read = tokio::task::spawn_blocking(read).await;
        read.unwrap_or_else(|_| Err(Error::internal("read", "files")))?
    } else {
        try_join_all(missing.iter().map(|number| in_turn(requests, files[*number].bytes()))).await?
    }
    .into_iter();
    let mut all = Vec::with_capacity(numbers.len());
    for (number, known) in numbers.iter().zip(known) {
        let is_new = known.is_none();
        let bytes = known.or_else(|| new.next()).unwrap_or_default();
        if is_new && look == Look::First {
            let size = bytes.len() as u64;
            if kept.fetch_add(size, Ordering::Relaxed) + size <= most_kept {
                files[*number].keep(bytes.clone());
            }
        }
        all.push(bytes);
    }
    Ok(all)
}

/// What a request gives, begun when it is its turn.
async fn in_turn<T>(requests: &Semaphore, request: impl Future<Output = Result<T>>) -> Result<T> {
    let _turn = requests.acquire().await.map_err(|_| Error::internal("fetch", "objects"))?;
    request.await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn so_many_requests_at_a_time_and_no_more() {
        let (requests, now, most) = (Semaphore::new(REQUESTS), AtomicU64::new(0), AtomicU64::new(0));
        let request = async || {
            let under_way = now.fetch_add(1, Ordering::Relaxed) + 1;
            most.fetch_max(under_way, Ordering::Relaxed);
            tokio::task::yield_now().await;
            now.fetch_sub(1, Ordering::Relaxed);
            Ok(())
        };
        let all = (0..3 * REQUESTS).map(|_| in_turn(&requests, request()));
        assert_eq!(try_join_all(all).await.unwrap().len(), 3 * REQUESTS);
        assert_eq!(most.load(Ordering::Relaxed), REQUESTS as u64);
    }
}
