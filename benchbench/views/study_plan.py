"""`benchbench study plan` for a terminal: how many items so many raters have to answer, and how to make it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd
from rich.console import Group
from rich.text import Text

from benchbench.views.blocks import Blocks, Column, folded


@dataclass(frozen=True)
class Planned:
    """needed: as `benchbench.study.plan` has it. kind: of study. compared: whether systems are, pair by pair. systems:
    how many. seconds: that an answer is taken to last. minutes: of answers for which it is said what is found."""

    needed: pd.DataFrame
    kind: str
    compared: bool
    systems: int
    seconds: float
    minutes: float


def planned(plan: Planned) -> Group:
    """For a terminal of any width."""
    heads = {
        "items": f"items a {'pair' if plan.compared else 'system'}",
        "all_items": "--n",
        "images": "images a system",
        "answers": "answers",
        "minutes": "minutes a rater",
        "effect": "design effect",
        "finds": f"finds in {plan.minutes:.0f} min",
    }
    needed = plan.needed
    columns = [
        Column(folded(head, 9), [_said(x, name) for x in needed[name]]) for name, head in heads.items()
    ]
    table = Blocks("", Column("raters", [f"{x:,}" for x in needed["raters"]]), columns)
    return Group(table, Text(), *map(Text, _explained(plan)))


def _said(x: Any, name: str) -> str:
    if pd.isna(x):
        return "–"
    return {"minutes": f"{x:,.0f}", "effect": f"{x:,.1f}", "finds": f"{x:.3f}"}.get(name, f"{x:,}")


def _explained(plan: Planned) -> Iterator[str]:
    """What the headings mean, and what to type."""
    half = ", half of them real" if plan.kind == "real-or-fake" else ""
    yield (
        f"--n: what each rater answers{half}; check items come on top, a tenth of it where study create is not told "
        "otherwise."
    )
    enough = plan.needed[plan.needed["all_items"].notna()]
    if len(enough):
        within = enough[enough["minutes"] <= plan.minutes]
        first = (within if len(within) else enough).iloc[0]
        names = " ".join(["SYSTEM"] * plan.systems) if plan.systems <= 4 else "SYSTEM..."
        made = (
            f"benchbench study create {names} --kind {plan.kind} --n {int(first['all_items'])} --out FOLDER"
        )
        yield f"→ {made}   (for {int(first['raters']):,} raters)"
    yield _images(plan.kind)
    yield f"minutes: at {plan.seconds:.0f} seconds an answer, taken and not measured; check items among them."
    yield (
        "design effect: so many answers are worth one of raters and items that are all alike, for answers of one "
        "rater, and answers about one item, go together."
    )
    nearest = "preferred" if plan.compared else "of wrong answers"
    yield (
        f"finds: the share ({nearest}) nearest to chance that so many raters find in {plan.minutes:.0f} minutes of "
        "answers each; –: none."
    )
    if plan.needed["items"].isna().any():
        yield "Without items: so few raters differ too much among themselves, whatever the number of items."


def _images(kind: str) -> str:
    if kind == "pairwise":
        return "images: none is shown twice; with fewer some come again, in other pairs. A record keeps 256 at most."
    if kind == "closer-to-source":
        return "images: so many of one source each, which study create asks for; third systems show a source again."
    return "images: study create asks for so many, for it shows none of a system twice. A record keeps 256 at most."
