"""Several sinks that are told of one run together, none of which can end it.

Rows of the curves are told in order, each once: a sink says how far it is when it is opened, and the whole curves may
be told again and again. Pictures wait for the row of their step, for some sinks take no step that lies behind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from math import isfinite
from typing import Any, NamedTuple

from benchbench.results.record import Row
from benchbench.sinks.sink import LoggedRun, Sink, Status

CAUGHT = (Exception, SystemExit)
"""What may come out of a sink. An interrupt is the user's."""

Failed = Callable[[str, BaseException], None]
"""Is told which sink failed and what it raised; that one is told no more."""


class Picture(NamedTuple):
    """A picture that waits to be told: when it was made, what it is called, the content of a PNG file."""

    step: int
    name: str
    png: bytes


class Feed:
    """The sinks of one run, opened.

    Args:
        sinks: By name, with the run as each of them is told of it.
        failed: Who is told when one fails.
    """

    def __init__(self, sinks: Mapping[str, tuple[Sink, LoggedRun]], failed: Failed) -> None:
        self._failed = failed
        self._sinks = {name: sink for name, (sink, _) in sinks.items()}
        self._steps: dict[str, int] = {}
        self._waiting: list[Picture] = []
        self.where: dict[str, str] = {}
        try:
            self._each(self._open, {name: run for name, (_, run) in sinks.items()})
        except BaseException:
            self.close("interrupted")
            raise

    def __bool__(self) -> bool:
        """Whether anybody listens."""
        return bool(self._sinks)

    def curves(self, rows: Iterable[Mapping[str, float]]) -> None:
        """Tell what is new of the curves.

        Args:
            rows: All so far, in the order of steps, as curves.csv has them.
        """
        known = min(self._steps.values(), default=0)
        for row in (row for row in rows if self._sinks and row["step"] > known):
            step = int(row["step"])
            values = {f"curves/{name}": float(value) for name, value in row.items() if name != "step"}
            values = {name: value for name, value in values.items() if isfinite(value)}
            self._each(self._tell_row, step, values, [own for own in self._waiting if own.step == step])
            self._waiting = [own for own in self._waiting if own.step > step]

    def picture(self, step: int, name: str, png: bytes) -> None:
        """Keep a picture for the row of its step.

        Args:
            step: Optimiser steps done.
            name: The same at every step.
            png: The content of a PNG file.
        """
        self._waiting.append(Picture(step, name, png))

    def end(self, step: int, rows: Sequence[Row], pictures: Sequence[tuple[str, bytes]]) -> None:
        """Tell what the run came to.

        Args:
            step: Of the whole training.
            rows: Of its metrics.csv.
            pictures: By name, PNG files.
        """
        self._each(self._tell_end, step, rows, pictures)

    def close(self, status: Status) -> None:
        """Tell that it is over.

        Args:
            status: How it ended.
        """
        self._each(lambda _, sink: sink.close(status))
        self._sinks = {}

    def _open(self, name: str, sink: Sink, runs: Mapping[str, LoggedRun]) -> None:
        self._steps[name], self.where[name] = sink.open(runs[name])

    def _tell_row(
        self, name: str, sink: Sink, step: int, values: Mapping[str, float], pictures: Sequence[Picture]
    ) -> None:
        if step > self._steps[name]:
            sink.scalars(step, values)
            for picture in pictures:
                sink.image(*picture)
            self._steps[name] = step

    def _tell_end(
        self, name: str, sink: Sink, step: int, rows: Sequence[Row], pictures: Sequence[tuple[str, bytes]]
    ) -> None:
        for what, png in pictures:
            sink.image(step, what, png)
        sink.numbers(step, rows)

    def _each(self, tell: Callable[..., None], *what: Any) -> None:
        """Tell every sink; one that raises is told no more."""
        for name, sink in list(self._sinks.items()):
            try:
                tell(name, sink, *what)
            except CAUGHT as error:
                del self._sinks[name]
                self._steps.pop(name, None)
                with suppress(*CAUGHT):
                    sink.close("failed")
                self._failed(name, error)
