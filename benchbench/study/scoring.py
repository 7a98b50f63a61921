"""What a study says: its answers as numbers, a few a system.

| kind | numbers of a system |
|---|---|
| pairwise, closer-to-source | `human_strength`: Bradley–Terry with ties (`strengths`) |
| real-or-fake | `human_error_rate`: the share of its images called real; `human_hype_infinity` (`discrimination`) |
| triplet | `human_miss_rate`: how often it was not found among two real ones |

and of any study `human_alpha`, how far raters agree (`study.alpha`). Check items are no part of any of them. Raters
whom the rule (`study.raters`) leaves out are no part either, and are named.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchbench.core.scales import Scale
from benchbench.results.people import MAIN
from benchbench.study.alpha import METHOD as BOOTSTRAP
from benchbench.study.alpha import Agreed, alpha
from benchbench.study.answers import read_answers
from benchbench.study.discrimination import Judged, Rate, error_rate, hype_infinity
from benchbench.study.folder import Study
from benchbench.study.kinds import FAKE, TIE, TRUE
from benchbench.study.manifest import Item
from benchbench.study.planning import COMPARED
from benchbench.study.raters import Given, Rater, looked_at
from benchbench.study.rates_tested import FromChance, rates_apart, rates_from_chance
from benchbench.study.strengths import Apart, Compared, Strengths, strengths

PLACES = {2: ("left", "right"), 3: ("left", "middle", "right")}


@dataclass(frozen=True)
class Measured:
    """A number of one system. system: its place among those of the study. value: None where there is none, and then
    `why`. ends: the least and the largest there can be. gated: whether it is a claim of its own."""

    system: int
    metric: str
    value: float | None
    low: float | None
    high: float | None
    method: str | None
    why: str | None
    higher_is_better: bool | None
    gated: bool
    scale: Scale = "linear"
    ends: tuple[float | None, float | None] = (None, None)


@dataclass(frozen=True)
class Scored:
    """study: which. raters: all who answered, with what is known of them. answers: those that count. items: which
    these are about. numbers: by system, the main one first. strengths: where systems were compared. pairs: of systems,
    held against each other. chances: systems held against guessing, where one can guess. overall: HYPE∞ over all
    systems together, where that was asked. agreed: how far raters agree. answered: every answer, of whoever."""

    study: Study
    raters: tuple[Rater, ...]
    answers: int
    items: int
    numbers: tuple[Measured, ...]
    strengths: Strengths | None
    pairs: tuple[Apart, ...]
    chances: tuple[FromChance, ...]
    overall: Rate | None
    agreed: Agreed
    answered: pd.DataFrame

    @property
    def counted(self) -> list[Rater]:
        """The raters who count."""
        return [own for own in self.raters if own.left_out is None]

    @property
    def left_out(self) -> list[Rater]:
        """The others."""
        return [own for own in self.raters if own.left_out is not None]


def score(study: Study) -> Scored:
    """The numbers of a study from the answers that are there.

    Args:
        study: As `folder.load` gave it.

    Returns:
        The same for the same answers. With none every number is missing and says why.

    Raises:
        InputError: A file of answers is damaged.
    """
    answered = read_answers(study)
    by_rater = answered.groupby("rater", sort=True)
    raters = tuple(
        looked_at(_given(study, str(name), own), study.manifest.pass_checks) for name, own in by_rater
    )
    kept = {own.rater for own in raters if own.left_out is None}
    asked = {item.id for item in study.manifest.items if item.check is None}
    counts = answered[answered["rater"].isin(kept) & answered["item"].isin(asked)].reset_index(drop=True)
    agreed = alpha(counts["item"].to_numpy(str), counts["choice"].to_numpy(str))
    compared = overall = None
    pairs: tuple[Apart, ...] = ()
    chances: tuple[FromChance, ...] = ()
    n_systems = len(study.manifest.systems)
    if study.manifest.kind in COMPARED:
        compared = strengths(_compared(study, counts))
        pairs = compared.pairs
        numbers = list(_of_strengths(compared, MAIN[study.manifest.kind]))
    else:
        judged = _judged(study, counts)
        real = study.manifest.kind == "real-or-fake"
        overall = hype_infinity(judged) if real else None
        pairs, chances = rates_apart(judged, n_systems), rates_from_chance(judged, n_systems, real=real)
        numbers = list(_of_rates(study, judged))
    numbers += [_of_alpha(system, agreed) for system in range(n_systems)]
    return Scored(
        study,
        raters,
        len(counts),
        counts["item"].nunique(),
        tuple(numbers),
        compared,
        pairs,
        chances,
        overall,
        agreed,
        answered,
    )


def _given(study: Study, rater: str, answers: pd.DataFrame) -> Given:
    right: list[bool | None] = []
    pressed = []
    for name, choice, shown in zip(answers["item"], answers["choice"], answers["shown"], strict=True):
        check = study.item(name).check
        right.append(None if check is None else choice == check)
        pressed.append(
            PLACES[len(shown)][shown.index(int(choice))] if str(choice).isdecimal() else str(choice)
        )
    return Given(rater, right, pressed, answers["ms"].astype(float).tolist())


def _numbered(answers: pd.DataFrame) -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], ...]:
    """Raters and items as numbers from 0."""
    return tuple(pd.factorize(answers[name])[0].astype(np.int64) for name in ("rater", "item"))


def _compared(study: Study, answers: pd.DataFrame) -> Compared:
    items = [study.item(name) for name in answers["item"]]
    # An image beside a real one, or two of one system, compare no systems.
    of_two = np.array([min(item.systems) >= 0 and len({*item.systems}) == 2 for item in items], dtype=bool)
    pairs = np.array([item.systems for item in items], dtype=np.int64).reshape(-1, 2)[of_two]
    outcome = answers["choice"].map({"0": 1, "1": -1, TIE: 0}).to_numpy(np.int64)[of_two]
    raters, about = _numbered(answers[of_two])
    first, second = pairs.T
    return Compared.of(first, second, outcome, raters, about, len(study.manifest.systems))


def _judged(study: Study, answers: pd.DataFrame) -> Judged:
    items = [study.item(name) for name in answers["item"]]
    wrong = [_is_wrong(item, str(choice)) for item, choice in zip(items, answers["choice"], strict=True)]
    return Judged.of([max(item.systems) for item in items], wrong, *_numbered(answers))


def _is_wrong(item: Item, choice: str) -> bool:
    """Of a triplet whether a real image was named; else whether a made one was called real, or a real one fake."""
    if len(item.systems) > 1:
        return item.systems[int(choice)] < 0
    return choice == (TRUE if item.systems[0] >= 0 else FAKE)


def _of_strengths(found: Strengths, metric: str) -> Iterator[Measured]:
    for system, own in enumerate(found.systems):
        method = found.method if own.low is not None else None
        yield Measured(system, metric, own.value, own.low, own.high, method, own.why, True, gated=True)


def _of_rates(study: Study, answers: Judged) -> Iterator[Measured]:
    for system in range(len(study.manifest.systems)):
        yield _share(system, MAIN[study.manifest.kind], error_rate(answers, system))
        if study.manifest.kind != "triplet":
            yield _share(system, "human_hype_infinity", hype_infinity(answers, system))


def _share(system: int, metric: str, own: Rate) -> Measured:
    return Measured(
        system,
        metric,
        own.value,
        own.low,
        own.high,
        own.method,
        own.why,
        True,
        gated=True,
        scale="arcsine",
        ends=(0.0, 1.0),
    )


def _of_alpha(system: int, own: Agreed) -> Measured:
    method = BOOTSTRAP if own.low is not None else None
    return Measured(
        system,
        "human_alpha",
        own.value,
        own.low,
        own.high,
        method,
        own.why,
        None,
        gated=False,
        ends=(None, 1.0),
    )
