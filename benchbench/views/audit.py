"""Checks of metrics as tables: a line an experiment and desideratum, a column a metric."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import pandas as pd
from rich.console import Group
from rich.text import Text

from benchbench.views.blocks import Blocks, Column, folded
from benchbench.views.text import escape_markdown, plain

LETTERS = {"pass": "T", "fail": "F", "low": "L", "high": "H", "no number": "-"}
LEGEND = "T: passes every check. F: fails one. L and H: passes, as one of the low or of the high kind. -: no number."
STYLES = {"F": "red", "-": "yellow"}


def combined(verdicts: Iterable[str]) -> str:
    """What several checks amount to, as the authors of the suite have it: all must pass, and a metric may not be of the
    low kind here and of the high kind there.

    >>> combined(["pass", "low"]), combined(["low", "high"]), combined(["pass", "no number"])
    ('low', 'fail', 'no number')
    """
    found = set(verdicts)
    if "fail" in found or {"low", "high"} <= found:
        return "fail"
    return next((kind for kind in ("no number", "low", "high") if kind in found), "pass")


def summaries(checks: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """A claim, and its table: experiments' titles and desiderata down, metrics across, letters in the cells; "" where a
    metric is asked nothing."""
    for claim, own in checks.groupby("claim", sort=False):
        verdicts = own.groupby(["title", "desideratum", "metric"], sort=False).verdict.agg(combined)
        table = verdicts.map(LETTERS).unstack("metric")
        order = own[["title", "desideratum"]].drop_duplicates()
        yield str(claim), table.reindex(pd.MultiIndex.from_frame(order))[list(own.metric.unique())].fillna("")


def headline(checks: pd.DataFrame) -> str:
    """How many checks each metric passes, the best first."""
    passed = checks.assign(ok=checks.verdict.isin(["pass", "low", "high"])).groupby("metric", sort=False).ok
    counts = passed.agg(["sum", "count"])
    counts = counts.iloc[(-counts["sum"] / counts["count"]).argsort(kind="stable")]
    return ", ".join(f"{plain(name)} {row['sum']} of {row['count']}" for name, row in counts.iterrows())


def terminal(checks: pd.DataFrame, single: bool) -> Group:
    """For a terminal of any width. single: each check with what was seen below the tables."""
    parts: list[Any] = []
    for claim, table in summaries(checks):
        names = [Text(plain(f"{title}: {desideratum}")) for title, desideratum in table.index]
        columns = [
            Column(folded(plain(metric)), [Text(cell, style=STYLES.get(cell, "")) for cell in table[metric]])
            for metric in table.columns
        ]
        parts += [Blocks(claim, Column("", names), columns), Text()]
    parts += [Text(LEGEND), Text(f"Checks that pass: {headline(checks)}.")]
    if single:
        parts += [Text(), *(Text(line) for line in _lines(checks))]
    return Group(*parts)


def _lines(checks: pd.DataFrame) -> Iterator[str]:
    for row in checks.to_dict("records"):
        about = (
            f"{row['metric']}, {row['title']}{f' ({case})' if (case := row['case']) else ''}, {row['check']}"
        )
        yield plain(f"{about}: {row['verdict']}; passes if it {row['expected']}; {row['detail']}")


def markdown(checks: pd.DataFrame, single: bool) -> str:
    """For a page. single: a table of each check below."""
    lines = []
    for claim, table in summaries(checks):
        head = ["", "", *(f"`{escape_markdown(own)}`" for own in table.columns)]
        lines += [
            f"**{claim}**",
            "",
            *_table(head, ([*map(escape_markdown, i), *row] for i, row in _rows(table))),
            "",
        ]
    lines += [LEGEND, "", f"Checks that pass: {escape_markdown(headline(checks))}.", ""]
    if single:
        head = ["metric", "experiment", "case", "check", "verdict", "expected", "seen"]
        body = checks[["metric", "title", "case", "check", "verdict", "expected", "detail"]].astype(str)
        lines += [*_table(head, (map(escape_markdown, row) for row in body.itertuples(index=False))), ""]
    return "\n".join(lines)


def _rows(table: pd.DataFrame) -> Iterator[tuple[tuple[str, str], list[str]]]:
    return zip(table.index, table.to_numpy().tolist(), strict=True)


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    first = list(head)
    return [
        f"| {' | '.join(first)} |", f"|{'---|' * len(first)}",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]  # fmt: skip


def as_json(checks: pd.DataFrame) -> str:
    """Every check, for a program."""
    return json.dumps({"checks": checks.to_dict("records")}, indent=2, ensure_ascii=False) + "\n"


def as_csv(checks: pd.DataFrame) -> str:
    """Every check, a line each."""
    return str(checks.to_csv(index=False))


def written(checks: pd.DataFrame, format: str, single: bool = False) -> str:
    """The checks in one of the formats that are text: "markdown", "csv" or "json"."""
    if format == "markdown":
        return markdown(checks, single)
    return as_csv(checks) if format == "csv" else as_json(checks)
