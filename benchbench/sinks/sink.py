"""What a sink is: somebody who is told of a run, while it goes on or out of its record.

The record stays the truth. A sink is told plain numbers and pictures and gives nothing back; what it raises ends itself
and no run (`sinks.feed`).
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

from benchbench.core.errors import InputError
from benchbench.results.record import Row

Status = Literal["finished", "failed", "interrupted"]

NOTHING = -1
"""The step before the first, of a sink that has nothing of a run yet."""


@dataclass(frozen=True)
class LoggedRun:
    """A run as a sink is told of it.

    Attributes:
        key: Its cell, 16 hexadecimal digits: the same command has the same, today and after a stop.
        name: For people: "vae on digits, seed 0".
        dataset: The dataset's name, by which runs are told together.
        place: The path of its record below the folder of records, POSIX: "digits/vae/0011223344556677".
        config: What it was made with, JSON-able; nested by concern.
        folder: Where the sink may write, whichever run it is; made by the sink.
        offline: Whether it may write nowhere but there, as in an export: no server is asked.
    """

    key: str
    name: str
    dataset: str
    place: str
    config: Mapping[str, Any]
    folder: Path
    offline: bool


class Opened(NamedTuple):
    """What a sink says when it was opened.

    Attributes:
        step: The last step of whose curves it has numbers already, `NOTHING` for none: those up to it are not told
            again, so that a run that goes on after a stop has no point twice.
        where: Where it is to be looked at, in a few words.
    """

    step: int
    where: str


class Sink(Protocol):
    """Is told of one run. A class without arguments; its constructor raises `InputError` with what to install where a
    library is missing, and it is made before anything expensive.

    All calls come from one thread, steps in order. Whatever a method raises is said once, and the sink is told no more.
    """

    def open(self, run: LoggedRun) -> Opened:
        """Begin, or go on with a run of the same key. The first call.

        Args:
            run: Which run it is.

        Returns:
            What it has of it, and where.
        """

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """A row of the curves.

        Args:
            step: Optimiser steps done.
            values: Finite numbers by the name of their column in curves.csv, behind "curves/".
        """

    def image(self, step: int, name: str, png: bytes) -> None:
        """A picture.

        Args:
            step: Optimiser steps done when it was made.
            name: The same at every step: "samples".
            png: The content of a PNG file.
        """

    def numbers(self, step: int, rows: Sequence[Row]) -> None:
        """What the run ends with. Told once, of a run that came to its end.

        Args:
            step: Optimiser steps of the whole training; 0 where nothing was trained.
            rows: The rows of its metrics.csv, failed ones among them; `named` has the others by name.
        """

    def close(self, status: Status) -> None:
        """The last call; what was told must be there afterwards.

        Args:
            status: How the run ended. One that was interrupted may be opened again.
        """


def library(module: str, package: str) -> Any:
    """A library that a sink needs.

    Args:
        module: As it is imported.
        package: As it is installed.

    Returns:
        The module.

    Raises:
        InputError: It is not installed, or cannot be imported; the message says what to install.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        top = module.partition(".")[0]
        if isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] == top:
            raise InputError(f"logging to {package} needs its library: pip install {package}") from error
        raise InputError(
            f"the library of {package} cannot be imported ({error}): pip install --upgrade {package}"
        ) from error


def named(rows: Sequence[Row]) -> dict[str, float]:
    """The numbers of rows as dashboards call them.

    Args:
        rows: Of a record.

    Returns:
        Of every row with a value that value by task, direction where there is one, and metric
        ("generation/fd_inception_v3"), and the ends of its interval with "_low" and "_high" behind.
    """
    found = {}
    for row in rows:
        if row.value is None:
            continue
        name = "/".join(filter(None, (row.task, row.direction, row.metric)))
        found[name] = row.value
        found |= {f"{name}_{end}": v for end in ("low", "high") if (v := getattr(row, end)) is not None}
    return found


def flat(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str | int | float | bool]]:
    """A nested mapping as names with dots, for sinks that take no other.

    Args:
        config: JSON-able.
        prefix: What stands before every name.

    Yields:
        Name and value; lists as JSON, nothing for None.
    """
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{name}.")
        elif isinstance(value, str | int | float | bool):
            yield f"{prefix}{name}", value
        elif value is not None:
            yield f"{prefix}{name}", json.dumps(value)
