"""`benchbench export`: records for dashboards, for the Hub and for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from benchbench.cli.console import say
from benchbench.cli.options import Location


@click.command(short_help="Records for a dashboard, the Hub, or as tables.")
@click.argument("record", type=Location(), nargs=-1, required=True)
@click.option(
    "--to",
    required=True,
    metavar="WHERE",
    help="tensorboard, wandb, mlflow or another sink; hf for a model card; csv, parquet or json.",
)
@click.option(
    "--out", type=Location(), required=True, help="The folder to make; one that is there is refused."
)
@click.option(
    "--weights", type=click.Choice(["copy", "link"]), help="For hf: put the weights beside the card."
)
@click.option("--over-seeds", is_flag=True, help="For hf: one card a model, with means over its seeds.")
@click.option("--hub-dataset", metavar="OWNER/NAME", help="For hf: what the dataset is called on the Hub.")
def export(record: tuple[Path, ...], **asked: Any) -> None:
    """Put finished RECORDs where you look at runs; nothing is uploaded.

    \b
      benchbench export runs --to tensorboard --out tb
      benchbench export runs/digits/vae/0123456789abcdef --to hf --out my-model

    RECORD is a record's folder, or one with records below it.
    """
    from benchbench.cli.progress import RichProgress
    from benchbench.verbs.export import export as write_export

    say(f"exported: {write_export(record, **asked, progress=RichProgress())}")
