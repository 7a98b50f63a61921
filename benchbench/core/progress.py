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
        """`n` more units are done; `numbers` are worth showing beside the rate, for example loss=0.31."""


class Progress(Protocol):
    """Whoever watches."""

    def stage(self, title: str, total: int, unit: str, done: int = 0) -> AbstractContextManager[Stage]:
        """A piece of work of `total` units (0: nobody knows), `done` of which were done before; `unit` in the
        singular, "image"."""

    def note(self, text: str) -> None:
        """Something worth one line, for example that training goes on from a checkpoint."""


class _Silent:
    @contextmanager
    def stage(self, title: str, total: int, unit: str, done: int = 0) -> Iterator[_Silent]:
        yield self

    def advance(self, n: int = 1, **numbers: float) -> None:
        pass

    def note(self, text: str) -> None:
        pass


SILENT: Progress = _Silent()
