"""How long work reports that it is alive, without knowing who watches.

Rooms below the command line take a `Progress` and tell it what they do; the command line draws it. The
default, `SILENT`, draws nothing, so the library is quiet unless asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Stage(Protocol):
    """One piece of work under way."""

    def advance(self, n: int = 1, **numbers: float) -> None:
        """Say that more is done.

        Args:
            n: How many units more.
            **numbers: Worth showing beside the rate, for example loss=0.31.
        """


class Progress(Protocol):
    """Whoever watches."""

    def stage(self, title: str, total: int, unit: str, done: int = 0) -> AbstractContextManager[Stage]:
        """Begin a piece of work.

        Args:
            title: What is done.
            total: How many units it has; 0 where nobody knows.
            unit: What they are, in the singular: "image".
            done: How many of them were done before.

        Returns:
            The work under way, to be told of every step; leaving the context ends it.
        """

    def note(self, text: str) -> None:
        """Say something worth one line, for example that training goes on from a checkpoint.

        Args:
            text: The line.
        """


class _Silent:
    @contextmanager
    def stage(self, title: str, total: int, unit: str, done: int = 0) -> Iterator[_Silent]:
        yield self

    def advance(self, n: int = 1, **numbers: float) -> None:
        pass

    def note(self, text: str) -> None:
        pass

    def __repr__(self) -> str:
        return "SILENT"  # the default that `help` shows


SILENT: Progress = _Silent()
