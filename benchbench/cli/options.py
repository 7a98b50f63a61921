"""Options that mean the same in several verbs."""

from __future__ import annotations

from pathlib import Path

import click

from benchbench.core.precision import PRECISIONS

NAME = click.option("--name", help="What tables call these rows, in place of the model and its variant.")
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


class Share(click.ParamType):  # type: ignore[type-arg]  # generic in newer releases of click
    """`10%` or `0.1`, as a number above 0. A bare number is below 1: whoever types 5 means 5% and would get 500%."""

    name = "share"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The share as a float."""
        text = str(value).strip()
        try:
            share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        except ValueError:
            share = 0.0
        if not 0 < share < (10 if text.endswith("%") else 1):
            self.fail(f"{text!r} is no share above 0; write 10% or 0.1", param, ctx)
        return share
