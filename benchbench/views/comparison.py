"""`benchbench compare` as people and programs read it: terminal, Markdown, CSV, JSON.

The same records give the same bytes. Names and reasons come from records that anybody may have written: the
terminal gets them as `rich.text.Text`, which knows no markup, Markdown gets them escaped.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, get_args

import pandas as pd
from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from benchbench.results.across import Across
from benchbench.results.compare import COUNTED
from benchbench.results.pairs import Side
from benchbench.results.statistics import Difference
from benchbench.results.verdicts import LARGE, LEVEL, POWER, Comparison, Line, Pair, Verdict
from benchbench.views.table import folded
from benchbench.views.text import (
    ASPECTS,
    direction,
    escape_markdown,
    heading,
    model_name,
    number,
    plain,
    protocol,
)

OVERALL = "Over models and datasets"
COLUMNS = ("metric", "A", "B", "A − B", "p", "verdict on A")
NARROW = ("metric", "value", "A − B", "verdict on A")  # what fits a terminal of 80 columns
WIDTHS = {"metric": 14, "A − B": 18, "verdict on A": 14}  # so that common values stay on one line of 80
ACROSS = ("metric", "over", "A − B, interquartile mean", "probability that A is better")
STYLES = {"better": "bold green", "worse": "bold red", "failed": "red"}


@dataclass(frozen=True)
class Compared:
    """Everything there is to show. a, b: what was asked for. failed: sentences on cells without a record."""

    a: str
    b: str
    comparison: Comparison
    across: Sequence[Across]
    failed: Sequence[str] = ()


def table(compared: Compared) -> Group:
    """For the terminal: one table a pair, metrics down; then what holds over all pairs, and what was left out."""
    parts: list[Any] = [Text(_who(compared)), Text(_summary(compared.comparison))]
    for pair in compared.comparison.pairs:
        notes: list[str] = []
        shown = _table(_title(pair), NARROW)
        for aspect, lines in _by_aspect(pair.lines):
            shown.add_row(Text(plain(aspect).replace("_", " "), style="bold"))
            for line in lines:
                name, a, b, apart, p, verdict = _cells(line, notes)
                said = Text(verdict, style=STYLES.get(line.verdict, ""))
                said.append(f"\np {p}" if p else "", style="not bold default")
                shown.add_row(
                    Text(folded(name, 14)), Text(f"A {a}\nB {b}"), Text(apart.replace(" [", "\n[")), said
                )
        parts += [Text(), shown, *map(Text, [*_numbered(notes), *_left_out(pair)])]
    if compared.across:
        shown = _table(OVERALL, ACROSS)
        for across in compared.across:
            name, *cells = _across_cells(across)
            shown.add_row(Text(folded(name, 14)), *map(Text, cells))
        parts += [Text(), shown]
    return Group(*parts, Text(), *map(Text, [*_unmatched(compared), *_explained(compared)]))


def markdown(compared: Compared) -> str:
    """The same as Markdown tables."""
    blocks = [[_who(compared)], [_summary(compared.comparison)]]
    texts = [[escape_markdown(line) for line in block] for block in blocks]
    for pair in compared.comparison.pairs:
        notes: list[str] = []
        rows = [_cells(line, notes) for _, lines in _by_aspect(pair.lines) for line in lines]
        texts += _markdown_table(_title(pair), COLUMNS, rows, [*_numbered(notes), *_left_out(pair)])
    if compared.across:
        texts += _markdown_table(OVERALL, ACROSS, map(_across_cells, compared.across), [])
    texts.append([f"- {escape_markdown(line)}" for line in [*_unmatched(compared), *_explained(compared)]])
    return "\n\n".join("\n".join(block) for block in texts if block) + "\n"


def as_csv(compared: Compared) -> str:
    """One line a number and pair, every digit kept. What was left out is in the JSON."""
    lines = [record for pair in compared.comparison.pairs for record in _records(pair)]
    flat = []
    for record in lines:
        for side in ("a", "b"):
            record[side]["seeds"] = " ".join(record[side].pop("by_seed"))
        nested = {name: facts for name, facts in record.items() if isinstance(facts, dict)}
        inner = {f"{name}.{key}": value for name, facts in nested.items() for key, value in facts.items()}
        flat.append({name: value for name, value in record.items() if name not in nested} | inner)
    return pd.DataFrame(flat, dtype=object).to_csv(index=False, lineterminator="\n")


def as_json(compared: Compared) -> str:
    """Everything. What is unbounded or unknown is null."""
    comparison = compared.comparison
    content = {
        "schema_version": 1,
        "a": compared.a,
        "b": compared.b,
        "level": LEVEL,
        "pairs": [
            {
                "a": pair.a._asdict(),
                "b": pair.b._asdict(),
                "numbers": _records(pair),
                "refused": pair.refused,
                "a_only": pair.a_only,
                "b_only": pair.b_only,
            }
            for pair in comparison.pairs
        ],
        "across": [asdict(line) for line in compared.across],
        "a_only": [unit._asdict() for unit in comparison.a_only],
        "b_only": [unit._asdict() for unit in comparison.b_only],
        "failed_cells": list(compared.failed),
    }
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _records(pair: Pair) -> list[dict[str, Any]]:
    return [
        {
            "dataset": pair.a.dataset,
            "task": line.task,
            "metric": line.metric,
            "aspect": line.labels.aspect,
            "unit": line.labels.unit,
            "higher_is_better": line.labels.higher_is_better,
            **line.labels.protocol,
            "verdict": line.verdict,
            "p_holm": line.p,
            "seeds_needed": line.seeds,
            "note": line.note,
            "difference": _difference(line.difference),
            "a": {"model": pair.a.model, "variant": pair.a.variant, **_side(line.a)},
            "b": {"model": pair.b.model, "variant": pair.b.variant, **_side(line.b)},
        }
        for line in pair.lines
    ]


def _difference(found: Difference | None) -> dict[str, Any]:
    facts = (
        {"value": None, "low": None, "high": None, "p": None, "method": None}
        if found is None
        else asdict(found)
    )
    return {name: None if isinstance(x, float) and math.isinf(x) else x for name, x in facts.items()}


def _side(side: Side) -> dict[str, Any]:
    shown = ("value", "low", "high", "interval", "n_failed", "reason")
    by_seed = {str(seed): value for seed, value in side.by_seed.items()}
    return {**{name: getattr(side, name) for name in shown}, "by_seed": by_seed}


def _who(compared: Compared) -> str:
    return f"A is {plain(compared.a)}, B is {plain(compared.b)}"


def _summary(comparison: Comparison) -> str:
    """`12 numbers, A against B: 3 better, 1 worse, 8 no detectable difference`."""
    counts = Counter(line.verdict for pair in comparison.pairs for line in pair.lines)
    said = [f"{counts[verdict]} {verdict}" for verdict in get_args(Verdict) if counts[verdict]]
    return f"{counts.total()} number{'' if counts.total() == 1 else 's'}, A against B: {', '.join(said)}"


def _title(pair: Pair) -> str:
    a, b = (model_name(unit.model, unit.variant) for unit in (pair.a, pair.b))
    return f"{a if a == b else f'{a} against {b}'} on {plain(pair.a.dataset)}"


def _by_aspect(lines: Sequence[Line]) -> Iterator[tuple[str, list[Line]]]:
    """Aspect -> its lines, in the order of every view."""
    aspects = {line.labels.aspect for line in lines}
    for aspect in sorted(
        aspects, key=lambda name: (ASPECTS.index(name) if name in ASPECTS else len(ASPECTS), name)
    ):
        yield aspect, [line for line in lines if line.labels.aspect == aspect]


def _cells(line: Line, notes: list[str]) -> list[str]:
    """The texts of one line of a table; its note joins `notes` unless it is there."""
    note = plain("; ".join(filter(None, [protocol(line.labels.protocol), line.note])))
    if note not in notes:
        notes.append(note)
    found = line.difference
    exact = line.metric in COUNTED
    apart = "" if found is None else _with_interval(found.value, None if exact else (found.low, found.high))
    judge = line.labels.protocol.get("extractor")  # which the note names
    metric = line.metric.removesuffix(f"_{judge}") if judge else line.metric
    shown = heading(asdict(line.labels) | {"metric": metric}) + direction(line.task)
    name = f"{shown} [{notes.index(note) + 1}]"
    return [name, _value(line.a), _value(line.b), apart, _p(line.p), _verdict(line)]


def _value(side: Side) -> str:
    if side.value is None:
        return "failed" if side.n_failed else ""
    return _with_interval(
        side.value, None if side.low is None or side.high is None else (side.low, side.high)
    )


def _with_interval(value: float, interval: tuple[float, float] | None) -> str:
    if interval is None:
        return number(value)
    return f"{number(value)} [{_bound(interval[0])}, {_bound(interval[1])}]"


def _bound(value: float) -> str:
    return number(value) if math.isfinite(value) else "∞" if value > 0 else "−∞"


def _p(p: float | None) -> str:
    return "" if p is None else "<0.001" if p < 0.001 else f"{p:.3f}"


def _verdict(line: Line) -> str:
    if line.verdict == "cannot say":
        return f"cannot say ({'no number of' if line.seeds is None else line.seeds} seeds)"
    single = len(line.a.by_seed) == len(line.b.by_seed) == 1 and line.p is not None
    return f"{line.verdict} (one run)" if single else line.verdict


def _numbered(notes: Sequence[str]) -> list[str]:
    return [f"[{n}] {note}" for n, note in enumerate(notes, start=1)]


def _left_out(pair: Pair) -> list[str]:
    """A sentence for everything of a pair that is not in its table."""
    said = [f"not compared: {why}; run both alike" for why in pair.refused]
    said += [
        f"only {name} has {', '.join(only)}"
        for name, only in (("A", pair.a_only), ("B", pair.b_only))
        if only
    ]
    return list(map(plain, said))


def _unmatched(compared: Compared) -> list[str]:
    sides = (("A", compared.comparison.a_only), ("B", compared.comparison.b_only))
    said = [f"only {name} has {', '.join(map(str, units))}" for name, units in sides if units]
    return list(map(plain, [*said, *compared.failed]))


def _across_cells(line: Across) -> list[str]:
    labels = {"metric": line.metric, "unit": line.unit, "higher_is_better": line.higher_is_better}
    return [
        heading(labels) + direction(line.task),
        f"{line.n_units} pairs",
        _with_interval(line.iqm, line.iqm_interval),
        "" if line.improvement is None else _with_interval(line.improvement, line.improvement_interval),
    ]


def _explained(compared: Compared) -> list[str]:
    """What a reader has to know to read the tables."""
    said = [
        f"Intervals are of 95%. Better and worse speak of A, where p is {LEVEL} or less. p is corrected for the "
        "numbers tested of one table (Holm); the intervals are not."
    ]
    lines = [line for pair in compared.comparison.pairs for line in pair.lines]
    if any(line.verdict == "cannot say" for line in lines):
        said.append(
            f"Cannot say: a difference of more than {LARGE:g} standard deviations over seeds was not found, but is "
            "possible. So many seeds a side find the seen difference, or one of that size where no spread is known, "
            f"with odds of {POWER:.0%}."
        )
    if compared.across:
        said.append(
            "Over models and datasets: Agarwal et al. 2021, intervals by a stratified bootstrap over seeds; none "
            "where a model has one seed."
        )
    return said


def _table(title: str, columns: Sequence[str]) -> Table:
    grid = Table(
        box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), title=Text(title), title_justify="left"
    )
    for name in columns:
        grid.add_column(name, overflow="fold", max_width=WIDTHS.get(name))
    return grid


def _markdown_table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], notes: Sequence[str]
) -> list[list[str]]:
    """Blocks of lines: heading, table, notes."""
    rule = ["---", *["---:"] * (len(columns) - 2), "---"]
    body = [[escape_markdown(cell) for cell in row] for row in rows]
    lines = [f"| {' | '.join(row)} |" for row in [list(columns), rule, *body]]
    return [[f"### {escape_markdown(title)}"], lines, [f"{escape_markdown(note)}  " for note in notes]]
