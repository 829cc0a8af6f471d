//! Where rejected records are kept: one JSON object a line, up to a limit.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::{self, Debug, Display};
use std::io::{Read, Seek, Write};
use std::str::FromStr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use object_store::path::Path;
use serde::{Deserialize, Serialize};
use tempfile::SpooledTempFile;

use super::nulled::{Nulled, NulledColumn, NulledCounts};
use super::reject::{Reject, Rejects, SourceColumns};
use super::sink::{Output, Sink};
use crate::error::{Error, Result};
use crate::lake::Bucket;

/// From this row on, a percentage is held to while reading; before, one bad row would be too many.
const JUDGED_FROM: u64 = 1000;
/// So many bytes are held in memory; more go to a temporary file.
const IN_MEMORY: usize = 1024 * 1024;

/// How many bad rows are put up with: `100` or `5%`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Plain", into = "String")]
pub enum Limit {
    /// So many rows of all sources together.
    Rows(u64),
    /// So many percent of the rows seen, of all sources together.
    Percent(f64),
}

/// No limit: every row may be bad.
impl Default for Limit {
    fn default() -> Self {
        Self::Percent(100.0)
    }
}

/// A limit as users write it, with or without quotes.
#[derive(Deserialize)]
#[serde(untagged)]
enum Plain {
    Rows(u64),
    Text(String),
}

impl TryFrom<Plain> for Limit {
    type Error = Error;

    fn try_from(plain: Plain) -> Result<Self> {
        match plain {
            Plain::Rows(rows) => Ok(Self::Rows(rows)),
            Plain::Text(text) => text.parse(),
        }
    }
}

impl FromStr for Limit {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let limit = match text.trim().strip_suffix('%') {
            Some(percent) => percent.trim().parse().ok().filter(|p| (0.0..=100.0).contains(p)).map(Self::Percent),
            None => text.trim().parse().ok().map(Self::Rows),
        };
        limit.ok_or_else(|| {
            Error::invalid("use", format_args!("`{text}` as a limit of bad rows"))
                .with_reason("it must be a number of rows, such as 100, or a percentage, such as 5%")
        })
    }
}

impl Limit {
    /// Holds the limit against the number of bad rows among all rows seen.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if there are more than it allows.
    pub fn check(self, bad: u64, seen: u64) -> Result<()> {
        let is_within = match self {
            Self::Rows(rows) => bad <= rows,
            Self::Percent(percent) => bad as f64 * 100.0 <= percent * seen as f64,
        };
        if is_within {
            return Ok(());
        }
        Err(Error::invalid("go on", "after so many bad rows")
            .with_reason(format_args!("at least {bad} of {seen} rows are bad, and the limit is {self}"))
            .with_hint("look at the reasons, correct the source, or allow more, such as `max_bad_rows = \"10%\"`"))
    }
}

impl Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rows(rows) => write!(f, "{rows}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

impl From<Limit> for String {
    fn from(limit: Limit) -> Self {
        limit.to_string()
    }
}

/// Keeps rejected records until they are put into an object or a file.
///
/// ```
/// use std::sync::Arc;
///
/// use datalake_core::format::{Limit, OnRowError, Quarantine, ReadOptions};
///
/// let quarantine = Arc::new(Quarantine::new(Limit::Percent(1.0)));
/// let options = ReadOptions::default()
///     .with_on_row_error(OnRowError::Quarantine)
///     .with_rejects(Some(quarantine.clone()));
/// // ... read with these options, then:
/// assert!(quarantine.counts().is_empty());
/// ```
pub struct Quarantine {
    limit: Limit,
    /// Whether a percentage is held to before everything has been seen.
    is_early: bool,
    kept: Mutex<Kept>,
}

struct Kept {
    lines: SpooledTempFile,
    counts: BTreeMap<String, u64>,
    nulled: NulledCounts,
    /// The last row seen of each source.
    rows: HashMap<String, u64>,
    /// The columns of each source.
    columns: BTreeMap<String, SourceColumns>,
    json_text: BTreeSet<String>,
}

/// What became of a quarantine that was not empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Quarantined {
    /// How many records lie in it.
    pub records: u64,
    /// How many by code.
    pub codes: BTreeMap<String, u64>,
    /// Its size in bytes.
    pub bytes: u64,
    /// The SHA-256 of its bytes, in hex.
    pub sha256: String,
}

impl Quarantine {
    /// An empty quarantine. A number of rows is held to at every row, a percentage from the thousandth row on and in the end.
    #[must_use]
    pub fn new(limit: Limit) -> Self {
        let lines = SpooledTempFile::new(IN_MEMORY);
        let (counts, nulled) = (BTreeMap::new(), NulledCounts::default());
        let (rows, columns, json_text) = (HashMap::new(), BTreeMap::new(), BTreeSet::new());
        Self { limit, is_early: true, kept: Mutex::new(Kept { lines, counts, nulled, rows, columns, json_text }) }
    }

    /// An empty quarantine for the sources of a step, or for some of them: a percentage is of the rows of all, so it is held
    /// to in the end alone. Else it would depend on how many workers share them whether there are too many bad rows.
    #[cfg(any(test, feature = "pipeline"))]
    pub(crate) fn of_scan(limit: Limit) -> Self {
        Self { is_early: false, ..Self::new(limit) }
    }

    /// How many records were rejected so far, by code.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.kept().counts.clone()
    }

    /// The values that became null in records that were kept, column by column.
    #[must_use]
    pub fn nulled_columns(&self) -> Vec<NulledColumn> {
        self.kept().nulled.columns()
    }

    /// The columns of each source whose records came here, as they stand in it: a record is read once more with these.
    #[must_use]
    pub fn columns(&self) -> BTreeMap<String, SourceColumns> {
        self.kept().columns.clone()
    }

    /// The columns of JSON sources that hold JSON text.
    #[must_use]
    pub fn json_text(&self) -> Vec<String> {
        self.kept().json_text.iter().cloned().collect()
    }

    /// Holds the limit against the number of records seen in the end, in all sources together.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if there are more bad rows than the limit allows.
    pub fn check(&self, seen: u64) -> Result<()> {
        let bad = self.kept().bad();
        self.limit.check(bad, seen)
    }

    /// Puts what was rejected into an object, one JSON object a line; `None`, and no object, if nothing was.
    ///
    /// # Errors
    /// Those of the bucket; the records are then still kept.
    pub async fn finish(&self, bucket: &Bucket, path: &Path) -> Result<Option<Quarantined>> {
        self.finish_to(Sink::Object { bucket: bucket.clone(), path: path.clone() }).await
    }

    /// Puts what was rejected into a sink, as [`Quarantine::finish`] does.
    ///
    /// # Errors
    /// Those of the sink; the records are then still kept.
    pub async fn finish_to(&self, sink: Sink) -> Result<Option<Quarantined>> {
        let (records, codes) = {
            let kept = self.kept();
            (kept.total(), kept.counts.clone())
        };
        if records == 0 {
            return Ok(None);
        }
        let mut output = Output::open(sink).await?;
        let mut offset = 0;
        loop {
            let piece = self.kept().read(offset).map_err(|cause| Error::io("read", "the quarantine", cause))?;
            if piece.is_empty() {
                break;
            }
            offset += piece.len() as u64;
            output.write(piece).await?;
        }
        let (bytes, sha256) = output.finish().await?;
        Ok(Some(Quarantined { records, codes, bytes, sha256 }))
    }

    fn judge(&self, bad: u64, seen: u64) -> Result<()> {
        match self.limit {
            Limit::Percent(_) if !self.is_early || seen < JUDGED_FROM => Ok(()),
            _ => self.limit.check(bad, seen),
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // A panic between two writes leaves at most a line without its end, and the read has failed anyway.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn total(&self) -> u64 {
        self.counts.values().sum()
    }

    /// Records that were rejected, and those of which a value became null.
    fn bad(&self) -> u64 {
        self.total() + self.nulled.rows()
    }

    /// Sees this row of a source; gives how many records are bad, of how many.
    fn count(&mut self, source: String, row: u64) -> (u64, u64) {
        let last = self.rows.entry(source).or_default();
        *last = row.max(*last);
        (self.bad(), self.rows.values().sum())
    }

    fn keep(&mut self, reject: &Reject) -> std::io::Result<()> {
        let mut line = serde_json::to_vec(reject)?;
        line.push(b'\n');
        self.lines.seek(std::io::SeekFrom::End(0))?;
        self.lines.write_all(&line)
    }

    fn read(&mut self, offset: u64) -> std::io::Result<Bytes> {
        const PIECE: u64 = 1024 * 1024;
        let mut piece = Vec::new();
        self.lines.seek(std::io::SeekFrom::Start(offset))?;
        Read::by_ref(&mut self.lines).take(PIECE).read_to_end(&mut piece)?;
        Ok(piece.into())
    }
}

impl Rejects for Quarantine {
    fn columns(&self, source: &str, columns: SourceColumns) {
        self.kept().columns.insert(source.to_owned(), columns);
    }

    fn json_text(&self, columns: Vec<String>) {
        self.kept().json_text.extend(columns);
    }

    fn reached(&self, source: &str, row: u64) {
        let mut kept = self.kept();
        match kept.rows.get_mut(source) {
            Some(last) => *last = row.max(*last),
            None => drop(kept.rows.insert(source.to_owned(), row)),
        }
    }

    fn end(&self, seen: u64) -> Result<()> {
        self.check(seen)
    }

    fn reject(&self, reject: Reject) -> Result<()> {
        let (bad, seen) = {
            let mut kept = self.kept();
            kept.keep(&reject).map_err(|cause| Error::io("keep", "a rejected record", cause))?;
            *kept.counts.entry(reject.code).or_default() += 1;
            kept.count(reject.source, reject.row)
        };
        self.judge(bad, seen)
    }

    fn nulled(&self, values: &[Nulled]) -> Result<()> {
        let Some(first) = values.first() else { return Ok(()) };
        let (bad, seen) = {
            let mut kept = self.kept();
            kept.nulled.add(values);
            kept.count(first.source.clone(), first.position.row.unwrap_or_default())
        };
        self.judge(bad, seen)
    }
}

impl Debug for Quarantine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Quarantine").field("limit", &self.limit).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lake::BucketName;
    use object_store::memory::InMemory;
    use std::sync::Arc;

    fn reject(row: u64, code: &str) -> Reject {
        let (source, code) = ("a.csv".to_owned(), code.to_owned());
        Reject { source, row, line: None, byte: None, column: None, code, reason: "bad".into(), raw: "1,\"x".into() }
    }

    #[tokio::test]
    async fn what_was_rejected_can_be_read_back() {
        let bucket = Bucket::new(BucketName::new("raw-data").unwrap(), Arc::new(InMemory::new()));
        let path = Path::from("_quarantine/a.ndjson");
        let quarantine = Quarantine::new(Limit::Rows(10));
        assert_eq!(quarantine.finish(&bucket, &path).await.unwrap(), None);
        assert!(bucket.head(&path).await.is_err(), "nothing is written when nothing was rejected");
        for row in [3, 5] {
            quarantine.reject(reject(row, "ragged")).unwrap();
        }
        let done = quarantine.finish(&bucket, &path).await.unwrap().unwrap();
        assert_eq!((done.records, done.codes["ragged"]), (2, 2));
        let text = bucket.get(&path).await.unwrap();
        let back: Vec<Reject> =
            text.split(|b| *b == b'\n').filter(|l| !l.is_empty()).map(|l| serde_json::from_slice(l).unwrap()).collect();
        assert_eq!(back, [reject(3, "ragged"), reject(5, "ragged")]);
    }

    #[test]
    fn too_many_bad_rows_end_the_read() {
        let rows = Quarantine::new(Limit::Rows(1));
        rows.reject(reject(1, "type")).unwrap();
        let error = rows.reject(reject(2, "type")).unwrap_err();
        assert_eq!(error.reason(), Some("at least 2 of 2 rows are bad, and the limit is 1"));
        let percent = Quarantine::new(Limit::Percent(0.1));
        percent.reject(reject(1, "type")).unwrap();
        assert!(percent.check(900).is_err());
        percent.check(1000).unwrap();
        assert!(percent.reject(reject(1001, "type")).is_err());
    }

    #[test]
    fn rows_of_which_a_value_became_null_are_bad_rows() {
        let quarantine = Quarantine::new(Limit::Rows(2));
        let nulled = |row, column| Nulled::new("a.csv", crate::error::Position::row(row), column, "`-` is not a date");
        quarantine.reject(reject(1, "ragged")).unwrap();
        quarantine.nulled(&[nulled(2, "x"), nulled(2, "y")]).unwrap();
        assert_eq!((quarantine.counts().len(), quarantine.nulled_columns().len()), (1, 2));
        let error = quarantine.nulled(&[nulled(3, "x")]).unwrap_err();
        assert_eq!(error.reason(), Some("at least 3 of 3 rows are bad, and the limit is 2"));
        assert!(quarantine.check(1000).is_err());
    }

    #[test]
    fn a_percentage_of_all_sources_of_a_step_waits_for_the_last() {
        let quarantine = Quarantine::of_scan(Limit::Percent(5.0));
        for row in 1..=1500 {
            quarantine.reject(reject(row, "type")).unwrap();
        }
        assert!(quarantine.check(2000).is_err());
        quarantine.check(30_000).unwrap();
        let rows = Quarantine::of_scan(Limit::Rows(0));
        assert!(rows.reject(reject(1, "type")).is_err(), "a number is too many at once");
    }

    #[test]
    fn a_percentage_counts_sources_without_bad_rows() {
        let quarantine = Quarantine::new(Limit::Percent(5.0));
        quarantine.reached("clean.csv", 5000);
        for row in 901..=1020 {
            quarantine.reject(reject(row, "type")).unwrap();
        }
    }

    #[test]
    fn limits_are_written_as_users_write_them() {
        assert_eq!("5%".parse::<Limit>().unwrap(), Limit::Percent(5.0));
        assert_eq!(serde_json::from_str::<Limit>("7").unwrap(), Limit::Rows(7));
        assert_eq!(serde_json::to_string(&Limit::Percent(0.5)).unwrap(), "\"0.5%\"");
        assert!("101%".parse::<Limit>().is_err());
        assert!("many".parse::<Limit>().is_err());
    }
}
