"""`benchbench study`: people asked beside the metrics; one file a verb."""

from __future__ import annotations

import click

from benchbench.cli.study.create import create
from benchbench.cli.study.export_answers import export_answers
from benchbench.cli.study.export_html import export_html
from benchbench.cli.study.hand_in import hand_in
from benchbench.cli.study.plan import plan
from benchbench.cli.study.score import score
from benchbench.cli.study.serve import serve
from benchbench.cli.study.status import status


@click.group(short_help="Ask people, who are not told who made what.")
def study() -> None:
    """A blind study of what people see: made from records, answered in a browser, scored beside the metrics.

    \b
      benchbench study create model=vae model=dcgan --out my-study
      benchbench study serve my-study
      benchbench study status my-study
      benchbench study score my-study
    """


for verb in (plan, create, serve, export_html, status, hand_in, score, export_answers):
    study.add_command(verb)
