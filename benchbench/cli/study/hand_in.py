"""`benchbench study import`: answers that exported pages handed back."""

from __future__ import annotations

from pathlib import Path

import click

from benchbench.cli.console import say
from benchbench.cli.options import Location


@click.command("import", short_help="Add answers that an exported page handed back.")
@click.argument("folder", type=Location())
@click.argument("files", metavar="FILE...", type=Location(), nargs=-1, required=True)
def hand_in(folder: Path, files: tuple[Path, ...]) -> None:
    """Add the answers in each FILE to the study in FOLDER: all of a file or nothing, and nothing twice.

    \b
      benchbench study import my-study study-answers-*.json
    """
    from benchbench.verbs.study.hand_in import import_answers

    for file in files:
        [found] = import_answers(folder, file)
        before = f", {found.known} were there before" if found.known else ""
        say(f"{file}: {found.added} answers of the rater {found.rater} added{before}")
