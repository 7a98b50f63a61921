"""`benchbench verify`: are records what was written, and do their numbers come out again."""

from __future__ import annotations

from pathlib import Path

import click

from benchbench.cli.console import say
from benchbench.cli.options import BATCH_SIZE, DEVICE, FOLDER, Location, check_default_folder
from benchbench.core.folders import PUBLISHED


@click.command(short_help="Is every record what was written? Score some again.")
@FOLDER
@click.option(
    "--rescore",
    type=click.IntRange(0, 1000),
    default=0,
    show_default=True,
    help="Score so many records again, chosen by lot.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the lot.")
@click.option("--known", type=Location(), help="Records that this folder has too are not scored again.")
@click.option(
    "--tolerance",
    type=click.FloatRange(0, 1, max_open=True),
    default=1e-3,
    show_default=True,
    help="How far apart a number and what comes out may be, relative.",
)
@DEVICE
@BATCH_SIZE
@click.pass_context
def verify(
    context: click.Context,
    folder: Path,
    rescore: int,
    seed: int,
    known: Path | None,
    tolerance: float,
    device: str,
    batch_size: int | None,
) -> None:
    """Hold every file of the records below FOLDER (runs, where none is named) against its sha256.

    With --rescore some are scored again: from the samples that a record keeps, where these are all that were scored,
    else from images that are drawn anew by the weights that it keeps.

    \b
      benchbench verify results
      benchbench verify results --known base/results --rescore 1 --seed 4711

    Exit codes: 0 all is as it was written, 1 something is not, 2 wrong usage, 3 no record could be scored again.
    """
    from benchbench.cli.progress import RichProgress
    from benchbench.verbs.verify import verify as look

    check_default_folder(folder, f"verify {PUBLISHED}")
    found = look(
        folder,
        rescore=rescore,
        seed=seed,
        known=known,
        tolerance=tolerance,
        device=device,
        batch_size=batch_size,
        progress=RichProgress(),
    )
    for fault in found.faults:
        say(fault)
    for where, why in found.not_scored.items():
        say(f"{where} is not scored again: {why}", stderr=True)
    for own in found.rescored:
        if own.unscored:
            say(f"{own.folder}: not scored again: {', '.join(own.unscored)}", stderr=True)
    say(found.headline)
    context.exit(found.exit_code)
