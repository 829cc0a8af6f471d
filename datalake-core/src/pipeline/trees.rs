//! Which trees of a forest a step grows: `FIRST..END`, the end not included.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::error::{Error, Result};

/// Some of a forest's trees.
///
/// ```
/// use datalake_core::pipeline::Trees;
/// let trees: Trees = "0..50".parse()?;
/// assert_eq!(trees.range(), 0..50);
/// assert!("50..0".parse::<Trees>().is_err());
/// # Ok::<(), datalake_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trees {
    first: u32,
    end: u32,
}

impl Trees {
    /// The trees of these numbers; none where there are none.
    pub(crate) fn of(range: Range<u32>) -> Option<Self> {
        (range.start < range.end).then_some(Self { first: range.start, end: range.end })
    }

    /// The numbers of the trees.
    #[must_use]
    pub fn range(self) -> Range<u32> {
        self.first..self.end
    }
}

impl fmt::Display for Trees {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.first, self.end)
    }
}

impl FromStr for Trees {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let numbers = text.split_once("..").and_then(|(first, end)| Some((first.parse().ok()?, end.parse().ok()?)));
        match numbers {
            Some((first, end)) if first < end => Ok(Self { first, end }),
            _ => Err(Error::invalid("take", format_args!("`{text}` for trees"))
                .with_reason("wanted are the first tree and the one behind the last, such as 0..50")),
        }
    }
}

impl Serialize for Trees {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Trees {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|_| {
            let wanted = "the first tree and the one behind the last, such as \"0..50\"";
            de::Error::invalid_value(de::Unexpected::Str(&text), &wanted)
        })
    }
}
