"""`benchbench compare` as people and programs read it: terminal, Markdown, CSV, JSON.

The same records give the same bytes. Names and reasons come from records that anybody may have written: the
terminal gets them as `rich.text.Text`, which knows no markup, Markdown gets them escaped.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, get_args

import pandas as pd
from rich.console import Group
from rich.text import Text

from benchbench.results.across import Across
from benchbench.results.claims.conditions import COUNTED, short_name, together
from benchbench.results.claims.numbers import Number, Unit
from benchbench.results.claims.testing import POWER, Difference, over_seeds
from benchbench.results.claims.verdicts import LEVEL, Comparison, Line, Pair, Verdict
from benchbench.views.answer import answers
from benchbench.views.blocks import Blocks, Column, folded
from benchbench.views.text import (
    ASPECTS,
    direction_words,
    escape_markdown,
    heading,
    model_name,
    number,
    percent,
    plain,
    protocol,
)

OVERALL = "Over models and datasets"
COLUMNS = ("metric", "A", "B", "A − B", "p", "verdict on A")
NARROW = ("metric", "value", "verdict on A", "A − B")  # where there is no room for all, the last stands below
WIDTH = 14  # of a verdict, so that it stands beside the values in 80 columns
ACROSS = ("metric", "over", "A − B, mean of the middle half", "probability that A is better")
STYLES = {"better": "bold green", "worse": "bold red", "failed": "red"}


Settings = Mapping[Unit, Mapping[str, str]]


@dataclass(frozen=True)
class Compared:
    """Everything there is to show. a, b: what was asked for. failed: sentences on cells without a record. settings:
    of the units of A and of B, what tells their recipes apart."""

    a: str
    b: str
    comparison: Comparison
    across: Sequence[Across]
    failed: Sequence[str] = ()
    settings: tuple[Settings, Settings] = ({}, {})


def table(compared: Compared) -> Group:
    """For the terminal: one table a pair, metrics down; then what holds over all pairs, and what was left out."""
    said = [_who(compared), *answers(compared.comparison), _summary(compared.comparison)]
    parts: list[Any] = [*map(Text, said)]
    for pair in compared.comparison.pairs:
        notes: list[str] = []
        shown = _pair_table(pair, notes)
        parts += [Text(), shown, *map(Text, [*_numbered(notes), *_differ(compared, pair), *_left_out(pair)])]
    if compared.across:
        names, *cells = zip(*map(_across_cells, compared.across), strict=True)
        columns = [
            Column(folded(heading, 16), [text.replace(" [", "\n[") for text in texts], right=False)
            for heading, texts in zip(ACROSS[1:], cells, strict=True)
        ]
        parts += [Text(), Blocks(OVERALL, Column("metric", names), columns)]
    return Group(*parts, Text(), *map(Text, [*_unmatched(compared), *_explained(compared)]))


def markdown(compared: Compared) -> str:
    """The same as Markdown tables."""
    blocks = [[_who(compared)], answers(compared.comparison), [_summary(compared.comparison)]]
    texts = [[escape_markdown(line) for line in block] for block in blocks]
    for pair in compared.comparison.pairs:
        notes: list[str] = []
        twice = _twice(pair)
        rows = [_cells(line, notes, twice) for _, lines in _by_aspect(pair.lines) for line in lines]
        texts += _markdown_table(
            _title(pair), COLUMNS, rows, [*_numbered(notes), *_differ(compared, pair), *_left_out(pair)]
        )
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
                "differ_in": _differ(compared, pair),
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
            "direction": line.direction,
            "metric": line.metric,
            "aspect": line.labels.aspect,
            "unit": line.labels.unit,
            "higher_is_better": line.labels.higher_is_better,
            **line.labels.protocol,
            "verdict": line.verdict,
            "family": line.family,
            "p_holm": line.p,
            "smallest": line.smallest,
            "note": line.note,
            "difference": _difference(line.difference),
            "a": {"model": pair.a.model, "variant": pair.a.variant, **_side(line.a)},
            "b": {"model": pair.b.model, "variant": pair.b.variant, **_side(line.b)},
        }
        for line in pair.lines
    ]


_STATED = ("value", "low", "high", "p", "kind", "method", "scale")  # of a difference


def _difference(found: Difference | None) -> dict[str, Any]:
    facts = {name: None if found is None else getattr(found, name) for name in _STATED}
    return {name: None if isinstance(x, float) and math.isinf(x) else x for name, x in facts.items()}


def _side(side: Number) -> dict[str, Any]:
    low, high, interval = over_seeds(side) or (None, None, None)
    return {
        "value": side.mean if side.by_seed else None,
        "low": low,
        "high": high,
        "interval": interval,
        "n_failed": len(side.failed),
        "reason": next(iter(side.failed.values()), None),
        "collapsed": " ".join(map(str, side.collapsed)),
        "by_seed": {str(seed): side.by_seed[seed] for seed in sorted(side.by_seed)},
    }


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


def _cells(line: Line, notes: list[str], twice: Collection[str]) -> list[str]:
    """The texts of one line of a table; its note joins `notes` unless it is there. Metrics in `twice` are told apart
    by their task."""
    note = plain("; ".join(filter(None, [protocol(line.labels.protocol), line.note])))
    if note not in notes:
        notes.append(note)
    found = line.difference
    exact = line.metric in COUNTED
    apart = "" if found is None else _with_interval(found.value, None if exact else (found.low, found.high))
    metric = short_name(line.metric, line.labels.protocol.get("extractor"))  # which the note names
    shown = heading(asdict(line.labels) | {"metric": metric}) + direction_words(line.direction)
    if line.metric in twice:
        shown += f" {plain(line.task)}"
    name = f"{shown} [{notes.index(note) + 1}]"
    return [name, _value(line.a, exact), _value(line.b, exact), apart, _p(line.p), _verdict(line)]


def _twice(pair: Pair) -> set[str]:
    """Metrics that several tasks of a pair have, such as how busy the machine was in training and in generation."""
    tasks = Counter(metric for metric, _ in {(line.metric, line.task) for line in pair.lines})
    return {metric for metric, n in tasks.items() if n > 1}


def _value(side: Number, exact: bool) -> str:
    if not side.by_seed:
        return "failed" if side.failed else ""
    found = None if exact else over_seeds(side)
    return _with_interval(side.mean, found and found[:2])


def _with_interval(value: float, interval: tuple[float, float] | None) -> str:
    if interval is None:
        return number(value)
    return f"{number(value)} [{_bound(interval[0])}, {_bound(interval[1])}]"


def _bound(value: float) -> str:
    return number(value) if math.isfinite(value) else "∞" if value > 0 else "−∞"


def _p(p: float | None) -> str:
    return "" if p is None else "<0.001" if p < 0.001 else f"{p:.3f}"


def _verdict(line: Line) -> str:
    """The verdict; where nothing was found, with the smallest difference that would have been."""
    if line.verdict not in ("cannot say", "equal") or line.p is None or not _of_seeds(line):
        return line.verdict
    if line.smallest is None:
        return f"{line.verdict} (sees none)"
    seen = percent(line.smallest / abs(line.b.mean)) if line.b.mean else number(line.smallest)
    return f"{line.verdict} (sees {seen})"


def _of_seeds(line: Line) -> bool:
    return line.difference is not None and line.difference.kind != "images"


def _numbered(notes: Sequence[str]) -> list[str]:
    return [f"[{n}] {note}" for n, note in enumerate(notes, start=1)]


def _differ(compared: Compared, pair: Pair) -> list[str]:
    """ "A and B differ in lr: 0.001 against 0.0005": of one model, the settings that are not the same on both
    sides."""
    a, b = (own.get(unit, {}) for own, unit in zip(compared.settings, (pair.a, pair.b), strict=True))
    if not a or not b or pair.a.model != pair.b.model:
        return []
    names = [name for name in sorted({*a, *b}) if a.get(name) != b.get(name)]
    said = [f"{name}: {a.get(name, 'none')} against {b.get(name, 'none')}" for name in names]
    return [plain(f"A and B differ in {', '.join(said)}")] if said else []


def _left_out(pair: Pair) -> list[str]:
    """A sentence for everything of a pair that is not in its table."""
    said = [f"not compared: {why}; run both alike" for why in together(pair.refused)]
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
        heading(labels) + direction_words(line.direction),
        f"{line.n_units} pairs",
        _with_interval(line.middle, line.middle_interval),
        "" if line.improvement is None else _with_interval(line.improvement, line.improvement_interval),
    ]


def _explained(compared: Compared) -> list[str]:
    """What a reader has to know to read the tables."""
    said = [
        f"Intervals are of 95%. Better and worse speak of A, where p is {LEVEL} or less. p is corrected (Holm) within "
        "what one decision hangs on: a headline alone, what else is said of the images, cost and speed."
    ]
    lines = [line for pair in compared.comparison.pairs for line in pair.lines]
    verdicts = {line.verdict for line in lines}
    if "cannot say" in verdicts or "equal" in verdicts:
        said.append(
            "In brackets: the smallest difference for the worse, as a share of B (in its unit where B is 0), that "
            f"these runs would have shown with odds of {POWER:.0%}; none where the range ends before it. How many "
            "seeds a stated one takes: --plan --smallest 10%."
        )
    if "equal" in verdicts:
        said.append(
            f"Equal: shown to differ by less than {compared.comparison.margin:.0%} of B (two one-sided tests at 5%), "
            "or a tenth of that of the metric's range."
        )
    if "differ as sets of images" in verdicts:
        said.append(
            "One run a side compares two sets of images; another seed of either model is another model."
        )
    if "not tested" in verdicts:
        said.append(
            "Not tested: restates the number beside it, has no better direction, or is what people said: their study "
            "tells systems apart."
        )
    if compared.across:
        said.append(
            "Over models and datasets: the mean of the middle half of the differences (of all, below four), and the "
            "probability of improvement of Agarwal et al. 2021; intervals by a stratified bootstrap over seeds, none "
            "where a model has one seed."
        )
    return said


def _pair_table(pair: Pair, notes: list[str]) -> Blocks:
    """Metrics down, an aspect above its own; the notes of the numbers join `notes`."""
    rows: list[list[Text]] = []
    twice = _twice(pair)
    for aspect, lines in _by_aspect(pair.lines):
        rows.append([Text(plain(aspect).replace("_", " "), style="bold"), *[Text("")] * 3])
        for line in lines:
            name, a, b, apart, p, verdict = _cells(line, notes, twice)
            said = Text(folded(verdict.replace(" (", "\n("), WIDTH), style=STYLES.get(line.verdict, ""))
            said.append(f"\np {p}" if p else "", style="not bold default")
            rows.append([Text(name), Text(f"A {a}\nB {b}"), said, Text(apart.replace(" [", "\n["))])
    names, *cells = zip(*rows, strict=True)
    columns = [Column(heading, texts, right=False) for heading, texts in zip(NARROW[1:], cells, strict=True)]
    return Blocks(_title(pair), Column("metric", names), columns)


def _markdown_table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], notes: Sequence[str]
) -> list[list[str]]:
    """Blocks of lines: heading, table, notes."""
    rule = ["---", *["---:"] * (len(columns) - 2), "---"]
    body = [[escape_markdown(cell) for cell in row] for row in rows]
    lines = [f"| {' | '.join(row)} |" for row in [list(columns), rule, *body]]
    return [[f"### {escape_markdown(title)}"], lines, [f"{escape_markdown(note)}  " for note in notes]]
