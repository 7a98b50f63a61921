"""`benchbench check`: is a branch worse than its baseline; the verdict is the exit code."""

from __future__ import annotations

from pathlib import Path

import click

from benchbench.cli.console import say, show
from benchbench.cli.options import Location, OutputFile
from benchbench.core.folders import OUTPUT, PUBLISHED


class Verdict(int):
    """An exit code that says what was found, so that nothing else may take its place."""


class Summary(OutputFile):
    """A file to append to; an empty name, as of a variable that is not set, means nowhere."""

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> Path | None:  # type: ignore[override]
        """The path, or None."""
        return super().convert(value, param, ctx) if value else None


@click.command(short_help="Fail where a branch is worse than its baseline.")
@click.argument("candidate", type=Location(), default=OUTPUT)
@click.option(
    "--baseline", type=Location(), help="Records to compare with, such as the published ones.  [required]"
)
@click.option(
    "--tolerance",
    type=Location(),
    help="What may get worse, as TOML; without it the gate of `benchbench init`.",
)
@click.option(
    "--confidence",
    type=click.FloatRange(0.5, 1, min_open=True, max_open=True),
    help="Of every worse_with rule, in place of what the gate says.",
)
@click.option("--junit", type=OutputFile(), help="Write JUnit XML here.")
@click.option("--json", "json_", type=OutputFile(), help="Write the findings as JSON here.")
@click.option(
    "--summary", type=Summary(), help="Append a Markdown summary here; an empty name means nowhere."
)
def check(
    candidate: Path,
    baseline: Path | None,
    tolerance: Path | None,
    confidence: float | None,
    junit: Path | None,
    json_: Path | None,
    summary: Path | None,
) -> Verdict:
    """Compare the records below CANDIDATE (runs, where none is named) with a baseline, number by number.

    \b
      benchbench check --baseline results
      benchbench check --baseline main/runs branch/runs --junit junit.xml

    Exit codes: 0 nothing is worse than allowed, 1 a regression, 2 wrong usage, 3 nothing comparable, 4 a cell
    failed. Of several, 4 counts before 3 and 3 before 1. Improvements never fail. A reader that goes away and a
    standard output that cannot be written change no code.
    """
    from benchbench.core.errors import CellFailed, InputError, NothingComparable, RegressionFound
    from benchbench.verbs.check import judged, write_findings
    from benchbench.verbs.outputs import checked_outputs, to_stdout
    from benchbench.views.check_report import table
    from benchbench.views.text import plain

    if baseline is None:
        raise click.UsageError(
            f"check needs --baseline, the records to compare {candidate} with, as in --baseline {PUBLISHED}"
        )
    if candidate == OUTPUT and baseline.resolve() == candidate.resolve():
        # Whoever names a baseline alone may not know what it is compared with; nothing would ever be worse.
        raise click.UsageError(f"{candidate} would be compared with itself; name the folder of the candidate")
    outputs = checked_outputs(
        {"--junit": junit, "--json": json_, "--summary": summary}, {"--tolerance": tolerance}
    )
    report = judged(candidate, baseline, tolerance, confidence)
    aside = to_stdout(outputs)
    show(table(report), stderr=aside)
    try:
        write_findings(report, outputs)
    except InputError as error:
        if report.exit_code == 0:
            raise
        say(f"benchbench: {error}", stderr=True)  # the verdict goes before what could not be written
    if report.exit_code:
        errors = {error.exit_code: error for error in (RegressionFound, NothingComparable, CellFailed)}
        raise errors[report.exit_code](plain(report.headline))
    say(report.headline, stderr=aside)
    return Verdict(0)
