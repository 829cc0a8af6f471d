//! How a CSV text is written: its marks, its header, its numbers.

use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::spec::DecimalMark;
use crate::error::{Error, Result};

/// What encloses the fields of a CSV text.
///
/// As text it is the character, or `none`.
///
/// ```
/// use datalake_core::format::{Quote, ReadOptions};
///
/// let options = ReadOptions::default().with_quote('\'');
/// assert_eq!(options.quote, Some(Quote::Mark('\'')));
/// assert_eq!("none".parse::<Quote>().unwrap(), Quote::Absent);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Quote {
    /// One ASCII character.
    Mark(char),
    /// Nothing: each character that looks like a quote is one of the field's own.
    Absent,
}

impl Quote {
    /// The character, if there is one.
    #[must_use]
    pub fn mark(self) -> Option<char> {
        match self {
            Self::Mark(mark) => Some(mark),
            Self::Absent => None,
        }
    }
}

impl Default for Quote {
    fn default() -> Self {
        Self::Mark('"')
    }
}

impl From<char> for Quote {
    fn from(mark: char) -> Self {
        Self::Mark(mark)
    }
}

impl FromStr for Quote {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut characters = text.chars();
        match (text, characters.next(), characters.next()) {
            ("none" | "", ..) => Ok(Self::Absent),
            (_, Some(mark), None) => Ok(Self::Mark(mark)),
            _ => {
                Err(Error::invalid("use", format_args!("`{text}` as the quote"))
                    .with_hint("give one character, or none"))
            }
        }
    }
}

impl TryFrom<String> for Quote {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Quote> for String {
    fn from(quote: Quote) -> Self {
        quote.to_string()
    }
}

impl Display for Quote {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mark(mark) => write!(f, "{mark}"),
            Self::Absent => f.write_str("none"),
        }
    }
}

/// What ends a line that is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LineEnd {
    /// A line feed.
    #[default]
    Lf,
    /// A carriage return and a line feed.
    CrLf,
}

impl LineEnd {
    /// Its bytes.
    #[must_use]
    pub fn bytes(self) -> &'static [u8] {
        match self {
            Self::Lf => b"\n",
            Self::CrLf => b"\r\n",
        }
    }
}

/// How a CSV text is read: as was asked for, else as was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Dialect {
    /// What separates fields.
    pub delimiter: char,
    /// What encloses fields.
    pub quote: Quote,
    /// What makes the next character one of the field's own, beside doubled quotes.
    pub escape: Option<char>,
    /// What begins a line that is no record.
    pub comment: Option<char>,
    /// How many lines stand before the first record.
    pub skip_lines: u64,
    /// Whether the first record names the columns.
    pub header: bool,
    /// The decimal mark of numbers; found to be a comma where it is that of any column.
    pub decimal: DecimalMark,
    /// What stands between groups of three digits.
    pub thousands: Option<char>,
}

impl Display for Dialect {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let shown = |mark: char| if mark == '\t' { "tab".to_owned() } else { mark.to_string() };
        write!(f, "delimiter {}, quote {}", shown(self.delimiter), self.quote)?;
        for (name, mark) in [("escape", self.escape), ("comment", self.comment)] {
            if let Some(mark) = mark {
                write!(f, ", {name} {}", shown(mark))?;
            }
        }
        if self.skip_lines > 0 {
            write!(f, ", skip lines {}", self.skip_lines)?;
        }
        let decimal = match self.decimal {
            DecimalMark::Dot => ".",
            DecimalMark::Comma => ",",
            DecimalMark::Either => ". or ,",
        };
        write!(f, ", header {}, decimal {decimal}", if self.header { "yes" } else { "no" })?;
        self.thousands.map_or(Ok(()), |mark| write!(f, ", thousands {mark}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dialect_is_told_in_one_line() {
        let plain = Dialect {
            delimiter: ';',
            quote: Quote::default(),
            escape: None,
            comment: None,
            skip_lines: 0,
            header: true,
            decimal: DecimalMark::Comma,
            thousands: None,
        };
        assert_eq!(plain.to_string(), "delimiter ;, quote \", header yes, decimal ,");
        let odd = Dialect {
            delimiter: '\t',
            quote: Quote::Absent,
            escape: Some('\\'),
            comment: Some('#'),
            skip_lines: 2,
            header: false,
            decimal: DecimalMark::Dot,
            thousands: Some('\''),
        };
        let told = "delimiter tab, quote none, escape \\, comment #, skip lines 2, header no, decimal ., thousands '";
        assert_eq!(odd.to_string(), told);
    }

    #[test]
    fn a_quote_survives_its_text() {
        for quote in [Quote::Mark('"'), Quote::Mark('\''), Quote::Absent] {
            let json = serde_json::to_string(&quote).unwrap();
            assert_eq!(serde_json::from_str::<Quote>(&json).unwrap(), quote, "{json}");
        }
        assert!("ab".parse::<Quote>().is_err());
    }
}
