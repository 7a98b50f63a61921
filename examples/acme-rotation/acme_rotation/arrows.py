"""A dataset of another package."""

from __future__ import annotations

import numpy as np

from benchbench.core.errors import InputError
from benchbench.data.pipeline.assemble import assemble
from benchbench.data.pipeline.cache import Decoded
from benchbench.data.pipeline.fingerprint import pixel_digests


class Arrows:
    """200 arrow heads that point up, 16×16, each of its own colour and width."""

    reference = "made up"
    licence = "CC0"

    def load(self, size=None, progress=None):
        if size not in (None, 16):
            raise InputError("arrows are 16×16 only; leave --size out")
        rng = np.random.default_rng(0)
        row, column = np.mgrid[:16, :16]
        images = np.zeros((200, 3, 16, 16), np.uint8)
        for image in images:
            inside = np.abs(column - 7.5) < row * rng.uniform(0.2, 0.6)
            image[:] = inside * rng.integers(40, 256, (3, 1, 1))
        decoded = Decoded(images, pixel_digests(images), {})
        return assemble("arrows", [decoded], [None], source={"kind": "generated", "seed": 0})
