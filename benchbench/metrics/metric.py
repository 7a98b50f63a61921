"""What a metric is: a number, with its interval, from evidence.

Pure functions come first (`frechet.frechet_distance`, `paired.ssim`, …) for people who hold features
already. The classes over them are thin: they say what they need, read it from the `Evidence` and name the
result. A metric that reads an extractor is a family ("fd"); with the extractor it has its full name
("fd_efficientnet_lite0").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from torch import Tensor

from benchbench.features.moments import Moments

Aspect = Literal[
    "quality", "diversity", "mode_collapse", "memorization", "paired", "throughput", "cost"
]
Need = Literal["moments", "features", "logits", "pairs"]


@dataclass(frozen=True)
class FeatureEvidence:
    """What an extractor said about one set of images.

    moments: streaming mean and covariance, float64. features: float32 N×D (CPU) when a metric needs them.
    logits: float32 N×K (CPU), likewise. Row order is the order of the images.
    """

    moments: Moments
    features: Tensor | None = None
    logits: Tensor | None = None


@dataclass(frozen=True)
class PairEvidence:
    """One value an image pair for each paired metric, float64 (N,), by metric name."""

    values: Mapping[str, Tensor]


@dataclass(frozen=True)
class Evidence:
    """All that metrics may read. `generated` and `reference` by extractor name."""

    generated: Mapping[str, FeatureEvidence] = field(default_factory=dict)
    reference: Mapping[str, FeatureEvidence] = field(default_factory=dict)
    pairs: PairEvidence | None = None


@dataclass(frozen=True)
class Estimate:
    """A number and how sure we are. `interval` names level and method, e.g. "95% bootstrap"; None with no
    interval. `details` holds numbers that belong beside it, e.g. {"fd_infinity": …}; they become rows of their
    own, named as their keys say."""

    value: float
    low: float | None = None
    high: float | None = None
    interval: str | None = None
    details: Mapping[str, Estimate] = field(default_factory=dict)


class Metric:
    """Base of the metric classes. Subclasses set the class fields and write `compute`."""

    family: ClassVar[str]
    aspect: ClassVar[Aspect]
    unit: ClassVar[str] = ""
    higher_is_better: ClassVar[bool]
    version: ClassVar[int] = 1  # raised whenever the same images would give another number
    needs: ClassVar[frozenset[Need]]  # of both sides, unless `needs_reference` says otherwise
    needs_reference: ClassVar[bool] = True
    uses_extractor: ClassVar[bool] = True
    source: ClassVar[str]  # paper and equation

    def __init__(self, extractor: str | None = None) -> None:
        self.extractor = extractor

    @property
    def name(self) -> str:
        """The full name, as records have it."""
        return f"{self.family}_{self.extractor}" if self.extractor else self.family

    def compute(self, evidence: Evidence) -> Estimate:
        """The number. Raises `MetricFailed` with a reason; never returns NaN or a placeholder."""
        raise NotImplementedError
