"""`benchbench study export-answers`: the answers of a study as a table."""

from __future__ import annotations

from pathlib import Path

import click

from benchbench.cli.options import Location, format_option


@click.command("export-answers", short_help="Write all answers as a table, for other programs.")
@click.argument("folder", type=Location())
@format_option("csv", "json")
def export_answers(folder: Path, format_: str) -> None:
    """Write every answer to the study in FOLDER, a line each, with systems by name and in their places.

    \b
      benchbench study export-answers my-study > answers.csv
      benchbench study export-answers my-study --format json

    Check items and raters who will not count are among them; docs/human-study.md says what the columns mean.
    """
    from benchbench.verbs.study.export_answers import export_answers as table
    from benchbench.verbs.study.export_answers import written

    click.echo(written(table(folder), format_), nl=False)
