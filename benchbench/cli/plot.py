"""`benchbench plot`: figures for a paper, from the records."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from benchbench.cli.console import say
from benchbench.cli.options import FOLDERS, MODELS, WHERE, OutputFile, folders_of
from benchbench.core.folders import PUBLISHED


def _figure(command: Callable[..., None]) -> Callable[..., None]:
    """What every figure takes."""
    options = (
        FOLDERS,
        WHERE,
        MODELS,
        click.option("--out", type=OutputFile(), required=True, help="The file: .pdf, .svg or .png."),
        click.option(
            "--width",
            type=float,
            default=3.25,
            show_default=True,
            help="Inches; a column of a paper has 3.25.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.group(short_help="A figure for a paper: scatter, curves, grid.")
def plot() -> None:
    """Draw a figure for a paper from the records below FOLDER (runs, where none is named).

    Fonts are embedded, axes have the papers' names for metrics, and what a caption has to say is printed. The same
    records give the same bytes.

    \b
      benchbench plot scatter results --where dataset=digits --out speed.pdf
      benchbench plot curves runs --models 'dcgan,wgan-gp' --out curves.pdf
      benchbench plot grid runs --models 'dcgan,vae,real' --out samples.pdf
    """


@plot.command()
@_figure
@click.option(
    "--quantities",
    metavar="NAME,…",
    multiple=True,
    help="Columns of curves.csv, such as loss,monitor_distance.  [default: losses, then what the monitor saw]",
)
def curves(
    folder: tuple[Path, ...],
    where: str | None,
    models: tuple[str, ...],
    out: Path,
    width: float,
    quantities: tuple[str, ...],
) -> None:
    """Training curves of several models: an axis a quantity, a colour a model, a line a seed."""
    from benchbench.verbs import plot as verbs

    folders = folders_of(folder, f"plot curves {PUBLISHED}")
    figure = verbs.curves(folders, out=out, where=where, models=models, quantities=quantities, width=width)
    _said(out, figure.caption)


@plot.command()
@_figure
@click.option("--x", default="sampling_rate", show_default=True, help="The metric across.")
@click.option("--y", help="The metric upwards.  [default: the one by which models are ranked]")
def scatter(
    folder: tuple[Path, ...],
    where: str | None,
    models: tuple[str, ...],
    out: Path,
    width: float,
    x: str,
    y: str | None,
) -> None:
    """Models between two numbers, quality against speed, with the intervals of both and the Pareto front."""
    from benchbench.verbs import plot as verbs

    folders = folders_of(folder, f"plot scatter {PUBLISHED}")
    figure = verbs.scatter(folders, out=out, where=where, models=models, x=x, y=y, width=width)
    _said(out, figure.caption)


@plot.command()
@_figure
@click.option(
    "--images", type=click.IntRange(1, 256), default=16, show_default=True, help="Samples of each model."
)
@click.option("--columns", type=click.IntRange(1, 256), default=4, show_default=True, help="Samples a line.")
def grid(
    folder: tuple[Path, ...],
    where: str | None,
    models: tuple[str, ...],
    out: Path,
    width: float,
    images: int,
    columns: int,
) -> None:
    """Samples of several models side by side: the first ones of the first seed of each."""
    from benchbench.verbs import plot as verbs

    folders = folders_of(folder, f"plot grid {PUBLISHED}")
    figure = verbs.grid(
        folders, out=out, where=where, models=models, images=images, columns=columns, width=width
    )
    _said(out, figure.caption)


def _said(out: Path, caption: str) -> None:
    say(f"figure: {out}")
    say(caption)
