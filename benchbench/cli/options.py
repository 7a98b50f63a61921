"""Options that mean the same in several verbs."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from benchbench.cli.answers import ANSWERS
from benchbench.core.bounds import MOST_BATCH
from benchbench.core.folders import OUTPUT, PUBLISHED
from benchbench.core.outlets import STDOUT
from benchbench.core.paths import as_path


class Location(click.Path):
    """A file or folder, checked by `core.paths.as_path`; what is or may be there is for the library to say."""

    def convert(
        self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None
    ) -> Path:
        """The path."""
        return as_path(value)


class OutputFile(Location):
    """A file to write; `-` is standard output."""

    def convert(
        self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None
    ) -> Path:
        """The path."""
        return STDOUT if value == "-" else as_path(value)


OUT = click.option("--out", type=Location(), default=OUTPUT, show_default=True, help="Where records go.")
RESULTS = click.option(
    "--results",
    type=Location(),
    default=OUTPUT,
    show_default=True,
    help="Where groups, keys and git:REV look.",
)
FOLDER = click.argument("folder", type=Location(), default=OUTPUT)
FOLDERS = click.argument("folder", type=Location(), nargs=-1)
DEVICE = click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:N or mps.")
WHERE = click.option("--where", metavar="NAME=VALUE,…", help="Only such records: model=vae,dataset=digits.")
MODELS = click.option(
    "--models",
    metavar="NAME,…",
    multiple=True,
    shell_complete=ANSWERS["models"],
    help="Only these models; *gan* is a pattern.",
)
PROFILE = click.option(
    "--profile",
    is_flag=True,
    help="Say at the end where the time went: each network, each metric, images.",
)
BATCH_SIZE = click.option(
    "--batch-size", type=click.IntRange(1, MOST_BATCH), help="Images at once when scoring; changes no number."
)


def format_option(*kinds: str, more: str = "") -> Callable[[Callable[..., None]], Callable[..., None]]:
    """In which of these what a verb says is written, the first one by default. more: of them, for the help."""
    return click.option(
        "--format",
        "format_",
        type=click.Choice(kinds),
        default=kinds[0],
        show_default=True,
        help=f"How to write it{more}.",
    )


def board_options(command: Callable[..., None]) -> Callable[..., None]:
    """Which records, models and metrics a board is of."""
    metrics = click.option(
        "--metrics",
        metavar="NAME,…",
        multiple=True,
        shell_complete=ANSWERS["metrics"],
        help="Only these metrics, such as fd,kd.",
    )
    options = (WHERE, MODELS, metrics)
    for option in reversed(options):
        command = option(command)
    return command


def folders_of(named: Sequence[Path], verb: str) -> list[Path]:
    """The folders that were named, or the default one; raises as `check_default_folder`. Where the default one is named
    beside others and only those hold records, it is left out with a note."""
    folders = list(named) or [OUTPUT]
    others = [folder for folder in folders if folder != OUTPUT]
    if OUTPUT in folders and not _holds_records(OUTPUT) and any(map(_holds_records, others)):
        click.echo(f"note: no records in {OUTPUT}", err=True)
        return others
    for folder in folders:
        check_default_folder(folder, verb)
    return folders


def check_default_folder(folder: Path, verb: str) -> None:
    """`InputError` where nobody named a folder and the default one holds no records. Where the published one does, the
    sentence says so; verb: what to type, without the program's name, to read those.

    A damaged record counts as one: what is wrong with it is said by whoever reads it.
    """
    from benchbench.core.errors import InputError

    if folder != OUTPUT or _holds_records(folder):
        return
    if _holds_records(PUBLISHED):
        raise InputError(f"no records in {folder}; {PUBLISHED} holds some: benchbench {verb}")
    raise InputError(
        f"no records in {folder} yet; benchbench run, suite and evaluate write there, or name another folder"
    )


def _holds_records(root: Path) -> bool:
    from benchbench.core.errors import InputError
    from benchbench.results.load import record_folders

    try:
        return root.is_dir() and next(record_folders([root]), None) is not None
    except InputError:
        return True


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
