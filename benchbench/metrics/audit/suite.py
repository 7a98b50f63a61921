"""The sanity suite: every experiment made, every metric asked, every answer judged.

Features are standardised by the mean and the standard deviation of the real ones on each axis, as Räisä et al. do
before they ask any metric: without it the check of one scaled axis has no metric on distances that passes. Where a
number of points is the question (cubes, ball in a torus), metrics that are `balanced` see as many of either side, as
they do in a record. Of a metric that reads no reference (Vendi, RKE) the number is what it says of the generated points
over what it says of the real ones.

A curve is the mean over repeats. All metrics of a repeat see the same points.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import pandas as pd
import torch

from benchbench.core.errors import InputError, unknown_name
from benchbench.core.progress import SILENT, Progress
from benchbench.features.moments import Moments
from benchbench.metrics.audit.claims import SPACE
from benchbench.metrics.audit.criteria import Curve
from benchbench.metrics.audit.distributions import Points
from benchbench.metrics.audit.expectations import COLUMNS, EXPECTATIONS
from benchbench.metrics.audit.experiments import EXPERIMENTS, Pair
from benchbench.metrics.evidence import Evidence, FeatureEvidence
from benchbench.metrics.metric import Claim, Metric
from benchbench.metrics.select import score

LEAST_POINTS, MOST_POINTS = 20, 100_000
MOST_REPEATS, LEAST_VALUES, MOST_VALUES = 1000, 5, 51


@dataclass(frozen=True)
class Extent:
    """How much is drawn; the defaults are the paper's.

    Attributes:
        points: A side, 20 to 100,000; a tenth and ten times as many where the number is the question.
        repeats: Draws of every set, 1 to 1,000.
        values: The most that a parameter takes, 5 to 51 and odd, so that the one in the middle stays.
        seed: Of all draws.
        standardised: Whether features are brought to mean 0 and standard deviation 1 by the real ones.
    """

    points: int = 1000
    repeats: int = 10
    values: int = 51
    seed: int = 0
    standardised: bool = True

    def __post_init__(self) -> None:
        """Raises `InputError` for a number out of its bounds."""
        for name, least, most in (
            ("points", LEAST_POINTS, MOST_POINTS), ("repeats", 1, MOST_REPEATS), ("values", LEAST_VALUES, MOST_VALUES),
            ("seed", 0, 2**32 - 1),
        ):  # fmt: skip
            given = getattr(self, name)
            if isinstance(given, bool) or not isinstance(given, int) or not least <= given <= most:
                raise InputError(f"the {name} of an audit must be from {least:,} to {most:,}; not {given!r}")
        if not self.values % 2:
            raise InputError(
                f"the values of an audit must be odd, so that there is one in the middle; not {self.values}"
            )


SMALL = Extent(points=200, repeats=2, values=11)
"""A minute of one core."""


def experiments_of(names: Sequence[str]) -> list[str]:
    """The experiments that are meant, in the order of the suite; all where none is named, `InputError` for one that
    there is not."""
    for name in names:
        if name not in EXPERIMENTS:
            raise unknown_name("experiment", name, EXPERIMENTS)
    return [name for name in EXPERIMENTS if not names or name in names]


def thinned(values: Sequence[float], most: int) -> list[tuple[int, float]]:
    """At most so many values, evenly, the first, the last and the middle one of an odd number among them, with their
    places."""
    places = np.unique(np.linspace(0, len(values) - 1, min(most, len(values))).round().astype(int))
    return [(int(place), values[place]) for place in places]


def drawn(experiment: str, case: str, place: int, value: float, repeat: int, extent: Extent) -> Pair:
    """Both sides of one case at one value. Each has a generator of its own that depends on nothing but the seed, the
    experiment, the case, the repeat and, where the side differs with it, the place of the value."""
    own = EXPERIMENTS[experiment]

    def rng(side: str, *more: int) -> np.random.Generator:
        text = hashlib.sha256(f"{experiment}/{case}/{side}".encode()).digest()
        return np.random.default_rng([extent.seed, int.from_bytes(text[:8], "big"), repeat, *more])

    real = rng("real", place) if own.real_anew else rng("real")
    return own.cases[case].make(value, extent.points, real, rng("generated", place))


def evidence_of(real: Points, generated: Points, standardised: bool = True) -> Evidence:
    """Both sides as metrics read them."""
    centre, width = np.zeros(real.shape[1]), np.ones(real.shape[1])
    if standardised:
        centre, width = real.mean(0), real.std(0)
        width[width == 0] = 1
    sides = {"reference": real, "generated": generated}
    sets = {}
    for role, points in sides.items():
        features = torch.from_numpy(((points - centre) / width).astype(np.float32))
        sets[role] = {SPACE: FeatureEvidence(Moments.of(features), features)}
    return Evidence(sets, intervals=False)


def asked(metrics: Sequence[Metric], evidence: Evidence) -> dict[str, tuple[float, str]]:
    """What each metric says, by family: the number, NaN with the reason where there is none."""
    alone = [own for own in metrics if not own.needs_reference]
    real = Evidence({**evidence.sets, "generated": evidence.sets["reference"]}, intervals=False)
    of_real = {own.metric.family: own for own in score(alone, real)} if alone else {}
    said = {}
    for outcome in score(metrics, evidence):
        family, whole = outcome.metric.family, of_real.get(outcome.metric.family)
        if not outcome.metric.output.gated:
            continue
        if outcome.estimate is None:
            said[family] = (math.nan, str(outcome.reason))
        elif whole is None:
            said[family] = (outcome.estimate.value, "")
        elif whole.estimate is None:
            said[family] = (math.nan, f"of the real points: {whole.reason}")
        elif not whole.estimate.value:
            said[family] = (math.nan, "it is 0 of the real points, and nothing can be over that")
        else:
            said[family] = (outcome.estimate.value / whole.estimate.value, "")
    return said


def _steps(names: Sequence[str], extent: Extent) -> Iterator[tuple[str, str, int, float, int]]:
    for name in names:
        for case, own in EXPERIMENTS[name].cases.items():
            for place, value in thinned(own.values, extent.values):
                for repeat in range(extent.repeats):
                    yield name, case, place, value, repeat


def measured(
    metrics: Sequence[Metric],
    experiments: Sequence[str] = (),
    extent: Extent | None = None,
    progress: Progress = SILENT,
) -> pd.DataFrame:
    """Ask metrics of every point of every experiment.

    Args:
        metrics: Those of `claims.audited`.
        experiments: Names; none for all.
        extent: How much is drawn; by default as in the paper.
        progress: Who is told how far it is.

    Returns:
        A row a metric, case and value, with the columns experiment, case, parameter (the value), metric, claim, value
        (mean over repeats, NaN where one of them has none) and reason.

    Raises:
        InputError: There is no such experiment.
    """
    extent = Extent() if extent is None else extent
    claims = {own.family: own.output.claims for own in metrics}
    steps = list(_steps(experiments_of(experiments), extent))
    rows = []
    with progress.stage("audit", len(steps), "set") as stage:
        for name, case, place, value, repeat in steps:
            pair = drawn(name, case, place, value, repeat, extent)
            for family, (number, reason) in asked(metrics, evidence_of(*pair, extent.standardised)).items():
                rows.append((name, case, value, family, claims[family], number, reason))
            stage.advance()
    columns = ["experiment", "case", "parameter", "metric", "claim", "value", "reason"]
    frame = pd.DataFrame(rows, columns=columns)
    grouped = frame.groupby(columns[:5], sort=False, dropna=False)
    return grouped.agg(
        value=("value", lambda own: own.mean(skipna=False)), reason=("reason", "max")
    ).reset_index()


def judged(frame: pd.DataFrame, metrics: Sequence[Metric] = ()) -> pd.DataFrame:
    """Hold what was measured against `EXPECTATIONS`.

    Args:
        frame: As `measured` returns it.
        metrics: In whose order rows stand; by default as they are met.

    Returns:
        A row a check and metric, with the columns of `expectations.COLUMNS`.
    """
    order: Mapping[str, int] = {own.family: i for i, own in enumerate(metrics)}
    rows = []
    for keys, own in frame.groupby(["experiment", "case", "metric", "claim"], sort=False):
        experiment, case, metric, claim = (str(key) for key in cast(tuple[str, ...], keys))
        curve = Curve(own.parameter.to_numpy(float), own.value.to_numpy(float))
        reason = next((text for text in own.reason if text), "")
        for row in EXPECTATIONS:
            if not row.is_of(experiment, case, cast(Claim, claim)):
                continue
            verdict, detail = row.criterion.judge(curve)
            if verdict == "no number":
                detail = reason or detail
            title, words = EXPERIMENTS[experiment].title, row.criterion.words()
            about = (experiment, case, title, row.desideratum, row.check, words)
            rows.append((*about, metric, claim, verdict, detail))
    found = pd.DataFrame(rows, columns=list(COLUMNS))
    if order:
        found = found.iloc[np.argsort(found.metric.map(order), kind="stable")]
    return found.reset_index(drop=True)
