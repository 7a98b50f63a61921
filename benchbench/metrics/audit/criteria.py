"""How the curve of a metric over the values of a parameter is judged, with the tolerances of Räisä et al. 2025.

A criterion looks at the points that it speaks of and answers with a verdict and what it saw. A curve that has no number
there has no verdict but "no number".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Verdict = Literal["pass", "fail", "low", "high", "no number"]
"""A diversity metric may be of either kind where generated points are wider spread than real ones: "low" where it falls
because points are wasted outside, "high" where it stays because all real ones are reached. Both are right, as long as
it is the same one throughout."""
Where = Literal["first", "last"] | float


class Judged(NamedTuple):
    """A verdict, and what was seen."""

    verdict: Verdict
    detail: str


@dataclass(frozen=True)
class Curve:
    """What a metric says over the values of a parameter, ascending: both float64 (V,), NaN where it has no number."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]

    def place(self, where: Where) -> int:
        """The number of the value that is meant, the nearest one."""
        if isinstance(where, str):
            return 0 if where == "first" else len(self.x) - 1
        return int(np.abs(self.x - where).argmin())

    def at(self, where: Where) -> float:
        """The metric there."""
        return float(self.y[self.place(where)])


class Criterion(Protocol):
    """What a metric has to do."""

    def judge(self, curve: Curve) -> Judged:
        """Whether a curve does it."""

    def words(self) -> str:
        """It in a sentence that begins with the metric's verb."""


_ROUNDING = 1e-9  # 1 − 0.95 is more than 0.05 by the last bit


def _holds(conditions: Sequence[tuple[str, float, str, float]]) -> Judged:
    """Whether all of (what, number, "≥" or "≤", bound) hold; the detail is of those that do not, else of all."""
    if any(math.isnan(number) for _, number, _, _ in conditions):
        return Judged("no number", "no number at a value that is asked for")
    wrong = [
        (what, number, sign, bound)
        for what, number, sign, bound in conditions
        if not (number >= bound - _ROUNDING if sign == "≥" else number <= bound + _ROUNDING)
    ]
    said = "; ".join(
        f"{what} {number:.3f}, to be {sign} {bound:g}" for what, number, sign, bound in wrong or conditions
    )
    return Judged("fail" if wrong else "pass", said)


@dataclass(frozen=True)
class Near:
    """A value of the parameter at which the metric is near a number."""

    where: Where
    target: float
    within: float = 0.05

    def judge(self, curve: Curve) -> Judged:
        """As `Criterion`."""
        value = curve.at(self.where)
        off = abs(value - self.target) if math.isfinite(value) else math.nan
        found = _holds([("off by", off, "≤", self.within)])
        return (
            found if found.verdict == "no number" else found._replace(detail=f"{value:.3f}; {found.detail}")
        )

    def words(self) -> str:
        """As `Criterion`."""
        at = f"at {self.where:g}" if isinstance(self.where, float | int) else f"at the {self.where} value"
        return f"is within {self.within:g} of {self.target:g} {at}"


@dataclass(frozen=True)
class Bell:
    """Highest at a value within, low at both ends."""

    middle: float

    def judge(self, curve: Curve) -> Judged:
        """As `Criterion`."""
        middle, left, right = curve.at(self.middle), curve.at("first"), curve.at("last")
        return _holds(
            [
                ("rise from the first", middle - left, "≥", 0.2),
                ("fall to the last", middle - right, "≥", 0.2),
                ("largest above the middle", float(curve.y.max()) - middle, "≤", 0.1),
                ("lower end above the smallest", min(left, right) - float(curve.y.min()), "≤", 0.1),
            ]
        )

    def words(self) -> str:
        """As `Criterion`."""
        return f"is a bell: 0.2 higher at {self.middle:g} than at both ends, nowhere 0.1 above that or below them"


@dataclass(frozen=True)
class Falls:
    """From its largest at the first value to its smallest at the last; by `early` (a share of the values) by 0.1."""

    early: float | None = None

    def judge(self, curve: Curve) -> Judged:
        """As `Criterion`."""
        first, last = curve.at("first"), curve.at("last")
        conditions = [
            ("fall", first - last, "≥", 0.2),
            ("largest above the first", float(curve.y.max()) - first, "≤", 0.1),
            ("last above the smallest", last - float(curve.y.min()), "≤", 0.1),
        ]
        if self.early is not None:  # the nearest value to that share; of two the earlier
            place = math.ceil(self.early * (len(curve.y) - 1) - 0.5)
            conditions.append(("fall until then", first - float(curve.y[place]), "≥", 0.1))
        return _holds(conditions)

    def words(self) -> str:
        """As `Criterion`."""
        until = "" if self.early is None else f", by 0.1 within the first {self.early:.0%} of the values"
        return f"falls by 0.2 from about its largest to about its smallest{until}"


@dataclass(frozen=True)
class Rises:
    """From its smallest at the first value to its largest at the last."""

    def judge(self, curve: Curve) -> Judged:
        """As `Criterion`."""
        first, last = curve.at("first"), curve.at("last")
        return _holds(
            [
                ("rise", last - first, "≥", 0.2),
                ("first above the smallest", first - float(curve.y.min()), "≤", 0.1),
                ("largest above the last", float(curve.y.max()) - last, "≤", 0.1),
            ]
        )

    def words(self) -> str:
        """As `Criterion`."""
        return "rises by 0.2 from about its smallest to about its largest"


@dataclass(frozen=True)
class Level:
    """The same everywhere, or from the middle of the values on."""

    second_half: bool = False

    def judge(self, curve: Curve) -> Judged:
        """As `Criterion`."""
        y = curve.y[curve.x >= np.median(curve.x)] if self.second_half else curve.y
        return _holds([("largest less smallest", float(y.max() - y.min()), "≤", 0.05)])

    def words(self) -> str:
        """As `Criterion`."""
        return f"moves by at most 0.05{' over the larger half of the values' if self.second_half else ''}"


@dataclass(frozen=True)
class LowOrHigh:
    """One of two, by which the metric is of one kind or of the other."""

    low: Criterion
    high: Criterion
    names: tuple[Verdict, Verdict] = field(default=("low", "high"))

    def judge(self, curve: Curve) -> Judged:
        """As `Criterion`."""
        judged = [criterion.judge(curve) for criterion in (self.low, self.high)]
        for name, found in zip(self.names, judged, strict=True):
            if found.verdict == "pass":
                return Judged(name, found.detail)
        if judged[0].verdict == "no number":
            return judged[0]
        return Judged("fail", f"as low: {judged[0].detail}; as high: {judged[1].detail}")

    def words(self) -> str:
        """As `Criterion`."""
        return f"{self.low.words()} (low), or {self.high.words()} (high)"
