//! The one error type: what was attempted, on what, where, why, and what to do about it.

use std::error::Error as StdError;
use std::fmt;
use std::io;

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of outcome an [`Error`] is: decides exit codes, Python exceptions and whether a Job is retried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A bucket, object, column or file that is not there.
    NotFound,
    /// Something that must be new is there already.
    AlreadyExists,
    /// Input, settings or data that cannot be right.
    Invalid,
    /// Right in itself, but not something this build can do.
    Unsupported,
    /// Credentials or permissions were refused.
    Denied,
    /// An endpoint that does not answer; trying again may help.
    Unavailable,
    /// Disk, memory budget or quota is used up.
    Exhausted,
    /// Stopped by the user or by an eviction.
    Cancelled,
    /// A bug in this crate.
    Internal,
}

impl ErrorKind {
    /// The process exit code for this kind of outcome.
    ///
    /// ```
    /// use datalake_core::ErrorKind;
    /// assert_eq!(ErrorKind::Denied.exit_code(), 3);
    /// ```
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::NotFound | Self::AlreadyExists | Self::Invalid | Self::Unsupported => 1,
            Self::Denied => 3,
            Self::Unavailable => 4,
            Self::Exhausted => 5,
            Self::Internal => 70,
            Self::Cancelled => 130,
        }
    }
}

/// Where in its input an error lies. Rows count from 1 and leave a header out; bytes count from 0.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Position {
    /// The record's number, from 1, without the header.
    pub row: Option<u64>,
    /// The line in a text file, from 1, with the header.
    pub line: Option<u64>,
    /// The column's name.
    pub column: Option<String>,
    /// The offset of the record's first byte in the input, decompressed and in UTF-8.
    pub byte: Option<u64>,
}

impl Position {
    /// A position known by its row alone.
    #[must_use]
    pub fn row(row: u64) -> Self {
        Self { row: Some(row), ..Self::default() }
    }

    /// Adds the line.
    #[must_use]
    pub fn with_line(mut self, line: u64) -> Self {
        self.line = Some(line);
        self
    }

    /// Adds the column.
    #[must_use]
    pub fn with_column(mut self, column: impl Into<String>) -> Self {
        self.column = Some(column.into());
        self
    }

    /// Adds the byte offset.
    #[must_use]
    pub fn with_byte(mut self, byte: u64) -> Self {
        self.byte = Some(byte);
        self
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        if let Some(row) = self.row {
            write!(f, "row {row}")?;
            separator = ", ";
        }
        if let Some(line) = self.line {
            write!(f, "{separator}line {line}")?;
            separator = ", ";
        }
        if let Some(column) = &self.column {
            write!(f, "{separator}column `{column}`")?;
            separator = ", ";
        }
        if let Some(byte) = self.byte {
            write!(f, "{separator}byte {byte}")?;
        }
        Ok(())
    }
}

/// What went wrong, in the words of the person who asked for it.
///
/// [`Display`](fmt::Display) gives this error's own part, `cannot {action} {subject} at {position}: {reason}`;
/// [`source`](StdError::source) gives the rest, so that a chain is printed without repetition.
///
/// ```
/// use datalake_core::{Error, ErrorKind, Position};
///
/// let error = Error::new(ErrorKind::Invalid, "read", "raw-data/foods.csv")
///     .with_position(Position::row(7).with_column("protein_g"))
///     .with_reason("`abc` is not a float64")
///     .with_hint("correct the value, or read with `on_row_error = \"quarantine\"`");
/// assert_eq!(
///     error.to_string(),
///     "cannot read raw-data/foods.csv at row 7, column `protein_g`: `abc` is not a float64"
/// );
/// ```
pub struct Error(Box<Repr>);

struct Repr {
    kind: ErrorKind,
    action: String,
    subject: String,
    position: Option<Position>,
    reason: Option<String>,
    hint: Option<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of `kind`: `action` is a verb, `subject` what it was done to.
    #[must_use]
    pub fn new(kind: ErrorKind, action: impl Into<String>, subject: impl fmt::Display) -> Self {
        Self(Box::new(Repr {
            kind,
            action: action.into(),
            subject: subject.to_string(),
            position: None,
            reason: None,
            hint: None,
            source: None,
        }))
    }

    /// An error of kind [`ErrorKind::Invalid`].
    #[must_use]
    pub fn invalid(action: impl Into<String>, subject: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Invalid, action, subject)
    }

    /// An error of kind [`ErrorKind::NotFound`].
    #[must_use]
    pub fn not_found(action: impl Into<String>, subject: impl fmt::Display) -> Self {
        Self::new(ErrorKind::NotFound, action, subject)
    }

    /// An error of kind [`ErrorKind::Internal`]: a bug, and said as such.
    #[must_use]
    pub fn internal(action: impl Into<String>, subject: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Internal, action, subject)
            .with_hint("this is a bug in datalake; please report it with this message")
    }

    /// An error from the operating system, its kind read off the cause.
    #[must_use]
    pub fn io(action: impl Into<String>, subject: impl fmt::Display, cause: io::Error) -> Self {
        let kind = kind_of_io(&cause);
        let error = Self::new(kind, action, subject);
        let error = match kind {
            ErrorKind::Exhausted => error.with_hint("free some space or raise the quota, then run again"),
            _ => error,
        };
        error.with_source(cause)
    }

    /// Counts its position from where so many rows and lines come before.
    #[must_use]
    pub(crate) fn after(mut self, (rows, lines): (u64, u64)) -> Self {
        if let Some(position) = &mut self.0.position {
            position.row = position.row.map(|row| row + rows);
            position.line = position.line.map(|line| line + lines);
        }
        self
    }

    /// Says where in the input.
    #[must_use]
    pub fn with_position(mut self, position: Position) -> Self {
        self.0.position = Some(position);
        self
    }

    /// Says why, with the value found.
    #[must_use]
    pub fn with_reason(mut self, reason: impl fmt::Display) -> Self {
        self.0.reason = Some(reason.to_string());
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn with_hint(mut self, hint: impl fmt::Display) -> Self {
        self.0.hint = Some(hint.to_string());
        self
    }

    /// Keeps the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// With its causes and its hint, for logs and manifests.
    pub(crate) fn in_one_line(&self) -> String {
        let mut text = self.to_string();
        let mut source = self.source();
        while let Some(cause) = source {
            text.push_str(&format!("; caused by: {cause}"));
            source = cause.source();
        }
        if let Some(hint) = self.first_hint() {
            text.push_str(&format!("; hint: {hint}"));
        }
        text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
    }

    /// The kind of outcome.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What the action was done to.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.0.subject
    }

    /// Where in the input, where that is known.
    #[must_use]
    pub fn position(&self) -> Option<&Position> {
        self.0.position.as_ref()
    }

    /// Why, without the action and the subject.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.0.reason.as_deref()
    }

    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// The same, or what the first of its causes says that says anything of it.
    #[must_use]
    pub fn first_hint(&self) -> Option<&str> {
        let (mut hint, mut cause) = (self.hint(), self.source());
        while let (None, Some(current)) = (hint, cause) {
            hint = current.downcast_ref::<Self>().and_then(Self::hint);
            cause = current.source();
        }
        hint
    }
}

/// Which kind of outcome an operating system error is.
#[must_use]
pub fn kind_of_io(error: &io::Error) -> ErrorKind {
    use io::ErrorKind as Io;
    match error.kind() {
        Io::NotFound => ErrorKind::NotFound,
        Io::AlreadyExists => ErrorKind::AlreadyExists,
        Io::PermissionDenied | Io::ReadOnlyFilesystem => ErrorKind::Denied,
        Io::StorageFull | Io::QuotaExceeded | Io::FileTooLarge | Io::OutOfMemory => ErrorKind::Exhausted,
        Io::ConnectionRefused
        | Io::ConnectionReset
        | Io::ConnectionAborted
        | Io::NotConnected
        | Io::HostUnreachable
        | Io::NetworkUnreachable
        | Io::NetworkDown
        | Io::TimedOut
        | Io::StaleNetworkFileHandle => ErrorKind::Unavailable,
        Io::InvalidInput
        | Io::InvalidData
        | Io::UnexpectedEof
        | Io::IsADirectory
        | Io::NotADirectory
        | Io::DirectoryNotEmpty
        | Io::InvalidFilename => ErrorKind::Invalid,
        Io::Interrupted => ErrorKind::Cancelled,
        Io::Unsupported => ErrorKind::Unsupported,
        _ => ErrorKind::Internal,
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let repr = &self.0;
        write!(f, "cannot {} {}", repr.action, repr.subject)?;
        if let Some(position) = &repr.position {
            write!(f, " at {position}")?;
        }
        match &repr.reason {
            Some(reason) => write!(f, ": {reason}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.0.kind, self.in_one_line())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_word_wide() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }

    #[test]
    fn display_leaves_the_source_to_the_chain() {
        let error = Error::io("write", "lake/a", io::Error::from(io::ErrorKind::StorageFull));
        assert_eq!(error.to_string(), "cannot write lake/a");
        assert_eq!(error.kind(), ErrorKind::Exhausted);
        assert!(error.source().is_some());
        assert!(error.hint().is_some());
    }

    #[test]
    fn one_line_holds_all_that_the_terminal_says() {
        let cause = Error::invalid("read", "a.csv").with_reason("two\n  lines").with_hint("mend it");
        let error = Error::invalid("convert", "a.csv").with_source(cause);
        assert_eq!(error.first_hint(), Some("mend it"));
        assert_eq!(error.in_one_line(), "cannot convert a.csv; caused by: cannot read a.csv: two lines; hint: mend it");
        assert_eq!(error.with_hint("mine").first_hint(), Some("mine"));
    }

    #[test]
    fn a_position_reads_from_coarse_to_fine() {
        let position = Position::row(3).with_line(5).with_column("x").with_byte(120);
        assert_eq!(position.to_string(), "row 3, line 5, column `x`, byte 120");
    }
}
