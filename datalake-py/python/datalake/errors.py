"""Exceptions: one class for each kind of outcome, each also of the built-in class that Python has for it.

An interruption from the keyboard is a plain :class:`KeyboardInterrupt`.
"""

from __future__ import annotations


class Error(Exception):
    """What went wrong: what was attempted, on what, where, and why. The base of all exceptions of this package."""

    hint: str | None = None
    """What to do about it; also shown as a note below the traceback."""
    row: int | None = None
    """The record's number, from 1, without a header."""
    line: int | None = None
    """The line in a text file, from 1, with the header."""
    column: str | None = None
    """The column's name."""
    byte: int | None = None
    """The offset of the record's first byte in the (decompressed) input."""


class NotFoundError(Error, FileNotFoundError):
    """A bucket, object or file that is not there."""


class AlreadyExistsError(Error, FileExistsError):
    """Something that must be new is there already."""


class InvalidError(Error, ValueError):
    """Input, settings or data that cannot be right."""


class UnsupportedError(Error, NotImplementedError):
    """Right in itself, but not something that this version can do."""


class DeniedError(Error, PermissionError):
    """Credentials or permissions were refused."""


class UnavailableError(Error, ConnectionError):
    """An endpoint that does not answer; trying again may help."""


class CancelledError(Error):
    """Work that somebody has stopped from elsewhere, such as a run by `datalake cancel`."""


class ExhaustedError(Error, OSError, MemoryError):
    """Disk, memory budget or quota is used up."""


class InternalError(Error, RuntimeError):
    """A bug in datalake."""


class InputWarning(UserWarning):
    """Rows to predict for hold what a model has not seen in training: new categories, numbers out of range."""
