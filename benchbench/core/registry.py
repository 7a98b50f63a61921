"""Names to things, through entry points: ours and everybody else's come through the same door.

A registry reads one entry-point group. An entry is a name and what it leads to, or `*` and a mapping of names to such
("acme:MODELS" with `MODELS = {"acme-vae": "acme.vae:VAE"}`). Names are known without importing what is behind them, so
`--help` and shell completion stay instant; the module behind a name is imported when somebody asks for it.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from benchbench.core.errors import BenchbenchWarning, InputError, unknown_name

EVERY = "*"  # the name of an entry that leads to a mapping of names


@cache
def _entries(
    group: str, path: tuple[str, ...], read: Callable[..., Iterable[EntryPoint]]
) -> dict[str, EntryPoint]:
    """The entry points of a group, read once for each `sys.path`: that takes a hundredth of a second, and planning a
    suite asks for them thousands of times."""
    # Ours last, so that a plugin cannot silently take over a name that records already use.
    found = [entry for written in read(group=group) for entry in _each(written)]
    return {
        entry.name: entry for entry in sorted(found, key=lambda entry: entry.value.startswith("benchbench."))
    }


def _each(entry: EntryPoint) -> Iterator[EntryPoint]:
    """The entry itself, or those of the mapping that `*` leads to; a warning where that cannot be read."""
    if entry.name != EVERY:
        yield entry
        return
    try:
        mapping = entry.load()
        if not (
            isinstance(mapping, Mapping)
            and all(isinstance(text, str) for pair in mapping.items() for text in pair)
        ):
            raise TypeError('it must be a mapping of names to "module:object"')
    except Exception as error:
        warnings.warn(
            f"{entry.group}: {entry.value} cannot be read: {error}; skipped", BenchbenchWarning, stacklevel=2
        )
        return
    for name, value in mapping.items():
        yield EntryPoint(name, value, entry.group)


class Registry:
    """The things of one kind.

    Args:
        kind: "model", "dataset", "metric" or "extractor"; its entry-point group is `benchbench.<kind>s`.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.group = f"benchbench.{kind}s"

    def _entries(self) -> dict[str, EntryPoint]:
        return _entries(self.group, tuple(sys.path), entry_points)

    def names(self) -> list[str]:
        """All registered names, sorted. Imports nothing."""
        return sorted(self._entries())

    def get(self, name: str) -> Any:
        """The object behind a name, imported now.

        Args:
            name: One of `names()`.

        Returns:
            What the entry point leads to, for our groups a class.

        Raises:
            InputError: Nothing has that name (the message says the nearest one), or it cannot be imported.
        """
        entries = self._entries()
        if name not in entries:
            raise unknown_name(self.kind, name, entries)
        try:
            return entries[name].load()
        except Exception as error:
            raise InputError(
                f"the {self.kind} {name!r} ({entries[name].value}) cannot be loaded: {error}"
            ) from error

    def items(self) -> list[tuple[str, Any]]:
        """Every (name, object) that loads.

        Warns:
            BenchbenchWarning: A plugin is broken; it is named and skipped.
        """
        loaded = []
        for name in self.names():
            try:
                loaded.append((name, self.get(name)))
            except InputError as error:
                warnings.warn(f"{error}; skipped", BenchbenchWarning, stacklevel=2)
        return loaded


MODELS = Registry("model")
DATASETS = Registry("dataset")
METRICS = Registry("metric")
EXTRACTORS = Registry("extractor")
TASKS = Registry("task")
