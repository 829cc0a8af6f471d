//! Canonical bytes of a model's body: little-endian, lengths first, nothing read beyond its end.

use std::ops::Range;

use super::Task;
use super::feature::{Feature, FeatureKind};
use super::target::{Output, Target, joined, places};
use crate::error::{Error, Position, Result};

/// Builds a body.
#[derive(Debug, Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn finish(self) -> Vec<u8> {
        self.0
    }

    /// What was written so far.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Begins anew, in the same memory.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn f64(&mut self, value: f64) {
        self.u64(value.to_bits());
    }

    /// A number in seven bits a byte, the lowest first: small ones take one byte.
    pub(crate) fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    pub(crate) fn text(&mut self, value: &str) {
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value.as_bytes());
    }

    pub(crate) fn f64s(&mut self, values: &[f64]) {
        self.varint(values.len() as u64);
        values.iter().for_each(|value| self.f64(*value));
    }

    pub(crate) fn texts(&mut self, values: &[String]) {
        self.varint(values.len() as u64);
        values.iter().for_each(|value| self.text(value));
    }

    /// What every model has: task, target, classes and features. Several targets have marks of their own.
    pub(crate) fn schema(&mut self, schema: &ModelSchema) {
        let task = match schema.task {
            Task::Regression => 0,
            Task::Classification => 1,
        };
        if schema.outputs.is_empty() {
            self.u8(task);
            self.text(&schema.target);
            self.texts(&schema.classes);
        } else {
            self.u8(SEVERAL + task);
            self.varint(schema.outputs.len() as u64);
            for output in &schema.outputs {
                self.text(&output.name);
                self.texts(&output.classes);
            }
        }
        self.varint(schema.features.len() as u64);
        schema.features.iter().for_each(|feature| self.feature(feature));
    }

    fn feature(&mut self, feature: &Feature) {
        self.text(&feature.name);
        self.text(feature.unit.as_deref().unwrap_or_default());
        match &feature.kind {
            FeatureKind::Numeric { range: None } => self.u8(0),
            FeatureKind::Numeric { range: Some([low, high]) } => {
                self.u8(1);
                self.f64(*low);
                self.f64(*high);
            }
            FeatureKind::Categorical { categories } => {
                self.u8(2);
                self.texts(categories);
            }
        }
    }
}

/// What the mark of a task is raised by, where there are several targets.
const SEVERAL: u8 = 2;

/// What every model knows about its table.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ModelSchema {
    pub(crate) task: Task,
    /// The target's name; of several, their names as one.
    pub(crate) target: String,
    /// The classes of a single target.
    pub(crate) classes: Vec<String>,
    /// Each of several targets; empty where there is one.
    pub(crate) outputs: Vec<Output>,
    pub(crate) features: Vec<Feature>,
}

impl ModelSchema {
    pub(crate) fn of(frame: &super::Frame) -> Self {
        let output =
            |(name, target): &(String, Target)| Output { name: name.clone(), classes: target.classes().to_vec() };
        let several = Some(frame.targets()).filter(|targets| targets.len() > 1).unwrap_or_default();
        let outputs = several.iter().map(output).collect();
        Self {
            outputs,
            task: frame.task(),
            target: frame.target_name().to_owned(),
            classes: frame.classes().to_vec(),
            features: frame.features().to_vec(),
        }
    }

    /// Each target, the only one too.
    pub(crate) fn all_outputs(&self) -> Vec<Output> {
        if self.outputs.is_empty() {
            return vec![Output { name: self.target.clone(), classes: self.classes.clone() }];
        }
        self.outputs.clone()
    }

    /// The places of each target's numbers in a row of predictions.
    pub(crate) fn places(&self) -> Vec<Range<usize>> {
        if self.outputs.is_empty() {
            return places([self.classes.len()].into_iter());
        }
        places(self.outputs.iter().map(|output| output.classes.len()))
    }

    /// How many numbers a row of predictions has.
    pub(crate) fn width(&self) -> usize {
        self.places().last().map_or(1, |last| last.end)
    }
}

/// Takes a body apart; every length is checked against what is there before anything is allocated.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The error for content that no writer makes, at the place last read.
    pub(crate) fn damaged(&self, reason: impl std::fmt::Display) -> Error {
        Error::invalid("read", "the model's body")
            .with_position(Position::default().with_byte(self.at as u64))
            .with_reason(reason)
            .with_hint("the file is damaged or was not written by this program; train the model again")
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let end = self.at.checked_add(count).filter(|end| *end <= self.bytes.len());
        let Some(end) = end else {
            return Err(self.damaged(format_args!("{count} bytes expected, {} left", self.left())));
        };
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub(crate) fn finish(self) -> Result<()> {
        match self.left() {
            0 => Ok(()),
            left => Err(self.damaged(format_args!("{left} bytes are left over"))),
        }
    }

    pub(crate) fn u8(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// Any number but NaN, which no writer stores.
    pub(crate) fn f32(&mut self) -> Result<f32> {
        let value = f32::from_bits(self.u32()?);
        if value.is_nan() { Err(self.damaged("NaN where a number must be")) } else { Ok(value) }
    }

    /// A finite number.
    pub(crate) fn f64(&mut self) -> Result<f64> {
        let value = f64::from_bits(self.u64()?);
        if value.is_finite() { Ok(value) } else { Err(self.damaged(format_args!("{value} where a number must be"))) }
    }

    pub(crate) fn varint(&mut self) -> Result<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7F);
            if (shift > 0 && byte == 0) || bits << shift >> shift != bits {
                return Err(self.damaged("a number that is not in its shortest form or too large"));
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(self.damaged("a number of more than ten bytes"))
    }

    /// How many items follow, each of which takes at least `least` bytes.
    pub(crate) fn count(&mut self, least: usize) -> Result<usize> {
        let count = self.varint()?;
        let most = (self.left() / least.max(1)) as u64;
        if count > most {
            return Err(self.damaged(format_args!("{count} items announced, {most} can follow")));
        }
        Ok(count as usize)
    }

    pub(crate) fn text(&mut self) -> Result<String> {
        let length = self.count(1)?;
        let bytes = self.take(length)?;
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(cause) => Err(self.damaged("text that is not UTF-8").with_source(cause)),
        }
    }

    pub(crate) fn f64s(&mut self) -> Result<Vec<f64>> {
        let count = self.count(8)?;
        (0..count).map(|_| self.f64()).collect()
    }

    pub(crate) fn texts(&mut self) -> Result<Vec<String>> {
        let count = self.count(1)?;
        (0..count).map(|_| self.text()).collect()
    }

    /// The schema of a model of one target.
    pub(crate) fn schema(&mut self) -> Result<ModelSchema> {
        let schema = self.any_schema()?;
        if schema.outputs.is_empty() {
            return Ok(schema);
        }
        Err(self.damaged(format_args!("{} targets of a model that has one", schema.outputs.len())))
    }

    /// That of a model of one target or several.
    pub(crate) fn any_schema(&mut self) -> Result<ModelSchema> {
        let mark = self.u8()?;
        let task = match mark % SEVERAL {
            _ if mark >= 2 * SEVERAL => return Err(self.damaged(format_args!("task {mark} is unknown"))),
            0 => Task::Regression,
            _ => Task::Classification,
        };
        let several = mark >= SEVERAL;
        let count = if several { self.count(2)? } else { 1 };
        if several && count < 2 {
            return Err(self.damaged(format_args!("{count} targets where there are several")));
        }
        let mut outputs = (0..count).map(|_| self.output(task)).collect::<Result<Vec<_>>>()?;
        let (target, classes) = if several {
            (joined(&outputs.iter().map(|output| output.name.as_str()).collect::<Vec<_>>()), Vec::new())
        } else {
            let Output { name, classes } = outputs.swap_remove(0);
            (name, classes)
        };
        let count = self.count(3)?;
        let features = (0..count).map(|_| self.feature()).collect::<Result<_>>()?;
        Ok(ModelSchema { task, target, classes, outputs, features })
    }

    fn output(&mut self, task: Task) -> Result<Output> {
        let (name, classes) = (self.text()?, self.texts()?);
        if classes.is_empty() != (task == Task::Regression) {
            return Err(self.damaged(format_args!("a {task} with {} classes", classes.len())));
        }
        Ok(Output { name, classes })
    }

    fn feature(&mut self) -> Result<Feature> {
        let name = self.text()?;
        let unit = Some(self.text()?).filter(|unit| !unit.is_empty());
        let kind = match self.u8()? {
            0 => FeatureKind::Numeric { range: None },
            1 => FeatureKind::Numeric { range: Some([self.f64()?, self.f64()?]) },
            2 => {
                let categories = self.texts()?;
                // They are looked up by halves where rows are few.
                if !categories.is_sorted_by(|category, next| category < next) {
                    return Err(
                        self.damaged(format_args!("categories of feature `{name}` that are not in their order"))
                    );
                }
                FeatureKind::Categorical { categories }
            }
            other => return Err(self.damaged(format_args!("feature kind {other} is unknown"))),
        };
        Ok(Feature { name, kind, unit })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_length_beyond_the_end_is_refused_before_it_is_allocated() {
        let mut writer = Writer::default();
        writer.varint(u64::MAX);
        let bytes = writer.finish();
        assert!(Reader::new(&bytes).f64s().unwrap_err().to_string().contains("0 can follow"));
        assert!(Reader::new(&bytes).text().is_err());
    }

    #[test]
    fn categories_that_are_twice_there_or_out_of_order_are_refused() {
        let read = |categories: &[&str]| {
            let categories = categories.iter().map(|category| (*category).to_owned()).collect();
            let mut writer = Writer::default();
            writer.feature(&Feature { name: "food".into(), kind: FeatureKind::Categorical { categories }, unit: None });
            Reader::new(&writer.finish()).feature()
        };
        assert!(read(&[]).is_ok() && read(&["apple", "bread"]).is_ok());
        for categories in [["bread", "apple"], ["apple", "apple"]] {
            assert!(read(&categories).unwrap_err().to_string().contains("feature `food` that are not in their order"));
        }
    }

    #[test]
    fn a_number_has_one_form() {
        assert!(Reader::new(&[0x80, 0x00]).varint().is_err());
        assert_eq!(Reader::new(&[0x80, 0x01]).varint().unwrap(), 128);
    }

    proptest! {
        #[test]
        fn numbers_come_back(value: u64) {
            let mut writer = Writer::default();
            writer.varint(value);
            let bytes = writer.finish();
            let mut reader = Reader::new(&bytes);
            prop_assert_eq!(reader.varint().unwrap(), value);
            reader.finish().unwrap();
        }

        #[test]
        fn any_bytes_give_a_schema_or_an_error(bytes: Vec<u8>) {
            let _ = Reader::new(&bytes).any_schema();
        }
    }
}
