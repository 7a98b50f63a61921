"""`benchbench study status`: how far a study has come."""

from __future__ import annotations

from pathlib import Path

import click

from benchbench.cli.options import Location, format_option


@click.command(short_help="Who answered how much.")
@click.argument("folder", type=Location())
@format_option("terminal", "csv")
def status(folder: Path, format_: str) -> None:
    """Say who of the study in FOLDER answered how much, and whether every image is as it was drawn.

    \b
      benchbench study status my-study
      benchbench study status my-study --format csv

    Check items have a known answer: a rater who does not look gets half of them wrong.
    """
    from benchbench.cli.console import say, show
    from benchbench.study.folder import load
    from benchbench.verbs.study.status import status as look
    from benchbench.views.raters import raters_headline, raters_table

    found = look(folder)
    if format_ == "csv":
        click.echo(found.to_csv(index=False), nl=False)
        return
    if len(found):
        show(raters_table(found))
    study = load(folder).manifest
    say(f"{study.kind} of {len(study.systems)} systems, {len(study.items)} items: {raters_headline(found)}")
    for note in study.notes:
        say(f"note: {note}", stderr=True)
