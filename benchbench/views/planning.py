"""`benchbench compare --plan` as people and programs read it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd
from rich.console import Group
from rich.text import Text

from benchbench.results.claims.planning import Planned
from benchbench.views.blocks import Blocks, Column, folded
from benchbench.views.text import direction_words, escape_markdown, model_name, number, percent, plain

COLUMNS = ("metric", "value", "difference", "spread", "of images", "seeds a side", "with images", "or")


def table(planned: Sequence[Planned], smallest: float) -> Group:
    """For the terminal: a table a model and dataset."""
    parts: list[Any] = [Text(_title(smallest))]
    for unit, lines in _by_unit(planned):
        names, *cells = zip(*map(_cells, lines), strict=True)
        columns = [
            Column(folded(heading, 7), [Text(text.replace("with ", "with\n")) for text in texts])
            for heading, texts in zip(COLUMNS[1:], cells, strict=True)
        ]
        parts += [Text(), Blocks(unit, Column("metric", names), columns), Text(_source(lines))]
    return Group(*parts, Text(), *map(Text, _explained()))


def markdown(planned: Sequence[Planned], smallest: float) -> str:
    """The same as Markdown."""
    blocks = [escape_markdown(_title(smallest))]
    for unit, lines in _by_unit(planned):
        rows = [list(COLUMNS), ["---", *["---:"] * (len(COLUMNS) - 1)]]
        rows += [[escape_markdown(cell) for cell in _cells(line)] for line in lines]
        body = "\n".join(f"| {' | '.join(row)} |" for row in rows)
        blocks += [f"### {escape_markdown(unit)}", body, escape_markdown(_source(lines))]
    blocks.append("\n".join(f"- {escape_markdown(line)}" for line in _explained()))
    return "\n\n".join(blocks) + "\n"


def as_csv(planned: Sequence[Planned], smallest: float) -> str:
    """One line a number, every digit kept."""
    return pd.DataFrame([{"share": smallest, **_record(line)} for line in planned], dtype=object).to_csv(
        index=False, lineterminator="\n"
    )


def as_json(planned: Sequence[Planned], smallest: float) -> str:
    """Everything; null is unknown, or more than a million seeds."""
    content = {"schema_version": 1, "smallest": smallest, "numbers": [_record(line) for line in planned]}
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _record(line: Planned) -> dict[str, Any]:
    facts = {name: x for name, x in asdict(line).items() if name not in ("unit", "asked")}
    return {**line.unit._asdict(), **line.asked._asdict(), **facts}


def _by_unit(planned: Sequence[Planned]) -> list[tuple[str, list[Planned]]]:
    units = dict.fromkeys(line.unit for line in planned)
    return [
        (
            f"{model_name(unit.model, unit.variant)} on {plain(unit.dataset)}",
            [p for p in planned if p.unit == unit],
        )
        for unit in units
    ]


def _cells(line: Planned) -> list[str]:
    return [
        line.asked.metric + direction_words(line.asked.direction) + (" (headline)" if line.headline else ""),
        number(line.value),
        number(line.smallest),
        percent(line.spread) if line.value else number(line.spread),
        f"{line.of_images:.0%}",
        _seeds(line.seeds),
        "" if line.n_images is None else str(line.n_images),
        ""
        if line.enough in (None, line.n_images)
        else f"{_seeds(line.seeds_with_enough)} with {line.enough}",
    ]


def _seeds(n: int | None) -> str:
    return "> 10⁶" if n is None else str(n)


def _title(smallest: float) -> str:
    return f"To find a difference of {percent(smallest)} of the value between two models, at 5% with odds of 80%:"


def _source(lines: Sequence[Planned]) -> str:
    return plain(f"spread: {'; '.join(sorted({line.source for line in lines}))}")


def _explained() -> list[str]:
    return [
        "Spread: standard deviation of a run, as a share of the value; of images: how much of its variance comes from "
        "the images that were drawn, and shrinks with their number. The last column is for so many images that more of "
        "them buy next to nothing.",
    ]
