"""`benchbench init`: a suite and a gate to start from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from benchbench.cli.answers import ANSWERS
from benchbench.cli.console import say
from benchbench.cli.options import Location

if TYPE_CHECKING:
    from benchbench.verbs.init import Workflow


@click.command(short_help="Write a suite and a gate to start from.")
@click.argument("folder", type=Location(), default=Path())
@click.option(
    "--dataset",
    default="digits",
    show_default=True,
    shell_complete=ANSWERS["dataset"],
    help="A dataset's name, or a folder or file of images.",
)
@click.option(
    "--models",
    metavar="NAME,…",
    default="vae,dcgan,real",
    show_default=True,
    shell_complete=ANSWERS["models"],
    help="Models to run; see `benchbench list models`.",
)
@click.option(
    "--workflow", type=click.Choice(["github"]), help="Write a CI workflow that runs and checks them, too."
)
def init(folder: Path, dataset: str, models: str, workflow: Workflow | None) -> None:
    """Write a commented suite.toml and gate.toml into FOLDER (here, where none is named).

    \b
      benchbench init --dataset my-images/
      benchbench init my-project --models vae,wgan-gp --workflow github

    Nothing is overwritten.
    """
    from benchbench.verbs.init import init as written_to

    project = written_to(folder, dataset=dataset, models=models, workflow=workflow)
    for path in project.written:
        say(f"wrote {path}")
    for path in project.kept:
        say(f"kept {path}, which was there before")
    baseline, after = project.commands
    say("")
    say("The numbers that later ones are held against, to be committed:")
    say(f"  {baseline}")
    say("After a change:")
    say(f"  {after}")
    if workflow is not None:
        say("The workflow does this for every pull request, once its line BENCHBENCH says what to install.")
