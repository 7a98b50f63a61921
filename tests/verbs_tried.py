"""Every verb of the command line as it is tried, and streams that are not what one hopes for."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path

PUBLISHED = str(Path(__file__).parents[1] / "results")
Console = Callable[..., tuple[int, bytes, bytes]]

# Each verb in a folder of `world`, as short as it works.
VERBS = {
    "run": ["run", "--model", "noise", "--dataset", "digits", "--samples", "16", "--metrics", "swd"],
    "evaluate": ["evaluate", "images", "--reference", "images", "--metrics", "mse"],
    "stats": ["stats", "digits", "--out", "digits.npz"],
    "suite": ["suite", "suite.toml", "--dry-run"],
    "job": ["job", "job.json"],
    "compare": ["compare", "model=noise", "model=real"],
    "compare --plan": ["compare", "model=vae", "--plan", "--results", PUBLISHED],
    "check": ["check", "runs", "--baseline", "base"],
    "leaderboard": ["leaderboard"],
    "report": ["report"],
    "cite": ["cite"],
    "list": ["list", "models"],
    "doctor": ["doctor"],
    "migrate": ["migrate", "runs"],
}
SUITE = 'models = ["noise"]\ndatasets = ["digits"]\n[settings]\nsamples = 16\nmetrics = ["swd"]\n'


def gone() -> io.FileIO:
    """A pipe whose reader went away."""
    reader, writer = os.pipe()
    os.close(reader)
    return io.FileIO(writer, "w")


def full() -> io.FileIO:
    """A disk without room."""
    return io.FileIO("/dev/full", "w")
