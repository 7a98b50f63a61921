"""The alarm for mode collapse: stated rules on the rows of `curves.csv`.

Pattern: a pure function of the rows so far and of how many scans are planned, asked after every scan of the
monitor; the first answer is the alarm. It reads the panels (rows that a scan has filled) and no metric, so a
finished `curves.csv` can be judged again (`first_collapse`). Five rules, each on what a panel has; a column that is
missing silences the rules that need it:

1. fall: coverage, the number of modes, or the effective share of classes dropped from the best level by a
   share of it, and stayed there.
2. drift: the distance rose above its best level by a share of it while recall fell so from its own.
3. saturation: the discriminator's loss is all but zero, so the generator is told nothing.
4. duplicates: many samples have a near-twin, more than among real images.
5. never: the generator has not once made more than a small part of the classes, or nothing that is of any (or
   little of the real images' neighbourhoods, where there are no classes).

The effective share of classes is exp(-KL(generated ‖ real)), with the KL between class shares in nats that
mode counts come with since VEEGAN (Srivastava et al. 2017). Samples spread over classes in the data's
proportions score the share of the data that lies in these classes: 4 of 25 equal modes give 4/25. It is what the
number of modes fails to be, robust against the one stray sample that makes a mode "covered".

Against noise: a level is what held for `window` panels in a row, both the best one and the present one, so one
lucky or unlucky panel moves neither; a share must drop by `least` too, six standard errors of a share among
1,000 samples at its noisiest. Rules 3 to 5 look at the level alone, which is also that of an untrained
generator: they speak from panel `start` on, or from three quarters of the panels that are planned where these are
fewer, and only while the distance has found no new best for `window` panels. The last panel is always judged, with as
many panels as there are: no later one can make good, so there it is enough that the last distance is not the
best. A training that still improves does not alarm, also where it ends too early.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, exp, isfinite

from benchbench.training.watch.monitor import (
    CLASS_KL,
    COVERAGE,
    DISTANCE,
    DUPLICATES,
    MODES,
    REAL_DUPLICATES,
    RECALL,
)

DISCRIMINATOR_LOSS = "loss_discriminator"

Rows = Sequence[Mapping[str, float]]


@dataclass(frozen=True)
class CollapseRule:
    """Thresholds. `window` and `start` count panels, the others are shares.

    window: how long a level must hold. A GAN without weight average swings from scan to scan.
    start: the panel from which on rules 3 to 5 speak. part: of the planned panels, where that is earlier.
    fall: of the best level, what rules 1 and 2 allow. Swings of healthy runs stay within a third.
    least: what a share must have fallen by at least, in itself; 6·√(p(1 - p)/1000) is at most 0.095.
    least_modes: modes lost at least: fewer come and go with single samples.
    rise: of the best distance. The Fréchet distance at 1,000 samples moves by a few percent between draws.
    saturated: nats, or units of a hinge; at 0.02 nats a discriminator is 99% sure of real and generated alike.
    duplicates: share of samples with a near-twin beyond that among real images.
    never_classes: effective share of classes never passed. Half-trained generators lean towards some
    classes; one that never got a quarter sits on a few.
    never_coverage: coverage never passed, judged where nobody knows the classes. Bad images have low coverage
    too, so the bound is near what a single mode gets.
    """

    window: int = 3
    start: int = 8
    part: float = 0.75
    fall: float = 0.4
    least: float = 0.1
    least_modes: float = 2.0
    rise: float = 0.5
    saturated: float = 0.02
    duplicates: float = 0.3
    never_classes: float = 0.25
    never_coverage: float = 0.03


@dataclass(frozen=True)
class Collapse:
    """An alarm. step: steps done when it was raised. rule: fall, drift, saturation, duplicates or never.
    words: what was seen, one sentence without its full stop."""

    step: int
    rule: str
    words: str


def collapse_at(rows: Rows, planned: int, rule: CollapseRule | None = None) -> Collapse | None:
    """Whether the last panel among `rows` (`curves.csv`, in order) completes a collapse; None if not.

    planned: how many panels the training ends with; one with that number, or a higher one, is its last. Of several
    rules the first in the module's order answers. Values that are missing or not finite count as not measured.
    """
    rule = rule or CollapseRule()
    panels = [row for row in rows if _is_panel(row)]
    if not panels:
        return None
    found = _fall(panels, rule) or _drift(panels, rule)
    last = len(panels) >= planned
    may_speak = last or len(panels) >= min(rule.start, ceil(rule.part * planned))
    if found is None and may_speak and _stalled(panels, rule, last):
        found = _saturation(panels, rule) or _duplicates(panels, rule) or _never(panels, rule)
    if found is None:
        return None
    name, words = found
    return Collapse(int(panels[-1]["step"]), name, words)


def first_collapse(rows: Rows, rule: CollapseRule | None = None) -> Collapse | None:
    """The first alarm of a finished training with this `curves.csv`; None where there is none."""
    ends = [end for end, row in enumerate(rows, start=1) if _is_panel(row)]
    answers = (collapse_at(rows[:end], len(ends), rule) for end in ends)
    return next((found for found in answers if found is not None), None)


def effective_share(class_kl: float) -> float:
    """The share of the classes, by their weight in the data, that samples with this KL (nats) are worth."""
    return exp(-class_kl)


_JUDGED = (COVERAGE, MODES, CLASS_KL, DISTANCE, RECALL, DUPLICATES)
_Found = tuple[str, str]


def _is_panel(row: Mapping[str, float]) -> bool:
    return any(isfinite(row.get(column, float("nan"))) for column in _JUDGED)


def _column(panels: Rows, column: str) -> list[float]:
    return [row[column] for row in panels if isfinite(row.get(column, float("nan")))]


def _drop(values: Sequence[float], rule: CollapseRule, least: float) -> tuple[float, float] | None:
    """(best level, present level) if the present one is too far below; higher values are better."""
    window = rule.window
    if len(values) < 2 * window:
        return None
    before, now = values[:-window], max(values[-window:])
    best = max(min(before[i : i + window]) for i in range(len(before) - window + 1))
    return (best, now) if now <= (1 - rule.fall) * best and best - now >= least else None


def _fall(panels: Rows, rule: CollapseRule) -> _Found | None:
    shares = [effective_share(value) for value in _column(panels, CLASS_KL)]
    for what, values, least in (
        ("coverage", _column(panels, COVERAGE), rule.least),
        ("the number of modes", _column(panels, MODES), rule.least_modes),
        ("the effective share of classes", shares, rule.least),
    ):
        if (drop := _drop(values, rule, least)) is not None:
            return "fall", f"{what} {_from_to(drop, rule)}"
    return None


def _drift(panels: Rows, rule: CollapseRule) -> _Found | None:
    distance, window = _column(panels, DISTANCE), rule.window
    recall = _drop(_column(panels, RECALL), rule, rule.least)
    if recall is None or len(distance) < 2 * window:
        return None
    before, now = distance[:-window], min(distance[-window:])
    best = min(max(before[i : i + window]) for i in range(len(before) - window + 1))
    if now < (1 + rule.rise) * best:
        return None
    return "drift", (
        f"the distance rose from {best:.3g} to {now:.3g} and more while recall {_from_to(recall, rule)}"
    )


def _stalled(panels: Rows, rule: CollapseRule, last: bool) -> bool:
    """Whether the distance found no new best in the last `window` panels, or in the last one where it is the
    `last` of the training; so too where nobody measures it. One scan alone shows no improvement."""
    window = 1 if last else rule.window
    distance = _column(panels, DISTANCE)
    recent, before = distance[-window:], distance[:-window]
    if not before:
        return last or not distance
    return min(recent) >= min(before)


def _saturation(panels: Rows, rule: CollapseRule) -> _Found | None:
    window = min(rule.window, len(panels))
    losses = _column(panels, DISCRIMINATOR_LOSS)[-window:]
    # Below zero is a Wasserstein critic that sees a difference: it has no bound and does not saturate.
    if len(losses) < window or not all(0 <= loss < rule.saturated for loss in losses):
        return None
    return "saturation", (
        f"the discriminator's loss stayed below {rule.saturated:g} for {_scans(window)} and the distance "
        "found no new best: the generator is told nothing any more"
    )


def _duplicates(panels: Rows, rule: CollapseRule) -> _Found | None:
    window = min(rule.window, len(panels))
    real = max(_column(panels, REAL_DUPLICATES), default=0.0)  # the same in every panel
    excess = [rate - real for rate in _column(panels, DUPLICATES)[-window:]]
    if len(excess) < window or min(excess) < rule.duplicates:
        return None
    return "duplicates", (
        f"at least {min(excess):.0%} of the samples had a near-twin in each of {_scans(window)}, beyond "
        "what real images have"
    )


def _never(panels: Rows, rule: CollapseRule) -> _Found | None:
    kl, modes = _column(panels, CLASS_KL), _column(panels, MODES)
    if modes and not any(modes):
        return "never", f"no sample was of any class in {_scans(len(panels))}"
    if kl:
        best, most = effective_share(min(kl)), rule.never_classes
        what = "the effective share of classes"
    elif coverage := _column(panels, COVERAGE):
        best, most = max(coverage), rule.never_coverage
        what = "coverage"
    else:
        return None
    if best > most:
        return None
    return "never", f"{what} was never above {best:.2g} in {_scans(len(panels))}"


def _from_to(drop: tuple[float, float], rule: CollapseRule) -> str:
    best, now = drop
    return (
        f"fell from {best:.3g} to {now:.3g} and below, for {_scans(rule.window)} ({1 - now / best:.0%} less)"
    )


def _scans(n: int) -> str:
    return "1 scan" if n == 1 else f"{n} scans"
