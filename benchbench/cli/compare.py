"""`benchbench compare`: is A better than B, and how sure is that."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@click.option(
    "--results",
    type=click.Path(path_type=Path),
    default="results",
    show_default=True,
    help="Where groups, keys and git:REV look.",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["terminal", "markdown", "csv", "json"]),
    default="terminal",
    show_default=True,
    help="How to write it.",
)
def compare(a: str, b: str, results: Path, format_: str) -> None:
    """Say number by number whether A is better than B.

    A and B are folders of records or cells; groups such as model=vae,dataset=digits; keys of cells; or revisions,
    as git:REV (the results at hand as they were) or REV:FOLDER.
    """
    from rich.console import Console

    from benchbench.results.across import across
    from benchbench.results.select_records import select
    from benchbench.results.verdicts import compare as compare_rows
    from benchbench.views import comparison as view

    left, right = select([a, b], results)
    comparison = compare_rows(left.rows, right.rows)
    compared = view.Compared(a, b, comparison, across(comparison), [*left.failed("A"), *right.failed("B")])
    if format_ == "terminal":
        Console().print(view.table(compared))
    else:
        write = {"markdown": view.markdown, "csv": view.as_csv, "json": view.as_json}[format_]
        click.echo(write(compared), nl=False)
