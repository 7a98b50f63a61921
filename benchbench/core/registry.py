"""Names to things, through entry points: ours and everybody else's come through the same door.

A registry reads one entry-point group. An entry is a name and what it leads to, or `*` and a mapping of names to such
("acme:MODELS" with `MODELS = {"acme-vae": "acme.vae:VAE"}`). Names are known without importing what is behind them, so
`--help` and shell completion stay instant; the module behind a name is imported when somebody asks for it.
"""

from __future__ import annotations

import re
import sys
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from importlib.metadata import Distribution, EntryPoint, entry_points
from pathlib import Path
from typing import Any

from benchbench.core.errors import BenchbenchError, BenchbenchWarning, InputError, exhausted, unknown_name
from benchbench.core.names import spelled

EVERY = "*"  # the name of an entry that leads to a mapping of names
OPEN = ":*"  # behind the name of a family whose members nobody can list, such as files: "generator:*"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
_NAME_RULE = "letters, digits and . _ + - are (a comma stands between names, a colon within a family)"
_VALUE = re.compile(r"[\w.]+\s*:\s*[\w.]+(\s*\[.*\])?")


@cache
def _entries(
    group: str, path: tuple[str, ...], read: Callable[..., Iterable[EntryPoint]]
) -> dict[str, EntryPoint]:
    """The entry points of a group, read once for each `sys.path`: that takes a hundredth of a second, and planning a
    suite asks for them thousands of times."""
    # Ours last, so that a plugin cannot silently take over a name that records already use.
    found = [entry for written in read(group=group) for entry in _each(written)]
    return {entry.name: entry for entry in sorted(found, key=_is_ours)}


def _is_ours(entry: EntryPoint) -> bool:
    return entry.value.startswith("benchbench.")


def _each(entry: EntryPoint) -> Iterator[EntryPoint]:
    """The entry itself, or those of the mapping that `*` leads to; a warning where that cannot be read, and for a name
    that nobody could type or a record could not hold."""
    if entry.name != EVERY:
        mapping: Any = {entry.name: entry.value}
    else:
        try:
            mapping = entry.load()
            if not (
                isinstance(mapping, Mapping)
                and all(isinstance(text, str) for pair in mapping.items() for text in pair)
            ):
                raise TypeError('it must be a mapping of names to "module:object"')
        except (Exception, SystemExit) as error:
            _skip(f"{entry.group}: {_described(entry)} cannot be read: {_reason(error)}")
            return
    for name, value in mapping.items():
        if not _NAME.fullmatch(name.removesuffix(OPEN)):
            _skip(f"{entry.group}: {name!r} ({_described(entry)}) is no name: {_NAME_RULE}")
            continue
        member = EntryPoint(name, value, entry.group)
        vars(member).update(dist=entry.dist)  # as importlib does it; an entry point is otherwise frozen
        yield member


def _skip(text: str) -> None:
    warnings.warn(f"{text}; skipped", BenchbenchWarning, stacklevel=2)


def _described(entry: EntryPoint) -> str:
    """What an entry leads to, and the distribution that registers it."""
    try:
        return entry.value if entry.dist is None else f"{entry.value} of {_titled(entry.dist)}"
    except Exception:  # its metadata are damaged
        return entry.value


@cache  # a file of metadata is parsed for every name that is asked for, and a plan asks for hundreds
def _titled(dist: Distribution) -> str:
    return f"{dist.name} {dist.version}"


def _reason(error: BaseException) -> str:
    """The error's own words behind its kind, which they make no sense without ("'x'" of a KeyError)."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


class Registry:
    """The things of one kind.

    Args:
        kind: "model", "dataset", "metric", "extractor", "task", "sink" or "variant"; its entry-point group is
            `benchbench.<kind>s`.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.group = f"benchbench.{kind}s"

    def _entries(self) -> dict[str, EntryPoint]:
        return _entries(self.group, tuple(sys.path), entry_points)

    def names(self) -> list[str]:
        """All registered names, sorted, but for open families. Imports nothing."""
        return sorted(name for name in self._entries() if not name.endswith(OPEN))

    def open_families(self) -> list[tuple[str, Any]]:
        """Families whose members nobody can list.

        Returns:
            What stands before the colon, and the class, of each.
        """
        return [
            (name.removesuffix(OPEN), self._load(entry))
            for name, entry in sorted(self._entries().items())
            if name.endswith(OPEN)
        ]

    def recorded(self, name: str) -> str:
        """A name as records and folders have it.

        Args:
            name: One of `names()`, or a member of an open family by what stands behind its colon.

        Returns:
            Of a member what its family calls it, else the name.

        Raises:
            InputError: There is no such member.
        """
        family = self._open_family(name)
        return name if family is None else str(family.recorded(name.partition(":")[2]))

    def from_folder(self, name: str, folder: Path) -> str:
        """What a name, which stands in a file in a folder, is called from here.

        Args:
            name: As `recorded` takes it.
            folder: The folder of the file.

        Returns:
            Of a member of an open family that is a path, that path from here; else the name.
        """
        family = self._open_family(name)
        if family is None:
            return name
        head, _, what = name.partition(":")
        return f"{head}:{family.from_folder(what, folder)}"

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
        if (family := self._open_family(name)) is not None:
            return family.of(name.partition(":")[2])
        if name not in entries or name.endswith(OPEN):
            raise unknown_name(self.kind, name, self.names())
        return self._load(entries[name])

    def is_of_open_family(self, name: str) -> bool:
        """Whether a name is one of those that nobody can list, behind which somebody's own file lies.

        Args:
            name: Any name.

        Returns:
            False too for what nothing is registered as.
        """
        return self._open_family(name) is not None

    def _open_family(self, name: str) -> Any | None:
        """The open family of which this is a member."""
        head, colon, what = name.partition(":")
        entry = self._entries().get(head + OPEN) if colon and what else None
        return None if entry is None else self._load(entry)

    def spelled(self, name: str) -> str:
        """A name as it is registered, where only its capitals were others.

        Args:
            name: As somebody wrote it.

        Returns:
            The registered name; what was given where nothing has that name in any capitals, or several things have.
        """
        return spelled(name, self._entries())

    def make(self, name: str) -> Any:
        """The object behind a name, called without arguments.

        Args:
            name: One of `names()`.

        Returns:
            What it returns, for a class an instance.

        Raises:
            InputError: As `get`; or a plugin raises, which is named.
        """
        thing = self.get(name)
        try:
            return thing()
        except BenchbenchError:
            raise
        except (Exception, SystemExit) as error:
            if _is_ours(entry := self._entries()[name]):
                raise
            raise InputError(
                f"the {self.kind} {name!r} ({_described(entry)}) cannot be made: {_reason(error)}"
            ) from error

    def made(self) -> list[tuple[str, Any]]:
        """Every (name, instance) that loads and can be made.

        Warns:
            BenchbenchWarning: A plugin is broken; it is named and skipped.
        """
        return self._those_that(self.make)

    def _load(self, entry: EntryPoint) -> Any:
        what = f"the {self.kind} {entry.name!r} ({_described(entry)})"
        if not _VALUE.fullmatch(entry.value):
            raise InputError(f'{what} cannot be loaded: what it leads to must be written "module:object"')
        try:
            thing = entry.load()
        except (Exception, SystemExit) as error:
            if exhausted(error):
                raise  # no fault of the plugin, and others would fail as well
            raise InputError(f"{what} cannot be loaded: {_reason(error)}") from error
        if not isinstance(thing, type):
            raise InputError(f"{what} is no class but a {type(thing).__name__}")
        return thing

    def items(self) -> list[tuple[str, Any]]:
        """Every (name, object) that loads.

        Warns:
            BenchbenchWarning: A plugin is broken; it is named and skipped.
        """
        return self._those_that(self.get)

    def _those_that(self, take: Callable[[str], Any]) -> list[tuple[str, Any]]:
        taken = []
        for name in self.names():
            try:
                taken.append((name, take(name)))
            except InputError as error:
                _skip(str(error))
        return taken


class FamilyRegistry(Registry):
    """Things of which some come in families: one registered class for many, told apart by what stands behind a colon.

    A family is a registered class with the class methods `members()`, what can stand behind the colon as far as
    that is known, and `of(what)`, the class that this one is, or `InputError`. "cnn:digits" is `of("digits")` of
    what is registered as "cnn". Records, which name files and columns after it, write "cnn_digits", and that is
    understood everywhere too. A name that is registered as it stands goes before a member of a family.

    Args:
        kind: As in `Registry`.
    """

    def names(self) -> list[str]:
        """All names as records have them, families by their members. Imports what is registered, for a family is known
        by its class.

        Returns:
            Ours first and then those of plugins, so that who takes the first that fits takes no plugin's in place of
            ours; sorted among themselves.
        """
        ours: dict[str, bool] = {}
        for name, entry in self._entries().items():
            family = self._family(name)
            members = [name] if family is None else [f"{name}_{what}" for what in self.members(name)]
            ours |= dict.fromkeys(members, _is_ours(entry))
        return sorted(ours, key=lambda name: (not ours[name], name))

    def members(self, name: str) -> list[str]:
        """What can stand behind the colon.

        Args:
            name: That of a family.

        Returns:
            What the family says of itself; nothing where it cannot.

        Warns:
            BenchbenchWarning: It cannot; it is named.
        """
        try:
            return [str(what) for what in self._family(name).members()]  # type: ignore[union-attr]
        except (Exception, SystemExit) as error:
            whose = _described(self._entries()[name])
            _skip(f"the members of the {self.kind} {name!r} ({whose}) cannot be known: {_reason(error)}")
            return []

    def families(self) -> dict[str, Any]:
        """Those that are families.

        Returns:
            Their classes by the names that stand before the colon.
        """
        found = {name: self._family(name) for name in sorted(self._entries())}
        return {name: family for name, family in found.items() if family is not None}

    def get(self, name: str) -> Any:
        """The class behind a name, imported now.

        Args:
            name: One of `names()`; of a family by either spelling, "cnn:digits" or "cnn_digits".

        Returns:
            The class; of a family what its `of` returns.

        Raises:
            InputError: Nothing has that name, it cannot be imported, or the family has no such member.
        """
        head, what = self.split(name)
        family = self._family(head)
        if family is None:
            if ":" in name and head in self._entries():
                raise InputError(f"the {self.kind} {head} stands alone: write {head}, with nothing behind it")
            return super().get(name)
        if not what:
            raise InputError(
                f"{head} is a family of {self.kind}s, and what stands behind the colon says which; "
                f"known: {', '.join(f'{head}:{member}' for member in self.members(head))}"
            )
        whose = f"the {self.kind} {head}:{what} ({_described(self._entries()[head])})"
        try:
            member = family.of(what)
        except BenchbenchError:
            raise
        except (Exception, SystemExit) as error:
            raise InputError(f"{whose} cannot be made: {_reason(error)}") from error
        if not isinstance(member, type):
            raise InputError(f"{whose} is no class but a {type(member).__name__}: `of` must return one")
        return member

    def split(self, name: str) -> tuple[str, str]:
        """Take a name apart.

        Args:
            name: By either spelling.

        Returns:
            The family and what stands behind it; the name and "" of one that stands alone or that nobody has.
        """
        entries = self._entries()
        ours = {known for known, entry in entries.items() if _is_ours(entry)}
        if name in ours:
            return name, ""
        head, colon, what = name.partition(":")
        if colon and name not in entries:
            return head, what
        # Ours first, so that a plugin cannot silently take over a member's name that records already use.
        for family in sorted(entries, key=lambda known: (known in ours, len(known)), reverse=True):
            if name in entries and family not in ours:
                return name, ""
            if name.startswith(f"{family}_") and self._family(family) is not None:
                return family, name.removeprefix(f"{family}_")
        return name, ""

    def recorded(self, name: str) -> str:
        """A name as records have it.

        Args:
            name: By either spelling.

        Returns:
            "cnn_digits" for "cnn:digits"; a name without a colon as it is.

        Raises:
            InputError: There is no such member of a family.
        """
        name = self.spelled(name)
        if ":" not in name:
            return name
        self.get(name)
        return name.replace(":", "_", 1)

    def spelled(self, name: str) -> str:
        """As `Registry.spelled`; of a family by either spelling of its members."""
        if name in self._entries() or (name == name.casefold() and self.registered(name)):
            return name
        if (found := super().spelled(name)) != name:
            return found
        members = [spelling for known in self.names() for spelling in self._spellings(known)]
        return spelled(name, members)

    def registered(self, name: str) -> bool:
        """Whether something has that very name, be it as a member of a family.

        Args:
            name: By either spelling.

        Returns:
            True also for a member that its family does not know, for which `get` says why.
        """
        return self.split(name)[1] != "" or name in self._entries()

    def _spellings(self, name: str) -> list[str]:
        """As records have it and, of a member, with its colon."""
        family, what = self.split(name)
        return [name, f"{family}:{what}"] if what else [name]

    def _family(self, name: str) -> Any | None:
        """The class registered as `name` if it is a family; a plugin that cannot be imported is none."""
        entry = self._entries().get(name)
        try:
            thing = None if entry is None else self._load(entry)
        except InputError:
            return None
        return thing if all(callable(getattr(thing, method, None)) for method in ("of", "members")) else None


def plugin_behind(error: BaseException) -> str | None:
    """Whose code was running when something went wrong.

    Args:
        error: What was raised.

    Returns:
        The package of a plugin and its distribution, in words, if a line of its code stands lower in the traceback than
        any of ours; else None.
    """
    packages = {"benchbench": ""}
    with warnings.catch_warnings(action="ignore", category=BenchbenchWarning):  # they were said before
        entries = [entry for kind in ALL for entry in kind._entries().values() if not _is_ours(entry)]
    for entry in entries:
        package = re.split(r"\W", entry.value)[0]
        dist = "" if entry.dist is None else f" (from {entry.dist.name} {entry.dist.version})"
        packages[package] = f"the plugin {package}{dist}"
    lowest = ""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        lowest = packages.get(frame.f_globals.get("__name__", "").split(".")[0], lowest)
    return lowest or None


MODELS = Registry("model")
DATASETS = Registry("dataset")
METRICS = Registry("metric")
EXTRACTORS = FamilyRegistry("extractor")
TASKS = Registry("task")
SINKS = Registry("sink")
VARIANTS = Registry("variant")
ALL: tuple[Registry, ...] = (MODELS, DATASETS, METRICS, EXTRACTORS, TASKS, SINKS, VARIANTS)


def only_ours() -> bool:
    """Whether nothing is registered but what comes with benchbench.

    Returns:
        False where any distribution beside ours registers anything.
    """
    return all(_is_ours(entry) for registry in ALL for entry in registry._entries().values())
