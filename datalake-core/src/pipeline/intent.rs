//! What a replay is about to make of a conversion. It is told before the table appears, so that a replay that dies on its way
//! can be brought to its end: the table says itself whether it is the one before or the one after.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::conversion::{Conversion, Home, Kept};
use super::verify::rejects;
use super::written_table::WrittenTable;
use crate::error::{Error, ErrorKind, Result};
use crate::format::{Limit, Quarantine, Reject, Rejects, Sink, Source};
use crate::lake::{Lake, parse_object};

/// What a replay is about to make of a conversion.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Intent {
    /// No two are the same, even if they make the same.
    pub(super) attempt: String,
    /// The document as it will be, but for the quarantine: that is here as it was.
    pub(super) after: Conversion,
    /// The records that stay in the quarantine, by their places there, from 0: where each stands in its source. All others are
    /// rows then.
    pub(super) left: BTreeMap<usize, (String, u64)>,
}

impl Intent {
    /// So many records were in the quarantine, of which it makes rows.
    pub(super) fn brought_back(&self) -> u64 {
        let all = self.after.quarantine.as_ref().map_or(0, |kept| kept.records.records);
        all.saturating_sub(self.left.len() as u64)
    }

    /// Does what is left to do when the table is there.
    async fn carried_out(self, home: &mut Home, lake: &impl Fn() -> Result<Arc<dyn Lake>>) -> Result<Conversion> {
        let Self { after, left, .. } = self;
        let Some(kept) = after.quarantine.clone() else { return after.with_rest(Vec::new(), home, lake).await };
        let records = match rejects(&places(&kept, home, lake).await?.0).await {
            // It has been removed already, as nothing is left of it.
            Err(error) if error.kind() == ErrorKind::NotFound && left.is_empty() => Vec::new(),
            records => records?,
        };
        let are_left = records.iter().map(standing).eq(left.values().cloned());
        let rest = if are_left {
            // They have been written already.
            records
        } else {
            is_whole(&records, &kept, home)?;
            let records = records.into_iter().enumerate();
            records.filter(|(place, _)| left.contains_key(place)).map(|(_, record)| record).collect()
        };
        after.with_rest(rest, home, lake).await
    }
}

impl Conversion {
    /// What a replay was about to make of it, and has made: the table is the one after.
    ///
    /// # Errors
    /// Those of the lake and the operating system.
    pub(super) async fn made(&self, lake: &impl Fn() -> Result<Arc<dyn Lake>>) -> Result<Option<&Intent>> {
        if self.intents.is_empty() {
            return Ok(None);
        }
        let found = WrittenTable::of(self, lake).await?.sha256().await?;
        Ok(self.intents.iter().find(|intent| found.as_ref() == Some(&intent.after.written.sha256)))
    }

    /// Brings a replay to its end that died when its table was there; says how many records it has brought back. One that has
    /// not come so far stays told: it may be slow, and alive.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] where its quarantine was changed since; [`ErrorKind::AlreadyExists`] where another one does the
    /// same; those of the lake and the operating system.
    pub(super) async fn settled(
        self,
        home: &mut Home,
        lake: &impl Fn() -> Result<Arc<dyn Lake>>,
    ) -> Result<(Self, u64)> {
        let Some(intent) = self.made(lake).await?.cloned() else { return Ok((self, 0)) };
        self.save(home).await?;
        let brought_back = intent.brought_back();
        Ok((intent.carried_out(home, lake).await?, brought_back))
    }

    /// Leaves the records in the quarantine that are no rows, and then the document that tells of it.
    ///
    /// # Errors
    /// Those of the lake and the operating system.
    pub(super) async fn with_rest(
        mut self,
        rest: Vec<Reject>,
        home: &mut Home,
        lake: &impl Fn() -> Result<Arc<dyn Lake>>,
    ) -> Result<Self> {
        if let Some(kept) = self.quarantine.take() {
            let (place, sink) = places(&kept, home, lake).await?;
            let quarantine = Quarantine::new(Limit::default());
            rest.into_iter().try_for_each(|reject| quarantine.reject(reject))?;
            match quarantine.finish_to(sink).await? {
                Some(records) => self.quarantine = Some(Kept { records, ..kept }),
                None => forget(&place).await?,
            }
        }
        self.save(home).await?;
        Ok(self)
    }
}

/// Where a record stands in its source.
pub(super) fn standing(record: &Reject) -> (String, u64) {
    (record.source.clone(), record.row)
}

/// Where a quarantine is read, and where it is written.
pub(super) async fn places(
    kept: &Kept,
    home: &Home,
    lake: &impl Fn() -> Result<Arc<dyn Lake>>,
) -> Result<(Source, Sink)> {
    match home {
        Home::Run(..) => {
            let (bucket, path) = parse_object(&kept.path)?;
            let bucket = lake()?.bucket(&bucket).await?;
            Ok((Source::Object { bucket: bucket.clone(), path: path.clone() }, Sink::Object { bucket, path }))
        }
        Home::Folder(_) => Ok((Source::LocalFile(kept.path.clone().into()), Sink::LocalFile(kept.path.clone().into()))),
    }
}

/// Refuses a quarantine in which there are more or fewer records than before.
pub(super) fn is_whole(records: &[Reject], kept: &Kept, home: &Home) -> Result<()> {
    if records.len() as u64 == kept.records.records {
        return Ok(());
    }
    Err(Error::invalid("replay", home)
        .with_reason(format_args!("{} had {} records, and has {} now", kept.path, kept.records.records, records.len()))
        .with_hint("correct records, but leave each in its line"))
}

/// Refuses a table that is not as the conversion left it: what was brought back once must not be so twice.
pub(super) async fn is_as_it_was(conversion: &Conversion, table: &WrittenTable) -> Result<()> {
    let reason = match table.sha256().await? {
        Some(found) if found == conversion.written.sha256 => return Ok(()),
        Some(_) => "it is not as the conversion left it: it was written anew or changed since",
        None => "it is not as the conversion left it: it is gone",
    };
    Err(Error::invalid("replay", &conversion.destination).with_reason(reason).with_hint("convert the source again"))
}

/// Removes a quarantine of which nothing is left, unless that is done.
async fn forget(place: &Source) -> Result<()> {
    let removed = match place {
        Source::Object { bucket, path } => bucket.delete(path).await,
        Source::LocalFile(path) => {
            std::fs::remove_file(path).map_err(|cause| Error::io("remove", path.display(), cause))
        }
        _ => Ok(()),
    };
    match removed {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}
