"""What can go wrong, in one clear sentence each.

Every error that a user can cause or meet is a `BenchbenchError`: its message names the thing and the way
out, and its class carries the exit code. The command line prints the message and nothing else; anything
that is not a `BenchbenchError` is a bug and keeps its traceback.
"""

from __future__ import annotations

import difflib
import errno
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager


class BenchbenchError(Exception):
    """Base of all errors meant for a user's eyes.

    Attributes:
        exit_code: What the command line ends with; each class below has its own.
    """

    exit_code = 2


class InputError(BenchbenchError):
    """Wrong usage or bad input: an unknown name, an unreadable file, an impossible request."""

    exit_code = 2


class NotImagesError(InputError):
    """What should be images is none: of another type, dtype, shape or number, or holding what is no number."""


class RegressionFound(BenchbenchError):
    """A check found a number that is worse than its gate allows."""

    exit_code = 1


class NothingComparable(BenchbenchError):
    """A check found nothing it may compare."""

    exit_code = 3


class Disagreement(BenchbenchError):
    """Records that should say the same do not: two of one cell, or one and what it was made from."""

    exit_code = 1


class CellFailed(BenchbenchError):
    """A cell could not be carried out, for example because its loss stopped being a number."""

    exit_code = 4


class RankLost(BenchbenchError):
    """A job of several ranks cannot go on: one of them is gone, or does not answer. No rank meets another again.

    Attributes:
        speaks: Whether this rank says so; of all that notice it one does.
    """

    exit_code = 4
    speaks = True


class MetricFailed(Exception):
    """One metric cannot be computed on this evidence. The others still are; its row says why.

    Args:
        reason: Why, in one sentence that names the thing and the way out.
        status: "failed" (the evidence does not allow it: too few images, not a number) or "unavailable" (something that
            must be fetched first is not at hand).
    """

    def __init__(self, reason: str, *, status: str = "failed") -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status


STATUSES = ("failed", "unavailable")
MISTYPED = 0.75
"""How alike (`difflib`) a name and a known one are at least where one was mistyped for the other."""


def because(error: BaseException) -> str:
    """What somebody else's error says, on one line.

    Args:
        error: What was raised.

    Returns:
        Its kind and its words, cut where they are long.
    """
    said = short(" ".join(_words(error).split()))
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def _words(error: BaseException) -> str:
    try:
        return to_the_user(str(error))
    except Exception:  # an error whose words raise an error has none
        return ""


_TO_ITS_AUTHORS = re.compile(
    r"\s*INTERNAL ASSERT FAILED at \"[^\"]*\":\d+, please report a bug to PyTorch\.\s*"
    r"|\. This is an internal miniz error\..*",
    re.DOTALL,
)


def to_the_user(said: str) -> str:
    """What a message of torch says of its own faults, left out: on a damaged file they are none.

    Args:
        said: A message; most have nothing of that kind and stay as they are.

    Returns:
        What was not so, or what torch says of it.

    >>> to_the_user('false INTERNAL ASSERT FAILED at "/csrc/import.cpp":5, please report a bug to PyTorch. a word')
    'a word'
    >>> to_the_user('n > 0 INTERNAL ASSERT FAILED at "/csrc/import.cpp":5, please report a bug to PyTorch. ')
    'n > 0 does not hold'
    """
    found = _TO_ITS_AUTHORS.search(said)
    if not found:
        return said
    before, behind = said[: found.start()], said[found.end() :]
    if found[0].startswith("."):
        return before
    return behind or f"{before} does not hold"


@contextmanager
def contained(what: str) -> Iterator[None]:
    """Around a call of what somebody else wrote: whatever it raises is the failure of that one thing.

    A `KeyboardInterrupt` is the user's and goes on its way; no plug-in ends the program by any other, `sys.exit`
    included.

    Args:
        what: Who raised, as the sentence begins: "the extractor dinov2".

    Returns:
        A context.

    Raises:
        MetricFailed: Something was raised; the reason says what. One that was raised as such stays as it is.
    """
    try:
        yield
    except (KeyboardInterrupt, MetricFailed):
        raise
    except BaseException as error:
        raise MetricFailed(f"{what} raised {out_of_memory(error) or because(error)}") from error


class BenchbenchWarning(UserWarning):
    """A warning of ours, so that tests can turn exactly these into errors."""


class SkippedWarning(UserWarning):
    """A file among records that is none was passed over: a note, and no fault."""


_NO_MEMORY = ("out of memory", "not enough memory", "can't allocate memory", "STATUS_ALLOC_FAILED")


def out_of_memory(error: BaseException) -> str | None:
    """What to tell somebody whose machine or device has too little memory.

    torch raises a RuntimeError for both, with advice on its allocator that helps nobody here.

    Args:
        error: What was raised.

    Returns:
        One sentence with the way out, or None.

    >>> out_of_memory(RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of …"))
    'out of memory (CUDA out of memory. Tried to allocate 2.00 GiB); use a smaller --batch-size for scoring, a smaller \
--set batch_size for training, a smaller model or another --device'
    >>> out_of_memory(RuntimeError("sizes differ")) is None
    True
    """
    text = _words(error)
    if not isinstance(error, MemoryError) and not any(words in text for words in _NO_MEMORY):
        return None
    first = ". ".join(text.split(". ")[:2]).strip().rstrip(".")
    return (
        f"out of memory ({first or type(error).__name__}); use a smaller --batch-size for scoring, a smaller "
        "--set batch_size for training, a smaller model or another --device"
    )


_NO_ROOM = ("failed to map segment", "cannot allocate memory", "cannot enable executable stack")


def limit_of_machine(error: BaseException) -> str | None:
    """What to tell somebody whose machine, or what he is allowed of it, does not suffice. That is no bug of ours.

    Args:
        error: What was raised.

    Returns:
        One sentence with the way out, or None.

    >>> limit_of_machine(PermissionError(13, "Permission denied", "/x"))
    'the system refused: Permission denied: /x'
    >>> limit_of_machine(KeyError("x")) is None
    True
    """
    if (words := exhausted(error)) is not None:
        return words
    if not isinstance(error, OSError) or error.errno is None:
        return None
    return f"the system refused: {error.strerror}{'' if error.filename is None else f': {error.filename}'}"


def exhausted(error: BaseException) -> str | None:
    """Of what there is too little here for whatever is tried: memory, threads or open files.

    Args:
        error: What was raised.

    Returns:
        One sentence with the way out, or None.

    >>> exhausted(RuntimeError("can't start new thread"))[:47]
    'this process may start no further thread; raise'
    >>> exhausted(OSError(24, "Too many open files"))[:42]
    'too few files may be open at once; raise t'
    >>> exhausted(PermissionError(13, "Permission denied")) is None
    True
    """
    if (words := out_of_memory(error)) is not None:
        return words
    text = str(error)
    if isinstance(error, RuntimeError) and "can't start new thread" in text:
        return "this process may start no further thread; raise the limit of processes (ulimit -u, or the container's)"
    if isinstance(error, ImportError) and any(words in text.lower() for words in _NO_ROOM):
        return f"out of memory while a library was loaded ({text}); raise the limit of memory (ulimit -v)"
    if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
        return "too few files may be open at once; raise the limit (ulimit -n)"
    return None


def short(text: str, most: int = 300) -> str:
    """As much of a text as belongs into a sentence: names and values come from files that anybody may have written.

    Args:
        text: A name, a value, what somebody said.
        most: How many characters of it.

    Returns:
        The text, or its beginning and an ellipsis.
    """
    return text if len(text) <= most else f"{text[:most]}…"


def listed(names: Sequence[str], most: int = 3) -> str:
    """The first of several names, and how many more there are.

    Args:
        names: What is listed.
        most: How many of them are named.

    Returns:
        The names with commas between.

    >>> listed(["a", "b", "c", "d"])
    'a, b, c and 1 more'
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def unknown_name(kind: str, name: str, known: Iterable[str], meaning: Sequence[str] = ()) -> InputError:
    """An `InputError` for a name nobody knows, with the nearest known one.

    Args:
        kind: What it should have been the name of: "model".
        name: What was given.
        known: All names that there are.
        meaning: Those of them that are about what was given, whatever they are called; they are offered where no other
            name is so near that it was mistyped.

    Returns:
        The error, to be raised.

    >>> str(unknown_name("model", "vea", ["vae", "noise"]))
    "unknown model 'vea'; did you mean 'vae'? Known: noise, vae"
    >>> str(unknown_name("setting", "temperature", ["seed", "tau"], ["tau"]))
    "unknown setting 'temperature'; did you mean 'tau'? Known: seed, tau"
    """
    return InputError(f"unknown {kind} {short(name)!r}{_nearest(name, known, 'Known', meaning)}")


def no_record(has: str, name: str, there: Iterable[str]) -> InputError:
    """An `InputError` for what none of the records at hand has, whether or not there is such a thing.

    Args:
        has: What was asked of them, as the end of a sentence: "is of the model 'vea'".
        name: The name in it.
        there: The names that they have in its place.

    Returns:
        The error, to be raised.

    >>> str(no_record("is of the model 'vea'", "vea", ["vae", "noise"]))
    "no record here is of the model 'vea'; did you mean 'vae'? There are: noise, vae"
    """
    return InputError(f"no record here {short(has)}{_nearest(name, there, 'There are')}")


def _nearest(name: str, known: Iterable[str], title: str, meaning: Sequence[str] = ()) -> str:
    """The nearest of the known names, and all of them, as the end of a sentence."""
    names = sorted(known)
    near = difflib.get_close_matches(short(name), names, n=1, cutoff=MISTYPED if meaning else 0.5) or meaning
    hint = f"; did you mean {' or '.join(repr(short(own)) for own in near)}?" if near else "."
    return f"{hint} {title}: {', '.join(short(own, 80) for own in names) or 'none'}"
