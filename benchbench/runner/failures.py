"""Why a cell ended, and whose code it was: what that of somebody else raises costs its own cell, and is named."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from benchbench.core.errors import BenchbenchError, CellFailed, NotImagesError, out_of_memory

OURS = "benchbench"

CAUGHT = (Exception, SystemExit)
"""What may come out of somebody else's code and must not end other cells. An interrupt may."""


def failure_of(error: BaseException, made_of: Mapping[str, Any]) -> str | None:
    """Why a cell ended, in one sentence; None for what is no failure of a cell alone: a request that cannot be carried
    out, or a bug of ours.

    error: what was raised. made_of: classes or objects of which the cell is made, by what they are called, "the model
    'acme'".
    """
    theirs = {title: thing for title, thing in made_of.items() if _package(thing) != OURS}
    if isinstance(error, CellFailed | NotImagesError):
        return _named(str(error), error, theirs)
    if isinstance(error, BenchbenchError):
        return None
    if (words := out_of_memory(error)) is not None:
        return words
    if not theirs:
        return None
    if isinstance(error, SystemExit):
        return _named(f"it called sys.exit({error.code!r})", error, theirs)
    said = " ".join(str(error).split())[:300]
    place = "".join(
        f", {frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in _own_frame(error, theirs)
    )
    return _named(f"it raised {type(error).__name__}{place}" + (f": {said}" if said else ""), error, theirs)


@contextmanager
def failing_alone(made_of: Mapping[str, Any]) -> Iterator[None]:
    """What ends a cell alone is a `CellFailed` outside."""
    try:
        yield
    except CAUGHT as error:
        if (words := failure_of(error, made_of)) is None:
            raise
        raise CellFailed(words) from error


def _named(reason: str, error: BaseException, theirs: Mapping[str, Any]) -> str:
    """The reason with whose code it was: what the traceback goes through, else the first."""
    if not theirs:
        return reason
    through = {_module(frame) for frame, _ in traceback.walk_tb(error.__traceback__)}
    packages = {module.partition(".")[0] for module in through}
    title = next(
        (title for title, thing in theirs.items() if _package(thing) in packages), next(iter(theirs))
    )
    thing = theirs[title]
    return f"{title} ({_class(thing).__module__}:{_class(thing).__qualname__}): {reason}"


def _own_frame(error: BaseException, theirs: Mapping[str, Any]) -> list[traceback.FrameSummary]:
    """Where in somebody else's code it was raised, the innermost place; nothing where it was in none."""
    packages = {_package(thing) for thing in theirs.values()}
    frames = [
        traceback.FrameSummary(frame.f_code.co_filename, line, frame.f_code.co_name, lookup_line=False)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if _module(frame).partition(".")[0] in packages
    ]
    return frames[-1:]


def _module(frame: Any) -> str:
    return str(frame.f_globals.get("__name__", ""))


def _class(thing: Any) -> type:
    return thing if isinstance(thing, type) else type(thing)


def _package(thing: Any) -> str:
    return _class(thing).__module__.partition(".")[0]
