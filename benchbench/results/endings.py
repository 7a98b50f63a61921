"""How the training of a record ended, by the budget rule (`results.budget`) and the curves that lie in the record."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from benchbench.core.errors import InputError
from benchbench.results.budget import Ended, ended_by
from benchbench.results.manifest import RunFacts, RunManifest
from benchbench.results.rows import read_file

CURVES = "curves.csv"


def ended_of(folder: Path, run: RunManifest) -> Ended | None:
    """How the training of a record ended; None where nothing was trained in it. Curves that are gone or are not what
    was written tell nothing; that they are damaged `benchbench verify` says."""
    if not was_trained(run):
        return None
    try:
        text = read_file(folder, run, CURVES).decode("utf-8")
        return ended_by(csv.DictReader(io.StringIO(text)))
    except (InputError, ValueError, csv.Error):
        return Ended("unknown")


def was_trained(run: RunFacts) -> bool:
    """Whether the weights of a record come out of a training of its own."""
    return run.training is not None and run.weights_loaded_sha256 is None
