//! How much of a conversion is at work at once, within the memory that it may use.
//!
//! What is written depends on none of this: blocks, row groups and their order are the same, only fewer of them are held at a
//! time. A quarter of the memory is for what is read. Of the rest, Parquet has all for its row groups, and text a third for
//! what is encoded and a third for what is compressed. Sizes are estimates for ordinary tables: what one block, batch or file
//! comes to is known only when it is there, and one is always held, however large it is; of a row group of Parquet that is read it
//! is known before, and one that takes more than three quarters is refused.

use super::options::{ReadOptions, WriteOptions};
use crate::error::{Error, Result};

const MIB: u64 = 1024 * 1024;
/// The least that can be said: a row group at work, a block that is read, and what is between them.
const LEAST: u64 = 96 * MIB;
/// What a block of text takes with the columns that come of it.
const BLOCK: u64 = 4 * MIB;
/// What a batch takes with the text that is made of it.
const BATCH: u64 = 4 * MIB;
/// What a small file takes with the rows that are decoded ahead.
const FILE: u64 = 12 * MIB;
/// What a row group takes while it is gathered, or encoded.
const GROUP: u64 = 40 * MIB;

/// What may be held at once; without a bound, as much as keeps all CPU threads at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MemoryBudget(Option<u64>);

impl MemoryBudget {
    pub(super) fn of_read(options: &ReadOptions) -> Self {
        Self(options.memory)
    }

    pub(super) fn of_write(options: &WriteOptions) -> Self {
        Self(options.memory)
    }

    /// Refuses less than is needed for any source.
    pub(super) fn check(self) -> Result<()> {
        match self.0 {
            Some(memory) if memory < LEAST => Err(Error::invalid("use", "`memory`")
                .with_reason(format_args!("it is {memory} bytes, and {LEAST} (96MiB) are needed at least"))
                .with_hint("give 96MiB or more")),
            _ => Ok(()),
        }
    }

    /// So many blocks of text are parsed ahead.
    pub(super) fn blocks(self, threads: usize) -> usize {
        self.within(4, BLOCK, threads + 1)
    }

    /// So many batches are encoded ahead.
    pub(super) fn batches(self, threads: usize) -> usize {
        self.within(4, BATCH, threads + 1)
    }

    /// So many small files, or neighbours among them, are read ahead.
    pub(super) fn files(self, threads: usize) -> usize {
        self.within(4, FILE, threads + 2)
    }

    /// So many row groups are encoded at a time, and whether the next one is gathered meanwhile.
    pub(super) fn groups(self, wanted: usize) -> (usize, bool) {
        let Some(memory) = self.0 else { return (wanted, true) };
        let held = usize::try_from(memory / 4 * 3 / GROUP).unwrap_or(usize::MAX);
        (held.saturating_sub(1).clamp(1, wanted.max(1)), held > 1)
    }

    /// At most this part of the memory, where it is less than `most` bytes.
    pub(super) fn bytes(self, part: u64, most: u64) -> u64 {
        self.0.map_or(most, |memory| (memory / part).min(most))
    }

    /// Refuses a row group that takes more than three quarters of the memory to be read.
    pub(super) fn check_group(self, source: &str, held: u64) -> Result<()> {
        match self.0 {
            Some(memory) if held > memory / 4 * 3 => Err(Error::invalid("read", source)
                .with_reason(format_args!(
                    "its largest row group takes about {held} bytes, the columns that are read as they are stored and a page of \
                     each, and three quarters of the `memory` of {memory} bytes are less"
                ))
                .with_hint(format_args!(
                    "give {} bytes of memory or more, read fewer columns, or write the file with smaller row groups",
                    (held / 3 + 1).saturating_mul(4)
                ))),
            _ => Ok(()),
        }
    }

    fn within(self, part: u64, each: u64, most: usize) -> usize {
        let Some(memory) = self.0 else { return most };
        usize::try_from(memory / part / each).unwrap_or(usize::MAX).clamp(1, most.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::format::{Sink, Source, convert};

    #[test]
    fn without_a_bound_all_threads_are_at_work() {
        let budget = MemoryBudget(None);
        assert_eq!((budget.blocks(8), budget.batches(8), budget.files(8)), (9, 9, 10));
        assert_eq!((budget.groups(3), budget.bytes(2, 96 * MIB)), ((3, true), 96 * MIB));
        budget.check().unwrap();
        budget.check_group("a", u64::MAX).unwrap();
    }

    #[test]
    fn little_memory_holds_few_and_much_holds_no_more_than_without_a_bound() {
        let little = MemoryBudget(Some(64 * MIB));
        assert_eq!((little.blocks(64), little.batches(64), little.files(64)), (4, 4, 1));
        assert_eq!((little.groups(16), little.bytes(2, 96 * MIB)), ((1, false), 32 * MIB));
        assert_eq!(MemoryBudget(Some(128 * MIB)).groups(16), (1, true));
        let much = MemoryBudget(Some(u64::MAX));
        assert_eq!((much.blocks(2), much.batches(2), much.files(2)), (3, 3, 4));
        assert_eq!((much.groups(3), much.bytes(2, 96 * MIB)), ((3, true), 96 * MIB));
    }

    /// All pairs of formats, with row groups so small that many of them wait for one another.
    #[tokio::test]
    async fn what_is_written_does_not_depend_on_memory() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let text = (0..40_000).fold("id,name\n".to_owned(), |text, row| text + &format!("{row},name {}\n", row % 977));
        std::fs::write(path("a.csv"), text).unwrap();
        let convert = async |from: &str, to: &str, memory: Option<u64>| {
            let read = ReadOptions::default().with_memory(memory);
            let rows = if to.ends_with(".parquet") { 1000 } else { WriteOptions::default().row_group_rows };
            let write = WriteOptions::default().with_memory(memory).with_row_group_rows(rows);
            let (from, to) = (Source::LocalFile(path(from)), Sink::LocalFile(path(to)));
            convert(from, to, read, write).await
        };
        for (from, name) in
            [("a.csv", "a.parquet"), ("a.parquet", "a.ndjson"), ("a.ndjson", "b.parquet"), ("b.parquet", "b.csv")]
        {
            convert(from, name, None).await.unwrap();
            let bounded = format!("bounded-{name}");
            assert_eq!(convert(from, &bounded, Some(LEAST)).await.unwrap().balance.written, 40_000, "{name}");
            assert!(std::fs::read(path(name)).unwrap() == std::fs::read(path(&bounded)).unwrap(), "{name}");
        }
        let error = convert("a.csv", "c.csv", Some(LEAST - 1)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(!path("c.csv").exists());
    }

    #[test]
    fn too_little_is_refused_with_what_is_needed() {
        let error = MemoryBudget(Some(LEAST - 1)).check().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains("96MiB"), "{error}");
        MemoryBudget(Some(LEAST)).check().unwrap();
        let budget = MemoryBudget(Some(100 * MIB));
        budget.check_group("foods.parquet", 75 * MIB).unwrap();
        let error = budget.check_group("foods.parquet", 75 * MIB + 1).unwrap_err();
        assert_eq!(error.hint().map(|hint| hint.contains("104857604 bytes")), Some(true), "{error}");
    }
}
