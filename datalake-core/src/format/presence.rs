//! Which values of a column in the making are there: as long as none is missing, they are only counted.

use arrow::array::NullBufferBuilder;

/// Tells a null buffer of values, of those that are there as many at once as there are.
#[derive(Debug)]
pub(crate) struct Presence<'a> {
    nulls: &'a mut NullBufferBuilder,
    there: usize,
}

impl<'a> Presence<'a> {
    #[inline(always)]
    pub(crate) fn new(nulls: &'a mut NullBufferBuilder) -> Self {
        Self { nulls, there: 0 }
    }

    #[inline(always)]
    pub(crate) fn append(&mut self, is_there: bool) {
        if is_there {
            self.there += 1;
        } else {
            self.missing();
        }
    }

    #[inline(never)]
    fn missing(&mut self) {
        self.nulls.append_n_non_nulls(std::mem::take(&mut self.there));
        self.nulls.append_null();
    }
}

impl Drop for Presence<'_> {
    fn drop(&mut self) {
        self.nulls.append_n_non_nulls(self.there);
    }
}
