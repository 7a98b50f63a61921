"""`benchbench study create`: a study from records and folders of images."""

from __future__ import annotations

import shlex
from typing import Any

import click

from benchbench.cli.console import say
from benchbench.cli.options import RESULTS, Location, Share
from benchbench.study.kinds import KINDS


@click.command(short_help="Draw items from records and folders of images.")
@click.argument("systems", metavar="SYSTEM...", nargs=-1, required=True)
@click.option(
    "--out", type=Location(), required=True, help="The folder to make; one that is there is refused."
)
@click.option(
    "--reference",
    metavar="DATASET",
    help="Real images, or right answers.  [default: the records' dataset, held out]",
)
@click.option(
    "--kind", type=click.Choice([*KINDS]), default="pairwise", show_default=True, help="What is asked."
)
@click.option("--n", type=int, default=200, show_default=True, help="Items, beside check items.")
@click.option(
    "--checks",
    type=Share(),
    default=0.1,
    show_default=True,
    help="Check items, as a share of these; at least 4.",
)
@click.option("--question", metavar="TEXT", help="What raters are asked, in your words.")
@click.option(
    "--no-ties", "ties", flag_value=False, is_flag=True, default=True, help="One of two must be chosen."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of what is drawn.")
@RESULTS
def create(systems: tuple[str, ...], **asked: Any) -> None:
    """Make a study of two SYSTEMs or more, without a word of who made what.

    \b
      benchbench study create model=vae model=dcgan --out my-study
      benchbench study create ours=samples/ theirs=b.zip --reference cifar10 \\
        --kind real-or-fake --out turing

    A SYSTEM is a record that keeps its images one by one (a folder, a key, or model=NAME,dataset=NAME), or NAME=FOLDER
    of anybody's images; where benchbench evaluate made a record of exactly these, people's numbers join it.
    """
    from benchbench.cli.progress import RichProgress
    from benchbench.study.folder import load
    from benchbench.study.told import summary
    from benchbench.verbs.study.create import create as make

    folder = make(systems, **asked, progress=RichProgress())
    say(f"study: {folder}")
    say(summary(load(folder).manifest), stderr=True)
    say(f"next: fill in {folder / 'consent.txt'}, which raters read before they begin; then", stderr=True)
    say(f"  {shlex.join(['benchbench', 'study', 'serve', str(folder)])}", stderr=True)
