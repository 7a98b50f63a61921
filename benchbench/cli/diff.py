"""`benchbench diff`: what is new, gone and changed between two sets of records."""

from __future__ import annotations

from pathlib import Path

import click

from benchbench.cli.options import RESULTS, format_option


@click.command(short_help="What is new, gone and changed between two.")
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@RESULTS
@format_option("terminal", "markdown", "json")
@click.pass_context
def diff(context: click.Context, a: str, b: str, results: Path, format_: str) -> None:
    """Say what is new, gone and changed from A to B, with the numbers and whether one moved beyond its interval.

    A and B are folders of records, groups, keys or git revisions, as in compare, which says whether a difference could
    be nothing.

    \b
      benchbench diff base/results results
      benchbench diff git:main results --results results --format markdown

    Exit codes: 0 nothing is lost and no number moved beyond its interval (what is new is fine), 1 something is gone,
    moved, or has other numbers under the same key, 2 wrong usage. What clock and memory say changes no code.
    """
    from benchbench.cli.console import console
    from benchbench.verbs.diff import diff as between
    from benchbench.views.changes import as_json, markdown, print_changes

    found = between(a, b, results=results)
    if format_ == "terminal":
        print_changes(console(), found)
    else:
        click.echo(as_json(found) if format_ == "json" else markdown(found), nl=False)
    context.exit(found.exit_code)
