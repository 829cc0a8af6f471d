//! Many files as one stream of batches: they are opened ahead on all CPU threads, and handed on in their order.

use std::collections::{HashMap, HashSet, VecDeque};
use std::mem::take;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, StringArray, UInt32Array};
use arrow::compute::{concat_batches, take as taken};
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt, TryStreamExt};

use super::deferred::Event;
use super::fetch::{Done, Look, worked};
use super::plan::{Layout, Piece, Plan};
use super::said::in_both;
use super::union::{FileNotes, lacking};
use crate::error::{Error, Result};
use crate::format::batches::{Batches, Tally, slices};
use crate::format::memory::MemoryBudget;
use crate::format::names::meant;
use crate::format::nulled::Nulled;
use crate::format::options::ReadOptions;
use crate::format::reject::{Reject, Rejects, SourceColumns};
use crate::format::schema::Misfit;
use crate::format::source::Source;

/// Of a file so many (decompressed) bytes are decoded ahead, about; the rest when it is its turn.
const BEGUN: u64 = 8 * 1024 * 1024;

impl Plan {
    /// All rows, file by file, with all columns or some. Errors come through the stream; what is seen of single files is told
    /// by the tally at its end.
    pub(crate) fn read(&self, columns: Option<&[String]>) -> Result<Batches> {
        let layout = Arc::new(self.layout(columns)?);
        let mut options = self.options.clone().with_columns(Some(layout.of_file.clone()));
        // What a file lacks is told of all files together.
        options.is_one_of_many = true;
        let tally = Arc::new(Tally::default());
        let opened = Opened { plan: self.clone(), layout: Arc::clone(&layout), options };
        let small = opened.clone();
        let budget = MemoryBudget::of_read(&opened.options);
        let files = worked(&self.files.files, 0..self.files.len(), Look::Last, budget, move |number, source| {
            let opened = small.clone();
            async move { Ok(opened.begin(number, source).await) }.boxed()
        });
        let reader = Reader {
            files,
            opened,
            ready: VecDeque::new(),
            current: None,
            tally: Arc::clone(&tally),
            seen: Seen::new(self),
        };
        let stream = futures::stream::try_unfold(reader, Reader::next).boxed();
        Ok(Batches::new(Arc::clone(&layout.schema), stream, tally).with_notes(self.notes().to_vec()))
    }
}

/// How files are opened.
#[derive(Clone)]
struct Opened {
    plan: Plan,
    layout: Arc<Layout>,
    options: ReadOptions,
}

/// A file of which as much was read as is read ahead.
struct Begun {
    number: usize,
    /// The columns that stand in it, as far as they are not known beforehand.
    columns: Option<Vec<String>>,
    /// What is to be known of it by itself.
    notes: Vec<String>,
    batches: VecDeque<RecordBatch>,
    rest: Option<Batches>,
    tally: Arc<Tally>,
    rejected: Option<Arc<Rejected>>,
    /// What ended it.
    error: Option<Error>,
}

impl Opened {
    async fn begin(&self, number: usize, source: Source) -> Begun {
        let rejected = self.options.rejects.as_ref().map(|_| Arc::new(Rejected::default()));
        let options = self.options.clone().with_rejects(rejected.clone().map(|rejected| rejected as _));
        let mut begun = Begun::new(number, rejected);
        if let Err(error) = self.begin_with(source, options, &mut begun).await {
            begun.error = Some(error);
        }
        begun
    }

    async fn begin_with(&self, source: Source, options: ReadOptions, begun: &mut Begun) -> Result<()> {
        begun.open(self.plan.open(begun.number, source, options).await?);
        while let Some(mut batches) = begun.rest.take() {
            match batches.try_next().await? {
                None => break,
                Some(batch) => begun.batches.push_back(self.complete(&batch, begun.number)?),
            }
            let is_enough = batches.tally().bytes() >= BEGUN;
            begun.rest = Some(batches);
            if is_enough {
                break;
            }
        }
        Ok(())
    }

    /// A batch of a file as one of the table.
    fn complete(&self, batch: &RecordBatch, number: usize) -> Result<RecordBatch> {
        let internal = |cause| Error::internal("hand on", "the rows of a file").with_source(cause);
        let rows = batch.num_rows();
        let column = |piece: &Piece| -> Result<ArrayRef> {
            Ok(match piece {
                Piece::Own(place) => Arc::clone(batch.column(*place)),
                Piece::Said(values) => {
                    let number = u32::try_from(number).unwrap_or(u32::MAX);
                    taken(values, &UInt32Array::from_value(number, rows), None).map_err(internal)?
                }
                Piece::Source => {
                    let name = &*self.plan.files.files[number].name;
                    Arc::new(StringArray::from_iter_values(std::iter::repeat_n(name, rows)))
                }
            })
        };
        let columns = self.layout.pieces.iter().map(column).collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.layout.schema), columns, &options).map_err(internal)
    }
}

impl Begun {
    fn new(number: usize, rejected: Option<Arc<Rejected>>) -> Self {
        let (batches, tally, notes) = (VecDeque::new(), Arc::default(), Vec::new());
        Self { number, columns: None, notes, batches, rest: None, tally, rejected, error: None }
    }

    fn open(&mut self, batches: Batches) {
        self.columns = batches.source_columns().map(<[String]>::to_vec);
        self.notes = batches.notes().to_vec();
        self.tally = Arc::clone(batches.tally());
        self.rest = Some(batches);
    }
}

/// What was told of the records of a file whose turn has not come.
#[derive(Debug, Default)]
struct Rejected {
    events: Mutex<Vec<Event>>,
}

impl Rejected {
    fn events(&self) -> MutexGuard<'_, Vec<Event>> {
        // Each use is one assignment or one push.
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rejects for Rejected {
    fn reject(&self, reject: Reject) -> Result<()> {
        self.events().push(Event::Reject(Box::new(reject)));
        Ok(())
    }

    fn nulled(&self, values: &[Nulled]) -> Result<()> {
        self.events().push(Event::Nulled(values.to_vec()));
        Ok(())
    }

    fn columns(&self, source: &str, columns: SourceColumns) {
        self.events().push(Event::Columns(source.to_owned(), Box::new(columns)));
    }

    fn json_text(&self, columns: Vec<String>) {
        self.events().push(Event::JsonText(columns));
    }

    fn reached(&self, source: &str, row: u64) {
        Event::reached(&mut self.events(), source, row);
    }
}

/// A file, and the name of a column in it that may be meant.
type Meant = (Arc<str>, String);

/// What was seen of the columns of files that were read.
#[derive(Debug)]
struct Seen {
    /// The names in the table, and those in a file that stand for each.
    wanted: Vec<(String, Vec<String>)>,
    /// Where each name stands among them.
    places: HashMap<String, usize>,
    /// How many files lack each, and the first of them, with the name in it that may be meant.
    lacking: Vec<(usize, Option<Meant>)>,
    /// Where columns are guessed: how many of them, from the first on, were seen.
    known: Option<usize>,
    /// Whether it is told here what files lack, and what is to be known of each: it is known beforehand where all were looked at.
    tells: bool,
    files: usize,
    notes: FileNotes,
}

impl Seen {
    fn new(plan: &Plan) -> Self {
        let guess = plan.options.guess.as_ref().filter(|_| !plan.is_whole);
        let specs = guess.map(|guess| &guess.columns).or(plan.options.schema.as_ref());
        let names = |spec: &crate::format::ColumnSpec| spec.source_names().map(ToOwned::to_owned).collect();
        let wanted: Vec<_> = specs.into_iter().flatten().map(|spec| (spec.name.clone(), names(spec))).collect();
        let places = wanted.iter().enumerate().map(|(place, (name, _))| (name.clone(), place)).collect();
        let (lacking, notes) = (vec![(0, None); wanted.len()], FileNotes::default());
        Self { lacking, wanted, places, known: guess.map(|_| 0), tells: !plan.is_whole, files: 0, notes }
    }

    /// Takes the columns of the next file. Columns that would have come in another order, had all files been looked at before,
    /// make a [`Misfit`].
    fn see(&mut self, file: &Arc<str>, columns: &[String], notes: &[String]) -> Result<()> {
        self.files += 1;
        if self.tells {
            self.notes.add(file, notes.iter());
        }
        let mut news = Vec::new();
        let own: HashSet<&String> = columns.iter().collect();
        for (place, ((_, names), (files, first))) in self.wanted.iter().zip(&mut self.lacking).enumerate() {
            if !names.iter().any(|name| own.contains(name)) {
                *files += 1;
                if first.is_none() {
                    news.push(place);
                }
            }
        }
        if !news.is_empty() {
            let known: HashSet<&String> = self.wanted.iter().flat_map(|(_, names)| names).collect();
            let others = columns.iter().filter(|column| !known.contains(column)).map(String::as_str);
            let names = |place: &usize| self.wanted[*place].1.iter().map(String::as_str).collect();
            let near = meant(&news.iter().map(names).collect::<Vec<_>>(), &others.collect::<Vec<_>>());
            for (place, near) in news.into_iter().zip(near) {
                self.lacking[place].1 = Some((Arc::clone(file), near));
            }
        }
        let Some(known) = &mut self.known else { return Ok(()) };
        for column in columns {
            match self.places.get(column).copied() {
                Some(place) if place < *known => {}
                Some(place) if place == *known => *known += 1,
                _ => {
                    return Err(Error::invalid("read", file)
                        .with_reason(format_args!("column `{column}` comes earlier than in other files"))
                        .with_source(Misfit));
                }
            }
        }
        Ok(())
    }

    /// What the user should know of single files, and of columns that they lack.
    fn notes(&self) -> Vec<String> {
        let mut told = self.notes.told();
        let columns = self.wanted.iter().zip(&self.lacking).filter(|(_, (files, _))| self.tells && *files > 0);
        let notes = columns.filter_map(|((name, _), (files, first))| {
            let (first, near) = first.as_ref()?;
            Some(lacking(name, *files, self.files, first) + near)
        });
        told.extend(notes);
        told
    }
}

/// The files on their way.
struct Reader {
    files: BoxStream<'static, Result<Done<Begun>>>,
    opened: Opened,
    /// Files that were begun.
    ready: VecDeque<Begun>,
    current: Option<Begun>,
    tally: Arc<Tally>,
    seen: Seen,
}

impl Reader {
    async fn next(mut self) -> Result<Option<(RecordBatch, Self)>> {
        loop {
            let Some(current) = &mut self.current else {
                match self.ready.pop_front() {
                    Some(begun) => self.turn_to(begun)?,
                    None if self.fetch().await? => {}
                    None => {
                        self.tally.add_notes(self.seen.notes());
                        return Ok(None);
                    }
                }
                continue;
            };
            if let Some(batch) = current.batches.pop_front() {
                return Ok(Some((batch, self)));
            }
            if let Some(error) = current.error.take() {
                return Err(error);
            }
            match &mut current.rest {
                None => self.end(),
                Some(rest) => match rest.next().await {
                    None => current.rest = None,
                    Some(batch) => {
                        if let Ok(batch) = &batch {
                            current.batches.push_back(self.opened.complete(batch, current.number)?);
                        }
                        // What was rejected comes before the error that it may be the cause of.
                        self.opened.hand_on(current)?;
                        batch?;
                    }
                },
            }
            if let Some(current) = &self.current {
                self.opened.hand_on(current)?;
            }
        }
    }

    /// Waits for the next files; false after the last.
    async fn fetch(&mut self) -> Result<bool> {
        match self.files.try_next().await? {
            None => return Ok(false),
            Some(Done::Small(mut some)) => {
                join(&mut some, self.opened.options.batch_rows)?;
                self.ready.extend(some.into_iter().map(|(_, begun)| begun));
            }
            Some(Done::Large(number)) => {
                let source = self.opened.plan.files.files[number].source()?;
                let mut begun = Begun::new(number, None);
                begun.open(self.opened.plan.open(number, source, self.opened.options.clone()).await?);
                self.ready.push_back(begun);
            }
        }
        Ok(true)
    }

    fn turn_to(&mut self, begun: Begun) -> Result<()> {
        self.opened.hand_on(&begun)?;
        if let Some(columns) = &begun.columns {
            let files = &self.opened.plan.files;
            let name = &files.files[begun.number].name;
            // Where columns are declared, nobody has looked into the file before.
            if let Some(key) = files.keys.iter().find(|key| columns.contains(key)) {
                return Err(in_both(name, key));
            }
            self.seen.see(name, columns, &begun.notes)?;
        }
        self.current = Some(begun);
        Ok(())
    }

    fn end(&mut self) {
        if let Some(begun) = self.current.take() {
            let balance = begun.tally.balance();
            self.tally.add_written(balance.written);
            self.tally.add_quarantined(balance.quarantined);
            self.tally.add_bytes(begun.tally.bytes());
            self.tally.join_nulled(begun.tally.nulled_columns());
            // What is seen of records alone, such as repeated names, nobody has looked for before.
            let file = &self.opened.plan.files.files[begun.number].name;
            self.seen.notes.add(file, begun.tally.notes().iter());
        }
    }
}

impl Opened {
    /// Hands on what was rejected in a file whose turn has come.
    fn hand_on(&self, begun: &Begun) -> Result<()> {
        let (Some(rejects), Some(rejected)) = (&self.options.rejects, &begun.rejected) else { return Ok(()) };
        let events = take(&mut *rejected.events());
        events.into_iter().try_for_each(|event| event.tell(rejects.as_ref()))
    }
}

/// Joins the rows of files that are whole, so that many small ones do not make many small batches.
fn join(files: &mut [(usize, Begun)], batch_rows: usize) -> Result<()> {
    let is_whole = |(_, begun): &(usize, Begun)| begun.rest.is_none() && begun.error.is_none();
    let [(_, first), rest @ ..] = files else { return Ok(()) };
    if rest.is_empty() || !rest.iter().all(is_whole) || first.rest.is_some() || first.error.is_some() {
        return Ok(());
    }
    let mut batches: Vec<RecordBatch> = first.batches.drain(..).collect();
    batches.extend(rest.iter_mut().flat_map(|(_, begun)| begun.batches.drain(..)));
    let [one, ..] = &batches[..] else { return Ok(()) };
    let joined = concat_batches(&one.schema(), &batches)
        .map_err(|cause| Error::internal("join", "the rows of files").with_source(cause))?;
    first.batches.extend(slices(&joined, batch_rows));
    Ok(())
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::DataType;

    use super::super::Files;
    use crate::format::{ColumnSpec, ReadOptions, Sink, WriteOptions, convert_many};

    #[tokio::test]
    async fn what_is_seen_of_single_records_is_told_with_the_file() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("in")).unwrap();
        for (name, text) in
            [("a", "{\"x\":1}\n"), ("b", "{\"x\":1}\n{\"x\":2,\"x\":3}\n"), ("c", "{\"x\":4,\"x\":5}\n")]
        {
            std::fs::write(folder.path().join("in").join(format!("{name}.ndjson")), text).unwrap();
        }
        let specs = vec![ColumnSpec::new("x", DataType::Int64)];
        for options in [ReadOptions::default(), ReadOptions::default().with_schema(Some(specs))] {
            let files = Files::local(folder.path().join("in").to_str().unwrap()).unwrap();
            let sink = Sink::LocalFile(folder.path().join("all.csv"));
            let done = convert_many(files, sink, options, WriteOptions::default()).await.unwrap();
            let told: Vec<_> = done.notes.iter().filter(|note| note.contains("`x` is repeated in row")).collect();
            assert!(told.len() == 2 && told[0].contains("b.ndjson: ") && told[1].contains("c.ndjson: "), "{told:?}");
        }
    }
}
