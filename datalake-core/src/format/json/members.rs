//! Objects within objects: the columns of their fields, each value read where it stands.

use std::sync::Arc;

use arrow::array::{ArrayRef, NullBufferBuilder, StructArray};

use super::column::Column;
use super::columns::{Room, Text};
use super::name::{Name, Places, find};
use super::shape::{Kind, struct_fields};
use crate::error::{Error, Result};

/// The columns of an object's fields.
#[derive(Debug)]
pub(super) struct Members {
    kinds: Vec<(String, Kind)>,
    names: Vec<Name>,
    places: Places,
    fields: Vec<Column>,
    rows: usize,
    nulls: NullBufferBuilder,
}

impl Members {
    pub(super) fn new(kinds: &[(String, Kind)], room: Room) -> Self {
        Self {
            kinds: kinds.to_vec(),
            places: Places::of(kinds),
            names: kinds.iter().map(|(field, _)| Name::new(field)).collect(),
            fields: kinds.iter().map(|(_, kind)| Column::new(kind, room)).collect(),
            rows: 0,
            nulls: NullBufferBuilder::new(0),
        }
    }

    /// Reads the object that begins at a place; gives where it ends.
    pub(super) fn read(&mut self, text: Text<'_>, at: usize) -> Option<usize> {
        let bytes = text.bytes;
        if bytes.get(at) != Some(&b'{') {
            return None;
        }
        self.rows += 1;
        self.nulls.append_non_null();
        let (mut at, mut guess) = (text.skip(at + 1), 0);
        let mut known = 0;
        if bytes.get(at) == Some(&b'}') {
            return self.fill(known, at + 1);
        }
        loop {
            let field;
            (field, at) = match self.names.get(guess).and_then(|name| name.end(bytes, at)) {
                Some(end) => (guess, end),
                None => find(&self.kinds, &self.places, text, at)?,
            };
            // A name that is repeated comes when the column has its value already.
            if self.fields[field].rows >= self.rows {
                return None;
            }
            at = self.fields[field].read(text, text.skip(at))?;
            known += 1;
            guess = field + 1;
            at = text.skip(at);
            match bytes.get(at)? {
                b',' => at = text.skip(at + 1),
                b'}' => return self.fill(known, at + 1),
                _ => return None,
            }
        }
    }

    /// Fields that were not there are missing.
    #[inline(always)]
    fn fill(&mut self, known: usize, end: usize) -> Option<usize> {
        if known < self.fields.len() {
            for field in self.fields.iter_mut().filter(|field| field.rows < self.rows) {
                field.append_null();
            }
        }
        Some(end)
    }

    pub(super) fn append_null(&mut self) {
        self.rows += 1;
        self.nulls.append_null();
        self.fields.iter_mut().for_each(Column::append_null);
    }

    fn finish_fields(&mut self) -> Result<Vec<ArrayRef>> {
        std::mem::take(&mut self.fields).into_iter().map(Column::finish).collect()
    }

    pub(super) fn finish(mut self) -> Result<ArrayRef> {
        let columns = self.finish_fields()?;
        let array = StructArray::try_new(struct_fields(&self.kinds), columns, self.nulls.finish());
        Ok(Arc::new(array.map_err(|cause| Error::internal("build", "a struct").with_source(cause))?))
    }
}
