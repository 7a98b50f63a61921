"""A check for people: a Markdown summary for the page of a CI job, and a table for the terminal.

What fails stands first, then what could not be compared, each with its reason; what is fine comes last and folded.
Names and reasons come from records that anybody may have written, so Markdown is escaped, and the terminal gets
`rich.text.Text`, which knows no markup.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence

from rich.console import Group
from rich.text import Text

from benchbench.results.claims.conditions import SAME
from benchbench.results.claims.findings import Finding, Report
from benchbench.views.blocks import Blocks, Column
from benchbench.views.text import (
    arrow,
    direction_words,
    escape_markdown,
    interval,
    model_name,
    number,
    percent,
    plain,
)

MOST = 200  # lines a section of the summary; GitHub shows no more than a megabyte
# Title of each section and what belongs there, in the order of the page.
_SECTIONS: tuple[tuple[str, Callable[[Finding], bool]], ...] = (
    ("Failed", lambda f: f.verdict == "failed"),
    ("Worse than the gate allows", lambda f: f.verdict == "regression"),
    ("Missing in the candidate", lambda f: f.verdict == "missing"),
    ("Cannot tell", lambda f: f.verdict == "cannot tell"),
    ("Not comparable", lambda f: f.verdict == "not comparable"),
    ("Fine", lambda f: f.verdict == "ok"),
    ("Not run by the candidate", lambda f: f.verdict == "not run"),
    ("New in the candidate", lambda f: f.verdict == "new"),
    ("Not gated", lambda f: f.verdict == "not gated"),
)
_FOLDED = ("Fine", "Not run by the candidate", "New in the candidate", "Not gated")
_STYLES = {"regression": "bold red", "failed": "bold red", "ok": "green"}


def markdown(report: Report) -> str:
    """The summary as GitHub-flavoured Markdown. Ends with an empty line, so that another may follow."""
    outcome = "passed" if report.exit_code == 0 else f"exit code {report.exit_code}"
    lines = [f"## benchbench check: {outcome}", "", escape_markdown(report.headline), ""]
    lines += [f"- {escape_markdown(note)}" for note in report.notes]
    for title, belongs in _SECTIONS:
        found = [finding for finding in report.findings if belongs(finding)]
        if found:
            lines += ["", *_section(title, found)]
    return "\n".join([*lines, "", ""])


def as_json(report: Report) -> str:
    """Everything that was found; docs/check.md describes the fields."""
    return json.dumps(report.as_dict(), indent=2, allow_nan=False) + "\n"


def table(report: Report) -> Group:
    """Every number that was compared, a table a model, and below them everything else with its reason."""
    models: dict[str, list[Finding]] = {}
    for finding in report.findings:
        if finding.baseline is not None:
            models.setdefault(_whose(finding), []).append(finding)
    rest = [f for f in report.findings if f.verdict not in ("ok", "not gated")]
    reasons = [Text(plain(f"{f.verdict}: {_full_name(f)}: {f.reason}")) for f in rest]
    notes = [Text(plain(f"note: {note}")) for note in report.notes]
    if any(_smallest(finding) for finding in report.findings):
        said = (
            "sees: the smallest worsening that this check would have failed, as a share of the baseline, with odds of "
            "80% where it is tested; none: no possible one"
        )
        notes.append(Text(said))
    tables = [part for name, found in models.items() for part in (_model_table(name, found), Text())]
    return Group(*tables, *reasons, *notes)


def _model_table(name: str, found: Sequence[Finding]) -> Blocks:
    lines = []
    for finding in found:
        assert finding.baseline is not None
        assert finding.candidate is not None
        change = _change(finding).replace(" (", "\n(")
        cells = [number(finding.baseline), number(finding.candidate), change, _smallest(finding)]
        verdict = Text(finding.verdict, style=_STYLES.get(finding.verdict, ""))
        lines.append([*map(Text, cells), verdict])
    headings = ("baseline", "candidate", "change", "sees", "verdict")
    columns = [
        Column(heading, [line[place] for line in lines], right=heading != "verdict")
        for place, heading in enumerate(headings)
    ]
    names = Column("metric", [plain(_metric(finding)) for finding in found])
    return Blocks(f"{name}, {_seeds(found)}", names, columns)


def _seeds(found: Sequence[Finding]) -> str:
    """ "3 against 3 seeds"; the most of any number, where some failed."""
    before, after = (
        max(len(seeds) for seeds in side)
        for side in zip(*((f.baseline_seeds, f.candidate_seeds) for f in found), strict=True)
    )
    return f"{before} against {after} seed{'s' if max(before, after) > 1 else ''}"


def _section(title: str, found: Sequence[Finding]) -> list[str]:
    columns = [
        "model",
        "dataset",
        "metric",
        "baseline",
        "candidate",
        "change",
        "95% interval",
        "sees",
        "rule",
        "why",
    ]
    rows = [
        [
            model_name(f.model, f.variant),
            f.dataset,
            _metric(f),
            *_numbers(f),
            interval({"low": f.low, "high": f.high}),
            _smallest(f),
            f.rule,
            f.reason,
        ]
        for f in found[:MOST]
    ]
    body = _markdown_table(columns, rows)
    if len(found) > MOST:
        body += ["", f"… and {len(found) - MOST} more, in the JSON and the JUnit file."]
    if title in _FOLDED:
        return [f"<details><summary>{title} ({len(found)})</summary>", "", *body, "", "</details>"]
    return [f"### {title} ({len(found)})", "", *body]


def _markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Without the columns that are empty throughout."""
    kept = [index for index in range(len(columns)) if any(row[index] for row in rows)]
    lines: Iterable[Sequence[str]] = [columns, *([escape_markdown(cell) for cell in row] for row in rows)]
    header, *body = [f"| {' | '.join(line[index] for index in kept)} |" for line in lines]
    return [header, f"|{'|'.join([' --- '] * len(kept))}|", *body]


def _metric(finding: Finding) -> str:
    unit = f" ({finding.unit})" if finding.unit else ""
    name = (finding.metric or "whole model") + (" (headline)" if finding.headline else "")
    return f"{name}{unit} {arrow(finding.higher_is_better)}".rstrip() + direction_words(finding.direction)


def _numbers(finding: Finding) -> tuple[str, str, str]:
    """baseline, candidate, change."""
    if finding.baseline is None or finding.candidate is None:
        return "", "", ""
    return (
        _over_seeds(finding.baseline, finding.baseline_seeds),
        _over_seeds(finding.candidate, finding.candidate_seeds),
        _change(finding),
    )


def _change(finding: Finding) -> str:
    """ "+2.500 (+25.0%)"."""
    if finding.change is None:
        return ""
    sign = "+" if finding.change > 0 else ""
    if not finding.baseline or not finding.change:
        return f"{sign}{number(finding.change)}"
    share = finding.change / abs(finding.baseline)
    told = f"{share:+.1%}" if abs(share) < 10 else f"{sign}{percent(share)}"
    return f"{sign}{number(finding.change)} ({told})"


def _smallest(finding: Finding) -> str:
    """The least worsening that this check would have failed, as a share of the baseline where it has one; "none" where
    it was tested and no possible one would have."""
    if finding.verdict not in ("ok", "regression", "cannot tell"):
        return ""
    if finding.smallest is None:
        return "none" if finding.p is not None and finding.change and finding.low is not None else ""
    if not finding.baseline:
        return number(finding.smallest)
    share = finding.smallest / abs(finding.baseline)
    return percent(share if share > SAME else 0)  # where nothing is allowed, rounding is


def _over_seeds(value: float, seeds: Sequence[int]) -> str:
    return number(value) + (f" ({len(seeds)} seeds)" if len(seeds) > 1 else "")


def _whose(finding: Finding) -> str:
    return f"{model_name(finding.model, finding.variant)} on {plain(finding.dataset)}"


def _full_name(finding: Finding) -> str:
    whose = _whose(finding) + direction_words(finding.direction)
    return f"{finding.metric} of {whose}" if finding.metric else whose
