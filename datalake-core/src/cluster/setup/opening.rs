//! How the store is opened to the outside: as it is, not at all, or at a place.

use std::fmt;
use std::str::FromStr;

use super::super::names::{CONSOLE_NODE_PORT, S3_NODE_PORT};
use crate::error::{Error, Result};

/// Whether and where the store is opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Opening<T> {
    /// As the store that is there; where there is none yet, as by default.
    #[default]
    AsItIs,
    /// Not at all.
    Closed,
    /// Here.
    At(T),
}

impl<T> Opening<T> {
    /// Where the store is open, as far as it is said.
    #[must_use]
    pub fn at(&self) -> Option<&T> {
        match self {
            Self::At(place) => Some(place),
            Self::AsItIs | Self::Closed => None,
        }
    }

    /// The same, and where it was left open how the store is.
    pub(super) fn or(self, found: Option<T>) -> Self {
        match self {
            Self::AsItIs => found.into(),
            said => said,
        }
    }
}

/// None closes.
impl<T> From<Option<T>> for Opening<T> {
    fn from(place: Option<T>) -> Self {
        place.map_or(Self::Closed, Self::At)
    }
}

/// The ports at which every node opens the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodePorts {
    /// The port of the S3 API.
    pub s3: u16,
    /// The port of the console, where there is one.
    pub console: u16,
}

impl Default for NodePorts {
    fn default() -> Self {
        Self { s3: S3_NODE_PORT, console: CONSOLE_NODE_PORT }
    }
}

impl fmt::Display for NodePorts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{}", self.s3, self.console)
    }
}

impl FromStr for NodePorts {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let ports: Option<Vec<u16>> = text.split(',').map(|port| port.trim().parse().ok()).collect();
        match ports.as_deref() {
            Some(&[s3, console]) if s3 != console && s3 != 0 && console != 0 => Ok(Self { s3, console }),
            _ => Err(Error::invalid("use", format_args!("the node ports `{text}`")).with_reason(
                "wanted are two numbers with a comma between them, that of S3 and that of the console, which clusters give \
                 from 30000 to 32767 where nothing else is set",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_ports_are_two_numbers() {
        assert_eq!("31900,31901".parse::<NodePorts>().unwrap(), NodePorts { s3: 31900, console: 31901 });
        assert_eq!(NodePorts::default().to_string(), "30900,30901");
        for text in ["", "30900", "30900,30900", "0,1", "a,b", "1,2,3", "70000,1"] {
            assert!(text.parse::<NodePorts>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_said_comes_before_what_is_there() {
        assert_eq!(Opening::AsItIs.or(Some(1)), Opening::At(1));
        assert_eq!(Opening::<u8>::AsItIs.or(None), Opening::Closed);
        assert_eq!(Opening::Closed.or(Some(1)), Opening::Closed);
        assert_eq!(Opening::At(2).or(Some(1)), Opening::At(2));
    }
}
