"""`benchbench study export-html`: a study as one HTML file that runs offline."""

from __future__ import annotations

from pathlib import Path

import click

from benchbench.cli.console import say
from benchbench.cli.options import Location, OutputFile


@click.command("export-html", short_help="One HTML file that runs the study offline.")
@click.argument("folder", type=Location())
@click.option("--out", type=OutputFile(), required=True, help="The file.")
def export_html(folder: Path, out: Path) -> None:
    """Write the study in FOLDER as one HTML file, for whoever cannot host a page.

    \b
      benchbench study export-html my-study --out study.html
      benchbench study import my-study study-answers-*.json

    It runs from a disk without a network and hands a person's answers back as a file. It holds no name of a system and
    no right answer.
    """
    from benchbench.cli.progress import RichProgress
    from benchbench.verbs.outputs import to_stdout
    from benchbench.verbs.study.export_html import export_html as write

    write(folder, out=out, progress=RichProgress())
    say(f"page: {out}", stderr=to_stdout({"--out": out}))
