"""Options that mean the same in several verbs."""

from __future__ import annotations

from pathlib import Path

import click

from benchbench.core.precision import PRECISIONS

METRICS = click.option(
    "--metrics", default="standard", show_default=True, help="Names, 'standard' or 'all'; comma-separated."
)
OUT = click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("results"),
    show_default=True,
    help="Where records go.",
)
DEVICE = click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:N or mps.")
BATCH_SIZE = click.option(
    "--batch-size", type=click.IntRange(min=1), help="Images at once when scoring; changes no number."
)
PRECISION = click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    default="float32",
    show_default=True,
    help="What the extractors compute in; the record names it.",
)
