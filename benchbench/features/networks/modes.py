"""The family `modes:<dataset>`: extractors of datasets whose modes are known.

Where the modes are points the answer is a closed form (`points`); where an image is three images in its colour channels
the extractor of the single ones answers for each (`stacked`).
"""

from __future__ import annotations

from typing import ClassVar

from benchbench.core.errors import unknown_name
from benchbench.features.frozen import FrozenExtractor
from benchbench.features.networks.points import POINTS
from benchbench.features.networks.stacked import Stacked

PREFIX = "stacked-"
BASES = ("digits", "mnist")
"""Of which there is a dataset of three in the colour channels."""


class Modes:
    """Which known mode of a dataset an image shows, in closed form or, stacked, by `cnn:<base>` on each channel."""

    takes: ClassVar[str] = "dataset"

    @classmethod
    def members(cls) -> list[str]:
        """The datasets of ours whose modes are known."""
        return [*POINTS, *(f"{PREFIX}{base}" for base in BASES)]

    @classmethod
    def of(cls, what: str) -> type[FrozenExtractor]:
        """That of the dataset of this name; `InputError` where its modes are unknown or its base has no classifier."""
        if what.startswith(PREFIX):
            return Stacked.of(what.removeprefix(PREFIX))
        if what not in POINTS:
            raise unknown_name("dataset of known modes", what, cls.members())
        return POINTS[what]
