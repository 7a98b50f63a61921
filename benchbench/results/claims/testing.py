"""How large is this difference, between which bounds, and could it be nothing: the one test behind every claim.

`compare`, `check`, the ranks and the boards ask here and add nothing but what they do with the answer.

**Scale.** Differences are taken on the scale on which the metric's spread is even (`core.scales`) and moved back, so
that no bound leaves the metric's range.

**Spread.** What a claim about a model has to overcome is the spread over seeds. A side's own seeds say it where there
are five or more. With fewer they are pooled with what the models of the dataset that are at hand say, by empirical
Bayes: the more alike those scatter, the more their word counts (Smyth 2004). Nowhere is it taken to be less than the
spread within a run, which its own interval states: seeds that happen to agree, or agree in a share of 0 or 1, have not
shown that there is no noise.

**Test.** Two models: never paired by seed, since two architectures share nothing but the integer; Welch's t test on
those spreads. One model before and after: paired by seed only where a seed effect shows (the values of equal seeds are
correlated, 1%) and helps. Controls are not trained: their images are all there is of them, so their own interval is
their uncertainty, however many seeds there are. One run a side of two trained models compares two sets of images and
nothing else.

**Power.** Every answer says the smallest difference that it would have found with odds of 80%.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
from numpy.typing import ArrayLike
from scipy import special

from benchbench.core.errors import InputError
from benchbench.core.scales import Range, Scale, from_scale, to_scale, usable
from benchbench.results.claims.conditions import SAME
from benchbench.results.claims.numbers import Number
from benchbench.results.claims.spread import Pool, sound

Floats = npt.NDArray[np.float64]

CONFIDENCE = 0.95
POWER = 0.8
FEW = 5  # seeds; with fewer a side's own spread is a guess
ONE_RUN = (
    3.0  # degrees of freedom that the mean variance of other models is at least worth for a side of one run
)
SEED_EFFECT = 0.01  # level at which equal seeds are said to go together
Z = float(special.ndtri((1 + CONFIDENCE) / 2))

Kind = Literal["seeds", "images", "counted", "equal"]


@dataclass(frozen=True)
class Difference:
    """A − B. value, low, high: in the metric's own unit, bounds of 95%, infinite where nothing bounds it. p: two-sided,
    of "no difference". kind: what it speaks of; "images" of two sets of images and not of other seeds. error, degrees,
    shift: the difference on its scale, its standard error and the error's degrees of freedom, infinite where it is
    known. least: the smallest p that these runs could have given. method: in words."""

    value: float
    low: float
    high: float
    p: float
    method: str
    kind: Kind = "seeds"
    shift: float = 0.0
    error: float = 0.0
    degrees: float = math.inf
    scale: Scale = "linear"
    ends: Range = (None, None)
    base: float = 0.0  # B's place on the scale
    least: float = 0.0

    def one_sided(self, higher: bool) -> float:
        """p of "A is not higher than B", or, without `higher`, of "not lower"."""
        return self.p / 2 if (self.shift > 0) == higher and self.shift != 0 else 1 - self.p / 2

    def detectable(self, level: float, higher: bool, power: float = POWER) -> float | None:
        """The smallest change, in the metric's unit, that a one-sided test at `level` finds with odds of `power`:
        upwards where `higher`, else downwards. None where the range ends before it."""
        if self.error == 0:
            return 0.0 if self.least / 2 <= level else None
        needed = _noncentrality(level, power, self.degrees) * self.error
        moved = self.base + (needed if higher else -needed)
        end = self.ends[1 if higher else 0]
        if end is not None and needed > abs(float(to_scale(end, self.scale, self.ends)) - self.base):
            return None
        there, here = (float(from_scale(x, self.scale, self.ends)) for x in (moved, self.base))
        return abs(there - here)

    def within(self, margin: float) -> bool:
        """Whether the difference is shown to be less than `margin`, in the metric's unit, at 5%: both one-sided tests
        (Schuirmann 1987)."""
        if self.kind == "images":
            return False
        if self.error == 0:
            return -margin <= self.low and self.high <= margin
        here = float(from_scale(self.base, self.scale, self.ends))
        low, high = (float(to_scale(here + m, self.scale, self.ends)) - self.base for m in (-margin, margin))
        # A margin that reaches the end of the metric's range leaves nothing beyond it.
        if not math.isfinite(low) or (self.ends[0] is not None and here - margin <= self.ends[0]):
            low = -math.inf
        if self.ends[1] is not None and here + margin >= self.ends[1]:
            high = math.inf
        t = _t(CONFIDENCE, self.degrees) * self.error
        return low < self.shift - t and self.shift + t < high


@dataclass(frozen=True)
class _Variance:
    """Of one run over seeds, on the scale."""

    value: float
    degrees: float
    source: str
    shared: bool = False  # one estimate for both sides


_NOTHING = _Variance(0.0, 0.0, "own")


@dataclass(frozen=True)
class _Side:
    """One number on the scale. own: variance of its seeds, None with one. within: that of a run, from its interval."""

    number: Number
    moved: tuple[float, ...]
    own: float | None
    within: float

    @property
    def n(self) -> int:
        return len(self.moved)

    @property
    def mean(self) -> float:
        return math.fsum(self.moved) / self.n


def difference(
    a: Number, b: Number, *, same_model: bool = False, pool: Pool | None = None
) -> Difference | None:
    """A − B of two numbers made under equal conditions; None where nothing tells how sure it is.

    same_model: a is b after a change. pool: what is known of the spread over seeds from other models.
    """
    value = a.mean - b.mean
    if not math.isfinite(value):
        raise InputError("a difference needs finite numbers")
    scale = _scale_of(a, b)
    x, y = (_side(number, scale) for number in (a, b))
    plain = Difference(
        value, value, value, 1.0, "", scale=scale, ends=a.ends, base=y.mean, shift=x.mean - y.mean
    )
    if a.by_seed.keys() == b.by_seed.keys() and _equal_in_each(a.by_seed, b.by_seed):
        return _equal_difference(plain, x, y, same_model, pool)
    if same_model and not (a.control or b.control) and (paired := _paired(x, y, plain, pool)) is not None:
        return paired
    return _unpaired(x, y, plain, same_model, pool)


def counted(a: Number, b: Number) -> Difference:
    """A − B of what has no uncertainty, such as a number of parameters."""
    value = a.mean - b.mean
    return Difference(
        value, value, value, 1.0 if _equal(a.mean, b.mean) else 0.0, "counted, not estimated", "counted"
    )


def estimated(value: float, error: float, degrees: float, method: str) -> Difference:
    """A difference that was estimated as such, on a linear scale, with a standard error of so many degrees of freedom;
    it speaks of these images and of whoever judged them, not of other seeds."""
    plain = Difference(value, value, value, 1.0, method, "images", shift=value)
    if error == 0:
        return replace(plain, p=0.0 if value else 1.0)
    return _bounded(plain, error, degrees, method)


def holm(p_values: ArrayLike) -> Floats:
    """Holm's (1979) adjusted p values, in the order given: compare them with the level for the whole family.

    >>> holm([0.01, 0.04, 0.03]).round(3).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.atleast_1d(np.asarray(p_values, dtype=float))
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise InputError("p values lie between 0 and 1")
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(np.minimum(1.0, p[order] * np.arange(len(p), 0, -1)))
    adjusted = np.empty_like(p)
    adjusted[order] = stepped
    return adjusted


def in_one_family(found: Sequence[Difference], *, higher: bool) -> list[tuple[float, float | None]]:
    """Of differences that are tested together: p after Holm's correction, and the smallest that the strictest of its
    steps would have found with odds of 80%. higher: whether a larger value is better."""
    if not found:
        return []
    level = (1 - CONFIDENCE) / len(found) / 2
    adjusted = holm([own.p for own in found])
    return [(float(p), own.detectable(level, higher=higher)) for own, p in zip(found, adjusted, strict=True)]


def seeds_interval(
    mean: ArrayLike, variance: ArrayLike, n: ArrayLike, scale: Scale, ends: Range
) -> tuple[Floats, Floats]:
    """Student's 95% interval of means over n seeds, elementwise: mean ± t(0.975, n − 1) √(variance/n) on the scale and
    back, so that it lies within `ends` and holds the mean. variance: of one run, on the scale. NaN where n is 1."""
    middle, seeds = to_scale(mean, scale, ends), np.asarray(n)
    with np.errstate(invalid="ignore"):
        t = np.where(seeds > 1, special.stdtrit(np.maximum(seeds - 1, 1), (1 + CONFIDENCE) / 2), np.nan)
        half = t * np.sqrt(np.asarray(variance, dtype=float) / seeds)
    value = np.asarray(mean, dtype=float)
    low, high = (from_scale(middle + sign * half, scale, ends) for sign in (-1, 1))
    return np.minimum(low, value), np.maximum(high, value)  # rounding on the way there and back


def over_seeds(number: Number) -> tuple[float, float, str] | None:
    """The interval of a number as every board shows it, with its method; None where there is none."""
    if not number.by_seed:
        return None
    own = list(number.intervals.values())
    if len(number.by_seed) == 1 or (number.control and own):
        return (min(x for x, _ in own), max(x for _, x in own), "of a run") if own else None
    scale = usable(number.scale, min(number.values))
    side = _side(number, scale)
    low, high = seeds_interval(number.mean, max(side.own or 0.0, side.within), side.n, scale, number.ends)
    return float(low), float(high), f"t over {side.n} seeds"


def within_run(number: Number, scale: Scale) -> float:
    """Variance on `scale` of one run about what its model would score on all images, from the intervals that the runs
    state; 0 where none does."""
    return _side(number, scale).within


def _scale_of(a: Number, b: Number) -> Scale:
    """On which both can be: the metric's own where it takes these values."""
    return usable(a.scale, min(*a.values, *b.values))


def _side(number: Number, scale: Scale) -> _Side:
    moved = to_scale(number.values, scale, number.ends)
    own = float(moved.var(ddof=1)) if len(moved) > 1 else None
    stated = [(low, number.by_seed[seed], high) for seed, (low, high) in number.intervals.items()]
    within = 0.0
    if stated:
        below, here, above = to_scale(stated, scale, number.ends).T
        with np.errstate(invalid="ignore"):
            widths = np.where(np.isfinite(below), (above - below) / 2, above - here)
        within = math.fsum((widths / Z) ** 2) / len(stated)
    return _Side(number, tuple(moved.tolist()), own, within)


def _equal(a: float, b: float) -> bool:
    return abs(a - b) <= SAME * max(abs(a), abs(b))


def _equal_in_each(a: Mapping[int, float], b: Mapping[int, float]) -> bool:
    """`_equal` of all seeds, which are the same ones."""
    x, y = (np.array([side[seed] for seed in a]) for side in (a, b))
    return bool((abs(x - y) <= SAME * np.maximum(abs(x), abs(y))).all())


def _equal_difference(
    plain: Difference, x: _Side, y: _Side, same_model: bool, pool: Pool | None
) -> Difference | None:
    """Equal in every seed. What a difference could have been is still bounded by the noise, except where the numbers
    are of the same runs."""
    if same_model:
        return replace(plain, method="equal in every seed", kind="equal", shift=0.0)
    found = _unpaired(x, y, plain, same_model, pool)
    if found is None:
        return None
    return replace(
        found, p=1.0, method="equal in every seed", kind=found.kind if found.kind == "images" else "equal"
    )


def _paired(x: _Side, y: _Side, plain: Difference, pool: Pool | None) -> Difference | None:
    """The t test of the differences over seeds, where a seed effect shows and pairing makes the bounds tighter."""
    n = x.n
    if x.number.by_seed.keys() != y.number.by_seed.keys() or n < 3:
        return None
    u, v = np.array(x.moved), np.array(y.moved)
    apart = u - v
    if not np.isfinite(apart).all() or min(np.ptp(u), np.ptp(v)) == 0:
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        r = float(np.clip(np.corrcoef(u, v)[0, 1], -1, 1))
    if not r > 0:  # they go apart, or their spread squares to 0
        return None
    t = r * math.sqrt((n - 2) / max(1 - r * r, np.finfo(float).tiny))
    if not float(special.stdtr(n - 2, -t)) < SEED_EFFECT:
        return None
    error = float(apart.std(ddof=1)) / math.sqrt(n)
    # Equal differences in all seeds are equal to rounding alone.
    error = max(error, SAME * abs(float(apart.mean())), np.finfo(float).tiny)
    other = _unpaired(x, y, plain, True, pool)
    if other is not None and _t(0.975, n - 1) * error >= _t(0.975, other.degrees) * other.error:
        return None
    return _bounded(plain, error, n - 1, f"paired t over {n} seeds, whose values go together (r = {r:.2f})")


def _unpaired(
    x: _Side, y: _Side, plain: Difference, same_model: bool, pool: Pool | None
) -> Difference | None:
    trained = [side for side in (x, y) if not side.number.control]
    if trained and not same_model and all(side.n == 1 for side in (x, y) if not side.number.control):
        return _as_images(x, y, plain)
    parts: list[_Variance] = []  # of the mean of each side
    sources: list[str] = []
    spread = _spread(trained, same_model, pool, plain.scale, plain.ends)
    if spread is None and pool is not None and pool.assumed is not None:
        spread = [_assumed(pool.assumed, y.number, plain.scale)] * len(trained)
    if trained and spread is None:
        return None
    for side in (x, y):
        if side.number.control:
            if not side.number.intervals and side.own is None:
                return None
            # Its seeds are no trainings: one run's interval is all its uncertainty.
            if side.number.intervals:
                parts.append(_Variance(side.within, math.inf, "own"))
            else:
                parts.append(_Variance(side.own or 0.0, side.n - 1, "own"))
            continue
        assert spread is not None
        chosen = spread[trained.index(side)]
        value = max(chosen.value, side.within) / side.n
        parts.append(_Variance(value, chosen.degrees, chosen.source, chosen.shared))
        sources.append(chosen.source)
    if not all(math.isfinite(part.value) for part in parts):
        return None
    if not any(part.value for part in parts):
        return _without_spread(x, y, plain)
    error = math.sqrt(sum(part.value for part in parts))
    counts = " against ".join("a control" if s.number.control else f"{s.n}" for s in (x, y))
    said = f"t test, {counts}{' seeds' if trained else ''}" if trained else "the intervals of two controls"
    told = sorted(set(sources) - {"own"})
    if told:
        said += f", spread {' and '.join(told)}"
    return _bounded(plain, error, _degrees(parts), said)


def _without_spread(x: _Side, y: _Side, plain: Difference) -> Difference | None:
    """All runs of either side agree and state no noise either: evidence by the number of orders alone."""
    if _equal(x.number.mean, y.number.mean):
        plain = replace(plain, kind="equal", shift=0.0)
    p = 1.0 if plain.kind == "equal" else 0.0
    if x.number.control and y.number.control:  # what two controls state of themselves is certain
        return replace(plain, p=p, method="two controls without any noise")
    if min(x.n, y.n) < 2:
        return None
    least = min(1.0, 2 / math.comb(x.n + y.n, x.n))
    shown = least <= 1 - CONFIDENCE
    return replace(
        plain,
        low=plain.value if shown else -math.inf,
        high=plain.value if shown else math.inf,
        p=max(p, least),
        least=least,
        method=f"all runs of a side agree, {x.n} against {y.n} seeds (exact permutation)",
    )


def _spread(
    trained: Sequence[_Side], same_model: bool, pool: Pool | None, scale: Scale, ends: Range
) -> list[_Variance] | None:
    """The variance over seeds of each trained side, None where nothing tells one."""
    own = [_Variance(s.own, s.n - 1, "own") if s.own is not None else _NOTHING for s in trained]
    if not trained:
        return own
    # An unchanged model scatters alike on both sides; two models need not.
    if same_model or any(v is _NOTHING for v in own):
        degrees = sum(v.degrees for v in own)
        value = sum(v.value * v.degrees for v in own) / degrees if degrees else 0.0
        own = [_Variance(value, degrees, "own", shared=True)] * len(own)
    prior = pool.prior(scale, ends, [sound(side.number) for side in trained]) if pool else None
    if all(s.n >= FEW for s in trained) or prior is None:
        return own if all(v.degrees for v in own) else None
    if not any(v.degrees for v in own):
        # Nothing is known of this model itself. Over the models at hand, the mean variance holds the level.
        return [_Variance(prior.average, max(prior.degrees, ONE_RUN), prior.source, shared=True)] * len(own)
    return [_Variance(*prior.with_own(v.value, v.degrees), prior.source, v.shared) for v in own]


def _assumed(relative: float, number: Number, scale: Scale) -> _Variance:
    """The variance on the scale of a spread of so large a share of the value."""
    there = number.mean * (1 + relative)
    if number.ends[1] is not None and there > number.ends[1]:
        there = number.mean * (1 - relative)
    here, moved = to_scale([number.mean, there], scale, number.ends)
    return _Variance(float(moved - here) ** 2, math.inf, f"taken to be {relative:.0%}")


def _as_images(x: _Side, y: _Side, plain: Difference) -> Difference | None:
    """Of two single runs, from their own intervals; another seed of either is another model."""
    if not x.within or not y.within:
        return None
    error = math.sqrt(x.within + y.within)
    found = _bounded(plain, error, math.inf, "intervals of one run each: these images, not other seeds")
    return replace(found, kind="images")


def _bounded(plain: Difference, error: float, degrees: float, method: str) -> Difference:
    half = _t((1 + CONFIDENCE) / 2, degrees) * error
    here = float(from_scale(plain.base, plain.scale, plain.ends))
    moved = [plain.base + plain.shift - half, plain.base + plain.shift + half]
    low, high = (float(x) - here for x in from_scale(moved, plain.scale, plain.ends))
    p = 2 * _tail(abs(plain.shift) / error, degrees) if plain.shift else 1.0
    return replace(
        plain,
        low=min(low, plain.value),
        high=max(high, plain.value),
        p=min(1.0, p),
        method=method,
        error=error,
        degrees=degrees,
    )


def _degrees(parts: Sequence[_Variance]) -> float:
    """Welch and Satterthwaite's; parts that share one variance have its degrees together."""
    together: dict[tuple[str, float], float] = {}
    for index, part in enumerate(parts):
        key = ("shared" if part.shared else f"{index}", part.degrees)
        together[key] = together.get(key, 0.0) + part.value
    unsure = sum(v**2 / degrees for (_, degrees), v in together.items())
    return sum(part.value for part in parts) ** 2 / unsure if unsure else math.inf


def _t(quantile: float, degrees: float) -> float:
    """Of Student's t, or of the normal where the error is known."""
    return float(special.ndtri(quantile) if math.isinf(degrees) else special.stdtrit(degrees, quantile))


def _noncentrality(level: float, power: float, degrees: float) -> float:
    """By how many standard errors to differ, so that a one-sided t test at `level` finds it with odds of `power`."""
    critical = _t(1 - level, degrees)
    if math.isinf(degrees):
        return critical + _t(power, degrees)
    if critical > 100:  # then the spread of the error is all, and SciPy's search has no end
        return critical * math.sqrt(2 * float(special.gammaincinv(degrees / 2, power)) / degrees)
    return float(special.nctdtrinc(degrees, 1 - power, critical))


def _tail(t: float, degrees: float) -> float:
    return float(special.ndtr(-t) if math.isinf(degrees) else special.stdtr(degrees, -t))
