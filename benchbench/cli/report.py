"""`benchbench report`: everything below a folder as one HTML file."""

from __future__ import annotations

from pathlib import Path

import click

from benchbench.cli.console import say
from benchbench.cli.options import FOLDER, OutputFile, check_default_folder
from benchbench.core.folders import PUBLISHED


@click.command(short_help="One HTML page of everything.")
@FOLDER
@click.option("--output", type=OutputFile(), default="report.html", show_default=True, help="The file.")
@click.option("--title", default="benchbench report", show_default=True, help="Its heading.")
def report(folder: Path, output: Path, title: str) -> None:
    """Write one self-contained HTML file about the records below FOLDER (runs, where none is named).

    It needs no network and no other file; send it as it is.
    """
    from benchbench.verbs.outputs import to_stdout
    from benchbench.verbs.report import report as write_report

    check_default_folder(folder, f"report {PUBLISHED}")
    write_report(folder, output=output, title=title)
    say(f"report: {output}", stderr=to_stdout({"--output": output}))
