"""Raters for tests that answer a whole study at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from studies import rater
from study_simulated import STRENGTHS, davidson

from benchbench.study.answer import Answer
from benchbench.study.folder import Study
from benchbench.study.manifest import Item
from benchbench.study.order import Shown, presented
from benchbench.study.rater_file import adding

Choose = Callable[[Item, np.random.Generator], str]
"""What a rater answers to an item, canonically."""
AT = "2026-11-29T12:00:01Z"


def careful(item: Item, rng: np.random.Generator) -> str:
    """Knows check items with a chance of 97%; else prefers as `STRENGTHS` say, ties with ν = 0.5."""
    if item.check is not None:
        return item.check if rng.random() < 0.97 else "01".replace(item.check, "")
    apart = np.array(STRENGTHS[item.systems[0]] - STRENGTHS[item.systems[1]])
    return str(rng.choice(["0", "1", "tie"], p=davidson(apart, 0.5)))


def careless(item: Item, rng: np.random.Generator) -> str:
    """Presses one of the two sides, whatever is shown."""
    return str(rng.integers(2))


def answer(
    study: Study,
    who: int,
    choose: Choose,
    rng: np.random.Generator,
    wanted: Callable[[Shown], bool] = lambda shown: True,
    upto: int | None = None,
    ms: int = 2000,
) -> str:
    """Let a rater answer those items that it is shown which are `wanted`, in one go. Returns who that is."""
    name = rater(who)
    shown = [own for own in presented(study, name)[:upto] if wanted(own)]
    lines = [
        Answer(item=own.item.id, choice=choose(own.item, rng), shown=own.order, ms=ms, at=AT) for own in shown
    ]
    with adding(study, name) as file:
        file.add(lines, None)
    return name
