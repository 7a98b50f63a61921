"""Which images are in memory: the one place that decides it.

The rule: the images of a dataset are decoded into memory where all of them take at most half of what is free, for
cutting a set in halves copies it once; of several ranks on one machine each counts on its part of that alone. More of
them stay in their files, are decoded once to know what they are, and again each time they are asked for. Fingerprints,
halves, notes and numbers are the same either way, and what a run holds of them is a few batches.

What cannot be read by its numbers (`Part.only_whole`) is in memory, or refused in a sentence.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from benchbench.core.machine import free_memory
from benchbench.core.progress import SILENT, Progress
from benchbench.core.started import ranks_here
from benchbench.data.pipeline.assemble import Part
from benchbench.data.pipeline.cache import Decoded
from benchbench.data.pipeline.decode import NoRoomError
from benchbench.data.pipeline.file_images import Scanned

SHARE = 0.5
"""Of the free memory, which the images of a dataset may take."""

MOST: float = math.inf
"""Bytes of images above which they stay in their files however much memory is free; tests lower it."""


def room() -> float:
    """Bytes that the images of a dataset may take in this process; each rank of a machine holds a copy of its own."""
    return SHARE * free_memory() / ranks_here()


def read(parts: Sequence[Part], size: int | None, progress: Progress = SILENT) -> Sequence[Decoded | Scanned]:
    """The images of a dataset's parts, brought to size×size unless it is None: all in memory, or none of them.
    `InputError` names what cannot be used, and what neither fits nor can be read by its numbers."""
    n = sum(part.total for part in parts)
    height, width = parts[0].native_size() if size is None else (size, size)
    needed = 3 * n * height * width
    if needed <= min(MOST, room()):
        return [part.decode(size, progress) for part in parts]
    if whole := next((part.only_whole for part in parts if part.only_whole), ""):
        try:
            return [part.decode(size, progress) for part in parts]
        except NoRoomError as error:
            raise NoRoomError(f"{error}; {whole}") from error
    ranks = ranks_here()
    progress.note(
        f"images are decoded as they are asked for: {n:,} of {width}×{height} would take "
        f"{needed / 2**30:.1f} GiB in memory, more than half of what is free"
        f"{f' for each of {ranks} ranks' if ranks > 1 else ''}; all are looked at once before"
    )
    return [part.scan(size, progress) for part in parts]
