"""`benchbench check`: is a branch worse than its baseline; the verdict is the exit code."""

from __future__ import annotations

from pathlib import Path

import click

from benchbench.core.folders import OUTPUT, PUBLISHED

FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.argument("candidate", type=click.Path(path_type=Path), default=OUTPUT)
@click.option(
    "--baseline",
    type=click.Path(path_type=Path),
    help="Records to hold it against, such as the published ones.  [required]",
)
@click.option(
    "--tolerance", type=FILE, help="What may get worse, as TOML; without it the gate of docs/gate.toml."
)
@click.option(
    "--confidence",
    type=click.FloatRange(0.5, 1, min_open=True, max_open=True),
    help="In place of that of every worse_with rule.",
)
@click.option("--junit", type=FILE, help="Write JUnit XML here.")
@click.option("--json", "json_", type=FILE, help="Write the findings as JSON here.")
@click.option("--summary", help="Append a Markdown summary here; an empty name means nowhere.")
def check(
    candidate: Path,
    baseline: Path | None,
    tolerance: Path | None,
    confidence: float | None,
    junit: Path | None,
    json_: Path | None,
    summary: str | None,
) -> None:
    """Hold the records below CANDIDATE (runs, where none is named) against a baseline, number by number.

    \b
      benchbench check --baseline results
      benchbench check --baseline main/runs branch/runs --junit junit.xml

    Exit codes: 0 nothing is worse than allowed, 1 a regression, 2 wrong usage, 3 nothing comparable, 4 a cell
    failed. Of several, 4 counts before 3 and 3 before 1. Improvements never fail.
    """
    import json

    from rich.console import Console

    from benchbench.core.errors import CellFailed, NothingComparable, RegressionFound
    from benchbench.core.files import atomic_write
    from benchbench.results.claims.gate import check as hold
    from benchbench.results.claims.gate_config import load_gate
    from benchbench.views.check_report import markdown, table
    from benchbench.views.junit import junit as as_junit
    from benchbench.views.text import plain

    if baseline is None:
        raise click.UsageError(
            f"check needs --baseline, the records to hold {candidate} against, as in --baseline {PUBLISHED}"
        )
    if candidate == OUTPUT and baseline.resolve() == candidate.resolve():
        # Whoever names a baseline alone may not know what it is held against; nothing would ever be worse.
        raise click.UsageError(f"{candidate} would be held against itself; name the folder of the candidate")
    gate = load_gate(tolerance)
    report = hold(baseline, candidate, gate if confidence is None else gate.with_confidence(confidence))
    if junit is not None:
        atomic_write(junit, as_junit(report))
    if json_ is not None:
        atomic_write(json_, json.dumps(report.as_dict(), indent=2, allow_nan=False) + "\n")
    if summary:
        _append(Path(summary), markdown(report))
    Console().print(table(report))
    if report.exit_code:
        errors = {error.exit_code: error for error in (RegressionFound, NothingComparable, CellFailed)}
        raise errors[report.exit_code](plain(report.headline))
    click.echo(report.headline)


def _append(path: Path, text: str) -> None:
    """Add to a file that others write too, as GitHub's step summary is."""
    from benchbench.core.files import cannot_write

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise cannot_write(path, error) from error
