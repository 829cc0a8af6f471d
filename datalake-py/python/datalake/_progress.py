"""How far long work is, shown in notebooks and terminals."""

from __future__ import annotations

import sys
from typing import Never, Protocol

from tqdm.auto import tqdm


class Display(Protocol):
    """Shows the stages of long work."""

    def begin(self, stage: str, total: int | None) -> None:
        """Show that a stage begins, within the one that is under way."""

    def advance(self, units: int) -> None:
        """Show that so many more units of the current stage are done."""

    def end(self) -> None:
        """Show that the current stage is over."""

    def note(self, line: str) -> None:
        """Show something that the user should read."""


class Bars:
    """A bar for each stage; those within others go when they are done."""

    def __init__(self) -> None:
        """Show nothing yet."""
        self._bars: list[tqdm[Never]] = []

    def begin(self, stage: str, total: int | None) -> None:
        """Show a bar, or the time alone where nobody knows the total."""
        shape = None if total else "{desc} {elapsed}"
        self._bars.append(tqdm(desc=stage, total=total, leave=not self._bars, dynamic_ncols=True, bar_format=shape))

    def advance(self, units: int) -> None:
        """Move the innermost bar."""
        if self._bars:
            self._bars[-1].update(units)

    def end(self) -> None:
        """Close the innermost bar."""
        if self._bars:
            self._bars.pop().close()

    def note(self, line: str) -> None:
        """Write a line above the bars."""
        tqdm.write(line, file=sys.stderr)


class Lines:
    """Nothing but what is noted, line by line."""

    def begin(self, stage: str, total: int | None) -> None:
        """Show nothing."""

    def advance(self, units: int) -> None:
        """Show nothing."""

    def end(self) -> None:
        """Show nothing."""

    def note(self, line: str) -> None:
        """Print the line."""
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


def display(*, wanted: bool | None) -> Display | None:
    """Give bars where they are wanted; where nobody says, in notebooks."""
    return Bars() if (_in_notebook() if wanted is None else wanted) else None


def _in_notebook() -> bool:
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return shell is not None and hasattr(shell, "kernel")
