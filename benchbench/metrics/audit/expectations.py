"""What metrics of fidelity and of diversity have to say of each experiment, as Räisä et al. 2025 have it.

A row is an experiment, the cases that are meant, whom it is asked of, the desideratum that it stands for, the name of
the check and the criterion. Desiderata are theirs: D1b `purpose`, D2 `hyperparameters`, D3 `data`, D4 `bounds`, D5
`invariance`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final, Literal

from benchbench.metrics.audit.criteria import Bell, Criterion, Falls, Level, LowOrHigh, Near, Rises
from benchbench.metrics.metric import Claim

Desideratum = Literal["purpose", "hyperparameters", "data", "bounds", "invariance"]
PURPOSE: Final = "purpose"
SETTINGS: Final = "hyperparameters"
DATA: Final = "data"
BOUNDS: Final = "bounds"
INVARIANCE: Final = "invariance"
COLUMNS = (
    "experiment",
    "case",
    "title",
    "desideratum",
    "check",
    "expected",
    "metric",
    "claim",
    "verdict",
    "detail",
)
"""Of a table of checks: the experiment by its name and its title, what is expected in words, and what was seen."""
FIDELITY: Final = "fidelity"
DIVERSITY: Final = "diversity"
BOTH: Final = None


@dataclass(frozen=True)
class Expectation:
    """One row.

    Attributes:
        experiment: Its name.
        claim: "fidelity" or "diversity" for metrics that claim it; None for both.
        desideratum: Which one it stands for.
        check: Its name, one an experiment and claim.
        criterion: What has to be seen.
        case: A pattern of the names of cases.
    """

    experiment: str
    claim: Claim | None
    desideratum: Desideratum
    check: str
    criterion: Criterion
    case: str = "*"

    def is_of(self, experiment: str, case: str, claim: Claim) -> bool:
        """Whether it is asked of a metric with that claim in that case."""
        return self.experiment == experiment and fnmatchcase(case, self.case) and self.claim in (None, claim)


def _moved(experiment: str) -> list[Expectation]:
    """Of a mean that moves past the real one."""
    return [
        Expectation(experiment, BOTH, BOUNDS, "identical", Near(0.0, 1)),
        Expectation(experiment, BOTH, BOUNDS, "extreme negative", Near("first", 0)),
        Expectation(experiment, BOTH, BOUNDS, "extreme positive", Near("last", 0)),
        Expectation(experiment, BOTH, PURPOSE, "bell shape", Bell(0.0)),
    ]


def _dropped(experiment: str, early: float) -> list[Expectation]:
    """Of modes that disappear. What diversity has to be when all but one are gone is not obvious."""
    return [
        Expectation(experiment, BOTH, BOUNDS, "identical", Near("first", 1)),
        Expectation(experiment, FIDELITY, BOUNDS, "fully_dropped_modes", Near("last", 1)),
        Expectation(experiment, FIDELITY, PURPOSE, "shape", Level()),
        Expectation(experiment, DIVERSITY, PURPOSE, "shape", Falls(early)),
    ]


def _wide(where: Literal["first", "last"]) -> LowOrHigh:
    """What diversity may be where generated points are spread more widely than real ones."""
    return LowOrHigh(low=Near(where, 0), high=Near(where, 1))


_STD = "gaussian-std-difference"
_INVENTED = "gaussian-mixture-mode-dropping-invention"
_SPHERE = "uniform-hypersphere-surface"
_CUBES, _MORE = "uniform-hypercube-varying-size", "uniform-hypercube-varying-syn-size"
_TORUS = "sphere-torus"
_TWO = "one-vs-two-modes"
_SCALED = "gaussian-scaling-one-dimension"
_APART = "gaussian-high-dim-one-disjoint-dim"
_WHOLE = "discrete-numerical-vs-continuous-numerical"

EXPECTATIONS: Sequence[Expectation] = (
    *_moved("gaussian-mean-difference"),
    *_moved("gaussian-mean-difference-with-outlier"),
    Expectation(_STD, BOTH, BOUNDS, "identical", Near(1.0, 1)),
    Expectation(_STD, FIDELITY, BOUNDS, "low syn. std.", Near("first", 1)),
    Expectation(_STD, DIVERSITY, BOUNDS, "low syn. std.", Near("first", 0)),
    Expectation(_STD, FIDELITY, BOUNDS, "high syn. std.", Near("last", 0)),
    Expectation(_STD, DIVERSITY, BOUNDS, "high syn. std.", _wide("last")),
    Expectation(_STD, FIDELITY, PURPOSE, "shape", Falls()),
    Expectation(_STD, DIVERSITY, PURPOSE, "shape", LowOrHigh(low=Bell(1.0), high=Rises())),
    *_dropped("gaussian-mixture-simultaneous-mode-dropping", 0.95),
    *_dropped("gaussian-mixture-sequential-mode-dropping", 0.5),
    Expectation(_INVENTED, BOTH, BOUNDS, "identical", Near(5.0, 1)),
    Expectation(_INVENTED, FIDELITY, BOUNDS, "most dropped modes", Near("first", 1)),
    Expectation(_INVENTED, DIVERSITY, BOUNDS, "most invented modes", Near("last", 1)),
    Expectation(_INVENTED, FIDELITY, PURPOSE, "shape", Falls()),
    Expectation(_INVENTED, DIVERSITY, PURPOSE, "shape", Rises()),
    Expectation(_SPHERE, BOTH, BOUNDS, "identical", Near(1.0, 1)),
    Expectation(_SPHERE, BOTH, BOUNDS, "small syn. radius", Near("first", 0)),
    Expectation(_SPHERE, BOTH, BOUNDS, "large syn. radius", Near("last", 0)),
    Expectation(_SPHERE, BOTH, PURPOSE, "shape", Bell(1.0)),
    Expectation(_CUBES, BOTH, DATA, "shape", Level(second_half=True)),
    Expectation(_CUBES, BOTH, PURPOSE, "large size", Near("last", 0.2)),
    Expectation(_MORE, BOTH, SETTINGS, "shape", Level(second_half=True)),
    Expectation(_MORE, BOTH, PURPOSE, "large syn. size", Near("last", 0.2)),
    Expectation(_TORUS, BOTH, PURPOSE, "shape", Level(second_half=True)),
    Expectation(_TORUS, BOTH, BOUNDS, "right extreme value", Near("last", 0)),
    Expectation(_TWO, FIDELITY, PURPOSE, "shape", Falls()),
    Expectation(_TWO, DIVERSITY, PURPOSE, "shape", LowOrHigh(low=Falls(), high=Level())),
    Expectation(_TWO, BOTH, BOUNDS, "identical", Near("first", 1)),
    Expectation(_SCALED, BOTH, INVARIANCE, "shape", Level()),
    Expectation(_SCALED, BOTH, BOUNDS, "left extreme value", Near("first", 0)),
    Expectation(_SCALED, BOTH, BOUNDS, "right extreme value", Near("last", 0)),
    *_moved("gaussian-mean-difference-with-pareto"),
    Expectation(_APART, BOTH, PURPOSE, "shape", Level()),
    Expectation(_APART, BOTH, BOUNDS, "left extreme value", Near("first", 0)),
    Expectation(_APART, BOTH, BOUNDS, "right extreme value", Near("last", 0)),
    Expectation(_WHOLE, BOTH, PURPOSE, "shape", Level()),
    Expectation(_WHOLE, FIDELITY, BOUNDS, "coarse discretisation", Near("first", 0), "real_discrete"),
    Expectation(_WHOLE, DIVERSITY, BOUNDS, "coarse discretisation", _wide("first"), "real_discrete"),
    Expectation(_WHOLE, FIDELITY, BOUNDS, "fine discretisation", Near("last", 0), "real_discrete"),
    Expectation(_WHOLE, DIVERSITY, BOUNDS, "fine discretisation", _wide("last"), "real_discrete"),
    Expectation(_WHOLE, FIDELITY, BOUNDS, "coarse discretisation", Near("first", 1), "real_continuous"),
    Expectation(_WHOLE, DIVERSITY, BOUNDS, "coarse discretisation", Near("first", 0), "real_continuous"),
    Expectation(_WHOLE, FIDELITY, BOUNDS, "fine discretisation", Near("last", 1), "real_continuous"),
    Expectation(_WHOLE, DIVERSITY, BOUNDS, "fine discretisation", Near("last", 0), "real_continuous"),
)
