"""What can go wrong, in one clear sentence each.

Every error that a user can cause or meet is a `BenchbenchError`: its message names the thing and the way
out, and its class carries the exit code. The command line prints the message and nothing else; anything
that is not a `BenchbenchError` is a bug and keeps its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


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


class CellFailed(BenchbenchError):
    """A cell could not be carried out, for example because its loss stopped being a number."""

    exit_code = 4


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


class BenchbenchWarning(UserWarning):
    """A warning of ours, so that tests can turn exactly these into errors."""


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
    text = str(error)
    if not isinstance(error, MemoryError) and not any(words in text for words in _NO_MEMORY):
        return None
    first = ". ".join(text.split(". ")[:2]).strip().rstrip(".")
    return (
        f"out of memory ({first or type(error).__name__}); use a smaller --batch-size for scoring, a smaller "
        "--set batch_size for training, a smaller model or another --device"
    )


def unknown_name(kind: str, name: str, known: Iterable[str]) -> InputError:
    """An `InputError` for a name nobody knows, with the nearest known one.

    Args:
        kind: What it should have been the name of: "model".
        name: What was given.
        known: All names that there are.

    Returns:
        The error, to be raised.

    >>> str(unknown_name("model", "vea", ["vae", "noise"]))
    "unknown model 'vea'; did you mean 'vae'? Known: noise, vae"
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    return InputError(f"unknown {kind} {name!r}{hint} Known: {', '.join(names) or 'none'}")
