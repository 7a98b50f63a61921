"""Which published record shipped weights are of.

Weights that ship as they were trained have the sha256 that their record lists. Weights that ship as float16 have
another, and say in their metadata whose they are: the key of the record, and the sha256 of the weights it was
made with.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from benchbench.core.baselines import WEIGHTS, Shipped
from benchbench.core.weights_file import read_weights
from benchbench.results.load import Record
from benchbench.training.weights import METADATA_KEY

OF = "record"
"""In the metadata of weights that were rounded: the key of their record, and the sha256 that it lists."""


class Rounded(NamedTuple):
    """Of which record weights were rounded, and the sha256 of those it was made with."""

    cell: str
    sha256: str


def rounded_of(weights: Path) -> Rounded | None:
    """What a file of weights says of itself; None where it does not."""
    try:
        said = json.loads(read_weights(weights, allow_pickle=None).said.get(METADATA_KEY, "{}"))
    except (ValueError, RecursionError):
        return None
    told = said.get(OF) if isinstance(said, dict) else None
    if not isinstance(told, dict) or not all(isinstance(told.get(name), str) for name in ("cell", "sha256")):
        return None
    return Rounded(told["cell"], told["sha256"])


def record_of(shipped: Shipped, found: Sequence[Record]) -> Record | None:
    """The record of a baseline among `found`; None where it is not there.

    One training may be behind several, with other metrics or drawn otherwise: then it is the one that was drawn as the
    recipe has it, and of several such the first by its key.
    """
    rounded = rounded_of(shipped.folder / WEIGHTS)
    sha256 = shipped.sha256 if rounded is None else rounded.sha256
    own = [
        record
        for record in found
        if record[1].files.get(WEIGHTS) == sha256
        and record[1].weights_loaded_sha256 is None
        and (rounded is None or record[1].cell == rounded.cell)
    ]
    return min(own, key=lambda record: (bool(record[1].variant), record[1].cell), default=None)
