"""`benchbench study score`: the answers of a study as numbers."""

from __future__ import annotations

from pathlib import Path

import click

from benchbench.cli.options import RESULTS, Location, format_option


@click.command(short_help="Turn the answers into numbers, and these into rows.")
@click.argument("folder", type=Location())
@RESULTS
@click.option("--out", type=Location(), help="Where the rows go.  [default: where the systems' records lie]")
@click.option(
    "--no-rows", "rows", flag_value=False, is_flag=True, default=True, help="Say the numbers, write none."
)
@format_option("terminal", "csv", "json", more="; json has everything")
def score(folder: Path, results: Path, out: Path | None, rows: bool, format_: str) -> None:
    """Score the answers to the study in FOLDER, and write rows beside the records whose images were shown.

    \b
      benchbench study score my-study --no-rows
      benchbench study score my-study --results runs

    Raters who fail check items are left out by a stated rule and named. Boards and the report show the rows, under
    "human"; docs/human-study.md says how numbers and intervals are made.
    """
    from benchbench.cli.console import say, show
    from benchbench.verbs.study.score import scored, written
    from benchbench.views.people import terminal

    found = scored(folder, results, out, rows)
    if format_ == "terminal":
        show(terminal(found.numbers, found.people, found.agreed))
    else:
        click.echo(written(found, format_), nl=False)
    for note in found.notes:
        say(f"note: {note}", stderr=True)
    for path in found.recorded.paths if found.recorded else ():
        say(f"rows: {path}", stderr=True)
